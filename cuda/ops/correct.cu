// SPDX-License-Identifier: MIT
// METHOD section 3: labels rewritten from confident predictions. Whether an image takes part, which
// classes it holds and whether the guard acts is known before its first pixel is rewritten, so that
// `labels` may be the memory of `base`.
//
// base, prediction (N, H, W) u8, confidences (N, H, W) float -> labels (N, H, W), overwritten, and
// n_changed += pixels that differ from base. All integers and comparisons: the CPU's labels, bit by
// bit.
#include "runtime/common.cuh"

#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define GUARD_FOREGROUND_KEPT                                                                      \
    0.5                       // the guard acts when less than this part of the foreground is left
#define GUARD_BACKGROUND 0.95 // and background covers more than this part of the image

#define N_THREADS 512

// A set of labels.
struct label_set {
    uint32_t words[8];
};

// In shared memory, where a lookup by label costs no local copy.
struct label_sets {
    struct label_set present; // in the image, before
    struct label_set correct; // to correct now
};

// Parameters of the kernel.
struct correct_task {
    const uint8_t *base, *prediction;     // (N, H, W)
    const float *foreground, *background; // (N, H, W)
    uint8_t *labels;                      // (N, H, W)
    unsigned long long *n_changed;        // (1), may be NULL
    int64_t n_pixels;                     // of an image
    struct label_set correct;             // categories to correct now
    float tau_foreground, tau_background;
    bool is_both, class_constraint, mask, logic255, guard;
};

// What the labels of an image decide for all its pixels.
struct image_plan {
    bool takes_part, has_only_background;
};

// ---- one image, one pixel -----------------------------------------------------------------------

static __device__ bool has_label(const struct label_set *set, int label) {
    return (set->words[label >> 5] >> (label & 31) & 1u) != 0;
}

static __device__ struct image_plan plan_image(const struct correct_task *task,
                                               const struct label_sets *sets) {
    uint32_t foreground = 0, corrected = 0;
    for (int i = 0; i < 8; i++) {
        uint32_t word = sets->present.words[i];
        word &= i == 0 ? ~1u : i == 7 ? 0x7fffffffu : ~0u; // neither 0 nor 255
        foreground |= word;
        corrected |= word & sets->correct.words[i];
    }
    struct image_plan plan;
    plan.has_only_background = foreground == 0;
    plan.takes_part = corrected != 0 || (!task->is_both && foreground == 0);
    return plan;
}

// The label of pixel i of the batch after the correction.
static __device__ int corrected_label(const struct correct_task *task,
                                      const struct label_sets *sets, struct image_plan plan,
                                      int64_t i) {
    int label = task->base[i], prediction = task->prediction[i];
    float foreground = task->foreground[i], background = task->background[i];
    bool is_confident = foreground > task->tau_foreground || background > task->tau_background;
    bool is_on =
        prediction == 0 || (prediction != ADELE_IGNORE && has_label(&sets->correct, prediction));
    if (task->is_both)
        is_on =
            is_on && (label == 0 || (label != ADELE_IGNORE && has_label(&sets->correct, label)));
    bool is_allowed = !task->class_constraint || has_label(&sets->present, prediction) ||
                      (task->is_both ? prediction == 0 : plan.has_only_background);
    int result = label;
    if (is_confident && is_on && is_allowed)
        result = task->mask && prediction != label ? ADELE_IGNORE : prediction;
    if (task->is_both && task->logic255 && label != 0 && prediction == 0)
        result = ADELE_IGNORE;
    return result;
}

static __device__ bool is_foreground(int label) {
    return label != 0 && label != ADELE_IGNORE;
}

// True when the correction takes most of the foreground and leaves little but background.
static __device__ bool is_guarded(const struct correct_task *task, unsigned n_before,
                                  unsigned n_after, unsigned n_background) {
    return (double)n_after < GUARD_FOREGROUND_KEPT * (double)n_before &&
           (double)n_background > GUARD_BACKGROUND * (double)task->n_pixels;
}

// ---- the kernel ---------------------------------------------------------------------------------

// A block owns an image. It learns first which labels the image holds, then, where the guard is on,
// how many pixels the correction would leave as foreground and background, and then rewrites.
static __global__ void __launch_bounds__(N_THREADS) correct_kernel(struct correct_task task) {
    SHARED(struct label_sets, sets, );
    SHARED(unsigned, n_before, );
    SHARED(unsigned, n_after, );
    SHARED(unsigned, n_background, );
    SHARED(unsigned, n_changed, );
    if (threadIdx.x == 0) {
        sets.present = {};
        sets.correct = task.correct;
        n_before = n_after = n_background = n_changed = 0;
    }
    __syncthreads();
    int64_t first = (int64_t)blockIdx.x * task.n_pixels, end = first + task.n_pixels;
    for (int64_t i = first + threadIdx.x, last = -1; i < end; i += N_THREADS)
        if (task.base[i] != last) { // neighbours are mostly equal
            last = task.base[i];
            atomicOr(&sets.present.words[last >> 5], 1u << (last & 31));
        }
    __syncthreads();
    struct image_plan plan = plan_image(&task, &sets);
    unsigned before = 0, after = 0, background = 0, changed = 0; // of this thread
    for (int64_t i = first + threadIdx.x; i < end && task.guard; i += N_THREADS) {
        int label = corrected_label(&task, &sets, plan, i);
        before += is_foreground(task.base[i]) ? 1u : 0u;
        after += is_foreground(label) ? 1u : 0u;
        background += label == 0 ? 1u : 0u;
    }
    if (task.guard) {
        atomicAdd(&n_before, before);
        atomicAdd(&n_after, after);
        atomicAdd(&n_background, background);
    }
    __syncthreads();
    bool is_kept =
        !plan.takes_part || (task.guard && is_guarded(&task, n_before, n_after, n_background));
    for (int64_t i = first + threadIdx.x; i < end; i += N_THREADS) {
        int old = task.base[i], label = is_kept ? old : corrected_label(&task, &sets, plan, i);
        task.labels[i] = (uint8_t)label;
        changed += label != old ? 1u : 0u;
    }
    if (changed != 0)
        atomicAdd(&n_changed, changed);
    __syncthreads();
    if (threadIdx.x == 0 && n_changed != 0 && task.n_changed != NULL)
        atomicAdd(task.n_changed, (unsigned long long)n_changed);
}

// ---- the op -------------------------------------------------------------------------------------

CREATE_DESC_OP(correct)

adele_status cuda_correct_forward(struct adele_op *base, const struct adele_correct_args *args) {
    const struct adele_correct_desc *desc = desc_of<struct adele_correct_desc>(base);
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_correct_args(args));
    struct correct_task task = {};
    task.base = args->base;
    task.prediction = args->prediction;
    task.foreground = args->confidence_foreground;
    task.background = args->confidence_background;
    task.labels = args->labels;
    task.n_changed = (unsigned long long *)args->n_changed;
    task.n_pixels = (int64_t)desc->h * desc->w;
    for (int c = 0; c < 256; c++)
        task.correct.words[c / 32] |= args->correct[c] != 0 ? 1u << (c % 32) : 0u;
    // Rounded to float, the type of the confidences, as on every device.
    task.tau_foreground = (float)desc->tau_foreground;
    task.tau_background = (float)desc->tau_background;
    task.is_both = desc->rule == ADELE_CORRECT_BOTH;
    task.class_constraint = desc->class_constraint;
    task.mask = desc->mask;
    task.logic255 = desc->logic255;
    task.guard = desc->guard && !task.is_both;
    return LAUNCH(context, correct_kernel, desc->n, N_THREADS, 0, task);
}

} // namespace adele_cuda
