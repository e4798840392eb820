// SPDX-License-Identifier: MIT
// What the files of the loss share. loss.cu makes the op and runs what both engines need: the
// weights of the scales, the count of labelled pixels, the last sums. loss_plain.cu and
// loss_fused.cu are the engines. Symbols as in METHOD section 4: z_k logits at label size, p_k =
// softmax(z_k), w_k scale weights, q the mixture.
#ifndef ADELE_CUDA_LOSS_LOSS_PARTS_CUH
#define ADELE_CUDA_LOSS_LOSS_PARTS_CUH

#include "runtime/common.cuh"
#include "runtime/resample.cuh"

namespace adele_cuda {

#define LOSS_Q_MIN   1e-3f
#define LOSS_Q_MAX   (1.0f - 1e-3f)
#define LOSS_THREADS 256 // of a block of either engine

// What a block leaves for loss.cu's last kernel: doubles, quantity i of block b at
// partials[i * n_blocks + b].
enum loss_partial {
    LOSS_PARTIAL_CROSS_ENTROPY,
    LOSS_PARTIAL_CONSISTENCY,
    LOSS_PARTIAL_D_W, // one a scale
    LOSS_PARTIALS = LOSS_PARTIAL_D_W + ADELE_MAX_SCALES
};

// In the workspace: results that later kernels read.
struct loss_state {
    float w[ADELE_MAX_SCALES];
    unsigned long long n_valid; // labelled pixels of the batch; for the plain form
    // With class weights: pixels of each label, and what the mean of the cross-entropy divides by.
    unsigned long long n_of_label[256];
    double ce_mean;
};

// What every kernel of the loss reads, by value.
struct loss_task {
    int n, c, p, h, w; // p: padded channels
    int n_scales;      // that enter the loss
    enum adele_loss_form form;
    bool is_bf16; // the elements of tensors
    bool learns_weights, needs_gradient;
    double lambda, rho, divisor;
    struct resample_axis rows[ADELE_MAX_SCALES], columns[ADELE_MAX_SCALES];
    struct adele_loss_args args;
    // The workspace.
    struct loss_state *state;
    int *masks;       // (N): m_n
    double *partials; // (LOSS_PARTIALS, n_blocks)
    int n_blocks;
    float *full[ADELE_MAX_SCALES];  // plain: (N, h, w, P), logits and then their gradients
    float *patch[ADELE_MAX_SCALES]; // fused: (tiles, patch_rows, patch_columns, P)
    int patch_rows[ADELE_MAX_SCALES], patch_columns[ADELE_MAX_SCALES];
};

static __host__ __device__ inline bool loss_is_identity(const struct loss_task &task, int k) {
    return task.rows[k].n_in == task.rows[k].n_out && task.columns[k].n_in == task.columns[k].n_out;
}

// ---- the engines --------------------------------------------------------------------------------
// Floats of workspace behind the task's `full` or `patch` of scale k; the number of blocks that
// write partials.
int64_t loss_plain_floats(const struct loss_task &task, int k);
int64_t loss_plain_blocks(const struct loss_task &task);
adele_status loss_plain_run(const struct cuda_context *context, const struct loss_task &task);
// Fills in patch_rows and patch_columns. The number of categories and scales, or logits so much
// larger than the label that a tile's gradients do not fit into shared memory: false, and the plain
// kernels are taken.
bool loss_fused_plan(struct loss_task *task);
int64_t loss_fused_floats(const struct loss_task &task, int k);
int64_t loss_fused_blocks(const struct loss_task &task);
adele_status loss_fused_prepare(const struct cuda_context *context, const struct loss_task &task);
adele_status loss_fused_run(const struct cuda_context *context, const struct loss_task &task);

// ---- device helpers -----------------------------------------------------------------------------

static __device__ inline int64_t loss_pixel(const struct loss_task &task, int n, int y, int x) {
    return ((int64_t)n * task.h + y) * task.w + x;
}

// Scale k's cross-entropy is that of loss_ce_weight * z_k; 0: it has none.
static __device__ inline float loss_ce_weight(const struct loss_task &task, const float *w, int k) {
    if (task.form == ADELE_LOSS_PROGRAM)
        return w[k];
    return k == 0 ? 1.0f : 0.0f;
}

// A weight may underflow to 0 and its cross-entropy still be log C.
static __device__ inline bool loss_has_ce(const struct loss_task &task, int k) {
    return task.form == ADELE_LOSS_PROGRAM || k == 0;
}

// What the mean over pixels divides by.
static __device__ inline double loss_n_mean(const struct loss_task &task) {
    if (task.form != ADELE_LOSS_PLAIN)
        return (double)task.n * (double)task.h * (double)task.w;
    return task.state->n_valid > 0 ? (double)task.state->n_valid : 1.0;
}

// The same for the cross-entropy, which class weights change.
static __device__ inline double loss_ce_mean(const struct loss_task &task) {
    return task.args.class_weights != NULL ? task.state->ce_mean : loss_n_mean(task);
}

// What the cross-entropy of a pixel with that label is multiplied by; a label of no category
// multiplies nothing.
static __device__ inline float loss_importance(const struct loss_task &task, int label) {
    return task.args.class_weights != NULL && label < task.c ? task.args.class_weights[label]
                                                             : 1.0f;
}

// ce: 1 / (ce_mean divisor n_batches). kl: lambda / (n_mean divisor n_batches), and 1 / K in the
// paper's form.
struct loss_factors {
    float ce, kl;
};

static __device__ inline struct loss_factors loss_factors_of(const struct loss_task &task) {
    double n_batches = task.args.n_batches > 0 ? (double)task.args.n_batches : 1.0;
    double ce = 1.0 / (loss_ce_mean(task) * task.divisor) / n_batches;
    double kl = task.lambda * (1.0 / (loss_n_mean(task) * task.divisor) / n_batches) /
                (task.form == ADELE_LOSS_PAPER ? (double)task.n_scales : 1.0);
    struct loss_factors factors = {(float)ce, (float)kl};
    return factors;
}

static __device__ inline float loss_clamp(float q) {
    return fminf(fmaxf(q, LOSS_Q_MIN), LOSS_Q_MAX);
}

// Whether a pixel with that largest q switches the consistency of its image on.
static __device__ inline bool loss_is_confident(const struct loss_task &task, float largest) {
    return (double)largest >= task.rho;
}

// Prediction and confidences of one pixel, into the rows of the set.
static __device__ inline void loss_report(const struct loss_task &task, int n, int64_t i_pixel,
                                          int prediction, float foreground, float background) {
    const struct adele_loss_args &args = task.args;
    int64_t i_image = args.sample_ids != NULL ? args.sample_ids[n] : n;
    if (i_image < 0)
        return;
    int64_t at = i_pixel + (i_image - n) * task.h * task.w;
    if (args.prediction != NULL)
        args.prediction[at] = (uint8_t)prediction;
    if (args.confidence_foreground != NULL)
        args.confidence_foreground[at] = foreground;
    if (args.confidence_background != NULL)
        args.confidence_background[at] = background;
}

// ---- counts: a block counts in shared memory, in a histogram (tables, kinds, n_bins) ------------
// with n_bins >= C; a label of a category that does not exist goes to the result itself.

static __device__ inline void loss_count_pair(const struct loss_task &task, int *histogram,
                                              int n_bins, int table, int prediction, int label) {
    if (label == ADELE_IGNORE)
        return;
    int *bins = histogram + table * ADELE_COUNT_KINDS * n_bins;
    if (prediction == label)
        atomicAdd(&bins[label], 1);
    atomicAdd(&bins[n_bins + prediction], 1);
    if (label < n_bins)
        atomicAdd(&bins[2 * n_bins + label], 1);
    else
        atomicAdd((unsigned long long *)task.args.counts + (table * ADELE_COUNT_KINDS + 2) * 256 +
                      label,
                  1ull);
}

static __device__ inline void loss_count(const struct loss_task &task, int *histogram, int n_bins,
                                         int64_t i_pixel, int prediction) {
    const struct adele_loss_args &args = task.args;
    if (args.counts == NULL)
        return;
    int noisy = args.noisy != NULL ? args.noisy[i_pixel] : ADELE_IGNORE;
    loss_count_pair(task, histogram, n_bins, ADELE_COUNT_PREDICTION_CURRENT, prediction,
                    args.labels[i_pixel]);
    loss_count_pair(task, histogram, n_bins, ADELE_COUNT_PREDICTION_NOISY, prediction, noisy);
    if (args.truth == NULL)
        return;
    int truth = args.truth[i_pixel];
    loss_count_pair(task, histogram, n_bins, ADELE_COUNT_PREDICTION_TRUE, prediction, truth);
    if (args.noisy == NULL || noisy == truth)
        return;
    loss_count_pair(task, histogram, n_bins, ADELE_COUNT_EARLY_LEARNING, prediction, truth);
    loss_count_pair(task, histogram, n_bins, ADELE_COUNT_MEMORIZATION, prediction, noisy);
}

static __device__ inline void loss_clear_counts(int *histogram, int n_bins) {
    for (int i = threadIdx.x; i < ADELE_COUNT_TABLES * ADELE_COUNT_KINDS * n_bins;
         i += LOSS_THREADS)
        histogram[i] = 0;
}

// Behind a barrier.
static __device__ inline void loss_add_counts(const struct loss_task &task, const int *histogram,
                                              int n_bins) {
    if (task.args.counts == NULL)
        return;
    for (int i = threadIdx.x; i < ADELE_COUNT_TABLES * ADELE_COUNT_KINDS * n_bins;
         i += LOSS_THREADS)
        if (histogram[i] != 0)
            atomicAdd((unsigned long long *)task.args.counts + i / n_bins * 256 + i % n_bins,
                      (unsigned long long)histogram[i]);
}

// ---- sums ---------------------------------------------------------------------------------------

// One thread's.
struct loss_sums {
    float cross_entropy, consistency;
    float d_w[ADELE_MAX_SCALES];
};

// Adds up the block's sums in a fixed order and leaves them as partials of block `i_block`. All
// LOSS_THREADS threads call it once.
static __device__ inline void loss_store_sums(const struct loss_task &task,
                                              const struct loss_sums &sums, int64_t i_block) {
    const int n_warps = LOSS_THREADS / 32;
    SHARED(double, of_warps, [LOSS_PARTIALS][LOSS_THREADS / 32]);
#pragma unroll
    for (int i = 0; i < LOSS_PARTIALS; i++) {
        if (i >= LOSS_PARTIAL_D_W + task.n_scales)
            break;
        double sum = (double)(i == LOSS_PARTIAL_CROSS_ENTROPY ? sums.cross_entropy
                              : i == LOSS_PARTIAL_CONSISTENCY
                                  ? sums.consistency
                                  : sums.d_w[i < LOSS_PARTIAL_D_W ? 0 : i - LOSS_PARTIAL_D_W]);
        for (int other = 16; other > 0; other /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, other);
        if (threadIdx.x % 32 == 0)
            of_warps[i][threadIdx.x / 32] = sum;
    }
    __syncthreads();
    if ((int)threadIdx.x < LOSS_PARTIAL_D_W + task.n_scales) {
        double sum = 0.0;
        for (int i = 0; i < n_warps; i++)
            sum += of_warps[threadIdx.x][i];
        task.partials[(int64_t)threadIdx.x * task.n_blocks + i_block] = sum;
    }
}

} // namespace adele_cuda
#endif
