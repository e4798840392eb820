// SPDX-License-Identifier: MIT
// Dropout on blocked tensors. The random words of a pixel's channels come four at a time, as
// network_ops.h defines them; nothing is stored for backward. Padding channels stay zero.
#include "base/fail.h"
#include "base/random.h"
#include "cpu/cpu.h"
#include "cpu/values.h"

#define MAX_BLOCK 16

struct dropout {
    struct cpu_op base;
    struct adele_dropout_desc desc;
    int block, n_blocks; // channels of a block, blocks of an image
    bool is_bf16;        // of the tensors
    uint32_t threshold;  // words below it are dropped
    float factor;        // of what is kept
};

adele_status cpu_dropout_create(const struct adele_device *device,
                                const struct adele_dropout_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_dropout, sizeof(struct dropout), out));
    struct dropout *self = (struct dropout *)*out;
    self->desc = *desc;
    self->block = cpu_block(device);
    self->is_bf16 = cpu_is_bf16(device);
    self->n_blocks = (desc->c + self->block - 1) / self->block;
    self->threshold = (uint32_t)(desc->rate * 4294967296.0);
    self->factor = (float)(1.0 / (1.0 - desc->rate));
    return ADELE_OK;
}

// One image's place in the stream.
struct draw {
    uint32_t key[2], counter[4];
};

static struct draw draw_of(const struct dropout *self, const struct adele_dropout_args *args,
                           int n) {
    const struct adele_dropout_desc *desc = &self->desc;
    uint32_t sample = args->sample_ids != NULL ? (uint32_t)args->sample_ids[n] : (uint32_t)n;
    return (struct draw){{(uint32_t)desc->seed, (uint32_t)(desc->seed >> 32)},
                         {0, sample, args->epoch, RANDOM_DROPOUT + 256 * desc->stream}};
}

// The factors of the channels of block `b` at pixel i.
static void draw_factors(const struct dropout *self, struct draw *draw, int b, size_t i,
                         float factors[MAX_BLOCK]) {
    uint32_t per_pixel = ((uint32_t)self->desc.c + 3) / 4, words[4];
    for (int c = 0; c < self->block; c += 4) {
        draw->counter[0] = (uint32_t)i * per_pixel + (uint32_t)(b * self->block + c) / 4;
        random_philox(draw->counter, draw->key, words);
        for (int lane = 0; lane < 4; lane++)
            factors[c + lane] = words[lane] < self->threshold ? 0.0F : self->factor;
    }
}

// to = or += factor from, over block b of image n.
VALUE_INLINE void scale_block(const struct dropout *self, const struct adele_dropout_args *args,
                              int n, int b, const void *from, void *to, bool accumulate,
                              const bool is_bf16) {
    size_t n_pixels = (size_t)self->desc.h * (size_t)self->desc.w, block = (size_t)self->block;
    size_t at = ((size_t)n * (size_t)self->n_blocks + (size_t)b) * n_pixels * block;
    float factors[MAX_BLOCK];
    for (size_t lane = 0; lane < block; lane++)
        factors[lane] = 1.0F;
    bool is_drawn = args->is_active && self->desc.rate > 0.0;
    struct draw draw = draw_of(self, args, n);
    if (is_drawn)
        draw_factors(self, &draw, b, 0, factors);
    for (size_t i = 0; i < n_pixels; i++, at += block) {
        if (is_drawn && !self->desc.per_channel)
            draw_factors(self, &draw, b, i, factors);
        for (size_t lane = 0; lane < block; lane++) {
            // A product with 0 would keep a NaN and the sign of what is dropped.
            float value = 0.0F;
            if (factors[lane] > 0.0F)
                value = factors[lane] * value_at(from, at + lane, is_bf16);
            if (accumulate)
                value = value_at(to, at + lane, is_bf16) + value;
            value_store(to, at + lane, value, is_bf16);
        }
    }
}

static void scale_all(const struct dropout *self, const struct adele_dropout_args *args,
                      const void *from, void *to, bool accumulate) {
    int n_tasks = self->desc.n * self->n_blocks;
#pragma omp parallel for schedule(static)
    for (int task = 0; task < n_tasks; task++) {
        int n = task / self->n_blocks, b = task % self->n_blocks;
        if (self->is_bf16)
            scale_block(self, args, n, b, from, to, accumulate, true);
        else
            scale_block(self, args, n, b, from, to, accumulate, false);
    }
}

adele_status cpu_dropout_forward(struct adele_op *op, const struct adele_dropout_args *args) {
    scale_all((const struct dropout *)op, args, args->src, args->dst, false);
    return ADELE_OK;
}

adele_status cpu_dropout_backward(struct adele_op *op, const struct adele_dropout_args *args) {
    scale_all((const struct dropout *)op, args, args->d_dst, args->d_src, args->accumulate_d_src);
    return ADELE_OK;
}
