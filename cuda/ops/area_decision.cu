// SPDX-License-Identifier: MIT
// Classes as large as their probabilities say (label_ops.h); the arithmetic is in
// device/area_rule.h. q: plain (N, C, H, W); prediction: plain (set, H, W), row i of the batch in
// row sample_ids[i], nothing where that is negative; thresholds: plain (N, C). All are overwritten.
// Histograms and sums are whole numbers, which no order of additions changes.
#include "runtime/common.cuh"

#include "device/area_rule.h"
#include "device/op_check.h"

namespace adele_cuda {

#define N_THREADS       256
#define N_BINS          ADELE_AREA_BINS
#define BINS_PER_THREAD (N_BINS / N_THREADS)
#define MAX_PARTS       64 // blocks that share a plane

// Parameters of all kernels.
struct area_task {
    struct adele_area_decision_args args;
    int n, c;
    int64_t plane; // pixels of an image
    bool is_argmax;
    unsigned long long *units; // (N, C): sums of q; then the histograms, so that one fill clears
    int *bins;                 // (N, C, N_BINS)
    double *weights;           // (N, C): 0 where a class takes no part
};

static __device__ int64_t image_of(const struct area_task *task, int64_t n) {
    return task->args.sample_ids != NULL ? task->args.sample_ids[n] : n;
}

// A block takes every gridDim.y-th run of pixels of one plane: histogram and sum in shared memory,
// then what is not zero to the plane's.
static __global__ void __launch_bounds__(N_THREADS) area_histogram(struct area_task task) {
    SHARED(int, bins, [N_BINS]);
    SHARED(unsigned long long, units, );
    int64_t plane = blockIdx.x;
    if (image_of(&task, plane / task.c) < 0)
        return;
    for (int i = (int)threadIdx.x; i < N_BINS; i += N_THREADS)
        bins[i] = 0;
    if (threadIdx.x == 0)
        units = 0;
    __syncthreads();
    const float *q = task.args.q + plane * task.plane;
    unsigned long long sum = 0;
    for (int64_t i = (int64_t)blockIdx.y * N_THREADS + threadIdx.x; i < task.plane;
         i += (int64_t)gridDim.y * N_THREADS) {
        float clean = area_clean(q[i]);
        sum += (unsigned long long)area_units(clean);
        atomicAdd(&bins[area_bin(clean, N_BINS)], 1);
    }
    atomicAdd(&units, sum);
    __syncthreads();
    for (int i = (int)threadIdx.x; i < N_BINS; i += N_THREADS)
        if (bins[i] != 0)
            atomicAdd(&task.bins[plane * N_BINS + i], bins[i]);
    if (threadIdx.x == 0)
        atomicAdd(&task.units[plane], units);
}

// The bin at which the count from the top reaches the area; counts: of the N_THREADS runs of bins.
static __device__ int find_bin(const int *counts, const int *bins, int64_t area) {
    int run = N_THREADS;
    int64_t count = 0;
    while (run > 1 && count + counts[run - 1] < area)
        count += counts[--run];
    int bin = run * BINS_PER_THREAD;
    while (bin > 0 && count < area)
        count += bins[--bin];
    return bin;
}

// A block for each plane.
static __global__ void __launch_bounds__(N_THREADS) area_thresholds(struct area_task task) {
    SHARED(int, counts, [N_THREADS]);
    int64_t plane = blockIdx.x;
    const int *bins = task.bins + plane * N_BINS;
    if (image_of(&task, plane / task.c) < 0)
        return;
    int count = 0;
    for (int i = 0; i < BINS_PER_THREAD; i++)
        count += bins[(int)threadIdx.x * BINS_PER_THREAD + i];
    counts[threadIdx.x] = count;
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    float factor = task.args.area_factors != NULL ? task.args.area_factors[plane % task.c] : 1.0f;
    int64_t area = task.is_argmax ? 0 : area_pixels((int64_t)task.units[plane], factor);
    double threshold = area > 0 ? area_threshold(find_bin(counts, bins, area), N_BINS) : 0.0;
    task.weights[plane] = area > 0 ? area_weight(threshold) : 0.0;
    if (task.args.thresholds != NULL)
        task.args.thresholds[plane] = (float)threshold;
}

// A thread owns one pixel.
static __global__ void __launch_bounds__(N_THREADS) area_decide(struct area_task task) {
    int64_t i = (int64_t)blockIdx.x * N_THREADS + threadIdx.x;
    if (i >= task.n * task.plane)
        return;
    int64_t n = i / task.plane, pixel = i % task.plane, i_image = image_of(&task, n);
    if (i_image < 0)
        return;
    const float *q = task.args.q + n * task.c * task.plane + pixel;
    const double *weights = task.weights + n * task.c;
    int of_scores = -1, of_q = 0;
    double best_score = -1.0;
    float best_q = -1.0f;
    for (int c = 0; c < task.c; c++) {
        float clean = area_clean(q[c * task.plane]);
        double score = weights[c] > 0.0 ? area_score(clean, weights[c]) : -1.0;
        of_scores = score > best_score ? c : of_scores;
        best_score = score > best_score ? score : best_score;
        of_q = clean > best_q ? c : of_q;
        best_q = clean > best_q ? clean : best_q;
    }
    task.args.prediction[i_image * task.plane + pixel] =
        (uint8_t)(of_scores >= 0 ? of_scores : of_q);
}

// ---- the op -------------------------------------------------------------------------------------

static size_t cleared_bytes(const struct adele_area_decision_desc *desc) {
    return (size_t)desc->n * desc->c * (sizeof(unsigned long long) + N_BINS * sizeof(int));
}

adele_status cuda_area_decision_create(const struct adele_device *device,
                                       const struct adele_area_decision_desc *desc,
                                       struct adele_op **out) {
    struct desc_op<struct adele_area_decision_desc> *op = NULL;
    TRY(op_create(device, ADELE_OP_area_decision, &op, out));
    op->desc = *desc;
    op->base.op.workspace_bytes = cleared_bytes(desc) + (size_t)desc->n * desc->c * sizeof(double);
    return ADELE_OK;
}

adele_status cuda_area_decision_forward(struct adele_op *base,
                                        const struct adele_area_decision_args *args) {
    const struct adele_area_decision_desc *desc = desc_of<struct adele_area_decision_desc>(base);
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_area_decision_args(args));
    int n_planes = desc->n * desc->c;
    struct area_task task = {};
    task.args = *args;
    task.n = desc->n, task.c = desc->c;
    task.plane = (int64_t)desc->h * desc->w;
    task.is_argmax = desc->mode == ADELE_AREA_ARGMAX;
    task.units = (unsigned long long *)args->workspace;
    task.weights = (double *)(task.units + n_planes);
    task.bins = (int *)(task.weights + n_planes);
    int64_t n_pixels = task.n * task.plane, n_parts = (task.plane + 4095) / 4096;
    dim3 planes((unsigned)n_planes, (unsigned)(n_parts < MAX_PARTS ? n_parts : MAX_PARTS));
    TRY(base->device->iface->fill(base->device, args->workspace, 0, base->workspace_bytes));
    if (!task.is_argmax)
        TRY(LAUNCH(context, area_histogram, planes, N_THREADS, 0, task));
    TRY(LAUNCH(context, area_thresholds, n_planes, N_THREADS, 0, task));
    return LAUNCH(context, area_decide, blocks_for(n_pixels, N_THREADS), N_THREADS, 0, task);
}

} // namespace adele_cuda
