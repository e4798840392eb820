// SPDX-License-Identifier: MIT
// The sums of the batch norm: statistics of src (N, H, W, P) in forward, sums of gradients in
// backward. Two stages: the blocks of stage one sum parts of the tensor in float, stage two merges
// the parts of a channel in double. batch_norm.cu has the equations, and why the order is fixed.
#include "ops/batch_norm_parts.cuh"

namespace adele_cuda {

#define COMBINE 512 // threads of stage two: 8 channels by 64 parts at a time

// ---- stage one of the statistics ----------------------------------------------------------------

// A run of values: their number, mean (from a base that all runs of a block share) and sum of
// squared deviations from the mean, of 8 channels.
struct run {
    float count, mean[8], squares[8];
};

template <typename T>
static __device__ inline void sum_run(struct run *run, const T *__restrict__ src, int p,
                                      const struct place *place, int lanes, const float base[8]) {
    float shift[8] = {0}, sum[8] = {0};
    int count = 0;
    if (place->first < place->end)
        load8(src + place->first * p + place->c, shift);
    for (int j = 0; j < 8; j++)
        run->squares[j] = 0.0f;
#pragma unroll 4
    for (int64_t pixel = place->first; pixel < place->end; pixel += lanes, count++) {
        float value[8];
        load8(src + pixel * p + place->c, value);
        for (int j = 0; j < 8; j++) {
            float d = value[j] - shift[j];
            sum[j] += d;
            run->squares[j] = fmaf(d, d, run->squares[j]);
        }
    }
    run->count = (float)count;
    float inverse = count > 0 ? 1.0f / (float)count : 0.0f;
    for (int j = 0; j < 8; j++) {
        run->squares[j] = fmaxf(run->squares[j] - sum[j] * sum[j] * inverse, 0.0f);
        run->mean[j] = (shift[j] - base[j]) + sum[j] * inverse;
    }
}

// A block sums its part: partial[part][0 base, 1 mean - base, 2 squared deviations][P].
template <typename T>
static __global__ void __launch_bounds__(BLOCK, 3)
    partial_statistics(struct division d, const T *__restrict__ src, float *partial) {
    SHARED(float, counts, [BLOCK]);
    SHARED(float, means, [8][BLOCK]);
    SHARED(float, squares, [8][BLOCK]);
    struct place place = place_of(&d);
    int thread = (int)threadIdx.x;
    float base[8] = {0};
    if (place.c < d.p)
        load8(src + place.part_first * d.p + place.c, base);
    struct run run;
    sum_run(&run, src, d.p, &place, d.lanes, base);
    for (int half = d.lanes / 2; half > 0; half /= 2) {
        counts[thread] = run.count;
        for (int j = 0; j < 8; j++) {
            means[j][thread] = run.mean[j];
            squares[j][thread] = run.squares[j];
        }
        __syncthreads();
        if (place.lane < half) {
            int other = thread + half * d.groups;
            float count = run.count + counts[other];
            float share = counts[other] > 0.0f ? counts[other] / count : 0.0f;
            for (int j = 0; j < 8; j++) {
                float delta = means[j][other] - run.mean[j];
                run.mean[j] = fmaf(delta, share, run.mean[j]);
                run.squares[j] += squares[j][other] + delta * delta * run.count * share;
            }
            run.count = count;
        }
        __syncthreads();
    }
    if (place.lane > 0 || place.c >= d.p)
        return;
    float *out = partial + (int64_t)blockIdx.x * 3 * d.p + place.c;
    store8(out, base);
    store8(out + d.p, run.mean);
    store8(out + 2 * d.p, run.squares);
}

// ---- stage two ----------------------------------------------------------------------------------

// Adds up two numbers over the lanes of the block, a tree for each of the 8 channels; lane 0 gets
// the sums. Thread t is lane t / 8 of channel t % 8.
static __device__ inline void combine_lanes(double *first, double *second) {
    SHARED(double, firsts, [COMBINE]);
    SHARED(double, seconds, [COMBINE]);
    int thread = (int)threadIdx.x;
    for (int half = COMBINE / 2; half >= 8; half /= 2) {
        firsts[thread] = *first;
        seconds[thread] = *second;
        __syncthreads();
        if (thread < half) {
            *first += firsts[thread + half];
            *second += seconds[thread + half];
        }
        __syncthreads();
    }
}

// A block owns 8 channels, a thread every 64th part of one. With means d_i from the base of part 0:
// mean = base + sum n_i d_i / M, and the squared deviations from it follow from sum n_i d_i^2.
static __global__ void __launch_bounds__(COMBINE)
    combine_statistics(struct division d, struct channel_rule rule,
                       const float *__restrict__ partial, struct adele_batch_norm_args args) {
    int c = (int)blockIdx.x * 8 + (int)threadIdx.x % 8;
    double base = partial[c], sum = 0.0, squares = 0.0;
    for (int part = (int)threadIdx.x / 8; part < d.n_parts; part += COMBINE / 8) {
        const float *from = partial + (int64_t)part * 3 * d.p + c;
        double n = (double)min(d.part_pixels, d.n_pixels - part * d.part_pixels);
        double mean = (double)from[0] - base + (double)from[d.p];
        sum += n * mean;
        squares += (double)from[2 * d.p] + n * mean * mean;
    }
    combine_lanes(&sum, &squares);
    if (threadIdx.x >= 8 || c >= rule.c)
        return;
    double n = (double)d.n_pixels, momentum = rule.momentum;
    double mean = base + sum / n;
    double deviations = fmax(squares - sum * (sum / n), 0.0);
    double variance = deviations / n, unbiased = n > 1.0 ? deviations / (n - 1.0) : variance;
    args.saved_mean[c] = (float)mean;
    args.saved_inv_std[c] = (float)(1.0 / sqrt(variance + (double)rule.eps));
    args.running_mean[c] = (float)((1.0 - momentum) * args.running_mean[c] + momentum * mean);
    args.running_variance[c] =
        (float)((1.0 - momentum) * args.running_variance[c] + momentum * unbiased);
}

// A thread owns a channel.
static __global__ void take_running(struct channel_rule rule, struct adele_batch_norm_args args) {
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= rule.c)
        return;
    args.saved_mean[c] = args.running_mean[c];
    args.saved_inv_std[c] =
        (float)(1.0 / sqrt((double)args.running_variance[c] + (double)rule.eps));
}

// A block owns 8 channels: adds the parameter gradients, and leaves the coefficients of d_src = a g
// + k (src - mean) + b in coefficients[a, k, b][P].
static __global__ void __launch_bounds__(COMBINE)
    combine_gradients(struct division d, struct channel_rule rule,
                      const float *__restrict__ partial, float *coefficients,
                      struct adele_batch_norm_args args) {
    int c = (int)blockIdx.x * 8 + (int)threadIdx.x % 8;
    double sum_g = 0.0, sum_gx = 0.0;
    for (int part = (int)threadIdx.x / 8; part < d.n_parts; part += COMBINE / 8) {
        sum_g += (double)partial[(int64_t)part * 2 * d.p + c];
        sum_gx += (double)partial[((int64_t)part * 2 + 1) * d.p + c];
    }
    combine_lanes(&sum_g, &sum_gx);
    if (threadIdx.x >= 8)
        return;
    double a = 0.0, k = 0.0, b = 0.0, n = (double)d.n_pixels;
    if (c < rule.c) {
        double inv_std = args.saved_inv_std[c];
        a = args.scale[c] * inv_std;
        if (rule.use_batch_statistics) {
            k = -a * inv_std * inv_std * sum_gx / n;
            b = -a * sum_g / n;
        }
        args.d_shift[c] += (float)sum_g;
        args.d_scale[c] += (float)(sum_gx * inv_std);
    }
    coefficients[c] = (float)a;
    coefficients[d.p + c] = (float)k;
    coefficients[2 * d.p + c] = (float)b;
}

// ---- stage one of the gradients -----------------------------------------------------------------

// A block sums its part: partial[part][0 sum g, 1 sum g (src - mean)][P].
template <typename T>
static __global__ void __launch_bounds__(BLOCK)
    partial_gradients(struct division d, int n_channels, const T *__restrict__ src,
                      const T *__restrict__ dst, const T *__restrict__ d_dst,
                      const float *__restrict__ saved_mean, float *partial) {
    SHARED(float, sums, [8][BLOCK]);
    SHARED(float, products, [8][BLOCK]);
    struct place place = place_of(&d);
    int thread = (int)threadIdx.x;
    float mean[8], sum[8] = {0}, product[8] = {0};
    load_channels(saved_mean, place.c, n_channels, mean);
#pragma unroll 2
    for (int64_t pixel = place.first; pixel < place.end; pixel += d.lanes) {
        int64_t at = pixel * d.p + place.c;
        float g[8], value[8];
        load_gradient(d_dst, dst, pixel * d.dst_pitch + place.c, g);
        load8(src + at, value);
        for (int j = 0; j < 8; j++) {
            sum[j] += g[j];
            product[j] = fmaf(g[j], value[j] - mean[j], product[j]);
        }
    }
    for (int half = d.lanes / 2; half > 0; half /= 2) {
        for (int j = 0; j < 8; j++) {
            sums[j][thread] = sum[j];
            products[j][thread] = product[j];
        }
        __syncthreads();
        if (place.lane < half)
            for (int j = 0; j < 8; j++) {
                sum[j] += sums[j][thread + half * d.groups];
                product[j] += products[j][thread + half * d.groups];
            }
        __syncthreads();
    }
    if (place.lane > 0 || place.c >= d.p)
        return;
    float *out = partial + (int64_t)blockIdx.x * 2 * d.p + place.c;
    store8(out, sum);
    store8(out + d.p, product);
}

// ---- launchers ----------------------------------------------------------------------------------

// Three numbers for each part and channel, or two and the coefficients behind them.
size_t batch_norm_sums_workspace(const struct division *sums) {
    return ((size_t)sums->n_parts + 1) * 3 * (size_t)sums->p * sizeof(float);
}

adele_status batch_norm_statistics(const struct cuda_context *context, const struct division *sums,
                                   struct channel_rule rule,
                                   const struct adele_batch_norm_args *args) {
    if (!rule.use_batch_statistics)
        return LAUNCH(context, take_running, ceil_div(rule.c, 128), 128, 0, rule, *args);
    TRY(WITH_STORAGE(context, T,
                     LAUNCH(context, partial_statistics<T>, grid_of(sums), BLOCK, 0, *sums,
                            (const T *)args->src, (float *)args->workspace)));
    return LAUNCH(context, combine_statistics, sums->p / 8, COMBINE, 0, *sums, rule,
                  (const float *)args->workspace, *args);
}

adele_status batch_norm_gradients(const struct cuda_context *context, const struct division *sums,
                                  struct channel_rule rule, const void *dst, const void *d_dst,
                                  const struct adele_batch_norm_args *args,
                                  const float **coefficients) {
    float *partial = (float *)args->workspace;
    float *behind = partial + (int64_t)sums->n_parts * 3 * sums->p;
    *coefficients = behind;
    TRY(WITH_STORAGE(context, T,
                     LAUNCH(context, partial_gradients<T>, grid_of(sums), BLOCK, 0, *sums, rule.c,
                            (const T *)args->src, (const T *)dst, (const T *)d_dst,
                            args->saved_mean, (float *)args->workspace)));
    return LAUNCH(context, combine_gradients, sums->p / 8, COMBINE, 0, *sums, rule, partial, behind,
                  *args);
}

} // namespace adele_cuda
