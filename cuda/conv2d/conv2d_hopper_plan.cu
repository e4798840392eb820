// SPDX-License-Identifier: MIT
// The Hopper family's host part: whether a pass of a convolution fits it, how its target is cut
// into tiles (device/conv2d_boxes.h), those of several scales too, and the descriptions of the
// tensors (tensor maps) that the copy engine reads, made anew in each call, since addresses change.
#include "conv2d/conv2d_hopper.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace adele_cuda {

// ---- which passes -------------------------------------------------------------------------------

typedef CUresult (*encode_tiled)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                                 const cuuint64_t *, const cuuint64_t *, const cuuint32_t *,
                                 const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                                 CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

// Without linking with the driver.
void *hopper_find_encode() {
    void *function = NULL;
    enum cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
#if defined(ADELE_SIMT) || CUDART_VERSION < 12050
    cudaError_t code =
        cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &function, cudaEnableDefault, &result);
#else
    cudaError_t code = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                                        cudaEnableDefault, &result);
#endif
    if (code != cudaSuccess || result != cudaDriverEntryPointSuccess) {
        (void)cudaGetLastError();
        return NULL;
    }
    return function;
}

bool hopper_is_usable(const struct cuda_context *context, enum conv2d_math math) {
    return math == CONV2D_BF16 && context->storage == ADELE_PRECISION_BF16 &&
           context->compute_capability == 90 &&
           context->shared_bytes_max >=
               hopper_shared_bytes(256) + (int)sizeof(struct hopper_barriers) &&
           hopper_find_encode() != NULL;
}

bool hopper_fits(const struct cuda_context *context, const struct conv2d_gather *gather,
                 enum conv2d_math math) {
    bool is_shape = gather->multiply == 1 && gather->divide <= HOPPER_MAX_STRIDE &&
                    gather->kernel <= CONV2D_BOX_MAX_KERNEL &&
                    gather->c_source % HOPPER_STEP == 0 && gather->c_target % HOPPER_STEP == 0;
    return is_shape && !family_is_disabled(&context->device, ADELE_FAMILY_conv2d_hopper) &&
           hopper_is_usable(context, math) && hopper_is_compiled();
}

// ---- tiles --------------------------------------------------------------------------------------

int hopper_channels_wanted() {
    const char *wanted = getenv("ADELE_CONV2D_TILE");
    for (int bn = 64; wanted != NULL && bn <= 256; bn *= 2)
        if (strncmp(wanted, "128x", 4) == 0 && atoi(wanted + 4) == bn)
            return bn;
    return 0;
}

int hopper_blocks_wanted() {
    const char *wanted = getenv("ADELE_CONV2D_BLOCKS");
    int n = wanted != NULL ? atoi(wanted) : 0;
    return n >= 1 ? n : 0;
}

static bool is_split_wanted() {
    const char *wanted = getenv("ADELE_CONV2D_TILE");
    return wanted != NULL && strstr(wanted, " split") != NULL;
}

static struct conv2d_box_work work_of(const struct cuda_context *context,
                                      const struct conv2d_boxes *boxes, int c_group, int n_chunks,
                                      struct conv2d_box_tile *tiles) {
    const int wanted = hopper_blocks_wanted();
    struct conv2d_box_work work = {};
    conv2d_boxes_list(boxes, tiles);
    work.tiles = tiles;
    work.n_tiles = conv2d_boxes_count(boxes);
    work.is_paired = work.n_tiles > 1;
    if (work.is_paired)
        work.n_tiles = conv2d_boxes_pair(boxes, tiles, work.n_tiles);
    work.c_target = c_group;
    work.n_chunks = n_chunks;
    work.gpu_blocks =
        wanted != 0 ? min(wanted, context->n_multiprocessors) : context->n_multiprocessors;
    work.split_blocks = wanted != 0 ? wanted : CONV2D_WORK_BLOCKS;
    work.split = is_split_wanted() ? CONV2D_SPLIT_ALWAYS
                 : wanted != 0     ? CONV2D_SPLIT_NEVER
                                   : CONV2D_SPLIT_BY_COST;
    work.bn = hopper_channels_wanted();
    conv2d_box_work_choose(&work);
    return work;
}

adele_status hopper_part_create(struct cuda_op *op, int c_group, int n_chunks,
                                struct hopper_part *part) {
    adele_status status;
    struct conv2d_box_work *work = &part->work;
    struct conv2d_box_tile *tiles = NULL;
    struct conv2d_box_segment *segments = NULL;
    struct conv2d_box_sum *sums = NULL;
    int *starts = NULL;
    const int most_tiles = conv2d_boxes_count(&part->boxes) + part->boxes.n_groups;
    part->encode = hopper_find_encode();
    TRY(ALLOCATE(&tiles, (size_t)most_tiles));
    *work = work_of(context_of(op->op.device), &part->boxes, c_group, n_chunks, tiles);
    TRY_GOTO(ALLOCATE(&segments, (size_t)work->n_segments), done);
    TRY_GOTO(ALLOCATE(&starts, (size_t)work->n_workers + 1), done);
    TRY_GOTO(ALLOCATE(&sums, (size_t)work->n_sums + 1), done);
    conv2d_box_work_list(work, segments, starts, sums);
    TRY_GOTO(table_create(op, tiles, (size_t)work->n_tiles, &part->tiles), done);
    TRY_GOTO(table_create(op, segments, (size_t)work->n_segments, &part->segments), done);
    TRY_GOTO(table_create(op, starts, (size_t)work->n_workers + 1, &part->starts), done);
    TRY_GOTO(table_create(op, sums, (size_t)work->n_sums, &part->sums), done);
    status = hopper_allow_shared(work->bn, work->is_paired);
done:
    work->tiles = NULL;
    memory_free(tiles);
    memory_free(segments);
    memory_free(starts);
    memory_free(sums);
    return status;
}

size_t hopper_part_slot_bytes(const struct hopper_part *part) {
    const struct conv2d_box_work *work = &part->work;
    size_t tiles = (size_t)work->n_slots * (work->is_paired ? 2 : 1);
    return tiles * HOPPER_ROWS * (size_t)work->bn * sizeof(float);
}

// ---- a convolution ------------------------------------------------------------------------------

// Adds the target pixels (first_x, first_y), and every stride-th further, of each scale that has
// such ones. All scales have the same taps.
static void add_scales(const struct conv2d_gather *const *scales, int n,
                       struct conv2d_box_kernel taps, struct hopper_part *part) {
    const int stride = part->stride;
    struct conv2d_boxes *boxes = &part->boxes;
    for (int i = 0; i < n; i++) {
        const struct conv2d_gather *gather = scales[i];
        if (part->first_x >= gather->w_target || part->first_y >= gather->h_target)
            continue;
        const struct conv2d_box_extents extents = {
            gather->n, ceil_div(gather->h_target - part->first_y, stride),
            ceil_div(gather->w_target - part->first_x, stride), gather->h_source, gather->w_source};
        part->targets[boxes->n_groups] = {i, gather->h_target, gather->w_target};
        if (boxes->n_groups == 0)
            conv2d_boxes_add(boxes, extents, taps, 0);
        else
            conv2d_boxes_add_scale(boxes, extents);
    }
}

static struct hopper_part part_of(const struct conv2d_gather *const *scales, int n, int first_x,
                                  int first_y) {
    const struct conv2d_gather *gather = scales[0];
    const int kernel = gather->kernel, stride = gather->divide;
    struct conv2d_parity x = {kernel, 0, 1, gather->offset, gather->dilation}, y = x;
    if (gather->sign < 0) {
        x = conv2d_parity_of(first_x, kernel, stride, gather->offset, gather->dilation);
        y = conv2d_parity_of(first_y, kernel, stride, gather->offset, gather->dilation);
    }
    struct hopper_part part = {};
    part.c_source = part.weight_width = gather->c_source;
    part.c_target = part.n_weight_rows = gather->c_target;
    part.n_weight_taps = kernel * kernel;
    part.first_x = first_x, part.first_y = first_y, part.stride = stride;
    struct conv2d_boxes *boxes = &part.boxes;
    boxes->is_spread = stride > 1;
    add_scales(scales, n, {x.n_taps, y.n_taps, x.offset, y.offset, x.apart}, &part);
    for (int i = 0; i < boxes->n_taps; i++)
        boxes->taps[i].weights = (y.tap_first + i / x.n_taps * y.tap_step) * kernel + x.tap_first +
                                 i % x.n_taps * x.tap_step;
    conv2d_boxes_choose(boxes);
    return part;
}

adele_status hopper_plan_create(struct cuda_op *op, const struct conv2d_gather *const *scales,
                                int n, struct hopper_plan *out) {
    static_assert(ADELE_MAX_SCALES <= CONV2D_BOX_MAX_GROUPS, "a scale is a group");
    const int stride = scales[0]->divide, n_chunks = scales[0]->c_source / HOPPER_STEP;
    for (int i = 0; i < stride * stride; i++) {
        struct hopper_part *part = &out->parts[out->n_parts];
        *part = part_of(scales, n, i % stride, i / stride);
        if (part->boxes.n_groups == 0)
            continue; // no scale has such pixels
        out->n_parts++;
        TRY(hopper_part_create(op, scales[0]->c_target, n_chunks, part));
    }
    return ADELE_OK;
}

void hopper_plan_name(const struct hopper_plan *plan, char *text, size_t bytes) {
    snprintf(text, bytes, "wgmma bf16 128x%d%s", plan->parts[0].work.bn,
             hopper_slot_bytes(plan) > 0 ? " split" : "");
}

// Parts follow one another: they have the same slots.
size_t hopper_slot_bytes(const struct hopper_plan *plan) {
    size_t most = 0;
    for (int i = 0; i < plan->n_parts; i++)
        most = max(most, hopper_part_slot_bytes(&plan->parts[i]));
    return most;
}

// ---- tensor maps --------------------------------------------------------------------------------

adele_status hopper_describe(void *encode, const void *address, const struct hopper_box *as,
                             CUtensorMap *out) {
    cuuint64_t sizes[4], pitches[4];
    cuuint32_t boxes[4], strides[4];
    cuuint64_t pitch = 2;
    for (int i = 0; i < 4; i++) {
        sizes[i] = (cuuint64_t)as->extents[i];
        pitch = i < 3 && as->pitches[i] != 0 ? 2 * (cuuint64_t)as->pitches[i] : pitch * sizes[i];
        pitches[i] = pitch;
        // A copy takes every strides[i]-th of so many elements (PTX ISA, "Traversal-Stride").
        boxes[i] = (cuuint32_t)(as->box[i] * as->steps[i]);
        strides[i] = (cuuint32_t)as->steps[i];
    }
    CUresult result = ((encode_tiled)encode)(
        out, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, (void *)address, sizes, pitches, boxes, strides,
        CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS)
        return FAIL(
            ADELE_DEVICE, "Run with ADELE_CUDA_SYNCHRONOUS=1, and report the shape.",
            "conv2d: cuTensorMapEncodeTiled fails with %d for a tensor of %d x %d x %d x %d "
            "at %p, boxes of %d x %d x %d x %d",
            (int)result, as->extents[3], as->extents[2], as->extents[1], as->extents[0], address,
            as->box[3], as->box[2], as->box[1], as->box[0]);
    return ADELE_OK;
}

// The address of the group's target, whose pixels lie `stride` apart.
static const void *target_of(const struct hopper_part *part, int g, const void *target,
                             struct hopper_box *as) {
    const struct conv2d_box_group *group = &part->boxes.groups[g];
    const int64_t c = part->c_target, row = part->targets[g].w * c;
    *as = {{part->c_target, group->extents.w, group->extents.h, group->extents.n},
           {HOPPER_STEP, group->box_w, group->box_h, group->box_n},
           {1, 1, 1, 1},
           {}};
    if (part->stride > 1) {
        as->pitches[0] = part->stride * c;
        as->pitches[1] = part->stride * row;
        as->pitches[2] = part->targets[g].h * row;
    }
    return (const bf16 *)target + part->first_y * row + part->first_x * c;
}

static adele_status describe_group(const struct hopper_part *part, int g,
                                   const struct conv2d_product *products, struct hopper_maps *out) {
    const struct conv2d_product *product = &products[part->targets[g].i_scale];
    const struct conv2d_box_group *group = &part->boxes.groups[g];
    const struct conv2d_box_extents *of = &group->extents;
    const struct hopper_box source = {{part->c_source, of->w_source, of->h_source, of->n},
                                      {HOPPER_STEP, group->box_w, group->box_h, group->box_n},
                                      {1, 1, 1, 1},
                                      {}};
    struct hopper_box as;
    const void *target = target_of(part, g, product->target, &as);
    TRY(hopper_describe(part->encode, product->source, &source, &out->source[g]));
    return hopper_describe(part->encode, target, &as, &out->target[g]);
}

static adele_status describe(const struct hopper_part *part, const struct conv2d_product *products,
                             struct hopper_maps *out) {
    const struct conv2d_box_work *work = &part->work;
    const struct hopper_box weights = {
        {part->weight_width, part->n_weight_taps, part->n_weight_rows, 1},
        {HOPPER_STEP, 1, work->is_paired ? work->bn / 2 : work->bn, 1},
        {1, 1, 1, 1},
        {}};
    memset(out, 0, sizeof *out);
    for (int g = 0; g < part->boxes.n_groups; g++)
        TRY(describe_group(part, g, products, out));
    return hopper_describe(part->encode, products[0].weights, &weights, &out->weights);
}

adele_status hopper_part_run(const struct cuda_context *context, const struct hopper_part *part,
                             const struct conv2d_product *products, float *slots) {
    const struct conv2d_boxes *boxes = &part->boxes;
    struct hopper_maps maps;
    if (products[0].accumulate && boxes->n_taps == 0)
        return ADELE_OK; // nothing to add
    TRY(describe(part, products, &maps));
    struct hopper_product of = {};
    of.tiles = part->tiles, of.segments = part->segments, of.starts = part->starts;
    of.slots = slots;
    of.n_chunks = part->work.n_chunks;
    for (int g = 0; g < boxes->n_groups; g++) {
        const struct conv2d_box_group *group = &boxes->groups[g];
        of.groups[g].channel_first = group->channel_first;
        of.groups[g].box_pixels = group->box_w * group->box_h * group->box_n;
    }
    of.c_group = part->work.c_target;
    of.bias = products[0].bias;
    of.accumulate = products[0].accumulate;
    memcpy(of.taps, boxes->taps, sizeof of.taps);
    return hopper_launch(context, &part->work, &maps, &of, part->sums);
}

adele_status hopper_run(const struct cuda_context *context, const struct hopper_plan *plan,
                        const struct conv2d_product *products, float *slots) {
    for (int i = 0; i < plan->n_parts; i++)
        TRY(hopper_part_run(context, &plan->parts[i], products, slots));
    return ADELE_OK;
}

} // namespace adele_cuda
