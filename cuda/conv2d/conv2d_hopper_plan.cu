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

// A GPU of compute capability 9.0 also runs code made for 8.0 or for 9.0 without its own
// instructions, in which a kernel of Hopper is one trap and takes next to no registers. The
// emulator and the interpreter count none.
bool hopper_has_code(const void *kernel) {
    struct cudaFuncAttributes attributes;
    if (cudaFuncGetAttributes(&attributes, kernel) != cudaSuccess) {
        (void)cudaGetLastError();
        return false;
    }
    return attributes.ptxVersion >= 90 && (attributes.numRegs == 0 || attributes.numRegs >= 128);
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
    bool is_shape = gather->multiply == 1 && gather->divide == 1 &&
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
    plan.encode = hopper_find_encode();
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

adele_status hopper_describe(void *encode, const void *address, const struct hopper_box *as,
                             CUtensorMap *out) {
    cuuint64_t sizes[4], pitches[4];
    cuuint32_t boxes[4], strides[4];
    cuuint64_t pitch = 2;
    for (int i = 0; i < 4; i++) {
        sizes[i] = (cuuint64_t)as->extents[i];
        pitches[i] = pitch *= sizes[i];
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

adele_status hopper_run(const struct cuda_context *context, const struct conv2d_gather *gather,
                        const struct hopper_plan *plan, const struct conv2d_product *product) {
    const struct conv2d_boxes *boxes = &plan->boxes;
    const struct hopper_box source = {
        {gather->c_source, boxes->w_source, boxes->h_source, boxes->n},
        {HOPPER_STEP, boxes->box_w, boxes->box_h, boxes->box_n},
        {1, 1, 1, 1}};
    const struct hopper_box target = {{gather->c_target, boxes->w, boxes->h, boxes->n},
                                      {HOPPER_STEP, boxes->box_w, boxes->box_h, boxes->box_n},
                                      {1, 1, 1, 1}};
    const struct hopper_box weights = {
        {gather->c_source, gather->kernel * gather->kernel, gather->c_target, 1},
        {HOPPER_STEP, 1, plan->is_paired ? plan->bn / 2 : plan->bn, 1},
        {1, 1, 1, 1}};
    struct hopper_maps maps;
    TRY(hopper_describe(plan->encode, product->source, &source, &maps.source));
    TRY(hopper_describe(plan->encode, product->weights, &weights, &maps.weights));
    TRY(hopper_describe(plan->encode, product->target, &target, &maps.target));
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
