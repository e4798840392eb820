// SPDX-License-Identifier: MIT
// Stochastic gradient descent over all parameters at once:
//   g = gradient + decay weight,  m = momentum m + g,  weight -= rate lr_scale m
// With args.health, gradients and loss are checked first, and a non-finite one skips the whole
// update. Segments are cut into chunks when the op is created, so that threads
// share large and small ones alike.
#include "base/fail.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"

#include <string.h>

#define CHUNK_FLOATS 16384

struct sgd {
    struct cpu_op base;
    struct adele_sgd_segment *chunks;
    int *segment; // (n_chunks): which segment the chunk is of
    uint8_t *bad; // (n_chunks): whether it has a non-finite gradient
    long n_chunks;
};

static void sgd_release(struct cpu_op *op) {
    memory_free(((struct sgd *)op)->chunks);
    memory_free(((struct sgd *)op)->segment);
    memory_free(((struct sgd *)op)->bad);
}

adele_status cpu_sgd_create(const struct adele_device *device, const struct adele_sgd_desc *desc,
                            struct adele_op **out) {
    int64_t n_floats = 0;
    long n_chunks = 0;
    for (int i = 0; i < desc->n_segments; i++) {
        const struct adele_sgd_segment *segment = &desc->segments[i];
        n_floats += segment->count;
        n_chunks += (long)((segment->count + CHUNK_FLOATS - 1) / CHUNK_FLOATS);
    }
    TRY(cpu_op_create(device, ADELE_OP_sgd, sizeof(struct sgd), out));
    struct sgd *self = (struct sgd *)*out;
    self->base.release = sgd_release;
    self->base.op.flops_forward = 6.0 * (double)n_floats;
    TRY(ALLOCATE(&self->chunks, n_chunks + 1));
    TRY(ALLOCATE(&self->segment, n_chunks + 1));
    TRY(ALLOCATE(&self->bad, n_chunks + 1));
    for (int i = 0; i < desc->n_segments; i++)
        for (int64_t done = 0; done < desc->segments[i].count; done += CHUNK_FLOATS) {
            struct adele_sgd_segment chunk = desc->segments[i];
            chunk.offset += done;
            chunk.count = chunk.count - done < CHUNK_FLOATS ? chunk.count - done : CHUNK_FLOATS;
            self->segment[self->n_chunks] = i;
            self->chunks[self->n_chunks++] = chunk;
        }
    return ADELE_OK;
}

CPU_KERNEL(static void, update,
           (float *restrict weight, const float *restrict gradient, float *restrict velocity,
            int64_t count, float rate, float momentum, float decay),
           (weight, gradient, velocity, count, rate, momentum, decay)) {
    for (int64_t i = 0; i < count; i++) {
        float m = momentum * velocity[i] + (gradient[i] + decay * weight[i]);
        velocity[i] = m;
        weight[i] -= rate * m;
    }
}

// Only NaN and infinity have all bits of the exponent set. The test is on integers, so that the
// compiler vectorizes the loop.
CPU_KERNEL(static void, find_bad, (const float *gradient, int64_t count, uint8_t *is_bad),
           (gradient, count, is_bad)) {
    uint32_t bad = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &gradient[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    *is_bad = bad != 0;
}

// Whether the update must be skipped; keeps the record. One thread, in the order of the chunks.
static bool must_skip(const struct sgd *self, const struct adele_sgd_args *args) {
    int last = -1;
    bool is_loss_bad = args->loss_is_finite != NULL && *args->loss_is_finite == 0;
    bool is_out = is_loss_bad || (args->skip_all_later && args->health[ADELE_HEALTH_SKIPPED] > 0);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < self->n_chunks; i++)
        find_bad(args->gradients + self->chunks[i].offset, self->chunks[i].count, &self->bad[i]);
    for (long i = 0; i < self->n_chunks; i++)
        if (self->bad[i])
            last = self->segment[i];
    args->health[ADELE_HEALTH_UPDATES]++;
    is_out = is_out || last >= 0;
    if (is_out && args->health[ADELE_HEALTH_SKIPPED]++ == 0) {
        args->health[ADELE_HEALTH_FIRST_UPDATE] = args->health[ADELE_HEALTH_UPDATES];
        args->health[ADELE_HEALTH_FIRST_SEGMENT] = is_loss_bad ? -1 : last;
    }
    size_t bytes = (size_t)args->n_kept * sizeof(float);
    if (bytes > 0)
        memcpy(is_out ? args->state : args->kept, is_out ? args->kept : args->state, bytes);
    return is_out;
}

adele_status cpu_sgd_forward(struct adele_op *op, const struct adele_sgd_args *args) {
    const struct sgd *self = (const struct sgd *)op;
    if (args->health != NULL && must_skip(self, args))
        return ADELE_OK;
#pragma omp parallel for schedule(static)
    for (long i = 0; i < self->n_chunks; i++) {
        const struct adele_sgd_segment *chunk = &self->chunks[i];
        update(args->weights + chunk->offset, args->gradients + chunk->offset,
               args->momenta + chunk->offset, chunk->count, args->rate * chunk->lr_scale,
               args->momentum, chunk->decay);
    }
    return ADELE_OK;
}
