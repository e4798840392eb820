// SPDX-License-Identifier: MIT
// The weight and bias gradients in their plainest form:
//
//   d_weight[o][i][ky][kx] += sum over n, y, x of d_dst[n, y, x, o]
//                             * src[n, y stride - pad + ky dilation, x stride - pad + kx dilation,
//                             i]
//   d_bias[o] += sum over n, y, x of d_dst[n, y, x, o]
//
// src, d_dst: tensors (N, H, W, P); d_weight, d_bias: plain, added to. Deterministic: a thread sums
// its pixels one after the other. Reads every pixel of both tensors for every weight; the other
// files of this stem exist to read less.
#include "conv2d/conv2d_round.cuh"
#include "conv2d/conv2d_weight_gradient.cuh"

namespace adele_cuda {

static const int block_threads = 128;

// One thread owns one weight.
template <typename T>
static __global__ void weight_gradient_plain_kernel(struct conv2d_shape shape, const T *src,
                                                    const T *d_dst, float *d_weight,
                                                    enum conv2d_math math) {
    int64_t id = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    int taps = shape.kernel * shape.kernel;
    if (id >= (int64_t)shape.c_out * shape.c_in * taps)
        return;
    int tap = (int)(id % taps), i = (int)(id / taps % shape.c_in);
    int o = (int)(id / taps / shape.c_in);
    int dy = tap / shape.kernel * shape.dilation - shape.pad;
    int dx = tap % shape.kernel * shape.dilation - shape.pad;
    float sum = 0.0f;
    for (int n = 0; n < shape.n; n++)
        for (int y = 0; y < shape.h_out; y++) {
            int y_in = y * shape.stride + dy;
            if (y_in < 0 || y_in >= shape.h_in)
                continue;
            for (int x = 0; x < shape.w_out; x++) {
                int x_in = x * shape.stride + dx;
                if (x_in < 0 || x_in >= shape.w_in)
                    continue;
                int64_t to = ((int64_t)n * shape.h_out + y) * shape.w_out + x;
                int64_t from = ((int64_t)n * shape.h_in + y_in) * shape.w_in + x_in;
                sum = fmaf(conv2d_round(to_float(d_dst[to * shape.p_out + o]), math),
                           conv2d_round(to_float(src[from * shape.p_in + i]), math), sum);
            }
        }
    d_weight[id] += sum;
}

// One thread owns one output channel.
template <typename T>
static __global__ void bias_gradient_plain_kernel(struct conv2d_shape shape, const T *d_dst,
                                                  float *d_bias, bool rounds) {
    int o = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (o >= shape.c_out)
        return;
    float sum = 0.0f;
    int64_t n_pixels = (int64_t)shape.n * shape.h_out * shape.w_out;
    for (int64_t pixel = 0; pixel < n_pixels; pixel++) {
        float value = to_float(d_dst[pixel * shape.p_out + o]);
        sum += rounds ? to_float(from_float<bf16>(value)) : value;
    }
    d_bias[o] += sum;
}

adele_status weight_gradient_plain(const struct weight_gradient_call *call) {
    const struct conv2d_shape *shape = &call->plan->shape;
    int64_t n_weights = (int64_t)shape->c_out * shape->c_in * shape->kernel * shape->kernel;
    return WITH_STORAGE(call->context, T,
                        LAUNCH(call->context, weight_gradient_plain_kernel<T>,
                               blocks_for(n_weights, block_threads), block_threads, 0, *shape,
                               (const T *)call->src, (const T *)call->d_dst, call->sink.d_weight,
                               call->plan->math));
}

adele_status bias_gradient_plain(const struct weight_gradient_call *call, float *d_bias) {
    return WITH_STORAGE(call->context, T,
                        LAUNCH(call->context, bias_gradient_plain_kernel<T>,
                               ceil_div(call->plan->shape.c_out, block_threads), block_threads, 0,
                               call->plan->shape, (const T *)call->d_dst, d_bias,
                               rounds_operands(call)));
}

} // namespace adele_cuda
