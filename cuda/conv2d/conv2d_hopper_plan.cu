// SPDX-License-Identifier: MIT
// The Hopper family's host part: whether a pass fits it, how its target is cut into tiles, and the
// descriptions of the tensors (tensor maps) that the copy engine reads.
//
// A tile is a box of box_w x box_h pixels of box_n images, at most 128 in all, and costs as much as
// 128 whatever it holds; so the box is chosen that needs the fewest steps over all tiles. With a
// large dilation that is a small box over many images: near the border of the map all of its pixels
// miss the same taps, which are skipped. For 40 x 40 pixels of ten images and dilation 12 the steps
// fall to 0.71 of those of a box that misses none.
#include "conv2d/conv2d_hopper.cuh"

#include <limits.h>
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

#define HOPPER_MAX_KERNEL 5 // its taps are the bits of an unsigned

bool hopper_fits(const struct cuda_context *context, const struct conv2d_gather *gather,
                 enum conv2d_math math) {
    bool is_shape = gather->multiply == 1 && gather->divide == 1 &&
                    gather->kernel <= HOPPER_MAX_KERNEL && gather->c_source % HOPPER_STEP == 0 &&
                    gather->c_target % HOPPER_STEP == 0;
    return is_shape && math == CONV2D_BF16 && context->storage == ADELE_PRECISION_BF16 &&
           context->compute_capability == 90 &&
           !family_is_disabled(&context->device, ADELE_FAMILY_conv2d_hopper) &&
           context->shared_bytes_max >=
               hopper_shared_bytes(256) + (int)sizeof(struct hopper_barriers) &&
           hopper_is_compiled() && find_encode() != NULL;
}

// ---- tiles --------------------------------------------------------------------------------------

// The taps of one axis that any of the `count` target pixels from `at` on meets inside.
static unsigned axis_taps(const struct conv2d_gather *gather, int at, int count, int extent) {
    unsigned taps = 0;
    for (int k = 0; k < gather->kernel; k++) {
        int from = at + gather->offset + gather->sign * gather->quotient[k];
        if (from < extent && from + count > 0)
            taps |= 1u << k;
    }
    return taps;
}

static int count_bits(unsigned bits) {
    int n = 0;
    for (; bits != 0; bits &= bits - 1)
        n++;
    return n;
}

// Live taps, summed over the boxes of one axis.
static int64_t axis_cost(const struct conv2d_gather *gather, int extent, int extent_source,
                         int box) {
    int64_t taps = 0;
    for (int at = 0; at < extent; at += box) {
        int count = extent - at < box ? extent - at : box;
        taps += count_bits(axis_taps(gather, at, count, extent_source));
    }
    return taps;
}

// The box with the fewest steps; of equal ones the widest, whose rows are the longest runs of
// memory.
static void choose_box(const struct conv2d_gather *gather, struct hopper_plan *plan) {
    int64_t of_width[HOPPER_ROWS + 1], of_height[HOPPER_ROWS + 1], least = INT64_MAX;
    for (int i = 1; i <= HOPPER_ROWS; i++) {
        of_width[i] = axis_cost(gather, plan->w, plan->w_source, i);
        of_height[i] = axis_cost(gather, plan->h, plan->h_source, i);
    }
    for (int w = plan->w < HOPPER_ROWS ? plan->w : HOPPER_ROWS; w >= 1; w--)
        for (int h = 1; h <= plan->h && h <= HOPPER_ROWS / w; h++) {
            int n = HOPPER_ROWS / (w * h) < plan->n ? HOPPER_ROWS / (w * h) : plan->n;
            int64_t cost = of_width[w] * of_height[h] * ceil_div(plan->n, n);
            if (cost < least) {
                least = cost;
                plan->box_w = w, plan->box_h = h, plan->box_n = n;
            }
        }
}

static int compare_tiles(const void *a, const void *b) {
    const struct hopper_tile *left = (const struct hopper_tile *)a;
    const struct hopper_tile *right = (const struct hopper_tile *)b;
    int n_left = count_bits(left->taps), n_right = count_bits(right->taps);
    if (n_left != n_right)
        return n_right - n_left;
    if (left->n != right->n)
        return left->n < right->n ? -1 : 1;
    if (left->y != right->y)
        return left->y < right->y ? -1 : 1;
    return left->x < right->x ? -1 : left->x > right->x;
}

static adele_status list_tiles(const struct conv2d_gather *gather, struct hopper_plan *plan,
                               struct hopper_tile **out) {
    int n_x = ceil_div(plan->w, plan->box_w), n_y = ceil_div(plan->h, plan->box_h);
    plan->n_tiles = n_x * n_y * ceil_div(plan->n, plan->box_n);
    TRY(ALLOCATE(out, (size_t)plan->n_tiles));
    for (int i = 0; i < plan->n_tiles; i++) {
        struct hopper_tile *tile = &(*out)[i];
        tile->x = i % n_x * plan->box_w;
        tile->y = i / n_x % n_y * plan->box_h;
        tile->n = i / n_x / n_y * plan->box_n;
        int w = plan->w - tile->x < plan->box_w ? plan->w - tile->x : plan->box_w;
        int h = plan->h - tile->y < plan->box_h ? plan->h - tile->y : plan->box_h;
        unsigned x = axis_taps(gather, tile->x, w, plan->w_source);
        unsigned y = axis_taps(gather, tile->y, h, plan->h_source);
        for (int ky = 0; ky < gather->kernel; ky++)
            if (y >> ky & 1)
                tile->taps |= x << (ky * gather->kernel);
    }
    qsort(*out, (size_t)plan->n_tiles, sizeof **out, compare_tiles);
    return ADELE_OK;
}

// The widest tile that wastes no more channels than a narrower one and gives each multiprocessor
// of a large GPU work. ADELE_CONV2D_TILE in the environment names one for all (for tests and
// tuning).
#define HOPPER_FULL_GRID 132

static int choose_channels(const struct conv2d_gather *gather, int n_tiles) {
    const char *wanted = getenv("ADELE_CONV2D_TILE");
    for (int bn = 64; wanted != NULL && bn <= 256; bn *= 2)
        if (strncmp(wanted, "128x", 4) == 0 && atoi(wanted + 4) == bn)
            return bn;
    for (int bn = 256; bn > 64; bn /= 2)
        if (ceil_div(gather->c_target, bn) * bn <= ceil_div(gather->c_target, bn / 2) * (bn / 2) &&
            (int64_t)n_tiles * ceil_div(gather->c_target, bn) >= HOPPER_FULL_GRID)
            return bn;
    return gather->c_target % 128 == 0 ? 128 : 64;
}

adele_status hopper_plan_create(const struct cuda_context *context,
                                const struct conv2d_gather *gather, struct hopper_plan *out) {
    struct hopper_plan plan = {};
    plan.h = gather->h_target, plan.w = gather->w_target, plan.n = gather->n;
    plan.h_source = gather->h_source, plan.w_source = gather->w_source;
    if (gather->kernel == 1 && gather->offset == 0) { // a plain matrix product
        plan.w = plan.w_source = plan.n * plan.h * plan.w;
        plan.h = plan.h_source = plan.n = 1;
    }
    plan.encode = find_encode();
    choose_box(gather, &plan);
    struct hopper_tile *tiles = NULL;
    TRY(list_tiles(gather, &plan, &tiles));
    plan.bn = choose_channels(gather, plan.n_tiles);
    plan.n_columns = ceil_div(gather->c_target, plan.bn);
    adele_status status = table_create(&context->device, tiles,
                                       (size_t)plan.n_tiles * sizeof *tiles, (void **)&plan.tiles);
    memory_free(tiles);
    *out = plan;
    TRY(status);
    return hopper_allow_shared(plan.bn);
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
    struct hopper_maps maps;
    const int source[] = {gather->c_source, plan->w_source, plan->h_source, plan->n};
    const int target[] = {gather->c_target, plan->w, plan->h, plan->n};
    const int box[] = {HOPPER_STEP, plan->box_w, plan->box_h, plan->box_n};
    const int weights[] = {gather->c_source, gather->kernel * gather->kernel, gather->c_target, 1};
    const int weight_box[] = {HOPPER_STEP, 1, plan->bn, 1};
    TRY(describe(plan, product->source, source, box, &maps.source));
    TRY(describe(plan, product->weights, weights, weight_box, &maps.weights));
    TRY(describe(plan, product->target, target, box, &maps.target));
    struct hopper_product of = {};
    of.tiles = plan->tiles;
    of.n_tiles = plan->n_tiles, of.n_columns = plan->n_columns;
    of.kernel = gather->kernel, of.offset = gather->offset;
    of.apart = gather->sign * gather->dilation;
    of.n_chunks = gather->c_source / HOPPER_STEP;
    of.box_pixels = plan->box_w * plan->box_h * plan->box_n;
    of.c_target = gather->c_target;
    of.bias = product->bias;
    of.accumulate = product->accumulate;
    int n_work = plan->n_tiles * plan->n_columns;
    int n_blocks = n_work < context->n_multiprocessors ? n_work : context->n_multiprocessors;
    return hopper_launch(context, plan->bn, n_blocks, &maps, &of);
}

} // namespace adele_cuda
