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
#include "cpu/values.h"
#include "device/op_check.h"

#include <math.h>
#include <string.h>

// 64 KiB of floats: much smaller than a second-level cache, large enough for one task.
#define CHUNK_PIXELS 2048
#define MAX_BLOCK    16

// Sums of one chunk of a block's channels: sum x and sum x^2, or sum g and sum g x. [1]: of the odd
// pixels, where a kernel keeps them apart.
struct lane_sums {
    double first[2][MAX_BLOCK], second[2][MAX_BLOCK];
};

// Coefficients of a block's channels. The mean is subtracted first and not folded into b: where it
// is large beside the deviation, folding would cost the low bits that decide a ReLU or a maximum
// further on.
struct coefficients {
    float mean[MAX_BLOCK], a[MAX_BLOCK], b[MAX_BLOCK], k[MAX_BLOCK];
};

// The loops over the pixels of a chunk; see batch_norm_kernels.h.
struct kernels {
    void (*sum_values)(const void *x, size_t n_pixels, struct lane_sums *sums, bool is_bf16);
    void (*sum_gradients)(const void *x, const void *dst, const void *d_dst, size_t n_pixels,
                          struct lane_sums *sums, bool is_bf16);
    void (*apply_forward)(const void *x, const void *residual, void *dst, size_t n_pixels,
                          const struct coefficients *coefficients, bool has_relu, bool is_bf16);
    void (*apply_backward)(const void *x, const void *dst, const void *d_dst, void *d_src,
                           void *d_residual, size_t n_pixels,
                           const struct coefficients *coefficients, bool is_bf16);
};

#define WIDTH 8
#include "cpu/batch_norm_kernels.h"
#define WIDTH 16
#include "cpu/batch_norm_kernels.h"

struct batch_norm {
    struct cpu_op base;
    struct adele_batch_norm_desc desc;
    int block, n_blocks, n_chunks;
    bool is_bf16;                  // of the tensors
    const struct kernels *kernels; // of the block's width
    size_t plane;                  // H * W
    struct cpu_slice dst;
};

// One chunk of pixels of a block of channels.
struct chunk {
    size_t offset; // in values, of the first pixel's first lane
    size_t dst;    // the same in dst and d_dst, which may be slices
    size_t n_pixels;
    int i_block;
    size_t i_part; // of the n * n_chunks parts of a channel
};

adele_status cpu_batch_norm_create(const struct adele_device *device,
                                   const struct adele_batch_norm_desc *desc,
                                   struct adele_op **out) {
    TRY(op_check_slice("batch_norm", desc->dst, desc->c, cpu_block(device)));
    TRY(cpu_op_create(device, ADELE_OP_batch_norm, sizeof(struct batch_norm), out));
    struct batch_norm *self = (struct batch_norm *)*out;
    self->desc = *desc;
    self->block = cpu_block(device);
    self->is_bf16 = cpu_is_bf16(device);
    self->kernels = self->block == MAX_BLOCK ? &kernels_16 : &kernels_8;
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

// The sums of a block of channels lie together, in the order of their parts.
static double *part_sums(const struct batch_norm *self, double *partial, int i_block,
                         size_t i_part) {
    size_t n_parts = (size_t)self->desc.n * (size_t)self->n_chunks;
    return partial + ((size_t)i_block * n_parts + i_part) * 2 * (size_t)self->block;
}

static void store_sums(const struct batch_norm *self, const struct lane_sums *sums, double *out) {
    for (int lane = 0; lane < self->block; lane++) {
        out[lane] = sums->first[0][lane] + sums->first[1][lane];
        out[self->block + lane] = sums->second[0][lane] + sums->second[1][lane];
    }
}

// The two sums of channel c over all its tasks in order.
static void combine(const struct batch_norm *self, double *partial, int c, double *first,
                    double *second) {
    size_t n_parts = (size_t)self->desc.n * (size_t)self->n_chunks, block = (size_t)self->block;
    const double *part = part_sums(self, partial, c / self->block, 0) + c % self->block;
    *first = 0.0;
    *second = 0.0;
    for (size_t i = 0; i < n_parts; i++) {
        *first += part[i * 2 * block];
        *second += part[i * 2 * block + block];
    }
}

// ---- forward ------------------------------------------------------------------------------------

// The place of a tensor's value; NULL where there is no tensor.
static void *place(const struct batch_norm *self, const void *tensor, size_t offset) {
    return tensor != NULL ? value_address(tensor, offset, self->is_bf16) : NULL;
}

static void sum_chunk(const struct batch_norm *self, const void *src, long i_task,
                      double *partial) {
    struct chunk chunk = task_chunk(self, i_task);
    struct lane_sums sums = {0};
    self->kernels->sum_values(place(self, src, chunk.offset), chunk.n_pixels, &sums, self->is_bf16);
    store_sums(self, &sums, part_sums(self, partial, chunk.i_block, chunk.i_part));
}

static void batch_statistics(const struct batch_norm *self,
                             const struct adele_batch_norm_args *args) {
    double *partial = args->workspace;
    long count = n_tasks(self);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < count; i++)
        sum_chunk(self, args->src, i, partial);
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
    for (int lane = 0; lane < self->block && c + lane < self->desc.c; lane++) {
        double a = (double)args->scale[c + lane] * args->saved_inv_std[c + lane];
        out.mean[lane] = args->saved_mean[c + lane];
        out.a[lane] = (float)a;
        out.b[lane] = args->shift[c + lane];
    }
    return out;
}

static void apply_chunk_forward(const struct batch_norm *self,
                                const struct adele_batch_norm_args *args, long i_task) {
    const void *residual = self->desc.has_residual ? args->residual : NULL;
    struct chunk chunk = task_chunk(self, i_task);
    struct coefficients coefficients =
        forward_coefficients(self, args, chunk.i_block * self->block);
    self->kernels->apply_forward(place(self, args->src, chunk.offset),
                                 place(self, residual, chunk.offset),
                                 place(self, args->dst, chunk.dst), chunk.n_pixels, &coefficients,
                                 self->desc.has_relu, self->is_bf16);
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
    const void *dst = self->desc.has_relu ? args->dst : NULL;
    struct chunk chunk = task_chunk(self, i_task);
    struct lane_sums sums = {0};
    self->kernels->sum_gradients(place(self, args->src, chunk.offset), place(self, dst, chunk.dst),
                                 place(self, args->d_dst, chunk.dst), chunk.n_pixels, &sums,
                                 self->is_bf16);
    store_sums(self, &sums, part_sums(self, partial, chunk.i_block, chunk.i_part));
}

// Adds the parameter gradients and writes sum g / M and inv_std^2 sum g (src - mean) / M to the
// first part of the channel's block in `partial`, where backward_coefficients reads them.
static void parameter_gradients(const struct batch_norm *self,
                                const struct adele_batch_norm_args *args, double *partial) {
    double n = (double)self->desc.n * (double)self->plane;
    for (int c = 0; c < self->desc.c; c++) {
        double sum_g, sum_gx;
        combine(self, partial, c, &sum_g, &sum_gx);
        double inv_std = args->saved_inv_std[c];
        double centred = sum_gx - args->saved_mean[c] * sum_g;
        args->d_shift[c] += (float)sum_g;
        args->d_scale[c] += (float)(centred * inv_std);
        double *kept = part_sums(self, partial, c / self->block, 0) + c % self->block;
        kept[0] = sum_g / n;
        kept[self->block] = centred * inv_std * inv_std / n;
    }
}

static struct coefficients backward_coefficients(const struct batch_norm *self,
                                                 const struct adele_batch_norm_args *args,
                                                 double *partial, int i_block) {
    struct coefficients out = {{0}, {0}, {0}, {0}};
    const double *kept = part_sums(self, partial, i_block, 0);
    int c = i_block * self->block;
    for (int lane = 0; lane < self->block && c + lane < self->desc.c; lane++) {
        double a = (double)args->scale[c + lane] * args->saved_inv_std[c + lane];
        out.a[lane] = (float)a;
        if (args->use_batch_statistics) {
            out.mean[lane] = args->saved_mean[c + lane];
            out.k[lane] = (float)(-a * kept[self->block + lane]);
            out.b[lane] = (float)(-a * kept[lane]);
        }
    }
    return out;
}

static void apply_chunk_backward(const struct batch_norm *self,
                                 const struct adele_batch_norm_args *args, double *partial,
                                 long i_task) {
    const void *dst = self->desc.has_relu ? args->dst : NULL;
    struct chunk chunk = task_chunk(self, i_task);
    struct coefficients coefficients = backward_coefficients(self, args, partial, chunk.i_block);
    self->kernels->apply_backward(
        place(self, args->src, chunk.offset), place(self, dst, chunk.dst),
        place(self, args->d_dst, chunk.dst), place(self, args->d_src, chunk.offset),
        place(self, args->d_residual, chunk.offset), chunk.n_pixels, &coefficients, self->is_bf16);
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
