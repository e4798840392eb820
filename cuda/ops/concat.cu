// SPDX-License-Identifier: MIT
// Concatenation along channels: dst (N, H, W, P) = [src0 (N, H, W, P0), src1 (N, H, W, P1)], with P
// = padded c0 + c1, P0 = padded c0, P1 = padded c1. forward overwrites dst; backward overwrites
// d_src0 and d_src1, or adds to them on request. Padding channels are written as zeros. Nothing is
// summed over pixels: no order to keep.
//
// Where c0 is a multiple of 8 the groups of eight channels move as they are; elsewhere the second
// source's channels shift against its groups and are read one by one.
#include "ops/rows.cuh"

namespace adele_cuda {

struct concat_shape {
    int c0, c1, p0, p1, p; // channels, and with padding channels
    int w;
    int n_rows; // N * H
};

struct concat {
    struct cuda_op base;
    struct concat_shape shape;
    bool is_aligned; // groups of 8 channels stay together
};

// ---- kernels ------------------------------------------------------------------------------------

// A thread owns eight channels of dst at one column, in every gridDim.y-th row.
template <typename T, bool IS_ALIGNED>
static __global__ void __launch_bounds__(ROW_THREADS)
    concat_forward_kernel(struct concat_shape s, const T *__restrict__ src0,
                          const T *__restrict__ src1, T *__restrict__ dst) {
    int step = row_step();
    int n_groups = s.p / 8, c = step % n_groups * 8, x = step / n_groups;
    if (x >= s.w)
        return;
    for (int row = (int)blockIdx.y; row < s.n_rows; row += (int)gridDim.y) {
        int64_t pixel = (int64_t)row * s.w + x;
        float values[8];
        if (IS_ALIGNED) {
            if (c < s.c0)
                load8(src0 + pixel * s.p0 + c, values);
            else
                load8(src1 + pixel * s.p1 + (c - s.c0), values);
        } else {
            for (int j = 0; j < 8; j++) {
                int from = c + j;
                values[j] = from < s.c0          ? to_float(src0[pixel * s.p0 + from])
                            : from < s.c0 + s.c1 ? to_float(src1[pixel * s.p1 + (from - s.c0)])
                                                 : 0.0f;
            }
        }
        store8(dst + pixel * s.p + c, values);
    }
}

// A thread owns eight channels of one of the two gradients at one column.
template <typename T, bool IS_ALIGNED>
static __global__ void __launch_bounds__(ROW_THREADS)
    concat_backward_kernel(struct concat_shape s, const T *__restrict__ d_dst, T *d_src0, T *d_src1,
                           bool accumulate0, bool accumulate1) {
    int step = row_step();
    int n_groups = (s.p0 + s.p1) / 8, at = step % n_groups * 8, x = step / n_groups;
    if (x >= s.w)
        return;
    bool is_first = at < s.p0;
    int c = is_first ? at : at - s.p0;       // in the gradient
    int from = is_first ? c : s.c0 + c;      // in d_dst
    int end = is_first ? s.c0 : s.c0 + s.c1; // channels of d_dst that are this gradient's
    int p = is_first ? s.p0 : s.p1;
    bool accumulate = is_first ? accumulate0 : accumulate1;
    T *d_src = is_first ? d_src0 : d_src1;
    for (int row = (int)blockIdx.y; row < s.n_rows; row += (int)gridDim.y) {
        int64_t pixel = (int64_t)row * s.w + x;
        T *to = d_src + pixel * p + c;
        float values[8], old[8];
        if (IS_ALIGNED)
            load8(d_dst + pixel * s.p + from, values);
        else
            for (int j = 0; j < 8; j++)
                values[j] = from + j < end ? to_float(d_dst[pixel * s.p + from + j]) : 0.0f;
        if (accumulate) {
            load8(to, old);
            for (int j = 0; j < 8; j++)
                values[j] += old[j];
        }
        store8(to, values);
    }
}

// ---- the op -------------------------------------------------------------------------------------

adele_status cuda_concat_create(const struct adele_device *device,
                                const struct adele_concat_desc *desc, struct adele_op **out) {
    TRY(rows_check("concat", desc->n, desc->h, desc->w, desc->c0 + desc->c1));
    struct concat *self = NULL;
    TRY(op_create(device, ADELE_OP_concat, &self, out));
    self->shape.c0 = desc->c0;
    self->shape.c1 = desc->c1;
    self->shape.p0 = padded_channels(desc->c0);
    self->shape.p1 = padded_channels(desc->c1);
    self->shape.p = padded_channels(desc->c0 + desc->c1);
    self->shape.w = desc->w;
    self->shape.n_rows = desc->n * desc->h;
    self->is_aligned = desc->c0 % 8 == 0;
    return ADELE_OK;
}

template <typename T>
static adele_status forward(const struct concat *self, const struct adele_concat_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct concat_shape *s = &self->shape;
    dim3 grid = rows_grid(s->w * (s->p / 8), s->n_rows);
    const T *src0 = (const T *)args->src0, *src1 = (const T *)args->src1;
    if (self->is_aligned)
        return LAUNCH(context, (concat_forward_kernel<T, true>), grid, ROW_THREADS, 0, *s, src0,
                      src1, (T *)args->dst);
    return LAUNCH(context, (concat_forward_kernel<T, false>), grid, ROW_THREADS, 0, *s, src0, src1,
                  (T *)args->dst);
}

template <typename T>
static adele_status backward(const struct concat *self, const struct adele_concat_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct concat_shape *s = &self->shape;
    dim3 grid = rows_grid(s->w * ((s->p0 + s->p1) / 8), s->n_rows);
    const T *d_dst = (const T *)args->d_dst;
    T *d_src0 = (T *)args->d_src0, *d_src1 = (T *)args->d_src1;
    if (self->is_aligned)
        return LAUNCH(context, (concat_backward_kernel<T, true>), grid, ROW_THREADS, 0, *s, d_dst,
                      d_src0, d_src1, args->accumulate_d_src0, args->accumulate_d_src1);
    return LAUNCH(context, (concat_backward_kernel<T, false>), grid, ROW_THREADS, 0, *s, d_dst,
                  d_src0, d_src1, args->accumulate_d_src0, args->accumulate_d_src1);
}

adele_status cuda_concat_forward(struct adele_op *op, const struct adele_concat_args *args) {
    return WITH_STORAGE(context_of(op->device), T, forward<T>((const struct concat *)op, args));
}

adele_status cuda_concat_backward(struct adele_op *op, const struct adele_concat_args *args) {
    return WITH_STORAGE(context_of(op->device), T, backward<T>((const struct concat *)op, args));
}

} // namespace adele_cuda
