// SPDX-License-Identifier: MIT
// Max-pooling of src (N, h_in, w_in, P) to dst (N, h_out, w_out, P).
//
//   forward   dst = max of the window's pixels inside the image
//   backward  d_src (+)= sum over the windows that hold the pixel of d_dst, where the pixel is the
//             window's first, in row order, that equals dst
//
// The backward pass gathers: a thread owns pixels of d_src and visits their windows in row order,
// so nothing is added by two threads and the order of the sums is fixed. It finds the first maximum
// again instead of storing indices: the forward pass writes nothing beside dst. Padding channels
// are zeros, their maximum is zero, and the gradient handed on is zero.
#include "ops/rows.cuh"

#include "device/op_check.h"

namespace adele_cuda {

struct pool_shape {
    int n, h_in, w_in, h_out, w_out, p;
    int src_pitch; // elements from pixel to pixel of src and d_src; p, unless slices
    int kernel, stride, pad;
};

struct max_pool {
    struct cuda_op base;
    struct pool_shape shape;
    int first; // channel of the slice
};

// Whether `value` replaces `best`. A NaN replaces it, and nothing replaces a NaN, so that none is
// lost.
static __device__ inline bool is_above(float value, float best) {
    return value > best || value != value;
}

// The pixels of window i that lie in the image, along one axis.
static __device__ inline void window_range(int i, int n_in, int kernel, int stride, int pad,
                                           int *first, int *end) {
    int start = i * stride - pad;
    *first = max(start, 0);
    *end = min(start + kernel, n_in);
}

// The windows that hold pixel i, along one axis: first ..= last, none when last < first.
static __device__ inline void windows_of(int i, int n_out, int kernel, int stride, int pad,
                                         int *first, int *last) {
    int shifted = i + pad;
    *first = shifted < kernel ? 0 : (shifted - kernel) / stride + 1;
    *last = min(shifted / stride, n_out - 1);
}

// ---- kernels: eight channels a thread, in vectors of 16 or 32 bytes -----------------------------

// A thread owns eight channels of dst at one column. HALVES: kernel 2, stride 2, no padding, known
// to the compiler: four loads at once and no loop.
template <typename T, bool HALVES>
static __global__ void __launch_bounds__(ROW_THREADS, HALVES ? 6 : 8)
    pool_forward(struct pool_shape s, const T *__restrict__ src, T *__restrict__ dst) {
    int kernel = HALVES ? 2 : s.kernel, stride = HALVES ? 2 : s.stride, pad = HALVES ? 0 : s.pad;
    int step = row_step();
    int n_groups = s.p / 8, c = step % n_groups * 8, x = step / n_groups;
    if (x >= s.w_out)
        return;
    for (int row = (int)blockIdx.y; row < s.n * s.h_out; row += (int)gridDim.y) {
        int n = row / s.h_out, y_out = row - n * s.h_out;
        const T *image = src + (int64_t)n * s.h_in * s.w_in * s.src_pitch + c;
        int x_first = x * 2, x_end = x * 2 + 2, y_first = y_out * 2, y_end = y_out * 2 + 2;
        if (!HALVES) {
            window_range(x, s.w_in, kernel, stride, pad, &x_first, &x_end);
            window_range(y_out, s.h_in, kernel, stride, pad, &y_first, &y_end);
        }
        float best[8], value[8];
        load8(image + ((int64_t)y_first * s.w_in + x_first) * s.src_pitch, best);
#pragma unroll HALVES ? 2 : 1
        for (int y = y_first; y < y_end; y++)
#pragma unroll HALVES ? 2 : 1
            for (int xs = x_first; xs < x_end; xs++) {
                load8(image + ((int64_t)y * s.w_in + xs) * s.src_pitch, value);
                for (int j = 0; j < 8; j++)
                    if (is_above(value[j], best[j]))
                        best[j] = value[j];
            }
        store8(dst + ((int64_t)row * s.w_out + x) * s.p + c, best);
    }
}

// Clears the bits in `mask` of lanes whose maximum `best` also occurs in a pixel before (y, x) of
// the window.
template <typename T>
static __device__ inline unsigned clear_later(const struct pool_shape *s, const T *image,
                                              const float best[8], unsigned mask, int y_out,
                                              int x_out, int y, int x) {
    int x_first, x_end, y_first, y_end;
    window_range(x_out, s->w_in, s->kernel, s->stride, s->pad, &x_first, &x_end);
    window_range(y_out, s->h_in, s->kernel, s->stride, s->pad, &y_first, &y_end);
    for (int ys = y_first; ys <= y && mask != 0; ys++) {
        int end = ys == y ? x : x_end;
        for (int xs = x_first; xs < end; xs++) {
            float value[8];
            load8(image + ((int64_t)ys * s->w_in + xs) * s->src_pitch, value);
            for (int j = 0; j < 8; j++)
                if (value[j] == best[j])
                    mask &= ~(1u << j);
        }
    }
    return mask;
}

// A thread owns eight channels of one pixel of d_src, for any window. Earlier pixels are read only
// where a lane holds a maximum.
template <typename T>
static __global__ void __launch_bounds__(ROW_THREADS)
    pool_backward(struct pool_shape s, const T *__restrict__ src, const T *__restrict__ dst,
                  const T *__restrict__ d_dst, T *d_src, bool accumulate) {
    int step = row_step();
    int n_groups = s.p / 8, c = step % n_groups * 8, x = step / n_groups;
    if (x >= s.w_in)
        return;
    int x_first, x_last, y_first, y_last;
    windows_of(x, s.w_out, s.kernel, s.stride, s.pad, &x_first, &x_last);
    for (int row = (int)blockIdx.y; row < s.n * s.h_in; row += (int)gridDim.y) {
        int n = row / s.h_in, y = row - n * s.h_in;
        const T *image = src + (int64_t)n * s.h_in * s.w_in * s.src_pitch + c;
        int64_t at = ((int64_t)row * s.w_in + x) * s.src_pitch + c;
        float value[8], sum[8] = {0};
        load8(src + at, value);
        if (accumulate)
            load8(d_src + at, sum);
        windows_of(y, s.h_out, s.kernel, s.stride, s.pad, &y_first, &y_last);
        for (int y_out = y_first; y_out <= y_last; y_out++)
            for (int x_out = x_first; x_out <= x_last; x_out++) {
                int64_t window = (((int64_t)n * s.h_out + y_out) * s.w_out + x_out) * s.p + c;
                float best[8], g[8];
                load8(dst + window, best);
                unsigned mask = 0;
                for (int j = 0; j < 8; j++)
                    mask |= (value[j] == best[j] ? 1u : 0u) << j;
                if (mask != 0)
                    mask = clear_later(&s, image, best, mask, y_out, x_out, y, x);
                if (mask == 0)
                    continue;
                load8(d_dst + window, g);
                for (int j = 0; j < 8; j++)
                    sum[j] += (mask >> j & 1u) != 0 ? g[j] : 0.0f;
            }
        store8(d_src + at, sum);
    }
}

// Kernel 2, stride 2, no padding: each pixel lies in one window at most. A thread owns eight
// channels of a square of 2 x 2 pixels of d_src, reads each value once, and finds the first maximum
// in registers. An odd last row or column lies in no window: its gradient is zero.
template <typename T>
static __global__ void __launch_bounds__(ROW_THREADS)
    pool_backward_halves(struct pool_shape s, const T *__restrict__ src,
                         const T *__restrict__ d_dst, T *d_src, bool accumulate) {
    int step = row_step();
    int n_groups = s.p / 8, c = step % n_groups * 8, x = step / n_groups;
    if (2 * x >= s.w_in)
        return;
    int h_squares = (s.h_in + 1) / 2;
    for (int row = (int)blockIdx.y; row < s.n * h_squares; row += (int)gridDim.y) {
        int n = row / h_squares, y = row - n * h_squares;
        bool is_window = y < s.h_out && x < s.w_out;
        int64_t at[4];
        float value[4][8], g[8];
        for (int i = 0; i < 4; i++)
            at[i] =
                (((int64_t)n * s.h_in + 2 * y + i / 2) * s.w_in + 2 * x + i % 2) * s.src_pitch + c;
        if (is_window) {
            load8(d_dst + (((int64_t)n * s.h_out + y) * s.w_out + x) * s.p + c, g);
            for (int i = 0; i < 4; i++)
                load8(src + at[i], value[i]);
            for (int j = 0; j < 8; j++) {
                float best = value[0][j];
                int i_best = 0;
                for (int i = 1; i < 4; i++)
                    if (value[i][j] > best) {
                        best = value[i][j];
                        i_best = i;
                    }
                for (int i = 0; i < 4; i++)
                    value[i][j] = i == i_best ? g[j] : 0.0f;
            }
        } else {
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 8; j++)
                    value[i][j] = 0.0f;
        }
        for (int i = 0; i < 4; i++) {
            if (2 * y + i / 2 >= s.h_in || 2 * x + i % 2 >= s.w_in)
                continue;
            if (accumulate) {
                load8(d_src + at[i], g);
                for (int j = 0; j < 8; j++)
                    value[i][j] += g[j];
            }
            store8(d_src + at[i], value[i]);
        }
    }
}

// ---- the op -------------------------------------------------------------------------------------

adele_status cuda_max_pool_create(const struct adele_device *device,
                                  const struct adele_max_pool_desc *desc, struct adele_op **out) {
    TRY(op_check_slice("max_pool", desc->src, desc->c, SLICE_CHANNELS));
    TRY(rows_check("max_pool", desc->n, desc->h_in + 1, desc->w_in + 1, desc->c));
    struct max_pool *self = NULL;
    TRY(op_create(device, ADELE_OP_max_pool, &self, out));
    struct pool_shape *s = &self->shape;
    s->n = desc->n;
    s->h_in = desc->h_in;
    s->w_in = desc->w_in;
    s->h_out = adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, 1);
    s->w_out = adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, 1);
    s->p = padded_channels(desc->c);
    s->src_pitch = slice_pitch(desc->src, desc->c);
    self->first = desc->src.first;
    s->kernel = desc->kernel;
    s->stride = desc->stride;
    s->pad = desc->pad;
    double n_windows = (double)desc->n * (double)desc->c * (double)s->h_out * (double)s->w_out;
    self->base.op.flops_forward = n_windows * desc->kernel * desc->kernel;
    self->base.op.flops_backward = self->base.op.flops_forward;
    return ADELE_OK;
}

static bool is_halves(const struct pool_shape *s) {
    return s->kernel == 2 && s->stride == 2 && s->pad == 0;
}

template <typename T>
static adele_status forward(const struct max_pool *self, const struct adele_max_pool_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct pool_shape *s = &self->shape;
    int n_rows = s->n * s->h_out;
    const T *src = (const T *)args->src + self->first;
    T *dst = (T *)args->dst;
    dim3 grid = rows_grid(s->w_out * (s->p / 8), n_rows);
    if (is_halves(s))
        return LAUNCH(context, (pool_forward<T, true>), grid, ROW_THREADS, 0, *s, src, dst);
    return LAUNCH(context, (pool_forward<T, false>), grid, ROW_THREADS, 0, *s, src, dst);
}

template <typename T>
static adele_status backward(const struct max_pool *self, const struct adele_max_pool_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct pool_shape *s = &self->shape;
    int n_rows = s->n * s->h_in;
    const T *src = (const T *)args->src + self->first, *dst = (const T *)args->dst;
    const T *d_dst = (const T *)args->d_dst;
    T *d_src = (T *)args->d_src + self->first;
    if (is_halves(s))
        return LAUNCH(context, pool_backward_halves<T>,
                      rows_grid((s->w_in + 1) / 2 * (s->p / 8), s->n * ((s->h_in + 1) / 2)),
                      ROW_THREADS, 0, *s, src, d_dst, d_src, args->accumulate_d_src);
    return LAUNCH(context, pool_backward<T>, rows_grid(s->w_in * (s->p / 8), n_rows), ROW_THREADS,
                  0, *s, src, dst, d_dst, d_src, args->accumulate_d_src);
}

adele_status cuda_max_pool_forward(struct adele_op *op, const struct adele_max_pool_args *args) {
    return WITH_STORAGE(context_of(op->device), T, forward<T>((const struct max_pool *)op, args));
}

adele_status cuda_max_pool_backward(struct adele_op *op, const struct adele_max_pool_args *args) {
    return WITH_STORAGE(context_of(op->device), T, backward<T>((const struct max_pool *)op, args));
}

} // namespace adele_cuda
