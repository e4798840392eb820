// SPDX-License-Identifier: MIT
// Stochastic gradient descent over all parameters at once:
//   g = gradient + decay weight,  m = momentum m + g,  weight -= rate lr_scale m
// Segments are cut into chunks when the op is created, so that threads share large and small ones
// alike.
#include "base/fail.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "device/op_check.h"

#define CHUNK_FLOATS 16384

struct sgd {
    struct cpu_op base;
    struct adele_sgd_segment *chunks;
    long n_chunks;
};

static void sgd_release(struct cpu_op *op) {
    memory_free(((struct sgd *)op)->chunks);
}

adele_status cpu_sgd_create(const struct adele_device *device, const struct adele_sgd_desc *desc,
                            struct adele_op **out) {
    *out = NULL;
    TRY(op_check_sgd(desc));
    int64_t n_floats = 0;
    long n_chunks = 0;
    for (int i = 0; i < desc->n_segments; i++) {
        const struct adele_sgd_segment *segment = &desc->segments[i];
        n_floats += segment->count;
        n_chunks += (long)((segment->count + CHUNK_FLOATS - 1) / CHUNK_FLOATS);
    }
    struct sgd *self = cpu_op_create(device, ADELE_OP_sgd, sizeof *self);
    if (self == NULL)
        return FAIL_NO_MEMORY(sizeof *self);
    self->base.release = sgd_release;
    self->base.op.flops_forward = 6.0 * (double)n_floats;
    self->chunks = memory_calloc((size_t)n_chunks + 1, sizeof *self->chunks);
    if (self->chunks == NULL) {
        memory_free(self);
        return FAIL_NO_MEMORY((size_t)n_chunks * sizeof *self->chunks);
    }
    for (int i = 0; i < desc->n_segments; i++)
        for (int64_t done = 0; done < desc->segments[i].count; done += CHUNK_FLOATS) {
            struct adele_sgd_segment chunk = desc->segments[i];
            chunk.offset += done;
            chunk.count = chunk.count - done < CHUNK_FLOATS ? chunk.count - done : CHUNK_FLOATS;
            self->chunks[self->n_chunks++] = chunk;
        }
    *out = &self->base.op;
    return ADELE_OK;
}

CPU_CLONES static void update(float *restrict weight, const float *restrict gradient,
                              float *restrict velocity, int64_t count, float rate, float momentum,
                              float decay) {
    for (int64_t i = 0; i < count; i++) {
        float m = momentum * velocity[i] + (gradient[i] + decay * weight[i]);
        velocity[i] = m;
        weight[i] -= rate * m;
    }
}

adele_status cpu_sgd_forward(struct adele_op *op, const struct adele_sgd_args *args) {
    const struct sgd *self = (const struct sgd *)op;
#pragma omp parallel for schedule(static)
    for (long i = 0; i < self->n_chunks; i++) {
        const struct adele_sgd_segment *chunk = &self->chunks[i];
        update(args->weights + chunk->offset, args->gradients + chunk->offset,
               args->momenta + chunk->offset, chunk->count, args->rate * chunk->lr_scale,
               args->momentum, chunk->decay);
    }
    return ADELE_OK;
}
