// SPDX-License-Identifier: MIT
// The loss step by step, in the order of METHOD section 4: logits at label size go through memory,
// are read by the mask of images and by the loss, which leaves its gradients in their place, and
// those are gathered by the low-resolution logits. Any number of categories and scales.
#include "loss/loss_parts.cuh"

namespace adele_cuda {

// Statistics of a pixel: log p_k = z_k - maximum - log_sum; log_soft: the same of softmax(w_k z_k).
struct pixel_softmax {
    float maximum[ADELE_MAX_SCALES], log_sum[ADELE_MAX_SCALES], log_soft[ADELE_MAX_SCALES];
};

// The consistency at one category.
struct pixel_category {
    float log_p[ADELE_MAX_SCALES], p[ADELE_MAX_SCALES];
    float log_q, d_q; // of the clamped mixture; d consistency / d q
};

int64_t loss_plain_floats(const struct loss_task &task, int k) {
    (void)k;
    return (int64_t)task.n * task.h * task.w * task.p;
}

int64_t loss_plain_blocks(const struct loss_task &task) {
    return ((int64_t)task.n * task.h * task.w + LOSS_THREADS - 1) / LOSS_THREADS;
}

// A thread brings 8 channels of one label pixel of scale k to label size.
template <typename T> static __global__ void plain_resample(struct loss_task task, int k) {
    int64_t i = thread_index(), n_groups = task.p / 8;
    int64_t i_pixel = i / n_groups;
    if (i_pixel >= (int64_t)task.n * task.h * task.w)
        return;
    int channel = (int)(i % n_groups) * 8;
    int x = (int)(i_pixel % task.w), y = (int)(i_pixel / task.w % task.h);
    int64_t n = i_pixel / task.w / task.h;
    struct resample_tap row = task.rows[k].taps[y], column = task.columns[k].taps[x];
    int width = task.columns[k].n_in;
    int right = resample_last(column) - column.low, below = resample_last(row) - row.low;
    const T *from = (const T *)task.args.logits[k] +
                    ((n * task.rows[k].n_in + row.low) * width + column.low) * task.p + channel;
    const T *from_below = from + (int64_t)below * width * task.p;
    float taps[4][8], out[8];
    load8(from, taps[0]);
    load8(from + right * task.p, taps[1]);
    load8(from_below, taps[2]);
    load8(from_below + right * task.p, taps[3]);
    for (int j = 0; j < 8; j++) {
        float high = (1.0f - column.t) * taps[0][j] + column.t * taps[1][j];
        float low = (1.0f - column.t) * taps[2][j] + column.t * taps[3][j];
        out[j] = (1.0f - row.t) * high + row.t * low;
    }
    store8(task.full[k] + i_pixel * task.p + channel, out);
}

static __device__ float log_sum_exp(const float *z, int n, float maximum, float weight) {
    float sum = 0.0f;
    for (int c = 0; c < n; c++)
        sum += expf(weight * (z[c] - maximum));
    return logf(sum);
}

// Both functions below fill a struct of the caller's instead of returning one. nvcc 12.4 to 13.0
// translates such a return wrongly where the struct has arrays that are indexed at run time: the
// caller goes on reading the function's own copy, whose place on the stack the next function's
// local variables take.
static __device__ void find_pixel_softmax(const struct loss_task &task, int64_t i_pixel,
                                          struct pixel_softmax &pixel) {
    for (int k = 0; k < task.n_scales; k++) {
        const float *z = task.full[k] + i_pixel * task.p;
        float maximum = z[0];
        for (int c = 1; c < task.c; c++)
            maximum = fmaxf(maximum, z[c]);
        float weight = loss_ce_weight(task, task.state->w, k);
        pixel.maximum[k] = maximum;
        pixel.log_sum[k] = log_sum_exp(z, task.c, maximum, 1.0f);
        pixel.log_soft[k] = loss_has_ce(task, k) ? log_sum_exp(z, task.c, maximum, weight) : 0.0f;
    }
}

static __device__ float log_probability(const struct loss_task &task,
                                        const struct pixel_softmax &pixel, int64_t i_pixel, int k,
                                        int c) {
    return task.full[k][i_pixel * task.p + c] - pixel.maximum[k] - pixel.log_sum[k];
}

static __device__ float mixture_of(const struct loss_task &task, const struct pixel_softmax &pixel,
                                   int64_t i_pixel, int c) {
    float q = 0.0f;
    for (int k = 0; k < task.n_scales; k++)
        q += task.state->w[k] * expf(log_probability(task, pixel, i_pixel, k, c));
    return q;
}

// A thread checks whether the mixture is confident at one label pixel.
static __global__ void plain_mask(struct loss_task task) {
    int64_t i_pixel = thread_index();
    if (i_pixel >= (int64_t)task.n * task.h * task.w)
        return;
    struct pixel_softmax pixel;
    find_pixel_softmax(task, i_pixel, pixel);
    float largest = 0.0f;
    for (int c = 0; c < task.c && task.args.labels[i_pixel] < task.c; c++)
        largest = fmaxf(largest, loss_clamp(mixture_of(task, pixel, i_pixel, c)));
    if (loss_is_confident(task, largest))
        atomicOr(&task.masks[i_pixel / task.w / task.h], 1);
}

static __device__ void find_consistency(const struct loss_task &task,
                                        const struct pixel_softmax &pixel, int64_t i_pixel, int c,
                                        struct pixel_category &category) {
    float q = 0.0f, sum = 0.0f;
    for (int k = 0; k < task.n_scales; k++) {
        category.log_p[k] = log_probability(task, pixel, i_pixel, k, c);
        category.p[k] = expf(category.log_p[k]);
        q += task.state->w[k] * category.p[k];
        sum += category.p[k];
    }
    float clamped = loss_clamp(q);
    category.log_q = logf(clamped);
    category.d_q = clamped == q ? -sum / clamped : 0.0f; // the clamp passes no gradient
}

// What feeds no gradient: prediction, confidences, mixture. Returns the prediction.
static __device__ int report(const struct loss_task &task, const struct pixel_softmax &pixel,
                             int64_t i_pixel) {
    const float *z = task.full[0] + i_pixel * task.p;
    int64_t plane = (int64_t)task.h * task.w, n = i_pixel / plane;
    int best = 0;
    float foreground = 0.0f;
    for (int c = 1; c < task.c; c++) {
        best = z[c] > z[best] ? c : best;
        foreground = fmaxf(foreground, expf(log_probability(task, pixel, i_pixel, 0, c)));
    }
    loss_report(task, (int)n, i_pixel, best, foreground,
                expf(log_probability(task, pixel, i_pixel, 0, 0)));
    for (int c = 0; c < task.c && task.args.mixture != NULL; c++)
        task.args.mixture[(n * task.c + c) * plane + i_pixel % plane] =
            loss_clamp(mixture_of(task, pixel, i_pixel, c));
    return best;
}

// The cross-entropy of a labelled pixel; returns d / d z_k at category c.
static __device__ float cross_entropy(const struct loss_task &task,
                                      const struct pixel_softmax &pixel, int64_t i_pixel, int k,
                                      int c, float factor, struct loss_sums &sums) {
    float weight = loss_ce_weight(task, task.state->w, k);
    float shifted = task.full[k][i_pixel * task.p + c] - pixel.maximum[k];
    float log_s = weight * shifted - pixel.log_soft[k];
    bool is_label = task.args.labels[i_pixel] == c;
    float d_scaled = factor * (expf(log_s) - (is_label ? 1.0f : 0.0f));
    if (is_label)
        sums.cross_entropy -= log_s;
    sums.d_w[k] += shifted * d_scaled;
    return weight * d_scaled;
}

// Loss of one pixel; its logits become gradients, padding channels zero.
static __device__ void learn(const struct loss_task &task, const struct pixel_softmax &pixel,
                             int64_t i_pixel, struct loss_sums &sums) {
    const struct loss_factors factors = loss_factors_of(task);
    const bool is_masked = task.masks[i_pixel / task.w / task.h] != 0;
    const bool is_valid = task.args.labels[i_pixel] < task.c;
    const float importance = loss_importance(task, task.args.labels[i_pixel]);
    float inner[ADELE_MAX_SCALES] = {0.0f, 0.0f, 0.0f, 0.0f}; // sum_c p_k (log p_k - log q + ..)
    for (int c = 0; c < task.c && is_masked; c++) {
        struct pixel_category at;
        find_consistency(task, pixel, i_pixel, c, at);
        for (int k = 0; k < task.n_scales; k++) {
            sums.consistency += at.p[k] * (at.log_p[k] - at.log_q);
            inner[k] += at.p[k] * (at.log_p[k] - at.log_q + task.state->w[k] * at.d_q);
            sums.d_w[k] += factors.kl * at.p[k] * at.d_q;
        }
    }
    for (int c = 0; c < task.p; c++) {
        float d_z[ADELE_MAX_SCALES] = {0.0f, 0.0f, 0.0f, 0.0f};
        for (int k = 0; k < task.n_scales && c < task.c && is_valid; k++)
            if (loss_has_ce(task, k))
                d_z[k] = cross_entropy(task, pixel, i_pixel, k, c, factors.ce * importance, sums);
        if (is_masked && c < task.c) {
            struct pixel_category at;
            find_consistency(task, pixel, i_pixel, c, at);
            for (int k = 0; k < task.n_scales; k++) {
                float slope = at.log_p[k] - at.log_q + task.state->w[k] * at.d_q;
                d_z[k] += factors.kl * (at.p[k] * (slope - inner[k]));
            }
        }
        for (int k = 0; k < task.n_scales; k++)
            task.full[k][i_pixel * task.p + c] = d_z[k];
    }
    sums.cross_entropy *= importance; // it is this pixel's alone
}

// A thread does one label pixel, a block the counts and sums of its LOSS_THREADS pixels.
static __global__ void plain_loss(struct loss_task task) {
    SHARED(int, histogram, [ADELE_COUNT_TABLES * ADELE_COUNT_KINDS * 256]);
    int64_t i_pixel = thread_index();
    struct loss_sums sums = {0.0f, 0.0f, {0.0f, 0.0f, 0.0f, 0.0f}};
    loss_clear_counts(histogram, 256);
    __syncthreads();
    if (i_pixel < (int64_t)task.n * task.h * task.w) {
        struct pixel_softmax pixel;
        find_pixel_softmax(task, i_pixel, pixel);
        loss_count(task, histogram, 256, i_pixel, report(task, pixel, i_pixel));
        learn(task, pixel, i_pixel, sums);
    }
    __syncthreads();
    loss_add_counts(task, histogram, 256);
    loss_store_sums(task, sums, blockIdx.x);
}

// A thread gathers 8 channels of one low-resolution pixel of scale k, rows outside, columns inside.
template <typename T> static __global__ void plain_fold(struct loss_task task, int k) {
    const struct resample_axis &rows = task.rows[k], &columns = task.columns[k];
    int64_t i = thread_index(), n_groups = task.p / 8;
    int64_t i_cell = i / n_groups;
    if (i_cell >= (int64_t)task.n * rows.n_in * columns.n_in)
        return;
    int channel = (int)(i % n_groups) * 8;
    int column = (int)(i_cell % columns.n_in), row = (int)(i_cell / columns.n_in % rows.n_in);
    int n = (int)(i_cell / columns.n_in / rows.n_in);
    struct resample_span down = rows.spans[row], across = columns.spans[column];
    float sum[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    for (int y = down.first; y < down.end; y++) {
        float weight_y = resample_weight(rows.taps[y], row);
        for (int x = across.first; x < across.end; x++) {
            float weight = weight_y * resample_weight(columns.taps[x], column);
            float pixel[8];
            load8(task.full[k] + loss_pixel(task, n, y, x) * task.p + channel, pixel);
            for (int j = 0; j < 8; j++)
                sum[j] += weight * pixel[j];
        }
    }
    store8((T *)task.args.d_logits[k] + i_cell * task.p + channel, sum);
}

template <typename T>
static adele_status launch_loss(const struct cuda_context *context, const struct loss_task &task) {
    int64_t n_pixels = (int64_t)task.n * task.h * task.w;
    int n_blocks = task.n_blocks;
    for (int k = 0; k < task.n_scales; k++) {
        int64_t n_groups = n_pixels * (task.p / 8);
        TRY(LAUNCH(context, plain_resample<T>, blocks_for(n_groups, LOSS_THREADS), LOSS_THREADS, 0,
                   task, k));
    }
    if (task.form != ADELE_LOSS_PLAIN)
        TRY(LAUNCH(context, plain_mask, n_blocks, LOSS_THREADS, 0, task));
    TRY(LAUNCH(context, plain_loss, n_blocks, LOSS_THREADS, 0, task));
    for (int k = 0; k < task.n_scales && task.needs_gradient; k++) {
        int64_t n_groups =
            (int64_t)task.n * task.rows[k].n_in * task.columns[k].n_in * (task.p / 8);
        TRY(LAUNCH(context, plain_fold<T>, blocks_for(n_groups, LOSS_THREADS), LOSS_THREADS, 0,
                   task, k));
    }
    return ADELE_OK;
}

adele_status loss_plain_run(const struct cuda_context *context, const struct loss_task &task) {
    return WITH_STORAGE(context, T, launch_loss<T>(context, task));
}

} // namespace adele_cuda
