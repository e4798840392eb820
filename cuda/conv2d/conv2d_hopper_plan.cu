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

// The driver's function, without linking with the driver: NULL where it is too old.
static void *find_encode() {
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

bool hopper_fits(const struct cuda_context *context, const struct conv2d_gather *gather,
                 enum conv2d_math math) {
    bool is_shape = gather->multiply == 1 && gather->divide == 1 &&
                    gather->kernel <= CONV2D_BOX_MAX_KERNEL &&
                    gather->c_source % HOPPER_STEP == 0 && gather->c_target % HOPPER_STEP == 0;
    return is_shape && math == CONV2D_BF16 && context->storage == ADELE_PRECISION_BF16 &&
           context->compute_capability == 90 &&
           !family_is_disabled(&context->device, ADELE_FAMILY_conv2d_hopper) &&
           context->shared_bytes_max >=
               hopper_shared_bytes(256) + (int)sizeof(struct hopper_barriers) &&
           hopper_is_compiled() && find_encode() != NULL;
}

// ---- tiles --------------------------------------------------------------------------------------

// ADELE_CONV2D_TILE in the environment names one for all (for tests and tuning).
static int choose_channels(const struct conv2d_gather *gather, int n_tiles) {
    const char *wanted = getenv("ADELE_CONV2D_TILE");
    for (int bn = 64; wanted != NULL && bn <= 256; bn *= 2)
        if (strncmp(wanted, "128x", 4) == 0 && atoi(wanted + 4) == bn)
            return bn;
    return conv2d_box_channels(gather->c_target, n_tiles);
}

// Of a launch: one for each multiprocessor. ADELE_CONV2D_BLOCKS in the environment names fewer, for
// tests, where a block shall take several tiles of a small tensor.
static int choose_blocks(const struct cuda_context *context) {
    const char *wanted = getenv("ADELE_CONV2D_BLOCKS");
    int n = wanted != NULL ? atoi(wanted) : 0;
    return n >= 1 && n < context->n_multiprocessors ? n : context->n_multiprocessors;
}

static struct conv2d_boxes boxes_of(const struct conv2d_gather *gather) {
    struct conv2d_boxes boxes = {};
    boxes.n = gather->n;
    boxes.h = gather->h_target, boxes.w = gather->w_target;
    boxes.h_source = gather->h_source, boxes.w_source = gather->w_source;
    boxes.kernel = gather->kernel, boxes.offset = gather->offset;
    boxes.apart = gather->sign * gather->dilation;
    conv2d_boxes_choose(&boxes);
    return boxes;
}

adele_status hopper_plan_create(const struct cuda_context *context,
                                const struct conv2d_gather *gather, struct hopper_plan *out) {
    struct hopper_plan plan = {};
    struct conv2d_box_tile *tiles = NULL;
    plan.encode = find_encode();
    plan.boxes = boxes_of(gather);
    plan.n_tiles = conv2d_boxes_count(&plan.boxes);
    plan.bn = choose_channels(gather, plan.n_tiles);
    plan.n_columns = ceil_div(gather->c_target, plan.bn);
    plan.is_paired = plan.n_tiles > 1;
    plan.most_blocks = choose_blocks(context);
    TRY(ALLOCATE(&tiles, (size_t)plan.n_tiles + 1));
    conv2d_boxes_list(&plan.boxes, tiles);
    if (plan.is_paired)
        plan.n_tiles = conv2d_boxes_pair(&plan.boxes, tiles, plan.n_tiles);
    adele_status status = table_create(&context->device, tiles,
                                       (size_t)plan.n_tiles * sizeof *tiles, (void **)&plan.tiles);
    memory_free(tiles);
    *out = plan;
    TRY(status);
    return hopper_allow_shared(plan.bn, plan.is_paired);
}

void hopper_plan_release(struct hopper_plan *plan) {
    if (plan->tiles != NULL)
        (void)cudaFree(plan->tiles);
    plan->tiles = NULL;
}

// ---- tensor maps --------------------------------------------------------------------------------

// A tensor of bf16 with dense extents, innermost first, read or written in boxes of 64 channels.
static adele_status describe(const struct hopper_plan *plan, const void *address,
                             const int extents[4], const int box[4], CUtensorMap *out) {
    cuuint64_t sizes[4], pitches[4];
    cuuint32_t boxes[4], strides[4];
    cuuint64_t pitch = 2;
    for (int i = 0; i < 4; i++) {
        sizes[i] = (cuuint64_t)extents[i];
        pitches[i] = pitch *= sizes[i];
        boxes[i] = (cuuint32_t)box[i];
        strides[i] = 1;
    }
    CUresult result = ((encode_tiled)plan->encode)(
        out, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, (void *)address, sizes, pitches, boxes, strides,
        CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS)
        return FAIL(
            ADELE_DEVICE, "Run with ADELE_CUDA_SYNCHRONOUS=1, and report the shape.",
            "conv2d: cuTensorMapEncodeTiled fails with %d for a tensor of %d x %d x %d x %d "
            "at %p, boxes of %d x %d x %d x %d",
            (int)result, extents[3], extents[2], extents[1], extents[0], address, box[3], box[2],
            box[1], box[0]);
    return ADELE_OK;
}

adele_status hopper_run(const struct cuda_context *context, const struct conv2d_gather *gather,
                        const struct hopper_plan *plan, const struct conv2d_product *product) {
    const struct conv2d_boxes *boxes = &plan->boxes;
    const int source[] = {gather->c_source, boxes->w_source, boxes->h_source, boxes->n};
    const int target[] = {gather->c_target, boxes->w, boxes->h, boxes->n};
    const int box[] = {HOPPER_STEP, boxes->box_w, boxes->box_h, boxes->box_n};
    const int weights[] = {gather->c_source, gather->kernel * gather->kernel, gather->c_target, 1};
    const int weight_box[] = {HOPPER_STEP, 1, plan->is_paired ? plan->bn / 2 : plan->bn, 1};
    struct hopper_maps maps;
    TRY(describe(plan, product->source, source, box, &maps.source));
    TRY(describe(plan, product->weights, weights, weight_box, &maps.weights));
    TRY(describe(plan, product->target, target, box, &maps.target));
    struct hopper_product of = {};
    of.tiles = plan->tiles;
    of.n_tiles = plan->n_tiles, of.n_columns = plan->n_columns;
    of.kernel = boxes->kernel, of.offset = boxes->offset, of.apart = boxes->apart;
    of.n_chunks = gather->c_source / HOPPER_STEP;
    of.box_pixels = boxes->box_w * boxes->box_h * boxes->box_n;
    of.c_target = gather->c_target;
    of.bias = product->bias;
    of.accumulate = product->accumulate;
    return hopper_launch(context, plan->bn, plan->is_paired, plan->most_blocks, &maps, &of);
}

} // namespace adele_cuda
