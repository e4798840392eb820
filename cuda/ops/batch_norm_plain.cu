// SPDX-License-Identifier: MIT
// Batch norm, the simple form: a block owns one channel of a tensor (N, H, W, P), goes over its M =
// N H W values once for each sum and once to apply, and adds in double. What batch_norm.cu computes
// is told there. Sums: a thread adds every 128th value, then a tree over the threads; the order
// depends on M alone. Needs no workspace. A block of a fill-up channel writes zeros.
#include "ops/batch_norm_plain.cuh"

namespace adele_cuda {

#define PLAIN_THREADS 128 // a power of two

// The sum over the block's threads, for all of them. `sums` holds PLAIN_THREADS values.
static __device__ double block_sum(double *sums, double value) {
    int thread = (int)threadIdx.x;
    __syncthreads(); // the last sum has been read
    sums[thread] = value;
    __syncthreads();
    for (int half = PLAIN_THREADS / 2; half > 0; half /= 2) {
        if (thread < half)
            sums[thread] += sums[thread + half];
        __syncthreads();
    }
    return sums[0];
}

struct plain_shape {
    int c, p;                 // channels, and with fill-up
    int dst_first, dst_pitch; // dst and d_dst may be slices
    int64_t n_values;         // of a channel: N * H * W
    float eps, momentum;
    bool has_relu;
};

// Mean and inverse deviation of the block's channel; thread 0 saves them and updates the running
// statistics.
template <typename T>
static __device__ void channel_statistics(const struct plain_shape *s,
                                          const struct adele_batch_norm_args *args, int c,
                                          double *sums, float *mean_out, float *inv_std_out) {
    const T *src = (const T *)args->src + c;
    double n = (double)s->n_values, mean = args->running_mean[c];
    double variance = args->running_variance[c];
    if (args->use_batch_statistics) {
        double sum = 0.0, squares = 0.0;
        for (int64_t i = threadIdx.x; i < s->n_values; i += PLAIN_THREADS)
            sum += (double)to_float(src[i * s->p]);
        mean = block_sum(sums, sum) / n;
        for (int64_t i = threadIdx.x; i < s->n_values; i += PLAIN_THREADS) {
            double d = (double)to_float(src[i * s->p]) - mean;
            squares += d * d;
        }
        squares = block_sum(sums, squares);
        variance = squares / n;
        if (threadIdx.x == 0) {
            double momentum = s->momentum, unbiased = n > 1.0 ? squares / (n - 1.0) : variance;
            args->running_mean[c] =
                (float)((1.0 - momentum) * args->running_mean[c] + momentum * mean);
            args->running_variance[c] =
                (float)((1.0 - momentum) * args->running_variance[c] + momentum * unbiased);
        }
    }
    *mean_out = (float)mean;
    *inv_std_out = (float)(1.0 / sqrt(variance + (double)s->eps));
    if (threadIdx.x == 0) {
        args->saved_mean[c] = *mean_out;
        args->saved_inv_std[c] = *inv_std_out;
    }
}

// A block owns channel blockIdx.x, a thread every 128th of its values.
template <typename T>
static __global__ void __launch_bounds__(PLAIN_THREADS)
    forward_plain(struct plain_shape s, struct adele_batch_norm_args args) {
    SHARED(double, sums, [PLAIN_THREADS]);
    int c = (int)blockIdx.x;
    float mean = 0.0f, inv_std = 0.0f, scale = 0.0f, shift = 0.0f;
    if (c < s.c) {
        channel_statistics<T>(&s, &args, c, sums, &mean, &inv_std);
        scale = args.scale[c];
        shift = args.shift[c];
    }
    const T *src = (const T *)args.src, *residual = (const T *)args.residual;
    for (int64_t i = threadIdx.x; i < s.n_values; i += PLAIN_THREADS) {
        int64_t at = i * s.p + c;
        float z = (to_float(src[at]) - mean) * (scale * inv_std) + shift;
        if (residual != NULL)
            z += to_float(residual[at]);
        // A NaN passes through the ReLU, so that it is seen where it arises.
        ((T *)args.dst)[i * s.dst_pitch + s.dst_first + c] =
            from_float<T>(s.has_relu && z <= 0.0f ? 0.0f : z);
    }
}

// The gradient that reaches the normalized value: d_dst where the ReLU is open.
template <typename T>
static __device__ float open_gradient(const struct plain_shape *s,
                                      const struct adele_batch_norm_args *args, int64_t i, int c) {
    int64_t at = i * s->dst_pitch + s->dst_first + c;
    bool is_open = !s->has_relu || to_float(((const T *)args->dst)[at]) > 0.0f;
    return is_open ? to_float(((const T *)args->d_dst)[at]) : 0.0f;
}

// A block owns channel blockIdx.x. d_src may be d_dst: the sums are complete before it is written,
// and the thread that writes a value has read it.
template <typename T>
static __global__ void __launch_bounds__(PLAIN_THREADS, 6)
    backward_plain(struct plain_shape s, struct adele_batch_norm_args args) {
    SHARED(double, sums, [PLAIN_THREADS]);
    int c = (int)blockIdx.x;
    const T *src = (const T *)args.src;
    double sum_g = 0.0, sum_gx = 0.0; // of g and of g times the normalized value
    double mean = 0.0, inv_std = 0.0, scale = 0.0;
    if (c < s.c) {
        mean = args.saved_mean[c];
        inv_std = args.saved_inv_std[c];
        scale = args.scale[c];
        for (int64_t i = threadIdx.x; i < s.n_values; i += PLAIN_THREADS) {
            int64_t at = i * s.p + c;
            double g = open_gradient<T>(&s, &args, i, c);
            sum_g += g;
            sum_gx += g * ((double)to_float(src[at]) - mean) * inv_std;
        }
        sum_g = block_sum(sums, sum_g);
        sum_gx = block_sum(sums, sum_gx);
        if (threadIdx.x == 0) {
            args.d_shift[c] += (float)sum_g;
            args.d_scale[c] += (float)sum_gx;
        }
    }
    double n = (double)s.n_values;
    for (int64_t i = threadIdx.x; i < s.n_values; i += PLAIN_THREADS) {
        int64_t at = i * s.p + c;
        float g = open_gradient<T>(&s, &args, i, c);
        double centred = g;
        if (args.use_batch_statistics)
            centred -= (sum_g + ((double)to_float(src[at]) - mean) * inv_std * sum_gx) / n;
        if (args.d_residual != NULL)
            ((T *)args.d_residual)[at] = from_float<T>(g);
        ((T *)args.d_src)[at] = from_float<T>((float)(scale * inv_std * centred));
    }
}

static struct plain_shape shape_of(const struct adele_batch_norm_desc *desc) {
    struct plain_shape s;
    s.c = desc->c;
    s.p = padded_channels(desc->c);
    s.dst_first = desc->dst.first;
    s.dst_pitch = slice_pitch(desc->dst, desc->c);
    s.n_values = (int64_t)desc->n * desc->h * desc->w;
    s.eps = desc->eps;
    s.momentum = desc->momentum;
    s.has_relu = desc->has_relu;
    return s;
}

template <typename T>
static adele_status forward(const struct cuda_context *context, struct plain_shape s,
                            const struct adele_batch_norm_args *args) {
    return LAUNCH(context, forward_plain<T>, s.p, PLAIN_THREADS, 0, s, *args);
}

template <typename T>
static adele_status backward(const struct cuda_context *context, struct plain_shape s,
                             const struct adele_batch_norm_args *args) {
    return LAUNCH(context, backward_plain<T>, s.p, PLAIN_THREADS, 0, s, *args);
}

adele_status batch_norm_plain_forward(const struct cuda_context *context,
                                      const struct adele_batch_norm_desc *desc,
                                      const struct adele_batch_norm_args *args) {
    struct adele_batch_norm_args copy = *args;
    if (!desc->has_residual)
        copy.residual = NULL;
    return WITH_STORAGE(context, forward, context, shape_of(desc), &copy);
}

adele_status batch_norm_plain_backward(const struct cuda_context *context,
                                       const struct adele_batch_norm_desc *desc,
                                       const struct adele_batch_norm_args *args) {
    return WITH_STORAGE(context, backward, context, shape_of(desc), args);
}

} // namespace adele_cuda
