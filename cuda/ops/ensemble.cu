// SPDX-License-Identifier: MIT
// Adds one prediction to the average over scales and flips (METHOD section 3):
//     accumulator[n, c, y, x] (+)= weight * p_c,   p = softmax(z) or z itself
// with z the logits, tensor (N, C, h_in, w_in), brought to (h, w) bilinearly with align-corners; of
// a flipped image column w - 1 - x is read. accumulator: plain (N, C, H, W), = for the first
// prediction, += for the others. Each element is one thread's: no order of sums is left to chance.
#include "runtime/common.cuh"
#include "runtime/enum_value.cuh"
#include "runtime/resample.cuh"

#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define N_THREADS 256

struct ensemble_op {
    struct cuda_op base;
    struct adele_ensemble_desc desc;
    struct resample_tap *taps; // (h) of the rows, then (w) of the columns; device memory
};

// Parameters of all kernels.
struct ensemble_task {
    int n, c, p, h_in, w_in, h, w; // p: padded channels
    bool is_first, flip, is_softmax;
    float weight;
    const struct resample_tap *rows, *columns; // (h), (w)
    float *accumulator;                        // (N, C, H, W)
};

// The four logits that an output pixel blends, as offsets of their first channel.
struct corners {
    int64_t upper_left, upper_right, lower_left, lower_right;
    float t_y, t_x;
};

// Of output pixel i = y * w + x of image n.
static __device__ struct corners find_corners(const struct ensemble_task *task, int n, int i) {
    int y = i / task->w, x = i % task->w;
    struct resample_tap row = task->rows[y];
    struct resample_tap column = task->columns[task->flip ? task->w - 1 - x : x];
    int bottom = min(row.low + 1, task->h_in - 1), right = min(column.low + 1, task->w_in - 1);
    int64_t upper = ((int64_t)n * task->h_in + row.low) * task->w_in;
    int64_t lower = ((int64_t)n * task->h_in + bottom) * task->w_in;
    struct corners corners = {(upper + column.low) * task->p,
                              (upper + right) * task->p,
                              (lower + column.low) * task->p,
                              (lower + right) * task->p,
                              row.t,
                              column.t};
    return corners;
}

static __device__ void add_value(const struct ensemble_task *task, int64_t at, float value) {
    float *to = task->accumulator + at;
    *to = task->is_first ? task->weight * value : *to + task->weight * value;
}

// ---- plain: a thread owns one pixel, and blends its logits anew in every pass -------------------

template <typename T>
static __device__ float blend_one(const T *logits, const struct corners *corners, int c) {
    float s_y = 1.0f - corners->t_y, t_y = corners->t_y;
    float left = s_y * to_float(logits[corners->upper_left + c]) +
                 t_y * to_float(logits[corners->lower_left + c]);
    float right = s_y * to_float(logits[corners->upper_right + c]) +
                  t_y * to_float(logits[corners->lower_right + c]);
    return (1.0f - corners->t_x) * left + corners->t_x * right;
}

template <typename T>
static __global__ void ensemble_plain(struct ensemble_task task, const T *logits) {
    int64_t plane = (int64_t)task.h * task.w;
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= task.n * plane)
        return;
    int64_t n = i / plane, pixel = i % plane;
    struct corners corners = find_corners(&task, (int)n, (int)pixel);
    float best = 0.0f, sum = 1.0f;
    if (task.is_softmax) {
        best = blend_one(logits, &corners, 0);
        for (int c = 1; c < task.c; c++)
            best = fmaxf(best, blend_one(logits, &corners, c));
        sum = 0.0f;
        for (int c = 0; c < task.c; c++)
            sum += expf(blend_one(logits, &corners, c) - best);
    }
    for (int c = 0; c < task.c; c++) {
        float z = blend_one(logits, &corners, c);
        add_value(&task, (n * task.c + c) * plane + pixel,
                  task.is_softmax ? expf(z - best) / sum : z);
    }
}

// ---- direct -------------------------------------------------------------------------------------

template <typename T>
static __device__ void blend8(const T *logits, const struct corners *corners, int c, float z[8]) {
    float s_y = 1.0f - corners->t_y, s_x = 1.0f - corners->t_x;
    float upper[8], lower[8];
    load8(logits + corners->upper_left + c, upper);
    load8(logits + corners->lower_left + c, lower);
#pragma unroll
    for (int lane = 0; lane < 8; lane++)
        z[lane] = s_x * (s_y * upper[lane] + corners->t_y * lower[lane]);
    load8(logits + corners->upper_right + c, upper);
    load8(logits + corners->lower_right + c, lower);
#pragma unroll
    for (int lane = 0; lane < 8; lane++)
        z[lane] += corners->t_x * (s_y * upper[lane] + corners->t_y * lower[lane]);
}

// Up to 32 categories. A thread owns one pixel and keeps its VECTORS * 8 logits in registers, so
// that they are loaded (in vectors of 8) and blended once instead of three times.
template <typename T, int VECTORS>
static __global__ void __launch_bounds__(N_THREADS)
    ensemble_registers(struct ensemble_task task, int blocks_per_image, const T *logits) {
    int n = (int)blockIdx.x / blocks_per_image;
    int i = (int)blockIdx.x % blocks_per_image * N_THREADS + (int)threadIdx.x;
    int plane = task.h * task.w;
    if (i >= plane)
        return;
    struct corners corners = find_corners(&task, n, i);
    float z[VECTORS][8];
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
        blend8(logits, &corners, 8 * v, z[v]);
    if (task.is_softmax) {
        float best = z[0][0], sum = 0.0f;
#pragma unroll
        for (int c = 1; c < 8 * VECTORS; c++)
            best = c < task.c ? fmaxf(best, z[c / 8][c % 8]) : best;
#pragma unroll
        for (int c = 0; c < 8 * VECTORS; c++) {
            z[c / 8][c % 8] = c < task.c ? expf(z[c / 8][c % 8] - best) : 0.0f;
            sum += z[c / 8][c % 8];
        }
        float inverse = 1.0f / sum;
#pragma unroll
        for (int c = 0; c < 8 * VECTORS; c++)
            z[c / 8][c % 8] *= inverse;
    }
    int64_t at = (int64_t)n * task.c * plane + i;
#pragma unroll
    for (int c = 0; c < 8 * VECTORS; c++)
        if (c < task.c)
            add_value(&task, at + (int64_t)c * plane, z[c / 8][c % 8]);
}

// More categories. A thread owns one pixel and blends twice: once for maximum and sum together, the
// sum being rescaled when the maximum rises, and once to write.
template <typename T>
static __global__ void __launch_bounds__(N_THREADS)
    ensemble_vectors(struct ensemble_task task, int blocks_per_image, const T *logits) {
    int n = (int)blockIdx.x / blocks_per_image;
    int i = (int)blockIdx.x % blocks_per_image * N_THREADS + (int)threadIdx.x;
    int plane = task.h * task.w;
    if (i >= plane)
        return;
    struct corners corners = find_corners(&task, n, i);
    float z[8], best = 0.0f, sum = 0.0f;
    for (int first = 0; first < task.c && task.is_softmax; first += 8) {
        blend8(logits, &corners, first, z);
        float higher = first == 0 ? z[0] : best;
#pragma unroll
        for (int lane = 0; lane < 8; lane++)
            higher = first + lane < task.c ? fmaxf(higher, z[lane]) : higher;
        sum *= first == 0 ? 0.0f : expf(best - higher);
        best = higher;
#pragma unroll
        for (int lane = 0; lane < 8; lane++)
            sum += first + lane < task.c ? expf(z[lane] - best) : 0.0f;
    }
    float inverse = 1.0f / sum;
    int64_t at = (int64_t)n * task.c * plane + i;
    for (int first = 0; first < task.c; first += 8) {
        blend8(logits, &corners, first, z);
#pragma unroll
        for (int lane = 0; lane < 8; lane++)
            if (first + lane < task.c)
                add_value(&task, at + (int64_t)(first + lane) * plane,
                          task.is_softmax ? expf(z[lane] - best) * inverse : z[lane]);
    }
}

template <typename T>
static adele_status forward(const struct cuda_context *context, const struct ensemble_task *task,
                            bool is_plain, const void *tensor) {
    const T *logits = (const T *)tensor;
    int64_t n_pixels = (int64_t)task->n * task->h * task->w;
    if (is_plain)
        return LAUNCH(context, ensemble_plain<T>, (int)((n_pixels + N_THREADS - 1) / N_THREADS),
                      N_THREADS, 0, *task, logits);
    int per_image = ceil_div(task->h * task->w, N_THREADS), n_blocks = per_image * task->n;
    switch (task->p / 8) {
    case 1:
        return LAUNCH(context, (ensemble_registers<T, 1>), n_blocks, N_THREADS, 0, *task, per_image,
                      logits);
    case 2:
        return LAUNCH(context, (ensemble_registers<T, 2>), n_blocks, N_THREADS, 0, *task, per_image,
                      logits);
    case 3:
        return LAUNCH(context, (ensemble_registers<T, 3>), n_blocks, N_THREADS, 0, *task, per_image,
                      logits);
    case 4:
        return LAUNCH(context, (ensemble_registers<T, 4>), n_blocks, N_THREADS, 0, *task, per_image,
                      logits);
    default:
        return LAUNCH(context, ensemble_vectors<T>, n_blocks, N_THREADS, 0, *task, per_image,
                      logits);
    }
}

// ---- the op -------------------------------------------------------------------------------------

static void release(struct cuda_op *base) {
    (void)cudaFree(((struct ensemble_op *)base)->taps);
}

static adele_status check_desc(const struct adele_ensemble_desc *desc) {
    TRY(op_check_ensemble(desc));
    if ((int64_t)desc->n * desc->h * desc->w > INT32_MAX - N_THREADS) // the kernels count in int
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the batch or the images smaller.",
                    "ensemble: %d images of %d x %d", desc->n, desc->h, desc->w);
    return ADELE_OK;
}

static adele_status make_taps(const struct adele_device *device, struct ensemble_op *op) {
    const struct adele_ensemble_desc *desc = &op->desc;
    size_t n_taps = (size_t)desc->h + (size_t)desc->w;
    struct resample_tap *host = (struct resample_tap *)memory_calloc(n_taps, sizeof *host);
    if (host == NULL)
        return FAIL_NO_MEMORY(n_taps * sizeof *host);
    for (int y = 0; y < desc->h; y++)
        host[y] = resample_tap_of(y, desc->h_in, desc->h);
    for (int x = 0; x < desc->w; x++)
        host[desc->h + x] = resample_tap_of(x, desc->w_in, desc->w);
    adele_status status = table_create(device, host, n_taps * sizeof *host, (void **)&op->taps);
    memory_free(host);
    return status;
}

adele_status cuda_ensemble_create(const struct adele_device *device,
                                  const struct adele_ensemble_desc *desc, struct adele_op **out) {
    *out = NULL;
    TRY(check_desc(desc));
    struct ensemble_op *op = (struct ensemble_op *)op_create(device, ADELE_OP_ensemble, sizeof *op);
    if (op == NULL)
        return FAIL_NO_MEMORY(sizeof *op);
    op->base.release = release;
    op->desc = *desc;
    adele_status status = make_taps(device, op);
    if (status != ADELE_OK) {
        memory_free(op);
        return status;
    }
    *out = &op->base.op;
    return ADELE_OK;
}

adele_status cuda_ensemble_forward(struct adele_op *base, const struct adele_ensemble_args *args) {
    const struct ensemble_op *op = (struct ensemble_op *)base;
    const struct adele_ensemble_desc *desc = &op->desc;
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_ensemble_args(args));
    struct ensemble_task task = {};
    task.n = desc->n, task.c = desc->c, task.p = padded_channels(desc->c);
    task.h_in = desc->h_in, task.w_in = desc->w_in, task.h = desc->h, task.w = desc->w;
    task.is_first = args->is_first;
    task.flip = args->flip;
    task.is_softmax = desc->mode == ADELE_ENSEMBLE_PROBABILITIES;
    task.weight = args->weight;
    task.rows = op->taps;
    task.columns = op->taps + desc->h;
    task.accumulator = args->accumulator;
    return WITH_STORAGE(context, forward, context, &task,
                        wants_plain(base->device, ADELE_FAMILY_ensemble), args->logits);
}

} // namespace adele_cuda
