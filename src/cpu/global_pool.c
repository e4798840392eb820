// SPDX-License-Identifier: MIT
// Mean over all pixels on blocked tensors (N, ceil(C / B), H, W, B). One task owns a plane of
// blocks and adds its pixels in row order, in double: the number of threads changes no bit.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"

#define MAX_BLOCK 16

struct global_pool {
    struct cpu_op base;
    int block, n_planes;
    size_t n_pixels;
};

adele_status cpu_global_pool_create(const struct adele_device *device,
                                    const struct adele_global_pool_desc *desc,
                                    struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_global_pool, sizeof(struct global_pool), out));
    struct global_pool *self = (struct global_pool *)*out;
    self->block = cpu_block(device);
    self->n_planes = desc->n * ((desc->c + self->block - 1) / self->block);
    self->n_pixels = (size_t)desc->h * (size_t)desc->w;
    self->base.op.flops_forward = (double)desc->n * (double)desc->c * (double)self->n_pixels;
    self->base.op.flops_backward = self->base.op.flops_forward;
    return ADELE_OK;
}

CPU_KERNEL(static void, mean_of, (const float *src, size_t n_pixels, int block, float *dst),
           (src, n_pixels, block, dst)) {
    double sums[MAX_BLOCK] = {0.0};
    for (size_t i = 0; i < n_pixels; i++)
        for (int lane = 0; lane < block; lane++)
            sums[lane] += (double)src[i * (size_t)block + (size_t)lane];
    for (int lane = 0; lane < block; lane++)
        dst[lane] = (float)(sums[lane] / (double)n_pixels);
}

CPU_KERNEL(static void, spread,
           (const float *d_dst, size_t n_pixels, int block, bool accumulate, float *d_src),
           (d_dst, n_pixels, block, accumulate, d_src)) {
    float share[MAX_BLOCK];
    for (int lane = 0; lane < block; lane++)
        share[lane] = (float)((double)d_dst[lane] / (double)n_pixels);
    for (size_t i = 0; i < n_pixels; i++)
        for (int lane = 0; lane < block; lane++) {
            float *to = &d_src[i * (size_t)block + (size_t)lane];
            *to = accumulate ? *to + share[lane] : share[lane];
        }
}

adele_status cpu_global_pool_forward(struct adele_op *op,
                                     const struct adele_global_pool_args *args) {
    const struct global_pool *self = (const struct global_pool *)op;
    const float *src = args->src;
    float *dst = args->dst;
    size_t block = (size_t)self->block;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < self->n_planes; i++)
        mean_of(src + (size_t)i * self->n_pixels * block, self->n_pixels, self->block,
                dst + (size_t)i * block);
    return ADELE_OK;
}

adele_status cpu_global_pool_backward(struct adele_op *op,
                                      const struct adele_global_pool_args *args) {
    const struct global_pool *self = (const struct global_pool *)op;
    const float *d_dst = args->d_dst;
    float *d_src = args->d_src;
    size_t block = (size_t)self->block;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < self->n_planes; i++)
        spread(d_dst + (size_t)i * block, self->n_pixels, self->block, args->accumulate_d_src,
               d_src + (size_t)i * self->n_pixels * block);
    return ADELE_OK;
}
