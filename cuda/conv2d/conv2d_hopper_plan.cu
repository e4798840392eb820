// SPDX-License-Identifier: MIT
// The Hopper family's host part: whether a pass fits it, how its target is cut into tiles
// (device/conv2d_boxes.h), and the descriptions of the tensors (tensor maps) that the copy engine
// reads, made anew in each call, since addresses change.
#include "conv2d/conv2d_hopper.cuh"

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

// Of the target pixels (first_x, first_y), and every stride-th further.
static struct hopper_part part_of(const struct conv2d_gather *gather, int first_x, int first_y) {
    const int kernel = gather->kernel, stride = gather->divide;
    struct conv2d_parity x = {kernel, 0, 1, gather->offset, gather->dilation}, y = x;
    if (gather->sign < 0) {
        x = conv2d_parity_of(first_x, kernel, stride, gather->offset, gather->dilation);
        y = conv2d_parity_of(first_y, kernel, stride, gather->offset, gather->dilation);
    }
    struct hopper_part part = {};
    part.first_x = first_x, part.first_y = first_y;
    part.tap_first = y.tap_first * kernel + x.tap_first;
    part.tap_x = x.tap_step, part.tap_y = y.tap_step * kernel;
    struct conv2d_boxes *boxes = &part.boxes;
    boxes->n = gather->n;
    boxes->h = ceil_div(gather->h_target - first_y, stride);
    boxes->w = ceil_div(gather->w_target - first_x, stride);
    boxes->h_source = gather->h_source, boxes->w_source = gather->w_source;
    boxes->kernel_x = x.n_taps, boxes->kernel_y = y.n_taps;
    boxes->offset_x = x.offset, boxes->offset_y = y.offset;
    boxes->apart = x.apart;
    boxes->is_spread = stride > 1;
    conv2d_boxes_choose(boxes);
    return part;
}

static struct conv2d_box_work work_of(const struct cuda_context *context,
                                      const struct conv2d_gather *gather,
                                      const struct conv2d_boxes *boxes,
                                      struct conv2d_box_tile *tiles) {
    const int wanted = hopper_blocks_wanted();
    struct conv2d_box_work work = {};
    conv2d_boxes_list(boxes, tiles);
    work.tiles = tiles;
    work.n_tiles = conv2d_boxes_count(boxes);
    work.is_paired = work.n_tiles > 1;
    if (work.is_paired)
        work.n_tiles = conv2d_boxes_pair(boxes, tiles, work.n_tiles);
    work.c_target = gather->c_target;
    work.n_chunks = gather->c_source / HOPPER_STEP;
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

static adele_status deal_out(struct cuda_op *op, const struct conv2d_gather *gather,
                             struct hopper_part *part) {
    adele_status status;
    struct conv2d_box_work *work = &part->work;
    struct conv2d_box_tile *tiles = NULL;
    struct conv2d_box_segment *segments = NULL;
    struct conv2d_box_sum *sums = NULL;
    int *starts = NULL;
    TRY(ALLOCATE(&tiles, (size_t)conv2d_boxes_count(&part->boxes) + 1));
    *work = work_of(context_of(op->op.device), gather, &part->boxes, tiles);
    TRY_GOTO(ALLOCATE(&segments, (size_t)work->n_segments), done);
    TRY_GOTO(ALLOCATE(&starts, (size_t)work->n_workers + 1), done);
    TRY_GOTO(ALLOCATE(&sums, (size_t)work->n_sums + 1), done);
    conv2d_box_work_list(work, segments, starts, sums);
    TRY_GOTO(table_create(op, tiles, (size_t)work->n_tiles, &part->tiles), done);
    TRY_GOTO(table_create(op, segments, (size_t)work->n_segments, &part->segments), done);
    TRY_GOTO(table_create(op, starts, (size_t)work->n_workers + 1, &part->starts), done);
    status = table_create(op, sums, (size_t)work->n_sums, &part->sums);
done:
    work->tiles = NULL;
    memory_free(tiles);
    memory_free(segments);
    memory_free(starts);
    memory_free(sums);
    return status;
}

adele_status hopper_plan_create(struct cuda_op *op, const struct conv2d_gather *gather,
                                struct hopper_plan *out) {
    const int stride = gather->divide;
    out->encode = hopper_find_encode();
    out->stride = stride;
    for (int i = 0; i < stride * stride; i++) {
        if (i % stride >= gather->w_target || i / stride >= gather->h_target)
            continue;
        struct hopper_part *part = &out->parts[out->n_parts++];
        *part = part_of(gather, i % stride, i / stride);
        TRY(deal_out(op, gather, part));
        TRY(hopper_allow_shared(part->work.bn, part->work.is_paired));
    }
    return ADELE_OK;
}

// Parts follow one another: they have the same slots.
size_t hopper_slot_bytes(const struct hopper_plan *plan) {
    size_t most = 0;
    for (int i = 0; i < plan->n_parts; i++) {
        const struct conv2d_box_work *work = &plan->parts[i].work;
        size_t tiles = (size_t)work->n_slots * (work->is_paired ? 2 : 1);
        most = max(most, tiles * HOPPER_ROWS * (size_t)work->bn * sizeof(float));
    }
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

// The address of the part's target, whose pixels lie `stride` apart.
static const void *target_of(const struct conv2d_gather *gather, const struct hopper_plan *plan,
                             const struct hopper_part *part, const void *target,
                             struct hopper_box *as) {
    const struct conv2d_boxes *boxes = &part->boxes;
    const int64_t c = gather->c_target, row = gather->w_target * c;
    *as = {{gather->c_target, boxes->w, boxes->h, boxes->n},
           {HOPPER_STEP, boxes->box_w, boxes->box_h, boxes->box_n},
           {1, 1, 1, 1},
           {}};
    if (plan->stride > 1) {
        as->pitches[0] = plan->stride * c;
        as->pitches[1] = plan->stride * row;
        as->pitches[2] = gather->h_target * row;
    }
    return (const bf16 *)target + part->first_y * row + part->first_x * c;
}

static adele_status describe(const struct conv2d_gather *gather, const struct hopper_plan *plan,
                             const struct hopper_part *part, const struct conv2d_product *product,
                             struct hopper_maps *out) {
    const struct conv2d_boxes *boxes = &part->boxes;
    const struct conv2d_box_work *work = &part->work;
    const struct hopper_box source = {
        {gather->c_source, boxes->w_source, boxes->h_source, boxes->n},
        {HOPPER_STEP, boxes->box_w, boxes->box_h, boxes->box_n},
        {1, 1, 1, 1},
        {}};
    const struct hopper_box weights = {
        {gather->c_source, gather->kernel * gather->kernel, gather->c_target, 1},
        {HOPPER_STEP, 1, work->is_paired ? work->bn / 2 : work->bn, 1},
        {1, 1, 1, 1},
        {}};
    struct hopper_box as;
    const void *target = target_of(gather, plan, part, product->target, &as);
    TRY(hopper_describe(plan->encode, product->source, &source, &out->source));
    TRY(hopper_describe(plan->encode, product->weights, &weights, &out->weights));
    return hopper_describe(plan->encode, target, &as, &out->target);
}

static adele_status run_part(const struct cuda_context *context, const struct conv2d_gather *gather,
                             const struct hopper_plan *plan, const struct hopper_part *part,
                             const struct conv2d_product *product, float *slots) {
    const struct conv2d_boxes *boxes = &part->boxes;
    struct hopper_maps maps;
    if (product->accumulate && boxes->kernel_x * boxes->kernel_y == 0)
        return ADELE_OK; // nothing to add
    TRY(describe(gather, plan, part, product, &maps));
    struct hopper_product of = {};
    of.tiles = part->tiles, of.segments = part->segments, of.starts = part->starts;
    of.slots = slots;
    of.kernel_x = boxes->kernel_x, of.apart = boxes->apart;
    of.offset_x = boxes->offset_x, of.offset_y = boxes->offset_y;
    of.tap_first = part->tap_first, of.tap_x = part->tap_x, of.tap_y = part->tap_y;
    of.n_chunks = gather->c_source / HOPPER_STEP;
    of.box_pixels = boxes->box_w * boxes->box_h * boxes->box_n;
    of.c_target = gather->c_target;
    of.bias = product->bias;
    of.accumulate = product->accumulate;
    return hopper_launch(context, &part->work, &maps, &of, part->sums);
}

adele_status hopper_run(const struct cuda_context *context, const struct conv2d_gather *gather,
                        const struct hopper_plan *plan, const struct conv2d_product *product,
                        float *slots) {
    for (int i = 0; i < plan->n_parts; i++)
        TRY(run_part(context, gather, plan, &plan->parts[i], product, slots));
    return ADELE_OK;
}

} // namespace adele_cuda
