// SPDX-License-Identifier: MIT
// Concatenation along channels on blocked tensors (N, ceil(C / B), H, W, B). When the first source
// fills its blocks the planes move as they are; otherwise the second source's lanes shift and are
// moved one by one. The fill-up lanes of every output are written as zeros.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "device/op_check.h"

#include <string.h>

struct concat {
    struct cpu_op base;
    struct adele_concat_desc desc;
    int block;
    size_t plane; // H * W
};

adele_status cpu_concat_create(const struct adele_device *device,
                               const struct adele_concat_desc *desc, struct adele_op **out) {
    *out = NULL;
    TRY(op_check_concat(desc));
    struct concat *self = cpu_op_create(device, ADELE_OP_concat, sizeof *self);
    if (self == NULL)
        return FAIL_NO_MEMORY(sizeof *self);
    self->desc = *desc;
    self->block = cpu_block(device);
    self->plane = (size_t)desc->h * (size_t)desc->w;
    *out = &self->base.op;
    return ADELE_OK;
}

CPU_KERNEL(static void, add_to, (float *restrict to, const float *restrict from, size_t count),
           (to, from, count)) {
    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

// A run of channels: which block of which tensor a channel's values lie in.
struct side {
    size_t n_blocks, block, plane;
};

static struct side side_of(const struct concat *self, int n_channels) {
    struct side side = {(size_t)((n_channels + self->block - 1) / self->block), (size_t)self->block,
                        self->plane};
    return side;
}

static size_t block_offset(struct side side, int n, size_t i_block) {
    return ((size_t)n * side.n_blocks + i_block) * side.plane * side.block;
}

// Copies, or adds, channel `from` of image n to channel `to`.
static void move_channel(struct side to_side, float *to_tensor, int to, struct side from_side,
                         const float *from_tensor, int from, int n, bool accumulate) {
    size_t block = to_side.block;
    float *out = to_tensor + block_offset(to_side, n, (size_t)to / block) + (size_t)to % block;
    const float *in =
        from_tensor + block_offset(from_side, n, (size_t)from / block) + (size_t)from % block;
    for (size_t i = 0; i < to_side.plane * block; i += block)
        out[i] = accumulate ? out[i] + in[i] : in[i];
}

// Zeros the lanes of the last block that hold no channel.
static void zero_fill_up(struct side side, float *tensor, int n_channels, int n) {
    size_t first = (size_t)n_channels % side.block;
    if (first == 0)
        return;
    float *out = tensor + block_offset(side, n, side.n_blocks - 1);
    for (size_t i = 0; i < side.plane; i++)
        memset(out + i * side.block + first, 0, (side.block - first) * sizeof(float));
}

adele_status cpu_concat_forward(struct adele_op *op, const struct adele_concat_args *args) {
    const struct concat *self = (const struct concat *)op;
    int c0 = self->desc.c0, c1 = self->desc.c1, n_images = self->desc.n;
    struct side side0 = side_of(self, c0), side1 = side_of(self, c1), all = side_of(self, c0 + c1);
    float *dst = args->dst;
    size_t size = self->plane * (size_t)self->block;
    if (c0 % self->block == 0) {
#pragma omp parallel for collapse(2) schedule(static)
        for (int n = 0; n < n_images; n++)
            for (size_t i = 0; i < all.n_blocks; i++)
                memcpy(dst + block_offset(all, n, i),
                       i < side0.n_blocks
                           ? (const float *)args->src0 + block_offset(side0, n, i)
                           : (const float *)args->src1 + block_offset(side1, n, i - side0.n_blocks),
                       size * sizeof(float));
        return ADELE_OK;
    }
#pragma omp parallel for schedule(static)
    for (int n = 0; n < n_images; n++) {
        for (int c = 0; c < c0; c++)
            move_channel(all, dst, c, side0, args->src0, c, n, false);
        for (int c = 0; c < c1; c++)
            move_channel(all, dst, c0 + c, side1, args->src1, c, n, false);
        zero_fill_up(all, dst, c0 + c1, n);
    }
    return ADELE_OK;
}

adele_status cpu_concat_backward(struct adele_op *op, const struct adele_concat_args *args) {
    const struct concat *self = (const struct concat *)op;
    int c0 = self->desc.c0, c1 = self->desc.c1, n_images = self->desc.n;
    struct side side0 = side_of(self, c0), side1 = side_of(self, c1), all = side_of(self, c0 + c1);
    const float *d_dst = args->d_dst;
    size_t size = self->plane * (size_t)self->block;
    if (c0 % self->block == 0) {
#pragma omp parallel for collapse(2) schedule(static)
        for (int n = 0; n < n_images; n++)
            for (size_t i = 0; i < all.n_blocks; i++) {
                bool is_first = i < side0.n_blocks;
                float *to =
                    is_first ? (float *)args->d_src0 + block_offset(side0, n, i)
                             : (float *)args->d_src1 + block_offset(side1, n, i - side0.n_blocks);
                if (is_first ? args->accumulate_d_src0 : args->accumulate_d_src1)
                    add_to(to, d_dst + block_offset(all, n, i), size);
                else
                    memcpy(to, d_dst + block_offset(all, n, i), size * sizeof(float));
            }
        return ADELE_OK;
    }
#pragma omp parallel for schedule(static)
    for (int n = 0; n < n_images; n++) {
        for (int c = 0; c < c0; c++)
            move_channel(side0, args->d_src0, c, all, d_dst, c, n, args->accumulate_d_src0);
        for (int c = 0; c < c1; c++)
            move_channel(side1, args->d_src1, c, all, d_dst, c0 + c, n, args->accumulate_d_src1);
        zero_fill_up(side0, args->d_src0, c0, n);
        zero_fill_up(side1, args->d_src1, c1, n);
    }
    return ADELE_OK;
}
