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

// How one of the passes gathers: the forward pass reads src, the data gradient d_dst, at the taps'
// opposite places, with the matrices of the taps transposed.
struct plain_pass {
    bool is_data_gradient;
    int c_source, p_source, c_target, p_target; // c_source: of a branch
    int source_stride, target_stride;           // channels of a weight's matrix
    bool accumulate;
};

// What branch r adds to a target channel at (y, x): `source` is the image's, from the branch's
// first channel on, `weight` the target channel's.
template <typename T>
static __device__ inline float
branch_value(const struct plain_extents &e, const struct plain_pass &pass, enum conv2d_math math,
             const T *source, const float *weight, int rate, int y, int x) {
    int reach = rate > 0 ? 1 : 0, kernel = 2 * reach + 1;
    int sign = pass.is_data_gradient ? -1 : 1;
    float sum = 0.0f;
    for (int ky = 0; ky < kernel; ky++)
        for (int kx = 0; kx < kernel; kx++) {
            int from_y = y + sign * (ky - reach) * rate, from_x = x + sign * (kx - reach) * rate;
            if (from_y < 0 || from_y >= e.h || from_x < 0 || from_x >= e.w)
                continue;
            const T *pixel = source + ((int64_t)from_y * e.w + from_x) * pass.p_source;
            for (int i = 0; i < pass.c_source; i++) {
                int64_t at = ((int64_t)i * pass.source_stride * kernel + ky) * kernel + kx;
                sum = fmaf(conv2d_round(to_float(pixel[i]), math), conv2d_round(weight[at], math),
                           sum);
            }
        }
    return sum;
}

// One thread owns one element of dst or d_src.
template <typename T>
static __global__ void __launch_bounds__(n_threads)
    plain_kernel(const struct plain_extents e, const struct plain_pass pass, enum conv2d_math math,
                 const T *source, const struct aspp_pointers weights,
                 const struct aspp_pointers biases, T *target) {
    int64_t n_elements = (int64_t)e.n * e.h * e.w * pass.p_target;
    int64_t step = (int64_t)gridDim.x * n_threads;
    for (int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x; i < n_elements; i += step) {
        int c = (int)(i % pass.p_target);
        int64_t pixel = i / pass.p_target;
        int x = (int)(pixel % e.w), y = (int)(pixel / e.w % e.h);
        const T *image = source + pixel / e.w / e.h * e.h * e.w * pass.p_source;
        float sum = pass.accumulate ? to_float(target[i]) : 0.0f;
        // Of dst, a channel of CONCAT is one branch's alone; of d_dst, a branch has its own
        // channels.
        bool is_one = !e.is_sum && !pass.is_data_gradient;
        int o = pass.is_data_gradient ? c : c % e.c_out;
        int first = is_one ? c / e.c_out : 0, end = is_one ? first + 1 : e.n_rates;
        for (int r = first; r < end && c < pass.c_target; r++) {
            int taps = e.rates[r] > 0 ? 9 : 1;
            const T *from = image + (pass.is_data_gradient && !e.is_sum ? r * e.c_out : 0);
            sum += branch_value(e, pass, math, from,
                                weights.of[r] + (int64_t)o * pass.target_stride * taps, e.rates[r],
                                y, x);
            if (e.has_bias && !pass.is_data_gradient)
                sum += biases.of[r][o];
        }
        target[i] = from_float<T>(sum);
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

adele_status aspp_plain_run(const struct cuda_context *context, const struct adele_aspp_desc *desc,
                            bool is_data_gradient, enum conv2d_math math,
                            const struct adele_aspp_args *args) {
    struct plain_extents e = extents_of(desc);
    struct plain_pass pass = {false, e.c_in, e.p_in, e.c_dst, e.p_dst, 1, e.c_in, false};
    if (is_data_gradient)
        pass = {true, e.c_out, e.p_dst, e.c_in, e.p_in, e.c_in, 1, args->accumulate_d_src};
    const void *source = is_data_gradient ? args->d_dst : args->src;
    void *target = is_data_gradient ? args->d_src : args->dst;
    return WITH_STORAGE(context, T,
                        LAUNCH(context, plain_kernel<T>,
                               strided_grid((int64_t)e.n * e.h * e.w * pass.p_target, n_threads),
                               n_threads, 0, e, pass, math, (const T *)source,
                               pointers_of(desc, args->weights), pointers_of(desc, args->biases),
                               (T *)target));
}

} // namespace adele_cuda
