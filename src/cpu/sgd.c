// SPDX-License-Identifier: MIT
// Stochastic gradient descent over all parameters at once:
//   g = gradient + decay weight,  m = momentum m + g,  weight -= rate lr_scale m
// With args.health, gradients and loss are checked first, and a non-finite one skips the whole
// update.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/elementwise.h"
#include "cpu/isa.h"
#include "cpu/segments.h"

struct sgd {
    struct cpu_op base;
    struct segment_chunks chunks;
};

static void sgd_release(struct cpu_op *op) {
    segment_chunks_deinit(&((struct sgd *)op)->chunks);
}

adele_status cpu_sgd_create(const struct adele_device *device, const struct adele_sgd_desc *desc,
                            struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_sgd, sizeof(struct sgd), out));
    struct sgd *self = (struct sgd *)*out;
    self->base.release = sgd_release;
    TRY(segment_chunks_init(&self->chunks, desc->n_segments, desc->segments));
    self->base.op.flops_forward = 6.0 * (double)self->chunks.n_floats;
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

adele_status cpu_sgd_forward(struct adele_op *op, const struct adele_sgd_args *args) {
    const struct segment_chunks *chunks = &((const struct sgd *)op)->chunks;
    const struct segment_guard guard = {
        args->gradients, args->health,         args->state,
        args->kept,      args->n_kept,         args->loss_is_finite,
        args->n_losses,  args->skip_all_later, args->gradients_are_checked};
    if (segment_chunks_must_skip(chunks, &guard))
        return ADELE_OK;
#pragma omp parallel for schedule(static)
    for (long i = 0; i < chunks->n; i++) {
        const struct adele_sgd_segment *chunk = &chunks->chunks[i];
        update(args->weights + chunk->offset, args->gradients + chunk->offset,
               args->momenta + chunk->offset, chunk->count, args->rate * chunk->lr_scale,
               args->momentum, chunk->decay);
        if (args->average != NULL) // the chunk's weights are still in the cache
            elementwise_average(args->average + chunk->offset, args->weights + chunk->offset,
                                1.0f - args->average_decay, (size_t)chunk->count);
    }
    return ADELE_OK;
}
