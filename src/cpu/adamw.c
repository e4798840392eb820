// SPDX-License-Identifier: MIT
// AdamW over all parameters at once; the arithmetic is in device/adamw_rule.h. With args.health,
// gradients and loss are checked first, and a non-finite one skips the whole update, which then
// does not count in *n_updates either.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/elementwise.h"
#include "cpu/isa.h"
#include "cpu/segments.h"
#include "device/adamw_rule.h"

struct adamw {
    struct cpu_op base;
    struct segment_chunks chunks;
};

static void adamw_release(struct cpu_op *op) {
    segment_chunks_deinit(&((struct adamw *)op)->chunks);
}

adele_status cpu_adamw_create(const struct adele_device *device,
                              const struct adele_adamw_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_adamw, sizeof(struct adamw), out));
    struct adamw *self = (struct adamw *)*out;
    self->base.release = adamw_release;
    TRY(segment_chunks_init(&self->chunks, desc->n_segments, desc->segments));
    self->base.op.flops_forward = 15.0 * (double)self->chunks.n_floats;
    return ADELE_OK;
}

CPU_KERNEL(static void, update,
           (const struct adamw_factors *restrict factors, float lr_scale, float decay,
            const float *restrict gradient, int64_t count, float *restrict weight,
            float *restrict first, float *restrict second),
           (factors, lr_scale, decay, gradient, count, weight, first, second)) {
    for (int64_t i = 0; i < count; i++)
        adamw_update(factors, lr_scale, decay, gradient[i], &weight[i], &first[i], &second[i]);
}

adele_status cpu_adamw_forward(struct adele_op *op, const struct adele_adamw_args *args) {
    const struct segment_chunks *chunks = &((const struct adamw *)op)->chunks;
    const struct segment_guard guard = {
        args->gradients, args->health,         args->state,
        args->kept,      args->n_kept,         args->loss_is_finite,
        args->n_losses,  args->skip_all_later, args->gradients_are_checked};
    struct adamw_factors factors;
    if (chunks->n == 0 || segment_chunks_must_skip(chunks, &guard))
        return ADELE_OK;
    adamw_prepare(args->beta1, args->beta2, args->rate, args->eps, ++*args->n_updates, &factors);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < chunks->n; i++) {
        const struct adele_sgd_segment *chunk = &chunks->chunks[i];
        update(&factors, chunk->lr_scale, chunk->decay, args->gradients + chunk->offset,
               chunk->count, args->weights + chunk->offset, args->first + chunk->offset,
               args->second + chunk->offset);
        if (args->average != NULL) // the chunk's weights are still in the cache
            elementwise_average(args->average + chunk->offset, args->weights + chunk->offset,
                                1.0f - args->average_decay, (size_t)chunk->count);
    }
    return ADELE_OK;
}
