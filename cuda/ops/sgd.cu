// SPDX-License-Identifier: MIT
// Stochastic gradient descent over all parameters in one launch (PyTorch's SGD):
//   g = gradient + decay weight,  m = momentum m + g,  weight -= rate lr_scale m
// weights and momenta are updated in place, gradients are read only; all three are plain floats.
// With args.average, average += rest (weight - average) behind the update, in the same pass.
//
// Elements are independent: nothing is summed. The simple kernel and the fast one would be the
// same, so there is one for both engines.
#include "ops/segments.cuh"

namespace adele_cuda {

struct sgd {
    struct cuda_op base;
    struct segment_chunks chunks;
};

// ---- kernel -------------------------------------------------------------------------------------

static __device__ inline void sgd_update(float *weight, float gradient, float *velocity, float rate,
                                         float momentum, float decay) {
    float m = momentum * *velocity + (gradient + decay * *weight);
    *velocity = m;
    *weight -= rate * m;
}

// A block owns a chunk; a thread every 256th vector of 4 floats of it. Where the chunk begins or
// ends between vectors, or the arenas are not aligned, single floats.
static __global__ void sgd_kernel(const struct adele_sgd_segment *chunks, float *weights,
                                  const float *gradients, float *momenta, float rate,
                                  float momentum, float *average, float rest, const int *last) {
    if (last != NULL && *last != 0)
        return;
    struct adele_sgd_segment chunk = chunks[blockIdx.x];
    float *weight = weights + chunk.offset, *velocity = momenta + chunk.offset;
    const float *gradient = gradients + chunk.offset;
    float step = rate * chunk.lr_scale, decay = chunk.decay;
    int count = (int)chunk.count, thread = (int)threadIdx.x;
    int head = (int)(-chunk.offset & 3); // floats before the first vector
    if (((uintptr_t)weights | (uintptr_t)gradients | (uintptr_t)momenta | (uintptr_t)average) &
            15 ||
        head > count)
        head = count;
    int n_vectors = (count - head) / 4;
    for (int i = thread; i < n_vectors; i += SEGMENT_THREADS) {
        float4 w = ((float4 *)(weight + head))[i], v = ((float4 *)(velocity + head))[i];
        float4 g = ((const float4 *)(gradient + head))[i];
        sgd_update(&w.x, g.x, &v.x, step, momentum, decay);
        sgd_update(&w.y, g.y, &v.y, step, momentum, decay);
        sgd_update(&w.z, g.z, &v.z, step, momentum, decay);
        sgd_update(&w.w, g.w, &v.w, step, momentum, decay);
        ((float4 *)(weight + head))[i] = w;
        ((float4 *)(velocity + head))[i] = v;
        if (average != NULL) {
            float4 *place = (float4 *)(average + chunk.offset + head) + i;
            float4 mean = *place;
            mean.x += rest * (w.x - mean.x);
            mean.y += rest * (w.y - mean.y);
            mean.z += rest * (w.z - mean.z);
            mean.w += rest * (w.w - mean.w);
            *place = mean;
        }
    }
    int n_single = count - 4 * n_vectors; // before the first vector and behind the last
    for (int j = thread; j < n_single; j += SEGMENT_THREADS) {
        int i = j < head ? j : j + 4 * n_vectors;
        sgd_update(weight + i, gradient[i], velocity + i, step, momentum, decay);
        if (average != NULL)
            average[chunk.offset + i] += rest * (weight[i] - average[chunk.offset + i]);
    }
}

// ---- the op -------------------------------------------------------------------------------------

adele_status cuda_sgd_create(const struct adele_device *device, const struct adele_sgd_desc *desc,
                             struct adele_op **out) {
    int64_t n_floats;
    struct sgd *self = NULL;
    TRY(op_create(device, ADELE_OP_sgd, &self, out));
    TRY(segment_chunks_init(&self->base, "sgd", desc->n_segments, desc->segments, &self->chunks,
                            &n_floats));
    self->base.op.flops_forward = 6.0 * (double)n_floats;
    return ADELE_OK;
}

adele_status cuda_sgd_forward(struct adele_op *op, const struct adele_sgd_args *args) {
    const struct segment_chunks &chunks = ((const struct sgd *)op)->chunks;
    const struct segment_guard guard = {
        args->gradients, args->health,         args->state,
        args->kept,      args->n_kept,         args->loss_is_finite,
        args->n_losses,  args->skip_all_later, args->gradients_are_checked};
    const int *last = NULL;
    if (chunks.n == 0)
        return ADELE_OK;
    TRY(segment_chunks_check(op->device, chunks, guard, &last));
    return LAUNCH(context_of(op->device), sgd_kernel, chunks.n, SEGMENT_THREADS, 0, chunks.chunks,
                  args->weights, args->gradients, args->momenta, args->rate, args->momentum,
                  args->average, 1.0f - args->average_decay, last);
}

} // namespace adele_cuda
