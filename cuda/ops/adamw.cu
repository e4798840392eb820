// SPDX-License-Identifier: MIT
// AdamW over all parameters in one launch; the arithmetic is in device/adamw_rule.h. Weights and
// both moments are updated in place, gradients are read only; all four are plain floats. One thread
// counts the updates that are done and computes what all parameters share. With args.average,
// average += rest (weight - average) behind the update, in the same pass.
//
// Elements are independent: nothing is summed. The simple kernel and the fast one would be the
// same, so there is one for both engines.
#include "ops/segments.cuh"

#include "device/adamw_rule.h"

namespace adele_cuda {

struct adamw {
    struct cuda_op base;
    struct segment_chunks chunks;
    struct adamw_factors *factors; // in device memory: of the current update
};

// ---- kernels ------------------------------------------------------------------------------------

// One thread.
static __global__ void adamw_count_kernel(double beta1, double beta2, float rate, float eps,
                                          int64_t *n_updates, const int *skip,
                                          struct adamw_factors *factors) {
    if (skip != NULL && *skip != 0)
        return;
    int64_t t = *n_updates + 1;
    *n_updates = t;
    adamw_prepare(beta1, beta2, rate, eps, t, factors);
}

// A block owns a chunk, a thread every 256th float of it: the loads of a warp lie side by side.
static __global__ void adamw_kernel(const struct adele_sgd_segment *chunks,
                                    const struct adamw_factors *shared, float *weights,
                                    const float *gradients, float *first, float *second,
                                    float *average, float rest, const int *skip) {
    if (skip != NULL && *skip != 0)
        return;
    const struct adele_sgd_segment chunk = chunks[blockIdx.x];
    const struct adamw_factors factors = *shared;
    for (int i = (int)threadIdx.x; i < (int)chunk.count; i += SEGMENT_THREADS) {
        int64_t at = chunk.offset + i;
        adamw_update(&factors, chunk.lr_scale, chunk.decay, gradients[at], weights + at, first + at,
                     second + at);
        if (average != NULL)
            average[at] += rest * (weights[at] - average[at]);
    }
}

// ---- the op -------------------------------------------------------------------------------------

adele_status cuda_adamw_create(const struct adele_device *device,
                               const struct adele_adamw_desc *desc, struct adele_op **out) {
    int64_t n_floats;
    const struct adamw_factors none = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    struct adamw *self = NULL;
    TRY(op_create(device, ADELE_OP_adamw, &self, out));
    TRY(segment_chunks_init(&self->base, "adamw", desc->n_segments, desc->segments, &self->chunks,
                            &n_floats));
    self->base.op.flops_forward = 15.0 * (double)n_floats;
    return table_create(&self->base, &none, 1, &self->factors);
}

adele_status cuda_adamw_forward(struct adele_op *op, const struct adele_adamw_args *args) {
    const struct adamw *self = (const struct adamw *)op;
    const struct segment_guard guard = {
        args->gradients, args->health,         args->state,
        args->kept,      args->n_kept,         args->loss_is_finite,
        args->n_losses,  args->skip_all_later, args->gradients_are_checked};
    const int *skip = NULL;
    if (self->chunks.n == 0)
        return ADELE_OK;
    TRY(segment_chunks_check(op->device, self->chunks, guard, &skip));
    TRY(LAUNCH(context_of(op->device), adamw_count_kernel, 1, 1, 0, args->beta1, args->beta2,
               args->rate, args->eps, args->n_updates, skip, self->factors));
    return LAUNCH(context_of(op->device), adamw_kernel, self->chunks.n, SEGMENT_THREADS, 0,
                  self->chunks.chunks, self->factors, args->weights, args->gradients, args->first,
                  args->second, args->average, 1.0f - args->average_decay, skip);
}

} // namespace adele_cuda
