// SPDX-License-Identifier: MIT
// METHOD section 3: labels rewritten from confident predictions. Whether an image takes part, which
// classes it holds and whether the guard acts is known before its first pixel is rewritten, so that
// `labels` may be the memory of `base`.
//
// base, prediction (N, H, W) u8, confidences (N, H, W) float -> labels (N, H, W), overwritten, and
// n_changed += pixels that differ from base. All integers and comparisons: the CPU's labels, bit by
// bit. Every array is read once (twice where the guard is on, and base once more).
#include "runtime/common.cuh"
#include "runtime/enum_value.cuh"

#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define GUARD_FOREGROUND_KEPT                                                                      \
    0.5                       // the guard acts when less than this part of the foreground is left
#define GUARD_BACKGROUND 0.95 // and background covers more than this part of the image

#define WARP         32
#define N_THREADS    256
#define N_GROUPS     4 // of pixels, a thread's: a block's part of an image
#define BLOCK_GROUPS (N_THREADS * N_GROUPS)

struct correct_op {
    struct cuda_op base;
    struct adele_correct_desc desc;
    struct image_facts *facts; // (N), device: the args have no workspace; NULL when plain
};

// A set of labels.
struct label_set {
    uint32_t words[8];
};

// In shared memory, where a lookup by label costs no local copy.
struct label_sets {
    struct label_set present; // in the image, before
    struct label_set correct; // to correct now
};

// What is known of an image before its first pixel is rewritten.
struct image_facts {
    struct label_set present;
    // Pixels of the guard: foreground before and after, background after.
    unsigned n_before, n_after, n_background;
};

// Parameters of all kernels.
struct correct_task {
    const uint8_t *base, *prediction;     // (N, H, W)
    const float *foreground, *background; // (N, H, W)
    uint8_t *labels;                      // (N, H, W)
    unsigned long long *n_changed;        // (1), may be NULL
    struct image_facts *facts;            // (N); NULL when plain
    int64_t n_pixels;                     // of an image
    struct label_set correct;             // categories to correct now
    float tau_foreground, tau_background;
    bool is_both, class_constraint, mask, logic255, guard;
};

// What the facts of an image decide.
struct verdict {
    bool takes_part, has_only_background;
};

// ---- one image, one pixel -----------------------------------------------------------------------

static __device__ bool has_label(const struct label_set *set, int label) {
    return (set->words[label >> 5] >> (label & 31) & 1u) != 0;
}

static __device__ struct verdict judge(const struct correct_task *task,
                                       const struct label_sets *sets) {
    uint32_t foreground = 0, corrected = 0;
    for (int i = 0; i < 8; i++) {
        uint32_t word = sets->present.words[i];
        word &= i == 0 ? ~1u : i == 7 ? 0x7fffffffu : ~0u; // neither 0 nor 255
        foreground |= word;
        corrected |= word & sets->correct.words[i];
    }
    struct verdict verdict;
    verdict.has_only_background = foreground == 0;
    verdict.takes_part = corrected != 0 || (!task->is_both && foreground == 0);
    return verdict;
}

static __device__ int corrected_label(const struct correct_task *task,
                                      const struct label_sets *sets, struct verdict verdict,
                                      int label, int prediction, float foreground,
                                      float background) {
    bool is_confident = foreground > task->tau_foreground || background > task->tau_background;
    bool is_on =
        prediction == 0 || (prediction != ADELE_IGNORE && has_label(&sets->correct, prediction));
    if (task->is_both)
        is_on =
            is_on && (label == 0 || (label != ADELE_IGNORE && has_label(&sets->correct, label)));
    bool is_allowed = !task->class_constraint || has_label(&sets->present, prediction) ||
                      (task->is_both ? prediction == 0 : verdict.has_only_background);
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

// ---- plain: a block owns an image ---------------------------------------------------------------

static __global__ void correct_plain(struct correct_task task) {
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
    for (int64_t i = first + threadIdx.x; i < end; i += blockDim.x)
        atomicOr(&sets.present.words[task.base[i] >> 5], 1u << (task.base[i] & 31));
    __syncthreads();
    struct verdict verdict = judge(&task, &sets);
    for (int64_t i = first + threadIdx.x; i < end && task.guard; i += blockDim.x) {
        int after = corrected_label(&task, &sets, verdict, task.base[i], task.prediction[i],
                                    task.foreground[i], task.background[i]);
        atomicAdd(&n_before, is_foreground(task.base[i]) ? 1u : 0u);
        atomicAdd(&n_after, is_foreground(after) ? 1u : 0u);
        atomicAdd(&n_background, after == 0 ? 1u : 0u);
    }
    __syncthreads();
    bool is_left =
        !verdict.takes_part || (task.guard && is_guarded(&task, n_before, n_after, n_background));
    for (int64_t i = first + threadIdx.x; i < end; i += blockDim.x) {
        int before = task.base[i], after = before;
        if (!is_left)
            after = corrected_label(&task, &sets, verdict, before, task.prediction[i],
                                    task.foreground[i], task.background[i]);
        task.labels[i] = (uint8_t)after;
        if (after != before)
            atomicAdd(&n_changed, 1u);
    }
    __syncthreads();
    if (threadIdx.x == 0 && n_changed != 0 && task.n_changed != NULL)
        atomicAdd(task.n_changed, (unsigned long long)n_changed);
}

// ---- direct: a block owns a part of an image ----------------------------------------------------
// The plain kernel keeps one multiprocessor busy for each image and queues at shared counters. Here
// an image has many blocks, which pass what they learned through the facts in device memory; a
// thread takes four pixels in one load (GROUP = 4, or 1 where images do not divide by it), and sums
// travel through registers.

// The pixel, within its image, at which a thread's group number i_group begins.
template <int GROUP> static __device__ int64_t group_at(int part, int i_group) {
    return ((int64_t)part * BLOCK_GROUPS + i_group * N_THREADS + (int)threadIdx.x) * GROUP;
}

template <int GROUP> static __device__ void load_labels(const uint8_t *from, int out[GROUP]) {
    if (GROUP == 1) {
        out[0] = from[0];
    } else {
        uint32_t word = *(const uint32_t *)from;
#pragma unroll
        for (int i = 0; i < GROUP; i++)
            out[i] = (int)(word >> (8 * i) & 255u);
    }
}

template <int GROUP> static __device__ void store_labels(uint8_t *to, const int labels[GROUP]) {
    if (GROUP == 1) {
        to[0] = (uint8_t)labels[0];
    } else {
        uint32_t word = 0;
#pragma unroll
        for (int i = 0; i < GROUP; i++)
            word |= (uint32_t)labels[i] << (8 * i);
        *(uint32_t *)to = word;
    }
}

template <int GROUP> static __device__ void load_floats(const float *from, float out[GROUP]) {
    if (GROUP == 1) {
        out[0] = from[0];
    } else {
        float4 four = *(const float4 *)from;
        out[0] = four.x, out[GROUP / 4] = four.y, out[GROUP / 2] = four.z, out[GROUP - 1] = four.w;
    }
}

static __device__ unsigned warp_sum(unsigned value) {
    for (int step = WARP / 2; step > 0; step /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}

// The labels of a group before and after; `i` is its first pixel in the whole set.
template <int GROUP>
static __device__ void correct_group(const struct correct_task *task, const struct label_sets *sets,
                                     struct verdict verdict, int64_t i, const int before[GROUP],
                                     int after[GROUP]) {
    int prediction[GROUP];
    float foreground[GROUP], background[GROUP];
    load_labels<GROUP>(task->prediction + i, prediction);
    load_floats<GROUP>(task->foreground + i, foreground);
    load_floats<GROUP>(task->background + i, background);
#pragma unroll
    for (int j = 0; j < GROUP; j++)
        after[j] = corrected_label(task, sets, verdict, before[j], prediction[j], foreground[j],
                                   background[j]);
}

// A thread owns one image's facts.
static __global__ void correct_forget(struct image_facts *facts, int n) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
        facts[i] = {};
}

// Which labels an image holds.
template <int GROUP> static __global__ void correct_look(struct correct_task task, int n_parts) {
    SHARED(struct label_set, present, );
    int part = (int)blockIdx.x % n_parts, n = (int)blockIdx.x / n_parts;
    if (threadIdx.x < 8)
        present.words[threadIdx.x] = 0;
    __syncthreads();
    int last = -1; // neighbours are mostly equal
    for (int i_group = 0; i_group < N_GROUPS; i_group++) {
        int64_t at = group_at<GROUP>(part, i_group);
        if (at >= task.n_pixels)
            break;
        int labels[GROUP];
        load_labels<GROUP>(task.base + n * task.n_pixels + at, labels);
        for (int j = 0; j < GROUP; j++)
            if (labels[j] != last) {
                last = labels[j];
                atomicOr(&present.words[last >> 5], 1u << (last & 31));
            }
    }
    __syncthreads();
    if (threadIdx.x < 8 && present.words[threadIdx.x] != 0)
        atomicOr(&task.facts[n].present.words[threadIdx.x], present.words[threadIdx.x]);
}

// What the guard asks: foreground before and after, background after.
template <int GROUP> static __global__ void correct_weigh(struct correct_task task, int n_parts) {
    int part = (int)blockIdx.x % n_parts, n = (int)blockIdx.x / n_parts;
    struct image_facts *facts = &task.facts[n];
    SHARED(struct label_sets, sets, );
    if (threadIdx.x == 0) {
        sets.present = facts->present;
        sets.correct = task.correct;
    }
    __syncthreads();
    struct verdict verdict = judge(&task, &sets);
    unsigned n_before = 0, n_after = 0, n_background = 0;
    for (int i_group = 0; i_group < N_GROUPS; i_group++) {
        int64_t at = group_at<GROUP>(part, i_group), i = n * task.n_pixels + at;
        if (at >= task.n_pixels)
            break;
        int before[GROUP], after[GROUP];
        load_labels<GROUP>(task.base + i, before);
        correct_group<GROUP>(&task, &sets, verdict, i, before, after);
        for (int j = 0; j < GROUP; j++) {
            n_before += is_foreground(before[j]) ? 1u : 0u;
            n_after += is_foreground(after[j]) ? 1u : 0u;
            n_background += after[j] == 0 ? 1u : 0u;
        }
    }
    n_before = warp_sum(n_before);
    n_after = warp_sum(n_after);
    n_background = warp_sum(n_background);
    if (threadIdx.x % WARP == 0) {
        atomicAdd(&facts->n_before, n_before);
        atomicAdd(&facts->n_after, n_after);
        atomicAdd(&facts->n_background, n_background);
    }
}

template <int GROUP> static __global__ void correct_rewrite(struct correct_task task, int n_parts) {
    int part = (int)blockIdx.x % n_parts, n = (int)blockIdx.x / n_parts;
    const struct image_facts *facts = &task.facts[n];
    SHARED(struct label_sets, sets, );
    if (threadIdx.x == 0) {
        sets.present = facts->present;
        sets.correct = task.correct;
    }
    __syncthreads();
    struct verdict verdict = judge(&task, &sets);
    bool is_left =
        !verdict.takes_part ||
        (task.guard && is_guarded(&task, facts->n_before, facts->n_after, facts->n_background));
    unsigned n_changed = 0;
    for (int i_group = 0; i_group < N_GROUPS; i_group++) {
        int64_t at = group_at<GROUP>(part, i_group), i = n * task.n_pixels + at;
        if (at >= task.n_pixels)
            break;
        int before[GROUP], after[GROUP];
        load_labels<GROUP>(task.base + i, before);
        for (int j = 0; j < GROUP; j++)
            after[j] = before[j];
        if (!is_left)
            correct_group<GROUP>(&task, &sets, verdict, i, before, after);
        for (int j = 0; j < GROUP; j++)
            n_changed += after[j] != before[j] ? 1u : 0u;
        store_labels<GROUP>(task.labels + i, after);
    }
    n_changed = warp_sum(n_changed);
    if (threadIdx.x % WARP == 0 && n_changed != 0 && task.n_changed != NULL)
        atomicAdd(task.n_changed, (unsigned long long)n_changed);
}

template <int GROUP>
static adele_status forward_direct(const struct cuda_context *context,
                                   const struct correct_task *task, int n) {
    int n_parts =
        (int)((task->n_pixels + GROUP * BLOCK_GROUPS - 1) / (int64_t)(GROUP * BLOCK_GROUPS));
    TRY(LAUNCH(context, correct_forget, ceil_div(n, N_THREADS), N_THREADS, 0, task->facts, n));
    TRY(LAUNCH(context, correct_look<GROUP>, n * n_parts, N_THREADS, 0, *task, n_parts));
    if (task->guard)
        TRY(LAUNCH(context, correct_weigh<GROUP>, n * n_parts, N_THREADS, 0, *task, n_parts));
    return LAUNCH(context, correct_rewrite<GROUP>, n * n_parts, N_THREADS, 0, *task, n_parts);
}

// ---- the op -------------------------------------------------------------------------------------

static void release(struct cuda_op *base) {
    (void)cudaFree(((struct correct_op *)base)->facts);
}

adele_status cuda_correct_create(const struct adele_device *device,
                                 const struct adele_correct_desc *desc, struct adele_op **out) {
    *out = NULL;
    TRY(op_check_correct(desc));
    struct correct_op *op = (struct correct_op *)op_create(device, ADELE_OP_correct, sizeof *op);
    if (op == NULL)
        return FAIL_NO_MEMORY(sizeof *op);
    op->desc = *desc;
    op->base.release = release;
    if (!wants_plain(device, ADELE_FAMILY_correct)) {
        // The kernels clear the facts; the zeros of the host only make the table.
        size_t bytes = (size_t)desc->n * sizeof *op->facts;
        void *zeros = memory_calloc((size_t)desc->n, sizeof *op->facts);
        adele_status status = zeros == NULL
                                  ? FAIL_NO_MEMORY(bytes)
                                  : table_create(device, zeros, bytes, (void **)&op->facts);
        memory_free(zeros);
        if (status != ADELE_OK) {
            memory_free(op);
            return status;
        }
    }
    *out = &op->base.op;
    return ADELE_OK;
}

static bool is_aligned(const void *pointer, size_t bytes) {
    return (uintptr_t)pointer % bytes == 0;
}

adele_status cuda_correct_forward(struct adele_op *base, const struct adele_correct_args *args) {
    const struct correct_op *op = (struct correct_op *)base;
    const struct adele_correct_desc *desc = &op->desc;
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_correct_args(args));
    struct correct_task task = {};
    task.base = args->base;
    task.prediction = args->prediction;
    task.foreground = args->confidence_foreground;
    task.background = args->confidence_background;
    task.labels = args->labels;
    task.n_changed = (unsigned long long *)args->n_changed;
    task.facts = op->facts;
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
    if (wants_plain(base->device, ADELE_FAMILY_correct))
        return LAUNCH(context, correct_plain, desc->n, N_THREADS, 0, task);
    bool is_grouped = task.n_pixels % 4 == 0 && is_aligned(task.base, 4) &&
                      is_aligned(task.labels, 4) && is_aligned(task.prediction, 4) &&
                      is_aligned(task.foreground, 16) && is_aligned(task.background, 16);
    return is_grouped ? forward_direct<4>(context, &task, desc->n)
                      : forward_direct<1>(context, &task, desc->n);
}

} // namespace adele_cuda
