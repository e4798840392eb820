// SPDX-License-Identifier: MIT
// The forward pass of a convolution on the image itself: 1 to 4 source channels, stored as 8. Any
// stride, dilation and padding, any storage; beside tensor cores kernels up to 5 x 5.
//
// There is so little to multiply (9 to 100 products a target element) that what counts is reading
// the image once and writing the target in full vectors. It improves on the plain kernel by that,
// and by multiplying weights out of shared memory with four pixels at a time; and on the
// tensor-core kernel by leaving the padding channels alone, which are half to seven eighths of the
// work there. Operands are rounded as the convolution's math requires; sums are one chain of fused
// multiply-adds in the order of taps and channels. Overwrites the target, zeros in its padding
// channels.
#include "conv2d/conv2d_round.cuh"

namespace adele_cuda {

static const int n_threads = 256;
static const int n_pixels = 4; // of a thread: each weight read from shared memory serves four
static const int n_rounds = 8; // of a block, so that its copy of the weights pays
static const int max_shared = 48 * 1024;

// The live channels of one pixel; `from` is aligned to 8 elements.
template <int channels> static __device__ inline void read_pixel(const float *from, float *out) {
    if (channels == 1) {
        out[0] = __ldg(from);
        return;
    }
    float4 four = __ldg((const float4 *)from);
    const float values[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int c = 0; c < channels; c++)
        out[c] = values[c];
}

template <int channels> static __device__ inline void read_pixel(const bf16 *from, float *out) {
    uint2 words = __ldg((const uint2 *)from);
    const float values[4] = {unpack_low(words.x), unpack_high(words.x), unpack_low(words.y),
                             unpack_high(words.y)};
#pragma unroll
    for (int c = 0; c < channels; c++)
        out[c] = values[c];
}

// Weights in shared memory: (taps, channels, 2, p_target / 8, 4): half h of vector g of 8 target
// channels; threads with neighbouring g read neighbouring 16 bytes.
template <int channels>
static __device__ inline void load_weights(const struct conv2d_gather &gather,
                                           enum conv2d_math math, const float *weight,
                                           float *shared) {
    int n_taps = gather.kernel * gather.kernel;
    for (int i = (int)threadIdx.x; i < n_taps * channels * gather.p_target; i += n_threads) {
        int target = i % gather.p_target;
        int c = i / gather.p_target % channels, tap = i / gather.p_target / channels;
        float value = 0.0f;
        if (target < gather.c_target)
            value = weight[target * gather.target_stride + c * gather.source_stride + tap];
        shared[((tap * channels + c) * 2 + target % 8 / 4) * (gather.p_target / 2) +
               target / 8 * 4 + target % 4] = conv2d_round(value, math);
    }
}

// sums += the tap's products; `weights` is the tap's and the thread's.
template <typename T, int channels>
static __device__ inline void add_tap(float sums[n_pixels][8], const T *const from[n_pixels],
                                      enum conv2d_math math, const float *weights, int half_apart) {
    float source[n_pixels][channels];
#pragma unroll
    for (int i = 0; i < n_pixels; i++) {
#pragma unroll
        for (int c = 0; c < channels; c++)
            source[i][c] = 0.0f;
        if (from[i] != NULL)
            read_pixel<channels>(from[i], source[i]);
#pragma unroll
        for (int c = 0; c < channels; c++)
            if (sizeof(T) == 4)
                source[i][c] = conv2d_round(source[i][c], math);
    }
#pragma unroll
    for (int c = 0; c < channels; c++) {
        float4 low = *(const float4 *)(weights + 2 * c * half_apart);
        float4 high = *(const float4 *)(weights + (2 * c + 1) * half_apart);
        const float by[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
        for (int i = 0; i < n_pixels; i++)
#pragma unroll
            for (int j = 0; j < 8; j++)
                sums[i][j] = fmaf(source[i][c], by[j], sums[i][j]);
    }
}

// sums += all taps of the n_pixels pixels from `first` on; `weights` is the thread's.
template <typename T, int channels>
static __device__ inline void add_taps(float sums[n_pixels][8], const struct conv2d_gather &gather,
                                       enum conv2d_math math, const T *source, const float *weights,
                                       int first, int n_target) {
    int x[n_pixels], y[n_pixels], image[n_pixels];
#pragma unroll
    for (int i = 0; i < n_pixels; i++) {
        int pixel = first + i;
        x[i] = pixel % gather.w_target * gather.multiply + gather.offset;
        y[i] = pixel / gather.w_target % gather.h_target * gather.multiply + gather.offset;
        image[i] = pixel < n_target ? pixel / gather.w_target / gather.h_target : -1;
    }
    for (int ky = 0; ky < gather.kernel; ky++)
        for (int kx = 0; kx < gather.kernel; kx++) {
            const T *from[n_pixels];
#pragma unroll
            for (int i = 0; i < n_pixels; i++) {
                int ys = y[i] + ky * gather.dilation, xs = x[i] + kx * gather.dilation;
                bool is_live = image[i] >= 0 && ys >= 0 && ys < gather.h_source && xs >= 0 &&
                               xs < gather.w_source;
                int pixel = (image[i] * gather.h_source + ys) * gather.w_source + xs;
                from[i] = is_live ? source + (int64_t)pixel * 8 : NULL;
            }
            add_tap<T, channels>(sums, from, math, weights, gather.p_target / 2);
            weights += channels * gather.p_target;
        }
}

// A thread owns 8 target channels of n_pixels pixels that follow one another in the row order of
// the batch, in each of n_rounds rounds; neighbouring threads own neighbouring channels.
template <typename T, int channels>
static __global__ void __launch_bounds__(n_threads, 2)
    first_layer_kernel(const struct conv2d_gather gather, enum conv2d_math math,
                       const T *source,     // (n, h_source, w_source, 8)
                       const float *weight, // (c_target, channels, kernel, kernel)
                       const float *bias,   // (c_target) or NULL
                       T *target,           // (n, h_target, w_target, p_target)
                       int n_target) {      // pixels
    DYNAMIC_SHARED(shared);
    float *weights = (float *)shared;
    load_weights<channels>(gather, math, weight, weights);
    __syncthreads();
    int n_groups = gather.p_target / 8;
    for (int round = 0; round < n_rounds; round++) {
        int64_t item = ((int64_t)blockIdx.x * n_rounds + round) * n_threads + threadIdx.x;
        int group = (int)(item % n_groups);
        int64_t first = item / n_groups * n_pixels;
        if (first >= n_target)
            break;
        float sums[n_pixels][8] = {};
        add_taps<T, channels>(sums, gather, math, source, weights + group * 4, (int)first,
                              n_target);
#pragma unroll
        for (int i = 0; i < n_pixels; i++) {
#pragma unroll
            for (int j = 0; j < 8; j++) {
                bool is_channel = group * 8 + j < gather.c_target;
                if (bias != NULL && is_channel)
                    sums[i][j] += __ldg(bias + group * 8 + j);
                sums[i][j] = is_channel ? sums[i][j] : 0.0f;
            }
            if (first + i < n_target)
                store8(target + (first + i) * gather.p_target + group * 8, sums[i]);
        }
    }
}

// ---- launching ----------------------------------------------------------------------------------

static size_t weight_bytes(const struct conv2d_gather *gather) {
    return (size_t)gather->kernel * (size_t)gather->kernel * (size_t)gather->c_source *
           (size_t)gather->p_target * sizeof(float);
}

// From 7 x 7 on there are products enough (ResNet's stem: 147 a target element) that tensor cores
// are faster although they multiply the padding channels too.
static const int most_taps_beside_tensor_cores = 25;

bool conv2d_first_layer_fits(const struct conv2d_gather *gather, enum conv2d_math math) {
    int n_taps = gather->kernel * gather->kernel;
    return !gather->is_large && !gather->has_many_taps && gather->c_source <= 4 &&
           gather->divide == 1 && gather->sign == 1 && gather->p_target <= 1024 &&
           (math == CONV2D_FMA || n_taps <= most_taps_beside_tensor_cores) &&
           weight_bytes(gather) <= (size_t)max_shared;
}

template <typename T, int channels>
static adele_status launch(const struct cuda_context *context, const struct conv2d_gather *gather,
                           enum conv2d_math math, const struct conv2d_product *product) {
    int n_target = gather->n * gather->h_target * gather->w_target;
    int64_t n_items = (int64_t)ceil_div(n_target, n_pixels) * (gather->p_target / 8);
    const int of_block = n_threads * n_rounds;
    return LAUNCH(context, (first_layer_kernel<T, channels>), blocks_for(n_items, of_block),
                  n_threads, weight_bytes(gather), *gather, math, (const T *)product->source,
                  (const float *)product->weights, product->bias, (T *)product->target, n_target);
}

template <typename T>
static adele_status launch_channels(const struct cuda_context *context,
                                    const struct conv2d_gather *gather, enum conv2d_math math,
                                    const struct conv2d_product *product) {
    switch (gather->c_source) {
    case 1:
        return launch<T, 1>(context, gather, math, product);
    case 2:
        return launch<T, 2>(context, gather, math, product);
    case 3:
        return launch<T, 3>(context, gather, math, product);
    default:
        return launch<T, 4>(context, gather, math, product);
    }
}

adele_status conv2d_first_layer_run(const struct cuda_context *context,
                                    const struct conv2d_gather *gather, enum conv2d_math math,
                                    const struct conv2d_product *product) {
    return WITH_STORAGE(context, T, launch_channels<T>(context, gather, math, product));
}

} // namespace adele_cuda
