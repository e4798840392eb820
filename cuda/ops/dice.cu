// SPDX-License-Identifier: MIT
// The soft Dice loss of the foreground (training_ops.h): sums of each image and category, their
// factors, and the gradient, for which probabilities are computed again from the logits (tensor (N,
// C, h_logits, w_logits), read once or twice a kernel). d_logits += ; nothing of label size is
// stored but two floats a pixel: log sum exp z, and sum_c p_c d loss / d p_c. No floating-point
// atomics; sums have a fixed order. The simple kernels are the only ones: the loss is a few percent
// of a step.
#include "runtime/common.cuh"
#include "runtime/resample.cuh"

#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define DICE_THREADS 256

struct dice_factors {
    float base, hit; // d loss / d p_c = base - hit [label = c]
};

// What every kernel reads, by value.
struct dice_task {
    int n, c, p, h, w; // p: padded channels
    bool per_image;
    double weight;
    struct resample_axis rows, columns;
    struct adele_dice_args args;
    int n_blocks; // of an image's pixels
    // The workspace.
    double *partials;             // (N, n_blocks, C, 3): sum p [label = c], sum p, sum [label = c]
    double *sums;                 // (N, C, 3)
    double *losses;               // (N, C): 1 - dice
    struct dice_factors *factors; // (N, C)
    float *log_sum, *inner;       // (N, h, w)
};

struct dice_op {
    struct cuda_op base;
    struct adele_dice_desc desc;
    struct dice_task task; // without arguments and workspace
    size_t at_partials, at_sums, at_losses, at_factors, at_log_sum, at_inner;
};

// ---- device helpers -----------------------------------------------------------------------------

struct dice_pixel {
    int n, y, x;
    int64_t index; // of the label
    int label;     // -1: none
};

static __device__ inline struct dice_pixel dice_pixel_at(const struct dice_task &task, int n, int y,
                                                         int x) {
    struct dice_pixel pixel;
    pixel.n = n;
    pixel.y = y;
    pixel.x = x;
    pixel.index = ((int64_t)n * task.h + y) * task.w + x;
    int label = task.args.labels[pixel.index];
    pixel.label = label < task.c ? label : -1;
    return pixel;
}

// z = 8 channels of the logits at a label pixel.
template <typename T>
static __device__ inline void load_logits(const struct dice_task &task,
                                          const struct dice_pixel &pixel, int channel, float *z) {
    struct resample_tap row = task.rows.taps[pixel.y], column = task.columns.taps[pixel.x];
    int64_t width = task.columns.n_in;
    int64_t right = resample_last(column) - column.low, below = resample_last(row) - row.low;
    const T *from = (const T *)task.args.logits +
                    (((int64_t)pixel.n * task.rows.n_in + row.low) * width + column.low) * task.p +
                    channel;
    float taps[4][8];
    load8(from, taps[0]);
    load8(from + right * task.p, taps[1]);
    load8(from + below * width * task.p, taps[2]);
    load8(from + (below * width + right) * task.p, taps[3]);
    for (int j = 0; j < 8; j++) {
        float high = (1.0f - column.t) * taps[0][j] + column.t * taps[1][j];
        float low = (1.0f - column.t) * taps[2][j] + column.t * taps[3][j];
        z[j] = (1.0f - row.t) * high + row.t * low;
    }
}

template <typename T>
static __device__ inline float find_log_sum(const struct dice_task &task,
                                            const struct dice_pixel &pixel) {
    float z[8], maximum = -INFINITY, sum = 0.0f;
    for (int channel = 0; channel < task.c; channel += 8) {
        load_logits<T>(task, pixel, channel, z);
        for (int j = 0; j < 8 && channel + j < task.c; j++)
            maximum = fmaxf(maximum, z[j]);
    }
    for (int channel = 0; channel < task.c; channel += 8) {
        load_logits<T>(task, pixel, channel, z);
        for (int j = 0; j < 8 && channel + j < task.c; j++)
            sum += expf(z[j] - maximum);
    }
    return maximum + logf(sum);
}

// d loss / d p_c of a pixel with a label.
static __device__ inline float slope_of(const struct dice_task &task,
                                        const struct dice_pixel &pixel, int c) {
    if (c == 0)
        return 0.0f;
    struct dice_factors factors = task.factors[pixel.n * task.c + c];
    return factors.base - (c == pixel.label ? factors.hit : 0.0f);
}

// The block's sum, in a fixed order, in thread 0. All threads call it.
static __device__ inline double sum_block(double value, double *of_warps) {
    for (int other = 16; other > 0; other /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, other);
    if (threadIdx.x % 32 == 0)
        of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    double sum = 0.0;
    for (int i = 0; i < DICE_THREADS / 32; i++)
        sum += of_warps[i];
    __syncthreads();
    return sum;
}

// ---- kernels ------------------------------------------------------------------------------------

// Block (i, n) sums DICE_THREADS pixels of image n, a thread owns one of them.
template <typename T>
static __global__ void __launch_bounds__(DICE_THREADS) dice_partial_sums(struct dice_task task) {
    SHARED(double, of_warps, [DICE_THREADS / 32]);
    int n = blockIdx.x / task.n_blocks, i = blockIdx.x % task.n_blocks * DICE_THREADS + threadIdx.x;
    bool is_inside = i < task.h * task.w;
    struct dice_pixel pixel =
        dice_pixel_at(task, n, is_inside ? i / task.w : 0, is_inside ? i % task.w : 0);
    bool is_valid = is_inside && pixel.label >= 0;
    float log_sum = is_inside ? find_log_sum<T>(task, pixel) : 0.0f;
    if (is_inside)
        task.log_sum[pixel.index] = log_sum;
    for (int channel = 0; channel < task.c; channel += 8) {
        float z[8];
        load_logits<T>(task, pixel, channel, z);
        for (int j = 0; j < 8 && channel + j < task.c; j++) {
            int c = channel + j;
            bool is_label = is_valid && c == pixel.label;
            float p = is_valid ? expf(z[j] - log_sum) : 0.0f;
            double both = sum_block(is_label ? (double)p : 0.0, of_warps);
            double predicted = sum_block((double)p, of_warps);
            double labelled = sum_block(is_label ? 1.0 : 0.0, of_warps);
            if (threadIdx.x == 0) {
                double *to = task.partials + ((int64_t)blockIdx.x * task.c + c) * 3;
                to[0] = both;
                to[1] = predicted;
                to[2] = labelled;
            }
        }
    }
}

// A block adds up the partial sums of one image and category, but for the background, which the
// loss leaves out; a thread every DICE_THREADS-th.
static __global__ void __launch_bounds__(DICE_THREADS) dice_image_sums(struct dice_task task) {
    SHARED(double, of_warps, [DICE_THREADS / 32]);
    int n = blockIdx.x / (task.c - 1), c = 1 + blockIdx.x % (task.c - 1);
    for (int k = 0; k < 3; k++) {
        double sum = 0.0;
        for (int i = threadIdx.x; i < task.n_blocks; i += DICE_THREADS)
            sum += task.partials[(((int64_t)n * task.n_blocks + i) * task.c + c) * 3 + k];
        sum = sum_block(sum, of_warps);
        if (threadIdx.x == 0)
            task.sums[((int64_t)n * task.c + c) * 3 + k] = sum;
    }
}

// One block. A thread finishes one category of every image; then one thread adds up the losses.
static __global__ void __launch_bounds__(DICE_THREADS) dice_finish(struct dice_task task) {
    int n_groups = task.per_image ? task.n : 1;
    double share = task.weight / ((double)n_groups * (double)(task.c - 1));
    double scale = share / (task.args.n_batches > 0 ? (double)task.args.n_batches : 1.0);
    for (int c = 1 + threadIdx.x; c < task.c; c += DICE_THREADS)
        for (int group = 0; group < n_groups; group++) {
            int first = task.per_image ? group : 0, end = task.per_image ? group + 1 : task.n;
            double both = 0.0, predicted = 0.0, labelled = 0.0;
            for (int n = first; n < end; n++) {
                const double *sums = task.sums + ((int64_t)n * task.c + c) * 3;
                both += sums[0];
                predicted += sums[1];
                labelled += sums[2];
            }
            double size = predicted + labelled + ADELE_DICE_SMOOTH;
            double dice = (2.0 * both + ADELE_DICE_SMOOTH) / size;
            task.losses[(int64_t)group * task.c + c] = 1.0 - dice;
            for (int n = first; n < end; n++) {
                task.factors[n * task.c + c].base = (float)(scale * dice / size);
                task.factors[n * task.c + c].hit = (float)(scale * 2.0 / size);
            }
        }
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    double loss = 0.0;
    for (int group = 0; group < n_groups; group++)
        for (int c = 1; c < task.c; c++)
            loss += task.losses[(int64_t)group * task.c + c];
    loss *= share;
    if (task.args.is_finite != NULL && !isfinite(loss))
        *task.args.is_finite = 0;
    if (task.args.sums != NULL && isfinite(loss))
        task.args.sums[ADELE_SUM_TOTAL] += loss;
}

// A thread owns a label pixel: sum_c p_c d loss / d p_c.
template <typename T>
static __global__ void __launch_bounds__(DICE_THREADS) dice_inner(struct dice_task task) {
    int64_t i = (int64_t)blockIdx.x * DICE_THREADS + threadIdx.x;
    if (i >= (int64_t)task.n * task.h * task.w)
        return;
    struct dice_pixel pixel = dice_pixel_at(task, (int)(i / task.w / task.h),
                                            (int)(i / task.w % task.h), (int)(i % task.w));
    float inner = 0.0f;
    for (int channel = 0; channel < task.c && pixel.label >= 0; channel += 8) {
        float z[8];
        load_logits<T>(task, pixel, channel, z);
        for (int j = 0; j < 8 && channel + j < task.c; j++)
            inner += expf(z[j] - task.log_sum[i]) * slope_of(task, pixel, channel + j);
    }
    task.inner[i] = inner;
}

// A thread owns 8 channels of one pixel of the logits and gathers from the label pixels that read
// it, rows outside, columns inside. With two blocks a multiprocessor no register is spilled.
template <typename T>
static __global__ void __launch_bounds__(DICE_THREADS, 2) dice_gradient(struct dice_task task) {
    const struct resample_axis &rows = task.rows, &columns = task.columns;
    int64_t i = (int64_t)blockIdx.x * DICE_THREADS + threadIdx.x, n_groups = task.p / 8;
    int64_t i_cell = i / n_groups;
    if (i_cell >= (int64_t)task.n * rows.n_in * columns.n_in)
        return;
    int channel = (int)(i % n_groups) * 8;
    int column = (int)(i_cell % columns.n_in), row = (int)(i_cell / columns.n_in % rows.n_in);
    int n = (int)(i_cell / columns.n_in / rows.n_in);
    struct resample_span down = rows.spans[row], across = columns.spans[column];
    T *to = (T *)task.args.d_logits + i_cell * task.p + channel;
    float sum[8];
    load8((const T *)to, sum);
    for (int y = down.first; y < down.end; y++) {
        float weight_y = resample_weight(rows.taps[y], row);
        for (int x = across.first; x < across.end; x++) {
            struct dice_pixel pixel = dice_pixel_at(task, n, y, x);
            if (pixel.label < 0)
                continue;
            float weight = weight_y * resample_weight(columns.taps[x], column);
            float z[8];
            load_logits<T>(task, pixel, channel, z);
            for (int j = 0; j < 8 && channel + j < task.c; j++)
                sum[j] += weight * (expf(z[j] - task.log_sum[pixel.index]) *
                                    (slope_of(task, pixel, channel + j) - task.inner[pixel.index]));
        }
    }
    store8(to, sum);
}

// ---- the op -------------------------------------------------------------------------------------

static void plan_workspace(struct dice_op *op) {
    const struct adele_dice_desc *desc = &op->desc;
    size_t n = (size_t)desc->n, pairs = n * (size_t)desc->c, end = 0;
    size_t n_pixels = n * (size_t)desc->h * (size_t)desc->w;
    op->at_partials = workspace_place(&end, pairs * (size_t)op->task.n_blocks * 3 * sizeof(double));
    op->at_sums = workspace_place(&end, pairs * 3 * sizeof(double));
    op->at_losses = workspace_place(&end, pairs * sizeof(double));
    op->at_factors = workspace_place(&end, pairs * sizeof(struct dice_factors));
    op->at_log_sum = workspace_place(&end, n_pixels * sizeof(float));
    op->at_inner = workspace_place(&end, n_pixels * sizeof(float));
    op->base.op.workspace_bytes = end;
}

adele_status cuda_dice_create(const struct adele_device *device, const struct adele_dice_desc *desc,
                              struct adele_op **out) {
    int64_t n_pixels = (int64_t)desc->h * desc->w;
    int64_t n_groups =
        (int64_t)desc->n * desc->h_logits * desc->w_logits * (padded_channels(desc->c) / 8);
    if (desc->n * (n_pixels + DICE_THREADS) > INT32_MAX || n_groups > INT32_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use smaller batches.",
                    "dice: %d x %d x %d pixels are more than one launch takes", desc->n, desc->h,
                    desc->w);
    struct dice_op *op = NULL;
    TRY(op_create(device, ADELE_OP_dice, &op, out));
    op->desc = *desc;
    op->task.n = desc->n, op->task.h = desc->h, op->task.w = desc->w;
    op->task.c = desc->c, op->task.p = padded_channels(desc->c);
    op->task.per_image = desc->per_image;
    op->task.weight = desc->weight;
    op->task.n_blocks = blocks_for(n_pixels, DICE_THREADS);
    plan_workspace(op);
    TRY(resample_axis_create(&op->base, desc->h_logits, desc->h, &op->task.rows));
    return resample_axis_create(&op->base, desc->w_logits, desc->w, &op->task.columns);
}

template <typename T>
static adele_status launch_dice(const struct cuda_context *context, const struct dice_task &task) {
    int64_t n_pixels = (int64_t)task.n * task.h * task.w;
    int64_t n_groups = (int64_t)task.n * task.rows.n_in * task.columns.n_in * (task.p / 8);
    TRY(LAUNCH(context, dice_partial_sums<T>, task.n * task.n_blocks, DICE_THREADS, 0, task));
    TRY(LAUNCH(context, dice_image_sums, task.n * (task.c - 1), DICE_THREADS, 0, task));
    TRY(LAUNCH(context, dice_finish, 1, DICE_THREADS, 0, task));
    if (task.args.d_logits == NULL)
        return ADELE_OK;
    TRY(LAUNCH(context, dice_inner<T>, blocks_for(n_pixels, DICE_THREADS), DICE_THREADS, 0, task));
    return LAUNCH(context, dice_gradient<T>, blocks_for(n_groups, DICE_THREADS), DICE_THREADS, 0,
                  task);
}

adele_status cuda_dice_forward(struct adele_op *base, const struct adele_dice_args *args) {
    const struct dice_op *op = (const struct dice_op *)base;
    const struct cuda_context *context = context_of(base->device);
    struct dice_task task = op->task;
    TRY(op_check_dice_args(args));
    char *workspace = (char *)args->workspace;
    task.args = *args;
    task.partials = (double *)(workspace + op->at_partials);
    task.sums = (double *)(workspace + op->at_sums);
    task.losses = (double *)(workspace + op->at_losses);
    task.factors = (struct dice_factors *)(workspace + op->at_factors);
    task.log_sum = (float *)(workspace + op->at_log_sum);
    task.inner = (float *)(workspace + op->at_inner);
    return WITH_STORAGE(context, T, launch_dice<T>(context, task));
}

} // namespace adele_cuda
