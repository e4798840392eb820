// SPDX-License-Identifier: MIT
// The weight and bias gradients of a convolution: which kernel, over how many splits of the pixels,
// and the sum of the splits.
//
// A layer of few weights and many pixels has too few tiles to fill a GPU, so the pixels are split
// too: every split writes the sums of its pixels to the workspace, (n_splits, c_out, columns)
// floats, and a second kernel adds them up. The number of splits depends on the shape alone, never
// on the GPU, and the sums are added in a fixed order: the same bits everywhere.
//
// The kernel for Hopper deals out its work otherwise and adds up its sums itself
// (conv2d_weight_gradient_hopper_plan.cu).
//
// d_weight (c_out, c_in, kernel, kernel) and d_bias (c_out), plain floats, are added to.
#include "conv2d/conv2d_weight_gradient.cuh"

#include <limits.h>

namespace adele_cuda {

static const int block_threads = 256;

// ---- the plan -----------------------------------------------------------------------------------

static const int first_layer_channels = 4; // of c_in; above, vectors of 8 channels pay
// Blocks that run at once on the GPU this was laid out for: on each of 132 multiprocessors two of a
// tile of 128, or of the first layer's, and four of a tile of 64, which has a quarter of the sums.
static const int slots_of_large = 264, slots_of_small = 528;
static const int most_waves = 4;                // of blocks, as far as splitting goes
static const int least_pixels = 256;            // of a split: the start of a block must pay
static const int64_t most_partial = 64ll << 20; // bytes of split sums

static int64_t pixels_of(const struct conv2d_shape *shape) {
    return (int64_t)shape->n * shape->h_out * shape->w_out;
}

static int64_t tiles_of(const struct conv2d_shape *shape, int n_columns, int rows, int columns) {
    return (int64_t)ceil_div(shape->c_out, rows) * ceil_div(n_columns, columns);
}

// The fewest splits that fill the slots well: one more must gain two percent.
static int choose_splits(const struct conv2d_shape *shape, int n_columns, int64_t n_tiles,
                         int slots) {
    int64_t n_pixels = pixels_of(shape);
    int64_t most = (most_waves * slots + n_tiles - 1) / n_tiles;
    most = most < n_pixels / least_pixels ? most : n_pixels / least_pixels;
    int64_t fitting = most_partial / ((int64_t)shape->c_out * n_columns * (int64_t)sizeof(float));
    most = most < fitting ? most : fitting;
    int best = 1;
    double best_use = 0.0;
    for (int n = 1; n <= most; n++) {
        int64_t n_blocks = n_tiles * n;
        double use = (double)n_blocks / (double)((n_blocks + slots - 1) / slots * slots);
        if (use > best_use + 0.02)
            best_use = use, best = n;
    }
    return best;
}

static void plan_first_layer(struct weight_gradient_plan *plan) {
    const struct conv2d_shape *shape = &plan->shape;
    plan->kernel = WEIGHT_GRADIENT_FIRST_LAYER;
    plan->column_channels = shape->c_in;
    plan->n_columns = shape->kernel * shape->kernel * shape->c_in;
    plan->n_splits = choose_splits(shape, plan->n_columns, tiles_of(shape, plan->n_columns, 64, 32),
                                   slots_of_large);
}

static void plan_tiles(struct weight_gradient_plan *plan, bool is_fma) {
    const struct conv2d_shape *shape = &plan->shape;
    plan->kernel = is_fma ? WEIGHT_GRADIENT_FMA : WEIGHT_GRADIENT_MMA;
    plan->column_channels = shape->p_in;
    plan->n_columns = shape->kernel * shape->kernel * shape->p_in;
    // A tile of 128 reads half as much for the same work, unless too much of it lies outside.
    int64_t large = tiles_of(shape, plan->n_columns, 128, 128);
    int64_t small = tiles_of(shape, plan->n_columns, 64, 64);
    plan->tile = 4 * large <= small + small / 8 ? 128 : 64;
    plan->n_splits = plan->tile == 128
                         ? choose_splits(shape, plan->n_columns, large, slots_of_large)
                         : choose_splits(shape, plan->n_columns, small, slots_of_small);
}

static void choose_kernel(const struct cuda_context *context, struct weight_gradient_plan *plan) {
    const struct adele_device *device = &context->device;
    const struct conv2d_shape *shape = &plan->shape;
    // Larger numbers of pixels or columns could overflow 32 bits.
    if (pixels_of(shape) > INT_MAX / 2 ||
        (int64_t)shape->kernel * shape->kernel * shape->p_in > INT_MAX / 2)
        return;
    if (shape->c_in <= first_layer_channels &&
        !family_is_disabled(device, ADELE_FAMILY_weight_gradient_first_layer)) {
        plan_first_layer(plan);
        return;
    }
    if (weight_gradient_hopper_fits(context, shape, plan->math)) {
        plan->kernel = WEIGHT_GRADIENT_HOPPER;
        return;
    }
    // Products of bf16 are exact in float, so tensors of bf16 lose nothing on tensor cores.
    // The next best of tensor cores for TF32 is float.
    bool has_mma = !family_is_disabled(device, ADELE_FAMILY_weight_gradient_mma);
    bool is_fma = (plan->math == CONV2D_FMA || (plan->math == CONV2D_TF32 && !has_mma)) &&
                  context->storage != ADELE_PRECISION_BF16;
    bool has_fma = !family_is_disabled(device, ADELE_FAMILY_weight_gradient_fma);
    if (is_fma ? has_fma : has_mma)
        plan_tiles(plan, is_fma);
}

static size_t partial_floats(const struct weight_gradient_plan *plan) {
    if (plan->kernel == WEIGHT_GRADIENT_HOPPER)
        return weight_gradient_hopper_floats(&plan->hopper);
    return plan->n_splits > 1
               ? (size_t)plan->n_splits * (size_t)plan->shape.c_out * (size_t)plan->n_columns
               : 0;
}

// ---- the sum of the splits ----------------------------------------------------------------------

// A block owns blockDim.x / n_groups weights; its threads are n_groups x those. A thread adds
// neighbouring splits in order, the first group's then add the groups in order.
static __global__ void add_weight_gradient_splits_kernel(struct weight_gradient_sink sink,
                                                         int n_groups) {
    SHARED(float, sums, [block_threads]);
    int n_owned = (int)blockDim.x / n_groups;
    int group = (int)threadIdx.x / n_owned, owned = (int)threadIdx.x % n_owned;
    int64_t n_weights = (int64_t)sink.c_out * sink.n_columns;
    int64_t id = (int64_t)blockIdx.x * n_owned + owned;
    float sum = 0.0f;
    if (id < n_weights) {
        int end = sink.n_splits * (group + 1) / n_groups;
#pragma unroll 4
        for (int split = sink.n_splits * group / n_groups; split < end; split++)
            sum += sink.partial[split * n_weights + id];
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (group != 0 || id >= n_weights)
        return;
    for (int other = 1; other < n_groups; other++)
        sum += sums[other * n_owned + owned];
    int row = (int)(id / sink.n_columns), column = (int)(id % sink.n_columns);
    int tap = column / sink.column_channels, i = column - tap * sink.column_channels;
    if (i < sink.c_in)
        sink.d_weight[((int64_t)row * sink.c_in + i) * sink.taps + tap] += sum;
}

static adele_status add_splits(const struct weight_gradient_call *call) {
    const struct weight_gradient_sink *sink = &call->sink;
    int n_groups = sink->n_splits >= 16 ? 8 : 1, n_owned = block_threads / n_groups;
    int64_t n_weights = (int64_t)sink->c_out * sink->n_columns;
    return LAUNCH(call->context, add_weight_gradient_splits_kernel, blocks_for(n_weights, n_owned),
                  block_threads, 0, *sink, n_groups);
}

// ---- bias ---------------------------------------------------------------------------------------

static const int bias_channels = 256;    // of a block
static const int bias_pixels = 128;      // at least so many of a range
static const int most_bias_ranges = 256; // of pixels

static int bias_ranges(const struct conv2d_shape *shape) {
    int64_t n = (pixels_of(shape) + bias_pixels - 1) / bias_pixels;
    return n < most_bias_ranges ? (int)n : most_bias_ranges;
}

// A block owns range blockIdx.x of the pixels of up to 256 channels, from blockIdx.y * 256 on;
// thread (row, group) sums 8 channels of every n_rows-th pixel. partial: (ranges, P).
template <typename T>
static __global__ void bias_gradient_kernel(int64_t n_pixels, int p_out, const T *d_dst,
                                            bool rounds, float *partial) {
    SHARED(float, sums, [block_threads][8]);
    int first = (int)blockIdx.y * bias_channels;
    int n_groups = min(p_out - first, bias_channels) / 8, n_rows = block_threads / n_groups;
    int row = (int)threadIdx.x / n_groups, group = (int)threadIdx.x % n_groups;
    int64_t begin = n_pixels * blockIdx.x / gridDim.x;
    int64_t end = n_pixels * (blockIdx.x + 1) / gridDim.x;
    float mine[8] = {};
    for (int64_t pixel = begin + row; row < n_rows && pixel < end; pixel += n_rows) {
        float values[8];
        load8(d_dst + pixel * p_out + first + group * 8, values);
#pragma unroll
        for (int i = 0; i < 8; i++)
            mine[i] += rounds ? to_float(from_float<bf16>(values[i])) : values[i];
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
        sums[threadIdx.x][i] = mine[i];
    __syncthreads();
    int channel = (int)threadIdx.x;
    if (channel >= n_groups * 8)
        return;
    float sum = 0.0f;
    for (int r = 0; r < n_rows; r++)
        sum += sums[r * n_groups + channel / 8][channel % 8];
    partial[(int64_t)blockIdx.x * p_out + first + channel] = sum;
}

// One thread owns one channel.
static __global__ void add_bias_gradient_kernel(int c_out, int p_out, int n_ranges,
                                                const float *partial, float *d_bias) {
    int channel = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (channel >= c_out)
        return;
    float sum = 0.0f;
#pragma unroll 8
    for (int range = 0; range < n_ranges; range++)
        sum += partial[(int64_t)range * p_out + channel];
    d_bias[channel] += sum;
}

size_t bias_gradient_workspace(const struct conv2d_shape *shape) {
    return (size_t)bias_ranges(shape) * (size_t)shape->p_out * sizeof(float);
}

adele_status bias_gradient_run(const struct cuda_context *context, const struct conv2d_shape *shape,
                               enum conv2d_math math, const void *d_dst, float *d_bias,
                               void *workspace) {
    float *partial = (float *)workspace;
    bool rounds = math == CONV2D_BF16;
    dim3 grid(bias_ranges(shape), ceil_div(shape->p_out, bias_channels));
    TRY(WITH_STORAGE(context, T,
                     LAUNCH(context, bias_gradient_kernel<T>, grid, block_threads, 0,
                            pixels_of(shape), shape->p_out, (const T *)d_dst, rounds, partial)));
    return LAUNCH(context, add_bias_gradient_kernel, ceil_div(shape->c_out, 64), 64, 0,
                  shape->c_out, shape->p_out, bias_ranges(shape), (const float *)partial, d_bias);
}

// ---- what conv2d_parts.cuh declares -------------------------------------------------------------

adele_status weight_gradient_choose(struct cuda_op *op, const struct conv2d_shape *shape,
                                    enum conv2d_math math, bool plain,
                                    struct weight_gradient_plan *out) {
    *out = {};
    out->shape = *shape;
    out->math = math;
    out->n_splits = 1;
    if (!plain)
        choose_kernel(context_of(op->op.device), out);
    if (out->kernel == WEIGHT_GRADIENT_HOPPER)
        TRY(weight_gradient_hopper_plan(op, shape, 1, &out->hopper));
    out->workspace_bytes = partial_floats(out) * sizeof(float) + bias_gradient_workspace(shape);
    if (out->kernel == WEIGHT_GRADIENT_FMA)
        return weight_gradient_fma_prepare();
    if (out->kernel == WEIGHT_GRADIENT_MMA)
        return weight_gradient_mma_prepare();
    return ADELE_OK; // the others stay below the 48 KB that every kernel may have
}

adele_status weight_gradient_run(const struct cuda_context *context,
                                 const struct weight_gradient_plan *plan, const void *src,
                                 const void *d_dst, float *d_weight, float *d_bias,
                                 void *workspace) {
    static adele_status (*const kernels[])(const struct weight_gradient_call *) = {
        weight_gradient_plain, weight_gradient_first_layer, weight_gradient_fma,
        weight_gradient_mma, weight_gradient_hopper}; // in the order of the enum
    const struct conv2d_shape *shape = &plan->shape;
    float *partial = (float *)workspace;
    struct weight_gradient_call call = {context,
                                        plan,
                                        src,
                                        d_dst,
                                        {partial, d_weight, shape->c_in, shape->c_out,
                                         shape->kernel * shape->kernel, plan->column_channels,
                                         plan->n_columns, plan->n_splits}};
    TRY(kernels[plan->kernel](&call));
    if (plan->n_splits > 1)
        TRY(add_splits(&call));
    if (d_bias == NULL)
        return ADELE_OK;
    if (plan->kernel == WEIGHT_GRADIENT_PLAIN)
        return bias_gradient_plain(&call, d_bias);
    return bias_gradient_run(context, shape, plan->math, d_dst, d_bias,
                             partial + partial_floats(plan));
}

} // namespace adele_cuda
