// SPDX-License-Identifier: MIT
// Mean over all pixels on blocked tensors (N, ceil(C / B), H, W, B). One task owns a plane of
// blocks and adds its pixels in row order, in double: the number of threads changes no bit.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/values.h"

#define MAX_BLOCK 16

struct global_pool {
    struct cpu_op base;
    int block, n_planes;
    size_t n_pixels;
    bool is_bf16;
};

adele_status cpu_global_pool_create(const struct adele_device *device,
                                    const struct adele_global_pool_desc *desc,
                                    struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_global_pool, sizeof(struct global_pool), out));
    struct global_pool *self = (struct global_pool *)*out;
    self->block = cpu_block(device);
    self->is_bf16 = cpu_is_bf16(device);
    self->n_planes = desc->n * ((desc->c + self->block - 1) / self->block);
    self->n_pixels = (size_t)desc->h * (size_t)desc->w;
    self->base.op.flops_forward = (double)desc->n * (double)desc->c * (double)self->n_pixels;
    self->base.op.flops_backward = self->base.op.flops_forward;
    return ADELE_OK;
}

// src, dst and the like: of one plane of blocks.
CPU_VALUE_KERNEL(static void, mean_of, (const void *src, size_t n_pixels, int block, void *dst),
                 (src, n_pixels, block, dst)) {
    double sums[MAX_BLOCK] = {0.0};
    for (size_t i = 0; i < n_pixels; i++)
        for (int lane = 0; lane < block; lane++)
            sums[lane] += (double)value_at(src, i * (size_t)block + (size_t)lane, is_bf16);
    for (int lane = 0; lane < block; lane++)
        value_store(dst, (size_t)lane, (float)(sums[lane] / (double)n_pixels), is_bf16);
}

CPU_VALUE_KERNEL(static void, spread,
                 (const void *d_dst, size_t n_pixels, int block, bool accumulate, void *d_src),
                 (d_dst, n_pixels, block, accumulate, d_src)) {
    float share[MAX_BLOCK];
    for (int lane = 0; lane < block; lane++)
        share[lane] = (float)((double)value_at(d_dst, (size_t)lane, is_bf16) / (double)n_pixels);
    for (size_t i = 0; i < n_pixels; i++)
        for (int lane = 0; lane < block; lane++) {
            size_t at = i * (size_t)block + (size_t)lane;
            float value = share[lane];
            if (accumulate)
                value = value_at(d_src, at, is_bf16) + value;
            value_store(d_src, at, value, is_bf16);
        }
}

adele_status cpu_global_pool_forward(struct adele_op *op,
                                     const struct adele_global_pool_args *args) {
    const struct global_pool *self = (const struct global_pool *)op;
    bool is_bf16 = self->is_bf16;
    size_t block = (size_t)self->block, plane = self->n_pixels * block;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < self->n_planes; i++)
        mean_of(value_address(args->src, (size_t)i * plane, is_bf16), self->n_pixels, self->block,
                value_address(args->dst, (size_t)i * block, is_bf16), is_bf16);
    return ADELE_OK;
}

adele_status cpu_global_pool_backward(struct adele_op *op,
                                      const struct adele_global_pool_args *args) {
    const struct global_pool *self = (const struct global_pool *)op;
    bool is_bf16 = self->is_bf16;
    size_t block = (size_t)self->block, plane = self->n_pixels * block;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < self->n_planes; i++)
        spread(value_address(args->d_dst, (size_t)i * block, is_bf16), self->n_pixels, self->block,
               args->accumulate_d_src, value_address(args->d_src, (size_t)i * plane, is_bf16),
               is_bf16);
    return ADELE_OK;
}
