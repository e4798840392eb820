// SPDX-License-Identifier: MIT
// Adds one prediction to the average over scales and flips (METHOD section 3):
//     accumulator[n, c, y, x] (+)= weight * p_c,   p = softmax(z) or z itself
// with z the logits, tensor (N, C, h_in, w_in), brought to (h, w) bilinearly with align-corners; of
// a flipped image column w - 1 - x is read. accumulator: plain (N, C, H, W), = for the first
// prediction, += for the others. Each element is one thread's: no order of sums is left to chance.
#include "runtime/common.cuh"
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

// Parameters of the kernel.
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
static __device__ struct corners find_corners(const struct ensemble_task *task, int64_t n, int i) {
    int y = i / task->w, x = i % task->w;
    struct resample_tap row = task->rows[y];
    struct resample_tap column = task->columns[task->flip ? task->w - 1 - x : x];
    int bottom = min(row.low + 1, task->h_in - 1), right = min(column.low + 1, task->w_in - 1);
    int64_t upper = (n * task->h_in + row.low) * task->w_in;
    int64_t lower = (n * task->h_in + bottom) * task->w_in;
    struct corners corners = {(upper + column.low) * task->p,
                              (upper + right) * task->p,
                              (lower + column.low) * task->p,
                              (lower + right) * task->p,
                              row.t,
                              column.t};
    return corners;
}

template <typename T>
static __device__ float blend(const T *logits, const struct corners *corners, int c) {
    float s_y = 1.0f - corners->t_y, t_y = corners->t_y;
    float left = s_y * to_float(logits[corners->upper_left + c]) +
                 t_y * to_float(logits[corners->lower_left + c]);
    float right = s_y * to_float(logits[corners->upper_right + c]) +
                  t_y * to_float(logits[corners->lower_right + c]);
    return (1.0f - corners->t_x) * left + corners->t_x * right;
}

// A thread owns one pixel. Softmax needs the logits three times, and they are blended anew each
// time: the op runs once for each prediction of a whole network, beside which it costs nothing.
template <typename T>
static __global__ void __launch_bounds__(N_THREADS)
    ensemble_kernel(struct ensemble_task task, const T *logits) {
    int64_t plane = (int64_t)task.h * task.w;
    int64_t i = thread_index();
    if (i >= task.n * plane)
        return;
    int64_t n = i / plane, pixel = i % plane;
    struct corners corners = find_corners(&task, n, (int)pixel);
    float best = 0.0f, sum = 0.0f;
    if (task.is_softmax) {
        best = blend(logits, &corners, 0);
        for (int c = 1; c < task.c; c++)
            best = fmaxf(best, blend(logits, &corners, c));
        for (int c = 0; c < task.c; c++)
            sum += expf(blend(logits, &corners, c) - best);
    }
    float inverse = 1.0f / sum;
    for (int c = 0; c < task.c; c++) {
        float z = blend(logits, &corners, c);
        float value = task.is_softmax ? expf(z - best) * inverse : z;
        float *to = task.accumulator + (n * task.c + c) * plane + pixel;
        *to = task.is_first ? task.weight * value : *to + task.weight * value;
    }
}

// ---- the op -------------------------------------------------------------------------------------

static adele_status check_desc(const struct adele_ensemble_desc *desc) {
    if ((int64_t)desc->n * desc->h * desc->w > INT32_MAX - N_THREADS) // the kernel counts in int
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the batch or the images smaller.",
                    "ensemble: %d images of %d x %d", desc->n, desc->h, desc->w);
    return ADELE_OK;
}

adele_status cuda_ensemble_create(const struct adele_device *device,
                                  const struct adele_ensemble_desc *desc, struct adele_op **out) {
    TRY(check_desc(desc));
    struct ensemble_op *op = NULL;
    TRY(op_create(device, ADELE_OP_ensemble, &op, out));
    op->desc = *desc;
    return resample_taps_create(&op->base, desc->h_in, desc->h, desc->w_in, desc->w, &op->taps);
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
    int64_t n_pixels = (int64_t)task.n * task.h * task.w;
    return WITH_STORAGE(context, T,
                        LAUNCH(context, ensemble_kernel<T>, blocks_for(n_pixels, N_THREADS),
                               N_THREADS, 0, task, (const T *)args->logits));
}

} // namespace adele_cuda
