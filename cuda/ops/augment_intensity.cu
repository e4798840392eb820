// SPDX-License-Identifier: MIT
// Brightness, contrast, gamma, noise and blur of a batch, in place (training_ops.h; the arithmetic
// of a value is in device/intensity_rule.h). A plane is (image n, channel c); `noisy` is its copy
// with the noise, plain (N, C, H, W):
//     draw -> noise -> blur, and sums of each chunk -> tone -> apply
// With gamma also, before apply: sums of each chunk behind contrast and behind gamma -> tone.
//
// A chunk is CHUNK values of a plane, summed up by one block, and one block adds up the chunks of a
// plane: the order depends on the extents alone. Planes without a change leave each kernel at once.
// In a bf16 tensor values are rounded behind the blur and at the end.
#include "ops/random.cuh"
#include "runtime/common.cuh"

#include "device/intensity_rule.h"
#include "device/op_check.h"

namespace adele_cuda {

#define N_THREADS 256
#define CHUNK     4096 // 16 values a thread, so that adding up the threads' sums costs little

struct intensity_plane {
    struct intensity_change change;
    struct intensity_tone tone;
};

// Parameters of all kernels.
template <typename T> struct intensity_task {
    T *images;                 // (N, H, W, P)
    const int32_t *sample_ids; // (N)
    uint64_t seed;
    uint32_t epoch;
    struct adele_intensity rates;
    int n, c, h, w, n_chunks;
    struct intensity_plane *planes; // (N, C)
    struct intensity_sums *sums;    // (N, C, n_chunks)
    float *noisy;                   // (N, C, H, W)
};

// A block's chunk: the values first..end of plane i_plane.
struct intensity_chunk {
    int i_plane, n, c, first, end;
};

template <typename T>
static __device__ struct intensity_chunk chunk_of(const struct intensity_task<T> *task) {
    struct intensity_chunk chunk;
    chunk.i_plane = (int)(blockIdx.x / task->n_chunks);
    chunk.n = chunk.i_plane / task->c;
    chunk.c = chunk.i_plane % task->c;
    chunk.first = (int)(blockIdx.x % task->n_chunks) * CHUNK;
    chunk.end = min(chunk.first + CHUNK, task->h * task->w);
    return chunk;
}

template <typename T>
static __device__ T *value_at(const struct intensity_task<T> *task,
                              const struct intensity_chunk *chunk, int i) {
    int64_t pixel = (int64_t)chunk->n * task->h * task->w + i;
    return task->images + pixel * padded_channels(task->c) + chunk->c;
}

static __device__ bool has_change(const struct intensity_change *change) {
    return change->noise > 0.0f || intensity_has_blur(change) || intensity_has_tone(change);
}

// A thread draws for one image. Rows without an image get changes that change nothing.
template <typename T>
static __global__ void __launch_bounds__(N_THREADS)
    intensity_draw_kernel(struct intensity_task<T> task) {
    int n = (int)(blockIdx.x * N_THREADS + threadIdx.x);
    if (n >= task.n)
        return;
    double image[INTENSITY_IMAGE_DRAWS], channel[INTENSITY_CHANNEL_DRAWS];
    struct adele_intensity rates = task.rates;
    struct random_stream stream;
    if (task.sample_ids[n] < 0)
        rates.brightness = rates.contrast = rates.gamma = rates.noise = rates.blur = 0.0;
    philox_init(&stream, task.seed, RANDOM_INTENSITY, task.epoch, (uint32_t)task.sample_ids[n]);
    for (int i = 0; i < INTENSITY_IMAGE_DRAWS; i++)
        image[i] = philox_uniform(&stream);
    for (int c = 0; c < task.c; c++) {
        for (int i = 0; i < INTENSITY_CHANNEL_DRAWS; i++)
            channel[i] = philox_uniform(&stream);
        intensity_draw(&rates, image, channel, &task.planes[n * task.c + c].change);
    }
}

// A block owns a chunk, in all kernels but that of the tone; a thread copies one value.
template <typename T>
static __global__ void __launch_bounds__(N_THREADS)
    intensity_noise_kernel(struct intensity_task<T> task) {
    struct intensity_chunk chunk = chunk_of(&task);
    const struct intensity_change *change = &task.planes[chunk.i_plane].change;
    if (change->noise == 0.0f && !intensity_has_blur(change))
        return;
    const uint32_t key[2] = {(uint32_t)task.seed, (uint32_t)(task.seed >> 32)};
    int64_t plane = (int64_t)task.h * task.w;
    for (int i = chunk.first + (int)threadIdx.x; i < chunk.end; i += N_THREADS) {
        float x = to_float(*value_at(&task, &chunk, i));
        if (change->noise > 0.0f && x != 0.0f) {
            int64_t at = chunk.c * plane + i;
            const uint32_t counter[4] = {(uint32_t)(at / 2), (uint32_t)task.sample_ids[chunk.n],
                                         task.epoch, RANDOM_PIXEL_NOISE};
            uint32_t words[4];
            philox_block(counter, key, words);
            x += change->noise * (at % 2 == 0 ? intensity_normal(words[0], words[1])
                                              : intensity_normal(words[2], words[3]));
        }
        task.noisy[chunk.i_plane * plane + i] = x;
    }
}

static __device__ float weight_of(const struct intensity_change *change, int offset) {
    return change->weights[offset < 0 ? -offset : offset];
}

// The square around pixel (y, x) of a plane.
static __device__ float blurred(const struct intensity_change *change, const float *plane, int h,
                                int w, int y, int x) {
    float sum = 0.0f;
    for (int i = -INTENSITY_RADIUS; i <= INTENSITY_RADIUS; i++) {
        const float *row = plane + (int64_t)min(max(y + i, 0), h - 1) * w;
        float line = 0.0f;
        for (int j = -INTENSITY_RADIUS; j <= INTENSITY_RADIUS; j++)
            line += weight_of(change, j) * row[min(max(x + j, 0), w - 1)];
        sum += weight_of(change, i) * line;
    }
    return sum;
}

// Adds up the sums of all threads of a block; the result is thread 0's.
static __device__ void block_sum(struct intensity_sums *shared, struct intensity_sums *own) {
    int thread = (int)threadIdx.x;
    shared[thread] = *own;
    __syncthreads();
    for (int half = N_THREADS / 2; half > 0; half /= 2) {
        if (thread < half)
            intensity_sums_join(&shared[thread], &shared[thread + half]);
        __syncthreads();
    }
    *own = shared[0];
}

template <typename T>
static __global__ void __launch_bounds__(N_THREADS)
    intensity_blur_kernel(struct intensity_task<T> task) {
    SHARED(struct intensity_sums, shared, [N_THREADS]);
    struct intensity_chunk chunk = chunk_of(&task);
    const struct intensity_change *change = &task.planes[chunk.i_plane].change;
    bool has_noise = change->noise > 0.0f, has_blur = intensity_has_blur(change);
    struct intensity_sums own;
    intensity_sums_clear(&own);
    if (!has_change(change))
        return;
    const float *plane = task.noisy + (int64_t)chunk.i_plane * task.h * task.w;
    for (int i = chunk.first + (int)threadIdx.x; i < chunk.end; i += N_THREADS) {
        T *value = value_at(&task, &chunk, i);
        if (has_noise || has_blur) {
            float x = plane[i];
            if (has_blur && x != 0.0f)
                x = blurred(change, plane, task.h, task.w, i / task.w, i % task.w);
            *value = from_float<T>(x);
        }
        intensity_sums_add(&own, to_float(*value));
    }
    block_sum(shared, &own);
    if (threadIdx.x == 0)
        task.sums[blockIdx.x] = own;
}

template <typename T>
static __global__ void __launch_bounds__(N_THREADS)
    intensity_gamma_kernel(struct intensity_task<T> task) {
    SHARED(struct intensity_sums, shared, [N_THREADS]);
    struct intensity_chunk chunk = chunk_of(&task);
    const struct intensity_change change = task.planes[chunk.i_plane].change;
    const struct intensity_tone tone = task.planes[chunk.i_plane].tone;
    struct intensity_sums own;
    intensity_sums_clear(&own);
    if (change.gamma == 1.0f)
        return;
    for (int i = chunk.first + (int)threadIdx.x; i < chunk.end; i += N_THREADS)
        intensity_sums_add_gamma(&own, &change, &tone, to_float(*value_at(&task, &chunk, i)));
    block_sum(shared, &own);
    if (threadIdx.x == 0)
        task.sums[blockIdx.x] = own;
}

// A block owns a plane. IS_GAMMA: the sums are those of gamma.
template <typename T, bool IS_GAMMA>
static __global__ void __launch_bounds__(N_THREADS)
    intensity_tone_kernel(struct intensity_task<T> task) {
    SHARED(struct intensity_sums, shared, [N_THREADS]);
    struct intensity_plane *plane = &task.planes[blockIdx.x];
    struct intensity_sums own;
    intensity_sums_clear(&own);
    if (!intensity_has_tone(&plane->change) || (IS_GAMMA && plane->change.gamma == 1.0f))
        return;
    for (int i = (int)threadIdx.x; i < task.n_chunks; i += N_THREADS)
        intensity_sums_join(&own, &task.sums[(int64_t)blockIdx.x * task.n_chunks + i]);
    block_sum(shared, &own);
    if (threadIdx.x != 0)
        return;
    if (IS_GAMMA)
        intensity_tone_finish(&own, &plane->tone);
    else
        intensity_tone_start(&plane->change, &own, &plane->tone);
}

template <typename T>
static __global__ void __launch_bounds__(N_THREADS)
    intensity_apply_kernel(struct intensity_task<T> task) {
    struct intensity_chunk chunk = chunk_of(&task);
    const struct intensity_change change = task.planes[chunk.i_plane].change;
    const struct intensity_tone tone = task.planes[chunk.i_plane].tone;
    if (!intensity_has_tone(&change))
        return;
    for (int i = chunk.first + (int)threadIdx.x; i < chunk.end; i += N_THREADS) {
        T *value = value_at(&task, &chunk, i);
        *value = from_float<T>(intensity_apply(&change, &tone, to_float(*value)));
    }
}

// ---- the op -------------------------------------------------------------------------------------

static int count_chunks(const struct adele_augment_intensity_desc *desc) {
    return (int)(((int64_t)desc->h * desc->w + CHUNK - 1) / CHUNK);
}

static size_t count_planes(const struct adele_augment_intensity_desc *desc) {
    return (size_t)desc->n * (size_t)desc->c;
}

adele_status cuda_augment_intensity_create(const struct adele_device *device,
                                           const struct adele_augment_intensity_desc *desc,
                                           struct adele_op **out) {
    struct desc_op<struct adele_augment_intensity_desc> *op = NULL;
    TRY(op_create(device, ADELE_OP_augment_intensity, &op, out));
    op->desc = *desc;
    size_t of_plane = sizeof(struct intensity_plane) +
                      (size_t)count_chunks(desc) * sizeof(struct intensity_sums) +
                      (size_t)desc->h * (size_t)desc->w * sizeof(float);
    op->base.op.workspace_bytes = count_planes(desc) * of_plane;
    return ADELE_OK;
}

template <typename T>
static adele_status forward(const struct cuda_context *context,
                            const struct adele_augment_intensity_desc *desc,
                            const struct adele_augment_intensity_args *args) {
    struct intensity_task<T> task = {};
    task.images = (T *)args->images;
    task.sample_ids = args->sample_ids;
    task.seed = desc->seed;
    task.epoch = args->epoch;
    task.rates = desc->intensity;
    task.n = desc->n, task.c = desc->c, task.h = desc->h, task.w = desc->w;
    task.n_chunks = count_chunks(desc);
    // The sums first, for the alignment of their 64-bit members.
    size_t n_planes = count_planes(desc);
    task.sums = (struct intensity_sums *)args->workspace;
    task.planes = (struct intensity_plane *)(task.sums + n_planes * (size_t)task.n_chunks);
    task.noisy = (float *)(task.planes + n_planes);
    int n_blocks = (int)n_planes * task.n_chunks;
    TRY(LAUNCH(context, intensity_draw_kernel<T>, ceil_div(desc->n, N_THREADS), N_THREADS, 0,
               task));
    if (desc->intensity.noise > 0.0 || desc->intensity.blur > 0.0)
        TRY(LAUNCH(context, intensity_noise_kernel<T>, n_blocks, N_THREADS, 0, task));
    TRY(LAUNCH(context, intensity_blur_kernel<T>, n_blocks, N_THREADS, 0, task));
    TRY(LAUNCH(context, (intensity_tone_kernel<T, false>), (int)n_planes, N_THREADS, 0, task));
    if (desc->intensity.gamma > 0.0) {
        TRY(LAUNCH(context, intensity_gamma_kernel<T>, n_blocks, N_THREADS, 0, task));
        TRY(LAUNCH(context, (intensity_tone_kernel<T, true>), (int)n_planes, N_THREADS, 0, task));
    }
    return LAUNCH(context, intensity_apply_kernel<T>, n_blocks, N_THREADS, 0, task);
}

adele_status cuda_augment_intensity_forward(struct adele_op *base,
                                            const struct adele_augment_intensity_args *args) {
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_augment_intensity_args(args));
    return WITH_STORAGE(
        context, T, forward<T>(context, desc_of<struct adele_augment_intensity_desc>(base), args));
}

} // namespace adele_cuda
