// SPDX-License-Identifier: MIT
// The ensemble's average -> prediction and confidence (METHOD section 3):
//     prediction = argmax_c a_c (ties go to the lower category)
//     p = a, or softmax(a / temperature) when logits were averaged
//     confidences max_{c >= 1} p_c and p_0
// accumulator a: plain (N, C, H, W). prediction and confidences: plain (set, H, W), row i of the
// batch in row sample_ids[i], nothing where that is negative; probabilities p: plain (N, C, H, W).
// All outputs are overwritten; all but the prediction may be NULL.
#include "runtime/common.cuh"
#include "runtime/enum_value.cuh"

#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define N_THREADS 256

struct decide_op {
    struct cuda_op base;
    struct adele_decide_desc desc;
};

// Parameters of all kernels.
struct decide_task {
    struct adele_decide_args args;
    int n, c;
    int64_t plane; // pixels of an image
    bool is_softmax;
    float scale; // 1 / temperature
};

// ---- plain: a thread owns one pixel -------------------------------------------------------------

static __global__ void decide_plain(struct decide_task task) {
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= task.n * task.plane)
        return;
    int64_t n = i / task.plane, pixel = i % task.plane;
    int64_t i_image = task.args.sample_ids != NULL ? task.args.sample_ids[n] : n;
    if (i_image < 0)
        return;
    int64_t first = n * task.c * task.plane + pixel;
    const float *a = task.args.accumulator + first;
    int best = 0;
    for (int c = 1; c < task.c; c++)
        best = a[c * task.plane] > a[best * task.plane] ? c : best;
    float maximum = a[best * task.plane], sum = 0.0f;
    for (int c = 0; c < task.c; c++)
        sum += expf(task.scale * (a[c * task.plane] - maximum));
    float foreground = 0.0f;
    for (int c = 0; c < task.c; c++) {
        float p = a[c * task.plane];
        if (task.is_softmax)
            p = expf(task.scale * (p - maximum)) / sum;
        if (task.args.probabilities != NULL)
            task.args.probabilities[first + c * task.plane] = p;
        if (c == 0 && task.args.confidence_background != NULL)
            task.args.confidence_background[i_image * task.plane + pixel] = p;
        foreground = c == 1 || (c > 1 && p > foreground) ? p : foreground;
    }
    task.args.prediction[i_image * task.plane + pixel] = (uint8_t)best;
    if (task.args.confidence_foreground != NULL)
        task.args.confidence_foreground[i_image * task.plane + pixel] = foreground;
}

// ---- direct -------------------------------------------------------------------------------------

template <int PIXELS> static __device__ void load_floats(const float *from, float out[PIXELS]) {
    if (PIXELS == 1) {
        out[0] = __ldg(from);
    } else {
        float4 four = __ldg((const float4 *)from);
        out[0] = four.x, out[PIXELS / 4] = four.y, out[PIXELS / 2] = four.z;
        out[PIXELS - 1] = four.w;
    }
}

template <int PIXELS> static __device__ void store_floats(float *to, const float values[PIXELS]) {
    if (PIXELS == 1)
        to[0] = values[0];
    else
        *(float4 *)to =
            make_float4(values[0], values[PIXELS / 4], values[PIXELS / 2], values[PIXELS - 1]);
}

// What one pass over the categories learns of PIXELS neighbours.
template <int PIXELS> struct decision {
    float maximum[PIXELS], sum[PIXELS], foreground[PIXELS], background[PIXELS];
    uint32_t best; // a byte each
};

template <int PIXELS, bool IS_SOFTMAX>
static __device__ void decide_pixels(const float *a, int n_categories, int64_t plane, float scale,
                                     struct decision<PIXELS> *out) {
    load_floats<PIXELS>(a, out->background);
    out->best = 0;
#pragma unroll
    for (int i = 0; i < PIXELS; i++) {
        out->maximum[i] = out->background[i];
        out->sum[i] = 1.0f;
        out->foreground[i] = 0.0f;
    }
#pragma unroll 4
    for (int c = 1; c < n_categories; c++) {
        float z[PIXELS];
        load_floats<PIXELS>(a + c * plane, z);
#pragma unroll
        for (int i = 0; i < PIXELS; i++) {
            float rise = z[i] - out->maximum[i];
            bool is_higher = z[i] > out->maximum[i];
            if (IS_SOFTMAX) { // one exponential: of this category, or to rescale those before
                float e = expf(-scale * fabsf(rise));
                out->sum[i] = is_higher ? out->sum[i] * e + 1.0f : out->sum[i] + e;
            }
            if (is_higher)
                out->best = (out->best & ~(255u << (8 * i))) | (uint32_t)c << (8 * i);
            out->maximum[i] = is_higher ? z[i] : out->maximum[i];
            bool is_top = c == 1 || z[i] > out->foreground[i];
            out->foreground[i] = is_top ? z[i] : out->foreground[i];
        }
    }
}

// values = exp(scale (values - maximum)) / sum
template <int PIXELS, bool IS_SOFTMAX>
static __device__ void to_probabilities(const struct decision<PIXELS> *decision, float scale,
                                        float values[PIXELS]) {
#pragma unroll
    for (int i = 0; i < PIXELS && IS_SOFTMAX; i++)
        values[i] = expf(scale * (values[i] - decision->maximum[i])) / decision->sum[i];
}

// A thread owns PIXELS neighbours: 4 where images divide by it, so that loads and stores are of 16
// bytes, else 1. The plain kernel reads every category three times; here one pass finds the
// maximum, the sum (rescaled when the maximum rises) and both confidences, and a second one is
// needed only for probabilities.
template <int PIXELS, bool IS_SOFTMAX>
static __global__ void __launch_bounds__(N_THREADS) decide_once(struct decide_task task) {
    int64_t i = ((int64_t)blockIdx.x * N_THREADS + threadIdx.x) * PIXELS;
    if (i >= task.n * task.plane)
        return;
    int64_t n = i / task.plane, pixel = i % task.plane;
    int64_t i_image = task.args.sample_ids != NULL ? task.args.sample_ids[n] : n;
    if (i_image < 0)
        return;
    int64_t first = n * task.c * task.plane + pixel, to = i_image * task.plane + pixel;
    const float *a = task.args.accumulator + first;
    struct decision<PIXELS> decision;
    decide_pixels<PIXELS, IS_SOFTMAX>(a, task.c, task.plane, task.scale, &decision);
    if (PIXELS == 1)
        task.args.prediction[to] = (uint8_t)decision.best;
    else
        *(uint32_t *)(task.args.prediction + to) = decision.best;
    if (task.c > 1) // 0 where there is no foreground
        to_probabilities<PIXELS, IS_SOFTMAX>(&decision, task.scale, decision.foreground);
    if (task.args.confidence_foreground != NULL)
        store_floats<PIXELS>(task.args.confidence_foreground + to, decision.foreground);
    to_probabilities<PIXELS, IS_SOFTMAX>(&decision, task.scale, decision.background);
    if (task.args.confidence_background != NULL)
        store_floats<PIXELS>(task.args.confidence_background + to, decision.background);
    for (int c = 0; c < task.c && task.args.probabilities != NULL; c++) {
        float p[PIXELS];
        load_floats<PIXELS>(a + c * task.plane, p);
        to_probabilities<PIXELS, IS_SOFTMAX>(&decision, task.scale, p);
        store_floats<PIXELS>(task.args.probabilities + first + c * task.plane, p);
    }
}

template <int PIXELS>
static adele_status forward_direct(const struct cuda_context *context,
                                   const struct decide_task *task) {
    int64_t n_threads = task->n * task->plane / PIXELS;
    int n_blocks = (int)((n_threads + N_THREADS - 1) / N_THREADS);
    if (task->is_softmax)
        return LAUNCH(context, (decide_once<PIXELS, true>), n_blocks, N_THREADS, 0, *task);
    return LAUNCH(context, (decide_once<PIXELS, false>), n_blocks, N_THREADS, 0, *task);
}

// ---- the op -------------------------------------------------------------------------------------

adele_status cuda_decide_create(const struct adele_device *device,
                                const struct adele_decide_desc *desc, struct adele_op **out) {
    *out = NULL;
    TRY(op_check_decide(desc));
    struct decide_op *op = (struct decide_op *)op_create(device, ADELE_OP_decide, sizeof *op);
    if (op == NULL)
        return FAIL_NO_MEMORY(sizeof *op);
    op->desc = *desc;
    *out = &op->base.op;
    return ADELE_OK;
}

static bool is_aligned(const void *pointer, size_t bytes) {
    return (uintptr_t)pointer % bytes == 0; // NULL, which is not used, is
}

adele_status cuda_decide_forward(struct adele_op *base, const struct adele_decide_args *args) {
    const struct adele_decide_desc *desc = &((struct decide_op *)base)->desc;
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_decide_args(args));
    struct decide_task task = {};
    task.args = *args;
    task.n = desc->n;
    task.c = desc->c;
    task.plane = (int64_t)desc->h * desc->w;
    task.is_softmax = desc->mode == ADELE_ENSEMBLE_LOGITS;
    task.scale = task.is_softmax ? (float)(1.0 / desc->temperature) : 1.0f;
    if (wants_plain(base->device, ADELE_FAMILY_decide))
        return LAUNCH(context, decide_plain,
                      (int)((task.n * task.plane + N_THREADS - 1) / N_THREADS), N_THREADS, 0, task);
    bool is_grouped = task.plane % 4 == 0 && is_aligned(args->prediction, 4) &&
                      is_aligned(args->accumulator, 16) && is_aligned(args->probabilities, 16) &&
                      is_aligned(args->confidence_foreground, 16) &&
                      is_aligned(args->confidence_background, 16);
    return is_grouped ? forward_direct<4>(context, &task) : forward_direct<1>(context, &task);
}

} // namespace adele_cuda
