// SPDX-License-Identifier: MIT
// Stochastic gradient descent over all parameters in one launch (PyTorch's SGD):
//   g = gradient + decay weight,  m = momentum m + g,  weight -= rate lr_scale m
// weights and momenta are updated in place, gradients are read only; all three are plain floats.
//
// Segments are cut into chunks when the op is created, a block a chunk, so that large and small
// parameters load the machine alike. Elements are independent: nothing is summed. The simple kernel
// and the fast one would be the same, so there is one for both engines.
#include "runtime/common.cuh"

#include "device/op_check.h"

namespace adele_cuda {

// 4 vectors of 4 floats a thread: enough loads in flight, and few blocks for tens of millions of
// parameters.
#define SGD_THREADS 256
#define SGD_CHUNK   (SGD_THREADS * 16)

struct sgd {
    struct cuda_op base;
    struct adele_sgd_segment *chunks; // (n_chunks), in device memory
    int *segment;                     // (n_chunks), in device memory: which segment the chunk is of
    int *last; // in device memory: 1 + the last bad segment of this update, 0: none; then whether
               // the update is skipped
    int n_chunks;
};

// ---- kernel -------------------------------------------------------------------------------------

static __device__ inline void sgd_update(float *weight, float gradient, float *velocity, float rate,
                                         float momentum, float decay) {
    float m = momentum * *velocity + (gradient + decay * *weight);
    *velocity = m;
    *weight -= rate * m;
}

// A block owns a chunk, a thread every 256th float of it. The atomic is one of whole numbers and a
// maximum, so that the order of blocks does not matter; it is not reached in a good step.
static __global__ void sgd_look_kernel(const struct adele_sgd_segment *chunks, const int *segment,
                                       const float *gradients, int *last) {
    const float *gradient = gradients + chunks[blockIdx.x].offset;
    int count = (int)chunks[blockIdx.x].count;
    bool is_bad = false;
    for (int i = (int)threadIdx.x; i < count; i += SGD_THREADS)
        is_bad |= !isfinite(gradient[i]);
    if (is_bad)
        atomicMax(last, segment[blockIdx.x] + 1);
}

// One block: decides, for the update after it to read; the state goes back to what was kept, or is
// kept; one thread counts.
static __global__ void sgd_settle_kernel(int64_t *health, float *state, float *kept, int n_kept,
                                         const int32_t *loss_is_finite, bool skip_all_later,
                                         int *last) {
    SHARED(int, is_out, [1]);
    int bad = *last;
    bool is_loss_bad = loss_is_finite != NULL && *loss_is_finite == 0;
    if (threadIdx.x == 0)
        is_out[0] = bad != 0 || is_loss_bad || (skip_all_later && health[ADELE_HEALTH_SKIPPED] > 0);
    __syncthreads();
    for (int i = (int)threadIdx.x; i < n_kept; i += SGD_THREADS) {
        if (is_out[0])
            state[i] = kept[i];
        else
            kept[i] = state[i];
    }
    if (threadIdx.x != 0)
        return;
    int64_t update = ++health[ADELE_HEALTH_UPDATES];
    *last = is_out[0];
    if (is_out[0] && health[ADELE_HEALTH_SKIPPED]++ == 0) {
        health[ADELE_HEALTH_FIRST_UPDATE] = update;
        health[ADELE_HEALTH_FIRST_SEGMENT] = is_loss_bad ? -1 : bad - 1;
    }
}

// A block owns a chunk; a thread every 256th vector of 4 floats of it. Where the chunk begins or
// ends between vectors, or the arenas are not aligned, single floats.
static __global__ void sgd_kernel(const struct adele_sgd_segment *chunks, float *weights,
                                  const float *gradients, float *momenta, float rate,
                                  float momentum, const int *last) {
    if (last != NULL && *last != 0)
        return;
    struct adele_sgd_segment chunk = chunks[blockIdx.x];
    float *weight = weights + chunk.offset, *velocity = momenta + chunk.offset;
    const float *gradient = gradients + chunk.offset;
    float step = rate * chunk.lr_scale, decay = chunk.decay;
    int count = (int)chunk.count, thread = (int)threadIdx.x;
    int head = (int)(-chunk.offset & 3); // floats before the first vector
    if (((uintptr_t)weights | (uintptr_t)gradients | (uintptr_t)momenta) & 15 || head > count)
        head = count;
    int n_vectors = (count - head) / 4, tail = head + 4 * n_vectors;
    for (int i = thread; i < n_vectors; i += SGD_THREADS) {
        float4 w = ((float4 *)(weight + head))[i], v = ((float4 *)(velocity + head))[i];
        float4 g = ((const float4 *)(gradient + head))[i];
        sgd_update(&w.x, g.x, &v.x, step, momentum, decay);
        sgd_update(&w.y, g.y, &v.y, step, momentum, decay);
        sgd_update(&w.z, g.z, &v.z, step, momentum, decay);
        sgd_update(&w.w, g.w, &v.w, step, momentum, decay);
        ((float4 *)(weight + head))[i] = w;
        ((float4 *)(velocity + head))[i] = v;
    }
    for (int i = thread; i < head; i += SGD_THREADS)
        sgd_update(weight + i, gradient[i], velocity + i, step, momentum, decay);
    for (int i = tail + thread; i < count; i += SGD_THREADS)
        sgd_update(weight + i, gradient[i], velocity + i, step, momentum, decay);
}

// ---- the op -------------------------------------------------------------------------------------

static void sgd_release(struct cuda_op *op) {
    cudaFree(((struct sgd *)op)->chunks);
    cudaFree(((struct sgd *)op)->segment);
    cudaFree(((struct sgd *)op)->last);
}

static adele_status count_chunks(const struct adele_sgd_desc *desc, int64_t *n_floats,
                                 int64_t *n_chunks) {
    TRY(op_check_sgd(desc));
    *n_floats = 0;
    *n_chunks = 0;
    for (int i = 0; i < desc->n_segments; i++) {
        const struct adele_sgd_segment *segment = &desc->segments[i];
        *n_floats += segment->count;
        *n_chunks += (segment->count + SGD_CHUNK - 1) / SGD_CHUNK;
    }
    if (*n_chunks > INT32_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "sgd: %lld parameters", (long long)*n_floats);
    return ADELE_OK;
}

// The tables of chunks, on the host and then on the device.
static adele_status make_chunks(struct sgd *self, const struct adele_sgd_desc *desc,
                                int64_t n_chunks) {
    const struct adele_device *device = self->base.op.device;
    const int zero = 0;
    size_t n_rows = (size_t)n_chunks + 1;
    struct adele_sgd_segment *chunks = NULL;
    int *segment = NULL;
    adele_status status;
    TRY_GOTO(ALLOCATE(&chunks, n_rows), done);
    TRY_GOTO(ALLOCATE(&segment, n_rows), done);
    for (int i = 0; i < desc->n_segments; i++)
        for (int64_t done = 0; done < desc->segments[i].count; done += SGD_CHUNK) {
            struct adele_sgd_segment chunk = desc->segments[i];
            chunk.offset += done;
            chunk.count = chunk.count - done < SGD_CHUNK ? chunk.count - done : SGD_CHUNK;
            segment[self->n_chunks] = i;
            chunks[self->n_chunks++] = chunk;
        }
    TRY_GOTO(table_create(device, chunks, n_rows * sizeof *chunks, (void **)&self->chunks), done);
    TRY_GOTO(table_create(device, segment, n_rows * sizeof *segment, (void **)&self->segment),
             done);
    status = table_create(device, &zero, sizeof zero, (void **)&self->last);
done:
    memory_free(segment);
    memory_free(chunks);
    return status;
}

adele_status cuda_sgd_create(const struct adele_device *device, const struct adele_sgd_desc *desc,
                             struct adele_op **out) {
    int64_t n_floats, n_chunks;
    TRY(count_chunks(desc, &n_floats, &n_chunks));
    struct sgd *self = NULL;
    TRY(op_create(device, ADELE_OP_sgd, &self, out));
    self->base.release = sgd_release;
    self->base.op.flops_forward = 6.0 * (double)n_floats;
    return make_chunks(self, desc, n_chunks);
}

static adele_status check_gradients(const struct sgd *self, const struct adele_sgd_args *args) {
    const struct adele_device *device = self->base.op.device;
    TRY(device->iface->fill(device, self->last, 0, sizeof *self->last));
    TRY(LAUNCH(context_of(device), sgd_look_kernel, self->n_chunks, SGD_THREADS, 0, self->chunks,
               self->segment, args->gradients, self->last));
    return LAUNCH(context_of(device), sgd_settle_kernel, 1, SGD_THREADS, 0, args->health,
                  args->state, args->kept, (int)args->n_kept, args->loss_is_finite,
                  args->skip_all_later, self->last);
}

adele_status cuda_sgd_forward(struct adele_op *op, const struct adele_sgd_args *args) {
    const struct sgd *self = (const struct sgd *)op;
    if (self->n_chunks == 0)
        return ADELE_OK;
    const int *last = NULL;
    if (args->health != NULL) {
        TRY(check_gradients(self, args));
        last = self->last;
    }
    return LAUNCH(context_of(op->device), sgd_kernel, self->n_chunks, SGD_THREADS, 0, self->chunks,
                  args->weights, args->gradients, args->momenta, args->rate, args->momentum, last);
}

} // namespace adele_cuda
