// SPDX-License-Identifier: MIT
// Dropout on (N, H, W, P): dst = factor src, d_src = or += factor d_dst, with the factors drawn
// anew in both directions (device/network_ops.h defines how), so that no mask goes through memory.
// Two Philox blocks are drawn for 8 channels; there is one kernel for both engines.
#include "ops/random.cuh"
#include "runtime/common.cuh"

namespace adele_cuda {

static const int n_threads = 256;

struct dropout_task {
    int64_t n_vectors;   // of the tensor
    int64_t n_pixels;    // of an image
    int vectors_a_pixel; // padded channels / 8
    uint32_t draws_a_pixel;
    bool is_drawn, per_channel, accumulates;
    uint32_t threshold, epoch, purpose; // words below the threshold are dropped
    uint32_t key[2];
    float factor;
    const int32_t *sample_ids; // NULL: the row's number
};

// One thread owns 8 channels of a pixel. `to` may be `from`.
template <typename T>
static __global__ void dropout_kernel(struct dropout_task task, const T *from, T *to) {
    int64_t step = (int64_t)gridDim.x * n_threads;
    for (int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x; i < task.n_vectors; i += step) {
        int64_t pixel = i / task.vectors_a_pixel, n = pixel / task.n_pixels;
        uint32_t vector = (uint32_t)(i % task.vectors_a_pixel);
        uint32_t at = task.per_channel ? 0u : (uint32_t)(pixel % task.n_pixels);
        uint32_t sample = task.sample_ids != NULL ? (uint32_t)task.sample_ids[n] : (uint32_t)n;
        float values[8], sums[8] = {};
        load8(from + i * 8, values);
        if (task.accumulates)
            load8(to + i * 8, sums);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            uint32_t counter[4] = {at * task.draws_a_pixel + 2 * vector + (uint32_t)half, sample,
                                   task.epoch, task.purpose};
            uint32_t words[4] = {};
            if (task.is_drawn)
                philox_block(counter, task.key, words);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int k = half * 4 + j;
                bool is_dropped = task.is_drawn && words[j] < task.threshold;
                float value = is_dropped ? 0.0f : task.factor * values[k];
                values[k] = task.accumulates ? sums[k] + value : value;
            }
        }
        store8(to + i * 8, values);
    }
}

CREATE_DESC_OP(dropout)

static adele_status launch_dropout(const struct adele_op *op, const struct adele_dropout_args *args,
                                   const void *from, void *to, bool accumulates) {
    const struct adele_dropout_desc *desc = desc_of<struct adele_dropout_desc>(op);
    const struct cuda_context *context = context_of(op->device);
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    struct dropout_task task = {};
    task.n_vectors = tensor_elements(shape) / 8;
    task.n_pixels = (int64_t)desc->h * desc->w;
    task.vectors_a_pixel = padded_channels(desc->c) / 8;
    task.draws_a_pixel = ((uint32_t)desc->c + 3) / 4;
    task.is_drawn = args->is_active && desc->rate > 0.0;
    task.per_channel = desc->per_channel;
    task.accumulates = accumulates;
    task.threshold = (uint32_t)(desc->rate * 4294967296.0);
    task.epoch = args->epoch;
    task.purpose = (uint32_t)RANDOM_DROPOUT + 256u * desc->stream;
    task.key[0] = (uint32_t)desc->seed;
    task.key[1] = (uint32_t)(desc->seed >> 32);
    task.factor = task.is_drawn ? (float)(1.0 / (1.0 - desc->rate)) : 1.0f;
    task.sample_ids = args->sample_ids;
    return WITH_STORAGE(context, T,
                        LAUNCH(context, dropout_kernel<T>, strided_grid(task.n_vectors, n_threads),
                               n_threads, 0, task, (const T *)from, (T *)to));
}

adele_status cuda_dropout_forward(struct adele_op *op, const struct adele_dropout_args *args) {
    return launch_dropout(op, args, args->src, args->dst, false);
}

adele_status cuda_dropout_backward(struct adele_op *op, const struct adele_dropout_args *args) {
    return launch_dropout(op, args, args->d_dst, args->d_src, args->accumulate_d_src);
}

} // namespace adele_cuda
