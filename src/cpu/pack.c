// SPDX-License-Identifier: MIT
// The weights of convolutions padded with zero channels to whole blocks and, for bf16, rounded:
// plain (c_out padded, c_in padded, taps) floats. This form does not depend on the extents of
// images; oneDNN's own order of weights does, so each op still reorders. Weights that need neither
// padding nor rounding are read unchanged.
#include "base/fail.h"
#include "base/memory.h"
#include "cpu/conv2d_parts.h"
#include "cpu/cpu.h"

#include <string.h>

struct pack {
    struct cpu_op base;
    struct adele_pack_item *items;
    int n_items;
    bool rounds;
};

void conv2d_stage(float *to, const float *weight, const struct conv2d_staging *staging) {
    size_t row = (size_t)staging->c_in * staging->taps;
    size_t padded_row = (size_t)staging->c_in_padded * staging->taps;
    for (int c = 0; c < staging->c_out_padded; c++) {
        size_t used = c < staging->c_out ? row : 0;
        float *out = to + (size_t)c * padded_row;
        if (used > 0 && staging->rounds)
            elementwise_round(out, weight + (size_t)c * row, used);
        else if (used > 0)
            memcpy(out, weight + (size_t)c * row, used * sizeof(float));
        memset(out + used, 0, (padded_row - used) * sizeof(float));
    }
}

static struct conv2d_staging staging_of(const struct pack *self,
                                        const struct adele_pack_item *item) {
    int block = cpu_block(self->base.op.device);
    struct conv2d_staging staging = {.c_out = item->c_out,
                                     .c_in = item->c_in,
                                     .c_out_padded = (item->c_out + block - 1) / block * block,
                                     .c_in_padded = (item->c_in + block - 1) / block * block,
                                     .taps = (size_t)item->kernel * (size_t)item->kernel,
                                     .rounds = self->rounds};
    return staging;
}

static void pack_release(struct cpu_op *op) {
    memory_free(((struct pack *)op)->items);
}

// Checks the size: packed_bytes of an op with these channels.
static adele_status bytes_check(const struct pack *self, const struct adele_pack_item *item) {
    struct conv2d_staging staging = staging_of(self, item);
    size_t bytes =
        (size_t)staging.c_out_padded * (size_t)staging.c_in_padded * staging.taps * sizeof(float);
    if ((size_t)item->bytes != bytes)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give the op's packed_bytes.",
                    "pack: %lld bytes for the weights of %d x %d channels and a kernel of %d",
                    (long long)item->bytes, item->c_out, item->c_in, item->kernel);
    return ADELE_OK;
}

adele_status cpu_pack_create(const struct adele_device *device, const struct adele_pack_desc *desc,
                             struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_pack, sizeof(struct pack), out));
    struct pack *self = (struct pack *)*out;
    self->base.release = pack_release;
    self->rounds = desc->precision == ADELE_PRECISION_BF16;
    self->n_items = desc->n_items;
    TRY(ALLOCATE(&self->items, desc->n_items + 1));
    for (int i = 0; i < desc->n_items; i++) {
        self->items[i] = desc->items[i];
        TRY(bytes_check(self, &desc->items[i]));
    }
    return ADELE_OK;
}

adele_status cpu_pack_forward(struct adele_op *op, const struct adele_pack_args *args) {
    const struct pack *self = (const struct pack *)op;
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < self->n_items; i++) {
        struct conv2d_staging staging = staging_of(self, &self->items[i]);
        float *to = (float *)(void *)((char *)args->packed + self->items[i].packed);
        conv2d_stage(to, args->weights + self->items[i].weight, &staging);
    }
    return ADELE_OK;
}
