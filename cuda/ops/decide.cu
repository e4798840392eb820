// SPDX-License-Identifier: MIT
// The ensemble's average -> prediction and confidence (METHOD section 3):
//     prediction = argmax_c a_c (ties go to the lower category)
//     p = a, or softmax(a / temperature) when logits were averaged
//     confidences max_{c >= 1} p_c and p_0
// accumulator a: plain (N, C, H, W). prediction and confidences: plain (set, H, W), row i of the
// batch in row sample_ids[i], nothing where that is negative; probabilities p: plain (N, C, H, W).
// All outputs are overwritten; all but the prediction may be NULL.
#include "runtime/common.cuh"

#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define N_THREADS 256

// Parameters of the kernel.
struct decide_task {
    struct adele_decide_args args;
    int n, c;
    int64_t plane; // pixels of an image
    bool is_softmax;
    float scale; // 1 / temperature
};

// What one pass over the categories computes of a pixel.
struct decision {
    int best;                              // the category of the maximum
    float maximum, foreground, background; // averages: of all categories, of c >= 1, of 0
    float sum;                             // of exp(scale (a_c - maximum))
};

static __device__ struct decision decide_pixel(const struct decide_task *task, const float *a) {
    struct decision out = {0, a[0], 0.0f, a[0], 1.0f};
    for (int c = 1; c < task->c; c++) {
        float z = a[c * task->plane];
        bool is_higher = z > out.maximum;
        if (task->is_softmax) { // one exponential: of this category, or to rescale those before
            float e = expf(-task->scale * fabsf(z - out.maximum));
            out.sum = is_higher ? out.sum * e + 1.0f : out.sum + e;
        }
        out.best = is_higher ? c : out.best;
        out.maximum = is_higher ? z : out.maximum;
        out.foreground = c == 1 || z > out.foreground ? z : out.foreground;
    }
    return out;
}

static __device__ float probability(const struct decide_task *task, const struct decision *decision,
                                    float a) {
    return task->is_softmax ? expf(task->scale * (a - decision->maximum)) / decision->sum : a;
}

// A thread owns one pixel.
static __global__ void __launch_bounds__(N_THREADS) decide_kernel(struct decide_task task) {
    int64_t i = thread_index();
    if (i >= task.n * task.plane)
        return;
    int64_t n = i / task.plane, pixel = i % task.plane;
    int64_t i_image = task.args.sample_ids != NULL ? task.args.sample_ids[n] : n;
    if (i_image < 0)
        return;
    int64_t first = n * task.c * task.plane + pixel, to = i_image * task.plane + pixel;
    const float *a = task.args.accumulator + first;
    struct decision decision = decide_pixel(&task, a);
    task.args.prediction[to] = (uint8_t)decision.best;
    if (task.args.confidence_foreground != NULL) // 0 where there is no foreground
        task.args.confidence_foreground[to] =
            task.c > 1 ? probability(&task, &decision, decision.foreground) : 0.0f;
    if (task.args.confidence_background != NULL)
        task.args.confidence_background[to] = probability(&task, &decision, decision.background);
    for (int c = 0; c < task.c && task.args.probabilities != NULL; c++)
        task.args.probabilities[first + c * task.plane] =
            probability(&task, &decision, a[c * task.plane]);
}

// ---- the op -------------------------------------------------------------------------------------

CREATE_DESC_OP(decide)

adele_status cuda_decide_forward(struct adele_op *base, const struct adele_decide_args *args) {
    const struct adele_decide_desc *desc = desc_of<struct adele_decide_desc>(base);
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_decide_args(args));
    struct decide_task task = {};
    task.args = *args;
    task.n = desc->n;
    task.c = desc->c;
    task.plane = (int64_t)desc->h * desc->w;
    task.is_softmax = desc->mode == ADELE_ENSEMBLE_LOGITS;
    task.scale = task.is_softmax ? (float)(1.0 / desc->temperature) : 1.0f;
    return LAUNCH(context, decide_kernel, blocks_for(task.n * task.plane, N_THREADS), N_THREADS, 0,
                  task);
}

} // namespace adele_cuda
