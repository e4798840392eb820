// SPDX-License-Identifier: MIT
// Batch norm with ReLU and residual on blocked tensors (N, ceil(C / B), H, W, B).
//
//   forward   dst = relu?(a (src - mean) + shift (+ residual)),  a = scale inv_std
//   backward  g = d_dst [dst > 0],  d_shift += sum g,  d_scale += inv_std sum g (src - mean)
//             with batch statistics
//               d_src = a (g - sum g / M - (src - mean) inv_std^2 sum g (src - mean) / M)
//             with running statistics
//               d_src = a g
//
// Sums are taken in double over chunks of a fixed number of pixels and combined in the order of the
// chunks, so the bits depend on neither the number of threads nor the instruction set. A square of
// a float is exact in double, so sum and sum of squares in one pass lose nothing that a float could
// show.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "device/op_check.h"

#include <math.h>
#include <string.h>

// 64 KiB of floats: much smaller than a second-level cache, large enough for one task.
#define CHUNK_PIXELS 2048

// Even. A block of 16 channels is two groups of eight lanes: both are processed for so many pixels
// before the next ones, because they share cache lines. Three tensors take 24 KiB of them.
#define SEGMENT_PIXELS 128

#define MAX_GROUPS 2 // of a block

struct batch_norm {
    struct cpu_op base;
    struct adele_batch_norm_desc desc;
    int block, n_blocks, n_chunks;
    size_t plane; // H * W
    struct cpu_slice dst;
};

// One chunk of pixels of a block of channels.
struct chunk {
    size_t offset; // in floats, of the first pixel's first lane
    size_t dst;    // the same in dst and d_dst, which may be slices
    size_t n_pixels;
    int i_block;
    size_t i_part; // of the n * n_chunks parts of a channel
};

// What the kernels get: some pixels of a chunk, and eight of its channels.
struct segment {
    size_t offset, dst, n_pixels, stride; // the first two as in struct chunk
};

// Coefficients of a lane. The mean is subtracted first and not folded into b: where it is large
// beside the deviation, folding would cost the low bits that decide a ReLU or a maximum further on.
struct coefficients {
    float mean[LANES], a[LANES], b[LANES], k[LANES];
};

adele_status cpu_batch_norm_create(const struct adele_device *device,
                                   const struct adele_batch_norm_desc *desc,
                                   struct adele_op **out) {
    TRY(op_check_slice("batch_norm", desc->dst, desc->c, cpu_block(device)));
    TRY(cpu_op_create(device, ADELE_OP_batch_norm, sizeof(struct batch_norm), out));
    struct batch_norm *self = (struct batch_norm *)*out;
    self->desc = *desc;
    self->block = cpu_block(device);
    self->n_blocks = (desc->c + self->block - 1) / self->block;
    self->plane = (size_t)desc->h * (size_t)desc->w;
    self->dst = cpu_slice_of(desc->dst, desc->c, self->block);
    self->n_chunks = (int)((self->plane + CHUNK_PIXELS - 1) / CHUNK_PIXELS);
    size_t n_elements = (size_t)desc->n * (size_t)desc->c * self->plane;
    self->base.op.can_recompute = true;
    self->base.op.flops_forward = 5.0 * (double)n_elements;
    self->base.op.flops_backward = 9.0 * (double)n_elements;
    self->base.op.workspace_bytes = (size_t)desc->n * (size_t)self->n_chunks *
                                    (size_t)self->n_blocks * (size_t)self->block * 2 *
                                    sizeof(double);
    return ADELE_OK;
}

// ---- tasks --------------------------------------------------------------------------------------
// A task is (block of channels, image, chunk).

static long n_tasks(const struct batch_norm *self) {
    return (long)self->n_blocks * self->desc.n * self->n_chunks;
}

static struct chunk task_chunk(const struct batch_norm *self, long i_task) {
    int i_chunk = (int)(i_task % self->n_chunks);
    int n = (int)(i_task / self->n_chunks % self->desc.n);
    int i_block = (int)(i_task / self->n_chunks / self->desc.n);
    size_t first = (size_t)i_chunk * CHUNK_PIXELS, block = (size_t)self->block;
    int i_plane = n * self->n_blocks + i_block;
    size_t dst_plane = cpu_slice_plane(self->dst, i_plane, self->n_blocks);
    struct chunk chunk = {
        .offset = ((size_t)i_plane * self->plane + first) * block,
        .dst = (dst_plane * self->plane + first) * block,
        .n_pixels = self->plane - first < CHUNK_PIXELS ? self->plane - first : CHUNK_PIXELS,
        .i_block = i_block,
        .i_part = (size_t)n * (size_t)self->n_chunks + (size_t)i_chunk,
    };
    return chunk;
}

static struct segment chunk_segment(const struct batch_norm *self, const struct chunk *chunk,
                                    size_t first, int group) {
    size_t block = (size_t)self->block, at = first * block + (size_t)(group * LANES);
    size_t left = chunk->n_pixels - first;
    struct segment segment = {
        .offset = chunk->offset + at,
        .dst = chunk->dst + at,
        .n_pixels = left < SEGMENT_PIXELS ? left : SEGMENT_PIXELS,
        .stride = block,
    };
    return segment;
}

// The sums of a group of eight channels lie together, in the order of their parts.
static double *part_sums(const struct batch_norm *self, double *partial, const struct chunk *chunk,
                         int group) {
    size_t n_parts = (size_t)self->desc.n * (size_t)self->n_chunks;
    size_t i_group = (size_t)(chunk->i_block * (self->block / LANES) + group);
    return partial + (i_group * n_parts + chunk->i_part) * 2 * LANES;
}

// sums[0..7] and sums[8..15] of channel c's group, over all its tasks in order.
static void combine(const struct batch_norm *self, const double *partial, int c, double *first,
                    double *second) {
    size_t n_parts = (size_t)self->desc.n * (size_t)self->n_chunks;
    const double *part = partial + (size_t)(c / LANES) * n_parts * 2 * LANES + (size_t)(c % LANES);
    *first = 0.0;
    *second = 0.0;
    for (size_t i = 0; i < n_parts; i++) {
        *first += part[i * 2 * LANES];
        *second += part[i * 2 * LANES + LANES];
    }
}

// ---- kernels ------------------------------------------------------------------------------------

#define TO_DOUBLE(v) __builtin_convertvector((v), half_lanes_double)

// The sums of eight channels, low and high four. sum_values keeps those of even pixels (s[0], s[1])
// and of odd ones (s[2], s[3]) apart to hide the latency of an add.
struct lane_sums {
    half_lanes_double s[4], q[4];
};

static void store_sums(const struct lane_sums *sums, double *out) {
    for (int i = 0; i < 4; i++) {
        out[i] = sums->s[0][i] + sums->s[2][i];
        out[4 + i] = sums->s[1][i] + sums->s[3][i];
        out[LANES + i] = sums->q[0][i] + sums->q[2][i];
        out[LANES + 4 + i] = sums->q[1][i] + sums->q[3][i];
    }
}

// s += sum x, q += sum x^2.
CPU_KERNEL(static void, sum_values,
           (const float *x, size_t n_pixels, size_t stride, struct lane_sums *sums),
           (x, n_pixels, stride, sums)) {
    struct lane_sums to = *sums;
    for (size_t i = 0; i < n_pixels; i++, x += stride) {
        half_lanes_double low = TO_DOUBLE(*(const half_lanes *)x);
        half_lanes_double high = TO_DOUBLE(*(const half_lanes *)(x + 4));
        to.s[0] += low;
        to.s[1] += high;
        to.q[0] += low * low;
        to.q[1] += high * high;
        if (++i == n_pixels)
            break;
        x += stride;
        low = TO_DOUBLE(*(const half_lanes *)x);
        high = TO_DOUBLE(*(const half_lanes *)(x + 4));
        to.s[2] += low;
        to.s[3] += high;
        to.q[2] += low * low;
        to.q[3] += high * high;
    }
    *sums = to;
}

// s += sum g, q += sum g x with g = d_dst where dst > 0 (everywhere when dst is NULL).
CPU_KERNEL(static void, sum_gradients,
           (const float *x, const float *dst, const float *d_dst, size_t n_pixels, size_t stride,
            struct lane_sums *sums),
           (x, dst, d_dst, n_pixels, stride, sums)) {
    half_lanes_double s0 = sums->s[0], s1 = sums->s[1], q0 = sums->q[0], q1 = sums->q[1];
    for (size_t i = 0; i < n_pixels; i++) {
        size_t at = i * stride;
        lanes g = LANES_AT(d_dst + at);
        if (dst != NULL)
            g = LANES_KEEP(g, LANES_AT(dst + at) > 0.0f);
        half_lanes g_low = {g[0], g[1], g[2], g[3]}, g_high = {g[4], g[5], g[6], g[7]};
        half_lanes_double low = TO_DOUBLE(g_low), high = TO_DOUBLE(g_high);
        s0 += low;
        s1 += high;
        q0 += low * TO_DOUBLE(*(const half_lanes *)(x + at));
        q1 += high * TO_DOUBLE(*(const half_lanes *)(x + at + 4));
    }
    sums->s[0] = s0;
    sums->s[1] = s1;
    sums->q[0] = q0;
    sums->q[1] = q1;
}

// A NaN passes through the ReLU, so that its source can be found.
CPU_KERNEL(static void, apply_forward,
           (const float *x, const float *residual, float *dst, size_t n_pixels, size_t stride,
            const struct coefficients *coefficients, bool has_relu),
           (x, residual, dst, n_pixels, stride, coefficients, has_relu)) {
    lanes mean = LANES_AT(coefficients->mean);
    lanes a = LANES_AT(coefficients->a), b = LANES_AT(coefficients->b);
    lanes_mask no_relu = (lanes_mask){0} - (has_relu ? 0 : 1);
    for (size_t i = 0; i < n_pixels; i++) {
        lanes z = (LANES_AT(x + i * stride) - mean) * a + b;
        if (residual != NULL)
            z += LANES_AT(residual + i * stride);
        LANES_STORE(dst + i * stride, LANES_KEEP(z, ~(z <= 0.0f) | no_relu));
    }
}

// d_src = a g + k (x - mean) + b; d_residual = g. d_src may be d_dst.
CPU_KERNEL(static void, apply_backward,
           (const float *x, const float *dst, const float *d_dst, float *d_src, float *d_residual,
            size_t n_pixels, size_t stride, const struct coefficients *coefficients),
           (x, dst, d_dst, d_src, d_residual, n_pixels, stride, coefficients)) {
    lanes mean = LANES_AT(coefficients->mean), a = LANES_AT(coefficients->a),
          b = LANES_AT(coefficients->b), k = LANES_AT(coefficients->k);
    for (size_t i = 0; i < n_pixels; i++) {
        size_t at = i * stride;
        lanes g = LANES_AT(d_dst + at);
        if (dst != NULL)
            g = LANES_KEEP(g, LANES_AT(dst + at) > 0.0f);
        if (d_residual != NULL)
            LANES_STORE(d_residual + at, g);
        LANES_STORE(d_src + at, g * a + ((LANES_AT(x + at) - mean) * k + b));
    }
}

// ---- forward ------------------------------------------------------------------------------------

static void sum_chunk(const struct batch_norm *self, const float *src, long i_task,
                      double *partial) {
    struct chunk chunk = task_chunk(self, i_task);
    int n_groups = self->block / LANES;
    struct lane_sums sums[MAX_GROUPS] = {0};
    for (size_t first = 0; first < chunk.n_pixels; first += SEGMENT_PIXELS)
        for (int group = 0; group < n_groups; group++) {
            struct segment at = chunk_segment(self, &chunk, first, group);
            sum_values(src + at.offset, at.n_pixels, at.stride, &sums[group]);
        }
    for (int group = 0; group < n_groups; group++)
        store_sums(&sums[group], part_sums(self, partial, &chunk, group));
}

static void batch_statistics(const struct batch_norm *self,
                             const struct adele_batch_norm_args *args) {
    const float *src = args->src;
    double *partial = args->workspace;
    long count = n_tasks(self);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < count; i++)
        sum_chunk(self, src, i, partial);
    double n = (double)self->desc.n * (double)self->plane;
    double momentum = self->desc.momentum;
    for (int c = 0; c < self->desc.c; c++) {
        double sum, squares;
        combine(self, partial, c, &sum, &squares);
        double mean = sum / n;
        double variance = fmax(squares / n - mean * mean, 0.0);
        double unbiased = n > 1.0 ? variance * (n / (n - 1.0)) : variance;
        args->saved_mean[c] = (float)mean;
        args->saved_inv_std[c] = (float)(1.0 / sqrt(variance + self->desc.eps));
        args->running_mean[c] = (float)((1.0 - momentum) * args->running_mean[c] + momentum * mean);
        args->running_variance[c] =
            (float)((1.0 - momentum) * args->running_variance[c] + momentum * unbiased);
    }
}

static void running_statistics(const struct batch_norm *self,
                               const struct adele_batch_norm_args *args) {
    for (int c = 0; c < self->desc.c; c++) {
        args->saved_mean[c] = args->running_mean[c];
        args->saved_inv_std[c] =
            (float)(1.0 / sqrt((double)args->running_variance[c] + self->desc.eps));
    }
}

// Lanes beyond the last channel keep zeros, which keeps the padding channels at zero.
static struct coefficients forward_coefficients(const struct batch_norm *self,
                                                const struct adele_batch_norm_args *args, int c) {
    struct coefficients out = {{0}, {0}, {0}, {0}};
    for (int lane = 0; lane < LANES && c + lane < self->desc.c; lane++) {
        double a = (double)args->scale[c + lane] * args->saved_inv_std[c + lane];
        out.mean[lane] = args->saved_mean[c + lane];
        out.a[lane] = (float)a;
        out.b[lane] = args->shift[c + lane];
    }
    return out;
}

static void apply_chunk_forward(const struct batch_norm *self,
                                const struct adele_batch_norm_args *args, long i_task) {
    const float *src = args->src, *residual = self->desc.has_residual ? args->residual : NULL;
    float *dst = args->dst;
    struct chunk chunk = task_chunk(self, i_task);
    int n_groups = self->block / LANES;
    struct coefficients coefficients[MAX_GROUPS];
    for (int group = 0; group < n_groups; group++)
        coefficients[group] =
            forward_coefficients(self, args, chunk.i_block * self->block + group * LANES);
    for (size_t first = 0; first < chunk.n_pixels; first += SEGMENT_PIXELS)
        for (int group = 0; group < n_groups; group++) {
            struct segment at = chunk_segment(self, &chunk, first, group);
            apply_forward(src + at.offset, residual != NULL ? residual + at.offset : NULL,
                          dst + at.dst, at.n_pixels, at.stride, &coefficients[group],
                          self->desc.has_relu);
        }
}

adele_status cpu_batch_norm_forward(struct adele_op *op, const struct adele_batch_norm_args *args) {
    const struct batch_norm *self = (const struct batch_norm *)op;
    if (!args->from_saved && args->use_batch_statistics)
        batch_statistics(self, args);
    else if (!args->from_saved)
        running_statistics(self, args);
    long count = n_tasks(self);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < count; i++)
        apply_chunk_forward(self, args, i);
    return ADELE_OK;
}

// ---- backward -----------------------------------------------------------------------------------

static void sum_chunk_gradients(const struct batch_norm *self,
                                const struct adele_batch_norm_args *args, long i_task,
                                double *partial) {
    const float *src = args->src, *d_dst = args->d_dst;
    const float *dst = self->desc.has_relu ? args->dst : NULL;
    struct chunk chunk = task_chunk(self, i_task);
    int n_groups = self->block / LANES;
    struct lane_sums sums[MAX_GROUPS] = {0};
    for (size_t first = 0; first < chunk.n_pixels; first += SEGMENT_PIXELS)
        for (int group = 0; group < n_groups; group++) {
            struct segment at = chunk_segment(self, &chunk, first, group);
            sum_gradients(src + at.offset, dst != NULL ? dst + at.dst : NULL, d_dst + at.dst,
                          at.n_pixels, at.stride, &sums[group]);
        }
    for (int group = 0; group < n_groups; group++)
        store_sums(&sums[group], part_sums(self, partial, &chunk, group));
}

// Adds the parameter gradients and writes sum g / M and inv_std^2 sum g (src - mean) / M to the
// first entries of the channel's group in `partial`, where backward_coefficients reads them.
static void parameter_gradients(const struct batch_norm *self,
                                const struct adele_batch_norm_args *args, double *partial) {
    double n = (double)self->desc.n * (double)self->plane;
    size_t group = (size_t)self->desc.n * (size_t)self->n_chunks * 2 * LANES;
    for (int c = 0; c < self->desc.c; c++) {
        double sum_g, sum_gx;
        combine(self, partial, c, &sum_g, &sum_gx);
        double inv_std = args->saved_inv_std[c];
        double centred = sum_gx - args->saved_mean[c] * sum_g;
        args->d_shift[c] += (float)sum_g;
        args->d_scale[c] += (float)(centred * inv_std);
        double *kept = partial + (size_t)(c / LANES) * group + c % LANES;
        kept[0] = sum_g / n;
        kept[LANES] = centred * inv_std * inv_std / n;
    }
}

static struct coefficients backward_coefficients(const struct batch_norm *self,
                                                 const struct adele_batch_norm_args *args,
                                                 const double *partial, int c) {
    struct coefficients out = {{0}, {0}, {0}, {0}};
    size_t group = (size_t)self->desc.n * (size_t)self->n_chunks * 2 * LANES;
    const double *kept = partial + (size_t)(c / LANES) * group;
    for (int lane = 0; lane < LANES && c + lane < self->desc.c; lane++) {
        double a = (double)args->scale[c + lane] * args->saved_inv_std[c + lane];
        out.a[lane] = (float)a;
        if (args->use_batch_statistics) {
            out.mean[lane] = args->saved_mean[c + lane];
            out.k[lane] = (float)(-a * kept[LANES + lane]);
            out.b[lane] = (float)(-a * kept[lane]);
        }
    }
    return out;
}

static void apply_chunk_backward(const struct batch_norm *self,
                                 const struct adele_batch_norm_args *args, const double *partial,
                                 long i_task) {
    const float *src = args->src, *d_dst = args->d_dst;
    const float *dst = self->desc.has_relu ? args->dst : NULL;
    float *d_src = args->d_src, *d_residual = args->d_residual;
    struct chunk chunk = task_chunk(self, i_task);
    int n_groups = self->block / LANES;
    struct coefficients coefficients[MAX_GROUPS];
    for (int group = 0; group < n_groups; group++)
        coefficients[group] =
            backward_coefficients(self, args, partial, chunk.i_block * self->block + group * LANES);
    for (size_t first = 0; first < chunk.n_pixels; first += SEGMENT_PIXELS)
        for (int group = 0; group < n_groups; group++) {
            struct segment at = chunk_segment(self, &chunk, first, group);
            apply_backward(src + at.offset, dst != NULL ? dst + at.dst : NULL, d_dst + at.dst,
                           d_src + at.offset, d_residual != NULL ? d_residual + at.offset : NULL,
                           at.n_pixels, at.stride, &coefficients[group]);
        }
}

adele_status cpu_batch_norm_backward(struct adele_op *op,
                                     const struct adele_batch_norm_args *args) {
    const struct batch_norm *self = (const struct batch_norm *)op;
    double *partial = args->workspace;
    long count = n_tasks(self);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < count; i++)
        sum_chunk_gradients(self, args, i, partial);
    parameter_gradients(self, args, partial);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < count; i++)
        apply_chunk_backward(self, args, partial, i);
    return ADELE_OK;
}
