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

struct batch_norm {
    struct cpu_op base;
    struct adele_batch_norm_desc desc;
    int block, n_blocks, n_chunks;
    size_t plane; // H * W
    struct cpu_slice dst;
};

// What the kernels get: one chunk of pixels of eight channels.
struct chunk {
    size_t offset; // in floats, of the first pixel's first lane
    size_t dst;    // the same in dst and d_dst, which may be slices
    size_t n_pixels, stride;
    int c; // channel of lane 0
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
// A task is (group of eight channels, image, chunk), channel group slowest, so that the partial
// sums of a channel lie together.

static long n_tasks(const struct batch_norm *self) {
    return (long)self->n_blocks * (self->block / LANES) * self->desc.n * self->n_chunks;
}

static struct chunk task_chunk(const struct batch_norm *self, long i_task) {
    int i_chunk = (int)(i_task % self->n_chunks);
    int n = (int)(i_task / self->n_chunks % self->desc.n);
    int group = (int)(i_task / self->n_chunks / self->desc.n);
    int groups_per_block = self->block / LANES;
    size_t first = (size_t)i_chunk * CHUNK_PIXELS;
    int i_plane = n * self->n_blocks + group / groups_per_block;
    size_t dst_plane = cpu_slice_plane(self->dst, i_plane, self->n_blocks);
    size_t lane = (size_t)(group % groups_per_block) * LANES, block = (size_t)self->block;
    struct chunk chunk = {
        .offset = ((size_t)i_plane * self->plane + first) * block + lane,
        .dst = (dst_plane * self->plane + first) * block + lane,
        .n_pixels = self->plane - first < CHUNK_PIXELS ? self->plane - first : CHUNK_PIXELS,
        .stride = (size_t)self->block,
        .c = group * LANES,
    };
    return chunk;
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

static inline void store_sums(const half_lanes_double s[4], const half_lanes_double q[4],
                              double *out) {
    for (int i = 0; i < 4; i++) {
        out[i] = s[0][i] + s[2][i];
        out[4 + i] = s[1][i] + s[3][i];
        out[LANES + i] = q[0][i] + q[2][i];
        out[LANES + 4 + i] = q[1][i] + q[3][i];
    }
}

// out = sum x, sum x^2. Even and odd pixels have their own accumulators to hide the latency of an
// add.
CPU_KERNEL(static void, sum_values, (const float *x, size_t n_pixels, size_t stride, double *out),
           (x, n_pixels, stride, out)) {
    half_lanes_double s[4] = {{0}}, q[4] = {{0}};
    for (size_t i = 0; i < n_pixels; i++, x += stride) {
        half_lanes_double low = TO_DOUBLE(*(const half_lanes *)x);
        half_lanes_double high = TO_DOUBLE(*(const half_lanes *)(x + 4));
        s[0] += low;
        s[1] += high;
        q[0] += low * low;
        q[1] += high * high;
        if (++i == n_pixels)
            break;
        x += stride;
        low = TO_DOUBLE(*(const half_lanes *)x);
        high = TO_DOUBLE(*(const half_lanes *)(x + 4));
        s[2] += low;
        s[3] += high;
        q[2] += low * low;
        q[3] += high * high;
    }
    store_sums(s, q, out);
}

// out = sum g, sum g x with g = d_dst where dst > 0 (everywhere when dst is NULL).
CPU_KERNEL(static void, sum_gradients,
           (const float *x, const float *dst, const float *d_dst, size_t n_pixels, size_t stride,
            double *out),
           (x, dst, d_dst, n_pixels, stride, out)) {
    half_lanes_double s[4] = {{0}}, q[4] = {{0}};
    for (size_t i = 0; i < n_pixels; i++) {
        size_t at = i * stride;
        lanes g = LANES_AT(d_dst + at);
        if (dst != NULL)
            g = LANES_KEEP(g, LANES_AT(dst + at) > 0.0f);
        half_lanes g_low = {g[0], g[1], g[2], g[3]}, g_high = {g[4], g[5], g[6], g[7]};
        half_lanes_double low = TO_DOUBLE(g_low), high = TO_DOUBLE(g_high);
        s[0] += low;
        s[1] += high;
        q[0] += low * TO_DOUBLE(*(const half_lanes *)(x + at));
        q[1] += high * TO_DOUBLE(*(const half_lanes *)(x + at + 4));
    }
    store_sums(s, q, out);
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

static void batch_statistics(const struct batch_norm *self,
                             const struct adele_batch_norm_args *args) {
    const float *src = args->src;
    double *partial = args->workspace;
    long count = n_tasks(self);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < count; i++) {
        struct chunk chunk = task_chunk(self, i);
        sum_values(src + chunk.offset, chunk.n_pixels, chunk.stride, partial + i * 2 * LANES);
    }
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

adele_status cpu_batch_norm_forward(struct adele_op *op, const struct adele_batch_norm_args *args) {
    const struct batch_norm *self = (const struct batch_norm *)op;
    if (!args->from_saved && args->use_batch_statistics)
        batch_statistics(self, args);
    else if (!args->from_saved)
        running_statistics(self, args);
    const float *src = args->src, *residual = self->desc.has_residual ? args->residual : NULL;
    float *dst = args->dst;
    long count = n_tasks(self);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < count; i++) {
        struct chunk chunk = task_chunk(self, i);
        struct coefficients coefficients = forward_coefficients(self, args, chunk.c);
        apply_forward(src + chunk.offset, residual != NULL ? residual + chunk.offset : NULL,
                      dst + chunk.dst, chunk.n_pixels, chunk.stride, &coefficients,
                      self->desc.has_relu);
    }
    return ADELE_OK;
}

// ---- backward -----------------------------------------------------------------------------------

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

adele_status cpu_batch_norm_backward(struct adele_op *op,
                                     const struct adele_batch_norm_args *args) {
    const struct batch_norm *self = (const struct batch_norm *)op;
    const float *src = args->src, *d_dst = args->d_dst;
    const float *dst = self->desc.has_relu ? args->dst : NULL;
    float *d_src = args->d_src, *d_residual = args->d_residual;
    double *partial = args->workspace;
    long count = n_tasks(self);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < count; i++) {
        struct chunk chunk = task_chunk(self, i);
        sum_gradients(src + chunk.offset, dst != NULL ? dst + chunk.dst : NULL, d_dst + chunk.dst,
                      chunk.n_pixels, chunk.stride, partial + i * 2 * LANES);
    }
    parameter_gradients(self, args, partial);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < count; i++) {
        struct chunk chunk = task_chunk(self, i);
        struct coefficients coefficients = backward_coefficients(self, args, partial, chunk.c);
        apply_backward(src + chunk.offset, dst != NULL ? dst + chunk.dst : NULL, d_dst + chunk.dst,
                       d_src + chunk.offset, d_residual != NULL ? d_residual + chunk.offset : NULL,
                       chunk.n_pixels, chunk.stride, &coefficients);
    }
    return ADELE_OK;
}
