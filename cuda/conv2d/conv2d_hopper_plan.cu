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

static int choose_channels(const struct conv2d_gather *gather, int n_tiles) {
    int wanted = hopper_channels_wanted();
    return wanted != 0 ? wanted : conv2d_box_channels(gather->c_target, n_tiles);
}

static int choose_blocks(const struct cuda_context *context) {
    int n = hopper_blocks_wanted();
    return n != 0 && n < context->n_multiprocessors ? n : context->n_multiprocessors;
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
    part.n_tiles = conv2d_boxes_count(boxes);
    part.is_paired = part.n_tiles > 1;
    return part;
}

static adele_status upload_tiles(const struct cuda_context *context, struct hopper_part *part) {
    struct conv2d_box_tile *tiles = NULL;
    TRY(ALLOCATE(&tiles, (size_t)part->n_tiles + 1));
    conv2d_boxes_list(&part->boxes, tiles);
    if (part->is_paired)
        part->n_tiles = conv2d_boxes_pair(&part->boxes, tiles, part->n_tiles);
    adele_status status = table_create(
        &context->device, tiles, (size_t)part->n_tiles * sizeof *tiles, (void **)&part->tiles);
    memory_free(tiles);
    return status;
}

adele_status hopper_plan_create(const struct cuda_context *context,
                                const struct conv2d_gather *gather, struct hopper_plan *out) {
    const int stride = gather->divide;
    int most_tiles = 0;
    out->encode = hopper_find_encode();
    out->stride = stride;
    for (int i = 0; i < stride * stride; i++) {
        if (i % stride >= gather->w_target || i / stride >= gather->h_target)
            continue;
        out->parts[out->n_parts] = part_of(gather, i % stride, i / stride);
        most_tiles = max(most_tiles, out->parts[out->n_parts++].n_tiles);
    }
    out->bn = choose_channels(gather, most_tiles);
    out->n_columns = ceil_div(gather->c_target, out->bn);
    out->most_blocks = choose_blocks(context);
    for (int i = 0; i < out->n_parts; i++) {
        TRY(upload_tiles(context, &out->parts[i]));
        TRY(hopper_allow_shared(out->bn, out->parts[i].is_paired));
    }
    return ADELE_OK;
}

void hopper_plan_release(struct hopper_plan *plan) {
    for (int i = 0; i < plan->n_parts; i++) {
        if (plan->parts[i].tiles != NULL)
            (void)cudaFree(plan->parts[i].tiles);
        plan->parts[i].tiles = NULL;
    }
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
    const struct hopper_box source = {
        {gather->c_source, boxes->w_source, boxes->h_source, boxes->n},
        {HOPPER_STEP, boxes->box_w, boxes->box_h, boxes->box_n},
        {1, 1, 1, 1},
        {}};
    const struct hopper_box weights = {
        {gather->c_source, gather->kernel * gather->kernel, gather->c_target, 1},
        {HOPPER_STEP, 1, part->is_paired ? plan->bn / 2 : plan->bn, 1},
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
                             const struct conv2d_product *product) {
    const struct conv2d_boxes *boxes = &part->boxes;
    struct hopper_maps maps;
    if (product->accumulate && boxes->kernel_x * boxes->kernel_y == 0)
        return ADELE_OK; // nothing to add
    TRY(describe(gather, plan, part, product, &maps));
    struct hopper_product of = {};
    of.tiles = part->tiles;
    of.n_tiles = part->n_tiles, of.n_columns = plan->n_columns;
    of.kernel_x = boxes->kernel_x, of.apart = boxes->apart;
    of.offset_x = boxes->offset_x, of.offset_y = boxes->offset_y;
    of.tap_first = part->tap_first, of.tap_x = part->tap_x, of.tap_y = part->tap_y;
    of.n_chunks = gather->c_source / HOPPER_STEP;
    of.box_pixels = boxes->box_w * boxes->box_h * boxes->box_n;
    of.c_target = gather->c_target;
    of.bias = product->bias;
    of.accumulate = product->accumulate;
    return hopper_launch(context, plan->bn, part->is_paired, plan->most_blocks, &maps, &of);
}

adele_status hopper_run(const struct cuda_context *context, const struct conv2d_gather *gather,
                        const struct hopper_plan *plan, const struct conv2d_product *product) {
    for (int i = 0; i < plan->n_parts; i++)
        TRY(run_part(context, gather, plan, &plan->parts[i], product));
    return ADELE_OK;
}

} // namespace adele_cuda
