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

namespace adele_cuda {

// Target pixel i = weight0 source[i0] + weight1 source[i0 + 1]; i0 = -1 outside the image. weight0
// is never 0; where weight1 is, source[i0 + 1] may not exist.
struct tap {
    int i0;
    float weight0, weight1;
};

// Target pixels that read one source pixel, ascending: reads[first .. first + count). `start` is
// the first target that reads this pixel, the one before it, or a later one; n_dst without any.
struct read {
    int target;
    float weight;
};
struct readers {
    int first, count, start;
};

// One axis in both directions; the tables lie in device memory, and the struct goes to the kernels
// by value.
struct axis {
    int n_in, n_dst;
    struct tap *taps;        // (n_dst)
    struct readers *readers; // (n_in)
    struct read *reads;      // (at most 2 n_dst)
};

struct rescale {
    struct cuda_op base;
    int n, p;
    int dst_first, dst_pitch; // dst and d_dst may be slices
    struct axis vertical, horizontal;
};

// ---- plain: a thread owns one element -----------------------------------------------------------

template <typename T>
static __global__ void __launch_bounds__(ROW_THREADS)
    rescale_forward_plain(int n_rows, int p, int dst_pitch, struct axis vertical,
                          struct axis horizontal, const T *src, T *dst) {
    int step = row_step(), c = step % p, x = step / p;
    if (x >= horizontal.n_dst)
        return;
    struct tap across = horizontal.taps[x];
    for (int row = (int)blockIdx.y; row < n_rows; row += (int)gridDim.y) {
        int n = row / vertical.n_dst, y = row % vertical.n_dst;
        struct tap down = vertical.taps[y];
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
    rescale_backward_plain(int n_rows, int p, int dst_pitch, struct axis vertical,
                           struct axis horizontal, const T *d_dst, T *d_src, bool accumulate) {
    int step = row_step(), c = step % p, x = step / p;
    if (x >= horizontal.n_in)
        return;
    struct readers across = horizontal.readers[x];
    for (int row = (int)blockIdx.y; row < n_rows; row += (int)gridDim.y) {
        int n = row / vertical.n_in, y = row % vertical.n_in;
        struct readers down = vertical.readers[y];
        int64_t at = ((int64_t)row * horizontal.n_in + x) * p + c;
        float sum = accumulate ? to_float(d_src[at]) : 0.0f;
        for (int i = down.first; i < down.first + down.count; i++)
            for (int j = across.first; j < across.first + across.count; j++) {
                struct read reads_y = vertical.reads[i], reads_x = horizontal.reads[j];
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
static __device__ inline void mix_columns(const T *from, struct tap across, int p, float out[8]) {
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
    rescale_forward_tuned(int n, int p, int dst_pitch, struct axis vertical, struct axis horizontal,
                          const T *__restrict__ src, T *__restrict__ dst) {
    int n_groups = p / 8, step = row_step(), c = step % n_groups * 8, x = step / n_groups;
    if (x >= horizontal.n_dst)
        return;
    struct tap across = horizontal.taps[x];
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
            struct tap down = vertical.taps[y];
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
static __device__ inline void gather_columns(const T *from, const struct read *reads, int count,
                                             int pitch, float sum[8]) {
    set_zero(sum);
    for (int i = 0; i < count; i++) {
        float value[8];
        struct read read = reads[i];
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
    rescale_backward_tuned(int n, int p, int dst_pitch, struct axis vertical,
                           struct axis horizontal, const T *__restrict__ d_dst, T *d_src,
                           bool accumulate) {
    int n_groups = p / 8, step = row_step(), c = step % n_groups * 8, x = step / n_groups;
    if (x >= horizontal.n_in)
        return;
    struct readers across = horizontal.readers[x];
    const struct read *reads = horizontal.reads + across.first;
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
            struct tap down = {y_end, 0.0f, 0.0f}; // behind the last target row all sums are done
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

// The coordinate target * (n_in - 1) / (n_out - 1) is split in integers, so the weights carry one
// rounding and the last target pixel meets the last source pixel exactly.
static struct tap tap_at(int target, int n_in, int n_out) {
    struct tap tap = {-1, 0.0f, 0.0f};
    if (target < 0 || target >= n_out)
        return tap;
    if (n_out == 1 || n_in == 1) {
        tap.i0 = 0;
        tap.weight0 = 1.0f;
        return tap;
    }
    int64_t position = (int64_t)target * (n_in - 1);
    tap.i0 = (int)(position / (n_out - 1));
    double fraction = (double)(position % (n_out - 1)) / (double)(n_out - 1);
    tap.weight0 = (float)(1.0 - fraction);
    tap.weight1 = (float)fraction;
    return tap;
}

// Returns the number of reads. Taps ascend with the target, so the sweep for a source pixel
// begins where the one for the pixel before it began.
static int collect_readers(const struct axis *axis) {
    int n_reads = 0, start = 0;
    for (int i = 0; i < axis->n_in; i++) {
        while (start < axis->n_dst && axis->taps[start].i0 < i - 1)
            start++;
        while (start < axis->n_dst && axis->taps[start].i0 < 0) // i - 1 = -1 is no pixel
            start++;
        struct readers *readers = &axis->readers[i];
        readers->first = n_reads;
        readers->start = start;
        for (int t = start; t < axis->n_dst && axis->taps[t].i0 <= i; t++) {
            const struct tap *tap = &axis->taps[t];
            struct read read = {t, tap->i0 == i ? tap->weight0 : tap->weight1};
            if (tap->i0 >= 0 && read.weight != 0.0f)
                axis->reads[n_reads++] = read;
        }
        readers->count = n_reads - readers->first;
    }
    return n_reads;
}

static adele_status upload_axis(const struct adele_device *device, const struct axis *host,
                                struct axis *out) {
    TRY(table_create(device, host->taps, (size_t)host->n_dst * sizeof *host->taps,
                     (void **)&out->taps));
    TRY(table_create(device, host->readers, (size_t)host->n_in * sizeof *host->readers,
                     (void **)&out->readers));
    return table_create(device, host->reads, (size_t)host->n_dst * 2 * sizeof *host->reads,
                        (void **)&out->reads);
}

static adele_status axis_init(const struct adele_device *device, struct axis *axis, int n_in,
                              int n_out, int n_dst, int start) {
    axis->n_in = n_in;
    axis->n_dst = n_dst;
    struct axis host = *axis;
    adele_status status;
    TRY_GOTO(ALLOCATE(&host.taps, n_dst), done);
    TRY_GOTO(ALLOCATE(&host.readers, n_in), done);
    TRY_GOTO(ALLOCATE(&host.reads, 2 * (size_t)n_dst), done);
    for (int i = 0; i < n_dst; i++)
        host.taps[i] = tap_at(i - start, n_in, n_out);
    collect_readers(&host);
    status = upload_axis(device, &host, axis);
done:
    memory_free(host.taps);
    memory_free(host.readers);
    memory_free(host.reads);
    return status;
}

static void axis_deinit(struct axis *axis) {
    cudaFree(axis->taps);
    cudaFree(axis->readers);
    cudaFree(axis->reads);
}

// ---- the op -------------------------------------------------------------------------------------

static void rescale_release(struct cuda_op *op) {
    struct rescale *self = (struct rescale *)op;
    axis_deinit(&self->vertical);
    axis_deinit(&self->horizontal);
}

adele_status cuda_rescale_create(const struct adele_device *device,
                                 const struct adele_rescale_desc *desc, struct adele_op **out) {
    TRY(op_check_rescale(desc));
    TRY(op_check_slice("rescale", desc->dst, desc->c, SLICE_CHANNELS));
    TRY(rows_check("rescale", desc->n, desc->h_in, desc->w_in, desc->c));
    TRY(rows_check("rescale", desc->n, desc->h_dst, desc->w_dst, desc->c));
    struct rescale *self = NULL;
    TRY(op_create(device, ADELE_OP_rescale, &self, out));
    self->base.release = rescale_release;
    self->n = desc->n;
    self->p = padded_channels(desc->c);
    self->dst_first = desc->dst.first;
    self->dst_pitch = slice_pitch(desc->dst, desc->c);
    double n_pixels = (double)desc->n * (double)desc->c * (double)desc->h_out * (double)desc->w_out;
    self->base.op.flops_forward = 8.0 * n_pixels;
    self->base.op.flops_backward = 8.0 * n_pixels;
    TRY(axis_init(device, &self->vertical, desc->h_in, desc->h_out, desc->h_dst, desc->top));
    return axis_init(device, &self->horizontal, desc->w_in, desc->w_out, desc->w_dst, desc->left);
}

template <typename T>
static adele_status forward(const struct rescale *self, const struct adele_rescale_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct axis *vertical = &self->vertical, *horizontal = &self->horizontal;
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
    const struct axis *vertical = &self->vertical, *horizontal = &self->horizontal;
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
    return WITH_STORAGE(context_of(op->device), forward, (const struct rescale *)op, args);
}

adele_status cuda_rescale_backward(struct adele_op *op, const struct adele_rescale_args *args) {
    return WITH_STORAGE(context_of(op->device), backward, (const struct rescale *)op, args);
}

} // namespace adele_cuda
