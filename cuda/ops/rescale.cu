// SPDX-License-Identifier: MIT
// Bilinear rescaling with align-corners of src (N, h_in, w_in, P), placed in a zero plane dst
// (N, h_dst, w_dst, P).
//
//   forward   dst(y, x) = sum over the 2 x 2 source pixels of weight_y weight_x src; zero outside
//   backward  d_src(y, x) (+)= sum over the target pixels that read it of weight_y weight_x d_dst
//
// The weights of an axis are tables, made on the host in exact arithmetic when the op is created.
// The backward pass gathers: every source pixel visits the target pixels that read it in row order,
// so no two threads write one element and the order of the sums is fixed by the shape. Zeros in
// padding channels stay zeros.
#include "ops/rows.cuh"

#include "device/op_check.h"
#include "device/rescale_axis.h"

namespace adele_cuda {

struct rescale {
    struct cuda_op base;
    int n, p;
    int dst_first, dst_pitch;                 // dst and d_dst may be slices
    struct rescale_axis vertical, horizontal; // their tables lie in device memory
};

// ---- plain: a thread owns one element -----------------------------------------------------------

template <typename T>
static __global__ void __launch_bounds__(ROW_THREADS)
    rescale_forward_plain(int n_rows, int p, int dst_pitch, struct rescale_axis vertical,
                          struct rescale_axis horizontal, const T *src, T *dst) {
    int step = row_step(), c = step % p, x = step / p;
    if (x >= horizontal.n_dst)
        return;
    struct rescale_tap across = horizontal.taps[x];
    for (int row = (int)blockIdx.y; row < n_rows; row += (int)gridDim.y) {
        int n = row / vertical.n_dst, y = row % vertical.n_dst;
        struct rescale_tap down = vertical.taps[y];
        float sum = 0.0f;
        if (down.i0 >= 0 && across.i0 >= 0)
            for (int i = 0; i < (down.weight1 != 0.0f ? 2 : 1); i++)
                for (int j = 0; j < (across.weight1 != 0.0f ? 2 : 1); j++) {
                    int64_t at = (((int64_t)n * vertical.n_in + down.i0 + i) * horizontal.n_in +
                                  across.i0 + j) *
                                     p +
                                 c;
                    sum += (i == 0 ? down.weight0 : down.weight1) *
                           (j == 0 ? across.weight0 : across.weight1) * to_float(src[at]);
                }
        dst[((int64_t)row * horizontal.n_dst + x) * dst_pitch + c] = from_float<T>(sum);
    }
}

template <typename T>
static __global__ void __launch_bounds__(ROW_THREADS)
    rescale_backward_plain(int n_rows, int p, int dst_pitch, struct rescale_axis vertical,
                           struct rescale_axis horizontal, const T *d_dst, T *d_src,
                           bool accumulate) {
    int step = row_step(), c = step % p, x = step / p;
    if (x >= horizontal.n_in)
        return;
    struct rescale_readers across = horizontal.readers[x];
    for (int row = (int)blockIdx.y; row < n_rows; row += (int)gridDim.y) {
        int n = row / vertical.n_in, y = row % vertical.n_in;
        struct rescale_readers down = vertical.readers[y];
        int64_t at = ((int64_t)row * horizontal.n_in + x) * p + c;
        float sum = accumulate ? to_float(d_src[at]) : 0.0f;
        for (int i = down.first; i < down.first + down.count; i++)
            for (int j = across.first; j < across.first + across.count; j++) {
                struct rescale_read reads_y = vertical.reads[i], reads_x = horizontal.reads[j];
                int64_t from = (((int64_t)n * vertical.n_dst + reads_y.target) * horizontal.n_dst +
                                reads_x.target) *
                                   dst_pitch +
                               c;
                sum += reads_y.weight * reads_x.weight * to_float(d_dst[from]);
            }
        d_src[at] = from_float<T>(sum);
    }
}

// ---- tuned --------------------------------------------------------------------------------------
// Against the plain kernels: eight channels a thread in vectors, and the weights are applied one
// axis after the other. A thread goes down a strip of rows at its column and keeps the rows that
// it has mixed (or gathered) horizontally in registers: two loads instead of four for a target
// pixel of a smaller source, and each d_dst row is gathered once for the two source rows it meets.

// Rows of a strip. More rows save more loads at the strip's ends; fewer keep deep, small maps busy.
#define STRIP 8

static __device__ inline void set_zero(float out[8]) {
    for (int j = 0; j < 8; j++)
        out[j] = 0.0f;
}

// out = the row that begins at `from`, mixed at the thread's column.
template <typename T>
static __device__ inline void mix_columns(const T *from, struct rescale_tap across, int p,
                                          float out[8]) {
    load8(from, out);
    for (int j = 0; j < 8; j++)
        out[j] *= across.weight0;
    if (across.weight1 == 0.0f)
        return;
    float right[8];
    load8(from + p, right);
    for (int j = 0; j < 8; j++)
        out[j] = fmaf(across.weight1, right[j], out[j]);
}

// A thread owns eight channels of a strip of STRIP rows of dst at one column.
template <typename T>
static __global__ void __launch_bounds__(ROW_THREADS, 6)
    rescale_forward_tuned(int n, int p, int dst_pitch, struct rescale_axis vertical,
                          struct rescale_axis horizontal, const T *__restrict__ src,
                          T *__restrict__ dst) {
    int n_groups = p / 8, step = row_step(), c = step % n_groups * 8, x = step / n_groups;
    if (x >= horizontal.n_dst)
        return;
    struct rescale_tap across = horizontal.taps[x];
    int n_strips = ceil_div(vertical.n_dst, STRIP);
    for (int strip = (int)blockIdx.y; strip < n * n_strips; strip += (int)gridDim.y) {
        int image = strip / n_strips, y = strip % n_strips * STRIP;
        int y_end = min(y + STRIP, vertical.n_dst);
        const T *column =
            src + ((int64_t)image * vertical.n_in * horizontal.n_in + across.i0) * p + c;
        int64_t row_elements = (int64_t)horizontal.n_in * p;
        T *to =
            dst + (((int64_t)image * vertical.n_dst + y) * horizontal.n_dst + x) * dst_pitch + c;
        float upper[8], lower[8], out[8]; // source rows `held` and `held` + 1, mixed
        int held = -2;
        bool has_lower = false;
        for (; y < y_end; y++, to += (int64_t)horizontal.n_dst * dst_pitch) {
            struct rescale_tap down = vertical.taps[y];
            set_zero(out);
            if (down.i0 >= 0 && across.i0 >= 0) {
                if (has_lower && down.i0 == held + 1)
                    for (int j = 0; j < 8; j++)
                        upper[j] = lower[j];
                else if (down.i0 != held)
                    mix_columns(column + down.i0 * row_elements, across, p, upper);
                has_lower = has_lower && down.i0 == held;
                held = down.i0;
                for (int j = 0; j < 8; j++)
                    out[j] = down.weight0 * upper[j];
                if (down.weight1 != 0.0f) {
                    if (!has_lower)
                        mix_columns(column + (held + 1) * row_elements, across, p, lower);
                    has_lower = true;
                    for (int j = 0; j < 8; j++)
                        out[j] = fmaf(down.weight1, lower[j], out[j]);
                }
            }
            store8(to, out);
        }
    }
}

// sum = the target pixels of the row at `from` that read the thread's column, weighted.
template <typename T>
static __device__ inline void gather_columns(const T *from, const struct rescale_read *reads,
                                             int count, int pitch, float sum[8]) {
    set_zero(sum);
    for (int i = 0; i < count; i++) {
        float value[8];
        struct rescale_read read = reads[i];
        load8(from + (int64_t)read.target * pitch, value);
        for (int j = 0; j < 8; j++)
            sum[j] = fmaf(read.weight, value[j], sum[j]);
    }
}

template <typename T>
static __device__ inline void write_gradient(T *to, const float sum[8], bool accumulate) {
    float out[8];
    set_zero(out);
    if (accumulate)
        load8(to, out);
    for (int j = 0; j < 8; j++)
        out[j] += sum[j];
    store8(to, out);
}

// A thread owns eight channels of a strip of STRIP rows of d_src at one column. It goes down the
// target rows; `upper` and `lower` are the sums of source rows `held` and `held` + 1 so far, and
// `upper` is finished when the thread reaches a target row that begins below it.
template <typename T>
static __global__ void __launch_bounds__(ROW_THREADS, 6)
    rescale_backward_tuned(int n, int p, int dst_pitch, struct rescale_axis vertical,
                           struct rescale_axis horizontal, const T *__restrict__ d_dst, T *d_src,
                           bool accumulate) {
    int n_groups = p / 8, step = row_step(), c = step % n_groups * 8, x = step / n_groups;
    if (x >= horizontal.n_in)
        return;
    struct rescale_readers across = horizontal.readers[x];
    const struct rescale_read *reads = horizontal.reads + across.first;
    int n_strips = ceil_div(vertical.n_in, STRIP);
    for (int strip = (int)blockIdx.y; strip < n * n_strips; strip += (int)gridDim.y) {
        int image = strip / n_strips, y_first = strip % n_strips * STRIP;
        int y_end = min(y_first + STRIP, vertical.n_in), held = y_first - 1;
        const T *plane = d_dst + (int64_t)image * vertical.n_dst * horizontal.n_dst * dst_pitch + c;
        T *to = d_src + ((int64_t)image * vertical.n_in * horizontal.n_in + x) * p + c;
        float upper[8], lower[8], row[8];
        set_zero(upper);
        set_zero(lower);
        for (int target = vertical.readers[y_first].start; held < y_end; target++) {
            struct rescale_tap down = {y_end, 0.0f,
                                       0.0f}; // behind the last target row all sums are done
            if (target < vertical.n_dst && vertical.taps[target].i0 >= 0)
                down = vertical.taps[target];
            for (; held < min(down.i0, y_end); held++) {
                if (held >= y_first)
                    write_gradient(to + (int64_t)held * horizontal.n_in * p, upper, accumulate);
                for (int j = 0; j < 8; j++)
                    upper[j] = lower[j];
                set_zero(lower);
            }
            if (held == y_end)
                break;
            gather_columns(plane + (int64_t)target * horizontal.n_dst * dst_pitch, reads,
                           across.count, dst_pitch, row);
            for (int j = 0; j < 8; j++)
                upper[j] = fmaf(down.weight0, row[j], upper[j]);
            if (down.weight1 != 0.0f)
                for (int j = 0; j < 8; j++)
                    lower[j] = fmaf(down.weight1, row[j], lower[j]);
        }
    }
}

// ---- tables -------------------------------------------------------------------------------------

static adele_status upload_axis(struct cuda_op *op, const struct rescale_axis *host,
                                struct rescale_axis *out) {
    TRY(table_create(op, host->taps, (size_t)host->n_dst, &out->taps));
    TRY(table_create(op, host->readers, (size_t)host->n_in, &out->readers));
    return table_create(op, host->reads, (size_t)host->n_dst * 2, &out->reads);
}

static adele_status axis_create(struct cuda_op *op, struct rescale_axis *axis, int n_in, int n_out,
                                int n_dst, int start) {
    struct rescale_axis host;
    axis->n_in = n_in;
    axis->n_dst = n_dst;
    adele_status status = rescale_axis_init(&host, n_in, n_out, n_dst, start);
    if (status == ADELE_OK)
        status = upload_axis(op, &host, axis);
    rescale_axis_deinit(&host);
    return status;
}

// ---- the op -------------------------------------------------------------------------------------

adele_status cuda_rescale_create(const struct adele_device *device,
                                 const struct adele_rescale_desc *desc, struct adele_op **out) {
    TRY(op_check_slice("rescale", desc->dst, desc->c, SLICE_CHANNELS));
    TRY(rows_check("rescale", desc->n, desc->h_in, desc->w_in, desc->c));
    TRY(rows_check("rescale", desc->n, desc->h_dst, desc->w_dst, desc->c));
    struct rescale *self = NULL;
    TRY(op_create(device, ADELE_OP_rescale, &self, out));
    self->n = desc->n;
    self->p = padded_channels(desc->c);
    self->dst_first = desc->dst.first;
    self->dst_pitch = slice_pitch(desc->dst, desc->c);
    double n_pixels = (double)desc->n * (double)desc->c * (double)desc->h_out * (double)desc->w_out;
    self->base.op.flops_forward = 8.0 * n_pixels;
    self->base.op.flops_backward = 8.0 * n_pixels;
    TRY(axis_create(&self->base, &self->vertical, desc->h_in, desc->h_out, desc->h_dst, desc->top));
    return axis_create(&self->base, &self->horizontal, desc->w_in, desc->w_out, desc->w_dst,
                       desc->left);
}

template <typename T>
static adele_status forward(const struct rescale *self, const struct adele_rescale_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct rescale_axis *vertical = &self->vertical, *horizontal = &self->horizontal;
    const T *src = (const T *)args->src;
    T *dst = (T *)args->dst + self->dst_first;
    int n_rows = self->n * vertical->n_dst;
    if (wants_plain(&context->device, ADELE_FAMILY_rescale))
        return LAUNCH(context, rescale_forward_plain<T>,
                      rows_grid(horizontal->n_dst * self->p, n_rows), ROW_THREADS, 0, n_rows,
                      self->p, self->dst_pitch, *vertical, *horizontal, src, dst);
    return LAUNCH(
        context, rescale_forward_tuned<T>,
        rows_grid(horizontal->n_dst * (self->p / 8), self->n * ceil_div(vertical->n_dst, STRIP)),
        ROW_THREADS, 0, self->n, self->p, self->dst_pitch, *vertical, *horizontal, src, dst);
}

template <typename T>
static adele_status backward(const struct rescale *self, const struct adele_rescale_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct rescale_axis *vertical = &self->vertical, *horizontal = &self->horizontal;
    const T *d_dst = (const T *)args->d_dst + self->dst_first;
    T *d_src = (T *)args->d_src;
    int n_rows = self->n * vertical->n_in;
    if (wants_plain(&context->device, ADELE_FAMILY_rescale))
        return LAUNCH(context, rescale_backward_plain<T>,
                      rows_grid(horizontal->n_in * self->p, n_rows), ROW_THREADS, 0, n_rows,
                      self->p, self->dst_pitch, *vertical, *horizontal, d_dst, d_src,
                      args->accumulate_d_src);
    return LAUNCH(
        context, rescale_backward_tuned<T>,
        rows_grid(horizontal->n_in * (self->p / 8), self->n * ceil_div(vertical->n_in, STRIP)),
        ROW_THREADS, 0, self->n, self->p, self->dst_pitch, *vertical, *horizontal, d_dst, d_src,
        args->accumulate_d_src);
}

adele_status cuda_rescale_forward(struct adele_op *op, const struct adele_rescale_args *args) {
    return WITH_STORAGE(context_of(op->device), T, forward<T>((const struct rescale *)op, args));
}

adele_status cuda_rescale_backward(struct adele_op *op, const struct adele_rescale_args *args) {
    return WITH_STORAGE(context_of(op->device), T, backward<T>((const struct rescale *)op, args));
}

} // namespace adele_cuda
