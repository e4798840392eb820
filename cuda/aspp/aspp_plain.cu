// SPDX-License-Identifier: MIT
// The atrous pyramid as it is defined: METHOD section 5's heads, device/network_ops.h's aspp. Kept
// to be read, and to be compared with the tuned kernels. Any shape. Operands are rounded as `math`
// requires, sums are float, in the order of branches, taps and channels. Weights are the caller's
// plain arrays. The forward pass overwrites dst; d_src is overwritten, or added to on request.
#include "aspp/aspp_parts.cuh"
#include "conv2d/conv2d_round.cuh"

namespace adele_cuda {

static const int n_threads = 256;

struct plain_extents {
    int n, h, w, c_in, p_in, c_out, c_dst, p_dst;
    int n_rates, rates[ADELE_MAX_RATES];
    bool is_sum, has_bias;
};

// What branch r adds to output channel o at (y, x): `src` is the image's.
template <typename T>
static __device__ inline float branch_value(const struct plain_extents &e, enum conv2d_math math,
                                            const T *src, const float *weight, int r, int o, int y,
                                            int x) {
    int rate = e.rates[r], reach = rate > 0 ? 1 : 0, kernel = 2 * reach + 1;
    float sum = 0.0f;
    for (int ky = 0; ky < kernel; ky++)
        for (int kx = 0; kx < kernel; kx++) {
            int from_y = y + (ky - reach) * rate, from_x = x + (kx - reach) * rate;
            if (from_y < 0 || from_y >= e.h || from_x < 0 || from_x >= e.w)
                continue;
            const T *pixel = src + ((int64_t)from_y * e.w + from_x) * e.p_in;
            for (int i = 0; i < e.c_in; i++) {
                int64_t at = (((int64_t)o * e.c_in + i) * kernel + ky) * kernel + kx;
                sum = fmaf(conv2d_round(to_float(pixel[i]), math), conv2d_round(weight[at], math),
                           sum);
            }
        }
    return sum;
}

// One thread owns one element of dst.
template <typename T>
static __global__ void forward_kernel(const struct plain_extents e, enum conv2d_math math,
                                      const T *src, const struct aspp_pointers weights,
                                      const struct aspp_pointers biases, T *dst) {
    int64_t n_elements = (int64_t)e.n * e.h * e.w * e.p_dst;
    int64_t step = (int64_t)gridDim.x * n_threads;
    for (int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x; i < n_elements; i += step) {
        int c = (int)(i % e.p_dst);
        int64_t pixel = i / e.p_dst;
        int x = (int)(pixel % e.w), y = (int)(pixel / e.w % e.h);
        const T *image = src + pixel / e.w / e.h * e.h * e.w * e.p_in;
        float sum = 0.0f;
        int first = e.is_sum ? 0 : c / e.c_out, end = e.is_sum ? e.n_rates : first + 1;
        for (int r = first; r < end && c < e.c_dst; r++) {
            int o = c % e.c_out;
            sum += branch_value(e, math, image, weights.of[r], r, o, y, x);
            if (e.has_bias)
                sum += biases.of[r][o];
        }
        dst[i] = from_float<T>(sum);
    }
}

// What branch r adds to the gradient of input channel i at (y, x): `d_dst` is the image's.
template <typename T>
static __device__ inline float branch_gradient(const struct plain_extents &e, enum conv2d_math math,
                                               const T *d_dst, const float *weight, int r, int i,
                                               int y, int x) {
    int rate = e.rates[r], reach = rate > 0 ? 1 : 0, kernel = 2 * reach + 1;
    int first = e.is_sum ? 0 : r * e.c_out;
    float sum = 0.0f;
    for (int ky = 0; ky < kernel; ky++)
        for (int kx = 0; kx < kernel; kx++) {
            int to_y = y - (ky - reach) * rate, to_x = x - (kx - reach) * rate;
            if (to_y < 0 || to_y >= e.h || to_x < 0 || to_x >= e.w)
                continue;
            const T *pixel = d_dst + ((int64_t)to_y * e.w + to_x) * e.p_dst + first;
            for (int o = 0; o < e.c_out; o++) {
                int64_t at = (((int64_t)o * e.c_in + i) * kernel + ky) * kernel + kx;
                sum = fmaf(conv2d_round(to_float(pixel[o]), math), conv2d_round(weight[at], math),
                           sum);
            }
        }
    return sum;
}

// One thread owns one element of d_src.
template <typename T>
static __global__ void __launch_bounds__(n_threads)
    data_gradient_kernel(const struct plain_extents e, enum conv2d_math math, const T *d_dst,
                         const struct aspp_pointers weights, T *d_src, bool accumulate) {
    int64_t n_elements = (int64_t)e.n * e.h * e.w * e.p_in;
    int64_t step = (int64_t)gridDim.x * n_threads;
    for (int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x; i < n_elements; i += step) {
        int c = (int)(i % e.p_in);
        int64_t pixel = i / e.p_in;
        int x = (int)(pixel % e.w), y = (int)(pixel / e.w % e.h);
        const T *image = d_dst + pixel / e.w / e.h * e.h * e.w * e.p_dst;
        float sum = accumulate ? to_float(d_src[i]) : 0.0f;
        for (int r = 0; r < e.n_rates && c < e.c_in; r++)
            sum += branch_gradient(e, math, image, weights.of[r], r, c, y, x);
        d_src[i] = from_float<T>(sum);
    }
}

// ---- launching ----------------------------------------------------------------------------------

static struct plain_extents extents_of(const struct adele_aspp_desc *desc) {
    struct plain_extents e = {};
    e.n = desc->n, e.h = desc->h, e.w = desc->w;
    e.c_in = desc->c_in, e.p_in = padded_channels(desc->c_in);
    e.c_out = desc->c_out;
    e.c_dst = aspp_dst_channels(desc), e.p_dst = padded_channels(e.c_dst);
    e.n_rates = desc->n_rates;
    for (int r = 0; r < desc->n_rates; r++)
        e.rates[r] = desc->rates[r];
    e.is_sum = desc->form == ADELE_ASPP_SUM;
    e.has_bias = desc->has_bias;
    return e;
}

static struct aspp_pointers pointers_of(const struct adele_aspp_desc *desc,
                                        const float *const *from) {
    struct aspp_pointers out = {};
    for (int r = 0; r < desc->n_rates; r++)
        out.of[r] = from[r];
    return out;
}

template <typename T>
static adele_status run_forward(const struct cuda_context *context,
                                const struct adele_aspp_desc *desc, enum conv2d_math math,
                                const struct adele_aspp_args *args) {
    struct plain_extents e = extents_of(desc);
    return LAUNCH(context, forward_kernel<T>,
                  strided_grid((int64_t)e.n * e.h * e.w * e.p_dst, n_threads), n_threads, 0, e,
                  math, (const T *)args->src, pointers_of(desc, args->weights),
                  pointers_of(desc, args->biases), (T *)args->dst);
}

adele_status aspp_plain_forward(const struct cuda_context *context,
                                const struct adele_aspp_desc *desc, enum conv2d_math math,
                                const struct adele_aspp_args *args) {
    return WITH_STORAGE(context, run_forward, context, desc, math, args);
}

template <typename T>
static adele_status run_data_gradient(const struct cuda_context *context,
                                      const struct adele_aspp_desc *desc, enum conv2d_math math,
                                      const struct adele_aspp_args *args) {
    struct plain_extents e = extents_of(desc);
    return LAUNCH(context, data_gradient_kernel<T>,
                  strided_grid((int64_t)e.n * e.h * e.w * e.p_in, n_threads), n_threads, 0, e, math,
                  (const T *)args->d_dst, pointers_of(desc, args->weights), (T *)args->d_src,
                  args->accumulate_d_src);
}

adele_status aspp_plain_data_gradient(const struct cuda_context *context,
                                      const struct adele_aspp_desc *desc, enum conv2d_math math,
                                      const struct adele_aspp_args *args) {
    return WITH_STORAGE(context, run_data_gradient, context, desc, math, args);
}

} // namespace adele_cuda
