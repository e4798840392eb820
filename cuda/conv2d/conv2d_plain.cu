// SPDX-License-Identifier: MIT
// Convolution, the plain kernel: forward pass and data gradient, any kernel, stride, dilation and
// padding, any storage. A thread computes one element of the target with a loop over taps and
// source channels, in that order; the weights are read where they are. It overwrites the target, or
// adds to it (accumulate), and writes zeros into the padding channels. Neighbouring threads own
// neighbouring channels of one pixel: their source reads are one broadcast, their weight reads far
// apart. Every operand is read again for every product: no reuse but the caches'.
#include "conv2d/conv2d_round.cuh"

namespace adele_cuda {

static const int n_threads = 256;

// The source coordinate that target coordinate `at` meets through tap k, or -1.
static __device__ inline int64_t source_coordinate(const struct conv2d_gather &gather, int at,
                                                   int k, int extent) {
    int64_t t =
        (int64_t)at * gather.multiply + gather.offset + (int64_t)gather.sign * k * gather.dilation;
    if (t < 0 || t % gather.divide != 0)
        return -1;
    return t / gather.divide < extent ? t / gather.divide : -1;
}

static __host__ __device__ inline int64_t count_elements(const struct conv2d_gather &gather) {
    return (int64_t)gather.n * gather.h_target * gather.w_target * gather.p_target;
}

// One thread owns one element (n, y, x, channel) of the target.
template <typename T>
static __global__ void plain_kernel(const struct conv2d_gather gather,
                                    const struct conv2d_product product) {
    const T *source = (const T *)product.source;
    const float *weight = (const float *)product.weights;
    T *target = (T *)product.target;
    enum conv2d_math math = product.math;
    int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x;
    if (i >= count_elements(gather))
        return;
    int channel = (int)(i % gather.p_target);
    if (channel >= gather.c_target) {
        target[i] = from_float<T>(0.0f);
        return;
    }
    int64_t pixel = i / gather.p_target;
    int x = (int)(pixel % gather.w_target);
    int y = (int)(pixel / gather.w_target % gather.h_target);
    int64_t image = pixel / gather.w_target / gather.h_target;
    float sum = 0.0f;
    for (int ky = 0; ky < gather.kernel; ky++)
        for (int kx = 0; kx < gather.kernel; kx++) {
            int64_t ys = source_coordinate(gather, y, ky, gather.h_source);
            int64_t xs = source_coordinate(gather, x, kx, gather.w_source);
            if (ys < 0 || xs < 0)
                continue;
            const T *from =
                source + ((image * gather.h_source + ys) * gather.w_source + xs) * gather.p_source;
            const float *by = weight + channel * gather.target_stride + ky * gather.kernel + kx;
            for (int c = 0; c < gather.c_source; c++)
                sum = fmaf(conv2d_round(to_float(from[c]), math),
                           conv2d_round(by[c * gather.source_stride], math), sum);
        }
    if (product.bias != NULL)
        sum += product.bias[channel];
    if (product.accumulate)
        sum += to_float(target[i]);
    target[i] = from_float<T>(sum);
}

template <typename T>
static adele_status choose(const struct conv2d_gather *gather, struct conv2d_launch *out) {
    int64_t n_elements = count_elements(*gather);
    int64_t n_blocks = (n_elements + n_threads - 1) / n_threads;
    if (n_blocks > 0x7fffffff)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "conv2d: %lld elements of (%d, %d, %d, %d)",
                    (long long)n_elements, gather->n, gather->c_target, gather->h_target,
                    gather->w_target);
    conv2d_launch_set(out, plain_kernel<T>, "plain_kernel<T>", __FILE__, (int)n_blocks, n_threads,
                      0);
    return ADELE_OK;
}

adele_status conv2d_plain_choose(const struct cuda_context *context,
                                 const struct conv2d_gather *gather, struct conv2d_launch *out) {
    return WITH_STORAGE(context, T, choose<T>(gather, out));
}

} // namespace adele_cuda
