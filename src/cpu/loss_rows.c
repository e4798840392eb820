// SPDX-License-Identifier: MIT
// The loops have categories outside and pixels inside, over contiguous floats, so that they become
// vector code; sums over pixels are taken in double and in the order of x.
#include "cpu/loss_rows.h"

#include "cpu/softmax.h"
#include "cpu/vector_math.h"
#include <string.h>

size_t loss_row_floats(int n_categories, int n_scales, int stride, size_t scratch_floats) {
    size_t plane = (size_t)n_categories * (size_t)stride;
    size_t planes = 2 * (size_t)n_scales + 5;
    size_t lines = 2 * (size_t)n_scales + 7;
    return planes * plane + lines * (size_t)stride + scratch_floats;
}

void loss_row_init(struct loss_row *row, float *memory, int n_categories, int n_scales, int n,
                   int stride) {
    size_t plane = (size_t)n_categories * (size_t)stride;
    size_t line = (size_t)stride;
    memset(row, 0, sizeof *row);
    row->n_categories = n_categories;
    row->n_scales = n_scales;
    row->n = n;
    row->stride = stride;
    for (int k = 0; k < n_scales; k++) {
        row->z[k] = memory;
        row->p[k] = memory + plane;
        row->maximum[k] = memory + 2 * plane;
        row->log_sum[k] = row->maximum[k] + line;
        memory += 2 * plane + 2 * line;
    }
    row->q = memory;
    row->d_q = row->q + plane;
    row->log_q = row->d_q + plane;
    row->softened = row->log_q + plane;
    row->d_z = row->softened + plane;
    row->picked = row->d_z + plane;
    row->pixel = row->picked + line;
    row->inner = row->pixel + line;
    row->validity = row->inner + line;
    row->importance = row->validity + line;
    void *labels = row->validity + 2 * line;
    void *predictions = row->validity + 3 * line;
    row->label = labels;
    row->prediction = predictions;
    row->scratch = row->validity + 4 * line;
}

void loss_row_set_labels(struct loss_row *row, const uint8_t *labels) {
    for (int x = 0; x < row->n; x++) {
        bool is_valid = labels[x] < row->n_categories;
        row->label[x] = is_valid ? labels[x] : -1;
        row->validity[x] = is_valid ? 1.0f : 0.0f;
        row->importance[x] =
            is_valid && row->class_weights ? row->class_weights[labels[x]] : row->validity[x];
    }
}

CPU_KERNEL(static void, add_weighted,
           (const float *restrict p, float w, size_t n, bool is_first, float *restrict q),
           (p, w, n, is_first, q)) {
    for (size_t i = 0; i < n; i++)
        q[i] = is_first ? w * p[i] : q[i] + w * p[i];
}

void loss_row_mix(struct loss_row *row) {
    for (int k = 0; k < row->n_scales; k++) {
        softmax_row(row->z[k], row->n_categories, row->n, row->stride, 1.0f, row->p[k],
                    row->maximum[k], row->log_sum[k]);
        for (int c = 0; c < row->n_categories; c++) {
            size_t at = (size_t)c * (size_t)row->stride;
            add_weighted(row->p[k] + at, row->w[k], (size_t)row->n, k == 0, row->q + at);
        }
    }
}

CPU_KERNEL(static void, largest_of,
           (const float *restrict q, const float *restrict validity, int n,
            float *restrict largest),
           (q, validity, n, largest)) {
    for (int x = 0; x < n; x++) {
        float clamped = q[x] < LOSS_Q_MIN ? LOSS_Q_MIN : q[x];
        clamped = clamped > LOSS_Q_MAX ? LOSS_Q_MAX : clamped;
        float seen = clamped * validity[x];
        largest[x] = seen > largest[x] ? seen : largest[x];
    }
}

float loss_row_largest(const struct loss_row *row) {
    memset(row->pixel, 0, (size_t)row->n * sizeof *row->pixel);
    for (int c = 0; c < row->n_categories; c++)
        largest_of(row->q + (size_t)c * (size_t)row->stride, row->validity, row->n, row->pixel);
    float largest = 0.0f;
    for (int x = 0; x < row->n; x++)
        largest = row->pixel[x] > largest ? row->pixel[x] : largest;
    return largest;
}

static double sum_pixels(const float *pixel, int n) {
    double sum = 0.0;
    for (int x = 0; x < n; x++)
        sum += (double)pixel[x];
    return sum;
}

// For category c: picked += [label = c] (z - maximum), and with gradient
// d_z = weight factor importance (s - [label = c]), pixel += (z - maximum) d_z / weight.
CPU_KERNEL(static void, cross_entropy_category,
           (const struct loss_row *row, int k, int c, const float *restrict s, float weight,
            float factor, bool needs_gradient),
           (row, k, c, s, weight, factor, needs_gradient)) {
    size_t at = (size_t)c * (size_t)row->stride;
    const float *restrict z = row->z[k] + at;
    const float *restrict maximum = row->maximum[k];
    const int32_t *restrict label = row->label;
    const float *restrict importance = row->importance;
    float *restrict picked = row->picked;
    float *restrict pixel = row->pixel;
    float *restrict d_z = row->d_z + at;
    int n = row->n;
    for (int x = 0; x < n; x++)
        picked[x] += label[x] == c ? z[x] - maximum[x] : 0.0f;
    if (!needs_gradient)
        return;
    for (int x = 0; x < n; x++) {
        float hit = label[x] == c ? 1.0f : 0.0f;
        float d_scaled = factor * importance[x] * (s[at + (size_t)x] - hit);
        d_z[x] = weight * d_scaled;
        pixel[x] += (z[x] - maximum[x]) * d_scaled;
    }
}

CPU_KERNEL(static void, finish_cross_entropy,
           (const float *restrict log_sum, const float *restrict importance, float weight, int n,
            float *restrict picked),
           (log_sum, importance, weight, n, picked)) {
    for (int x = 0; x < n; x++)
        picked[x] = importance[x] * (log_sum[x] - weight * picked[x]);
}

void loss_row_cross_entropy(struct loss_row *row, int k, float weight, float factor,
                            bool needs_gradient, struct loss_row_sums *sums) {
    const float *s = row->p[k];
    const float *log_sum = row->log_sum[k];
    if (weight != 1.0f) {
        softmax_row(row->z[k], row->n_categories, row->n, row->stride, weight, row->softened,
                    row->maximum[k], row->inner);
        s = row->softened;
        log_sum = row->inner;
    }
    memset(row->picked, 0, (size_t)row->n * sizeof *row->picked);
    memset(row->pixel, 0, (size_t)row->n * sizeof *row->pixel);
    for (int c = 0; c < row->n_categories; c++)
        cross_entropy_category(row, k, c, s, weight, factor, needs_gradient);
    finish_cross_entropy(log_sum, row->importance, weight, row->n, row->picked);
    sums->cross_entropy += sum_pixels(row->picked, row->n);
    if (needs_gradient)
        sums->d_w[k] += sum_pixels(row->pixel, row->n);
}

// d_q holds sum_k p_k on entry; clamps q and leaves log q and d consistency / d q.
CPU_KERNEL(static void, finish_mixture,
           (int n, float *restrict q, float *restrict log_q, float *restrict d_q),
           (n, q, log_q, d_q)) {
    for (int x = 0; x < n; x++) {
        float low = q[x] < LOSS_Q_MIN ? LOSS_Q_MIN : q[x];
        float clamped = low > LOSS_Q_MAX ? LOSS_Q_MAX : low;
        float slope = -d_q[x] / clamped;
        d_q[x] = clamped == q[x] ? slope : 0.0f;
        q[x] = clamped;
        log_q[x] = cpu_log(clamped);
    }
}

CPU_KERNEL(static void, add_divergence,
           (const float *restrict z, const float *restrict p, const float *restrict maximum,
            const float *restrict log_sum, const float *restrict log_q, int n,
            float *restrict pixel),
           (z, p, maximum, log_sum, log_q, n, pixel)) {
    for (int x = 0; x < n; x++)
        pixel[x] += p[x] * ((z[x] - maximum[x]) - log_sum[x] - log_q[x]);
}

void loss_row_consistency(struct loss_row *row, struct loss_row_sums *sums) {
    memset(row->pixel, 0, (size_t)row->n * sizeof *row->pixel);
    for (int c = 0; c < row->n_categories; c++) {
        size_t at = (size_t)c * (size_t)row->stride;
        for (int k = 0; k < row->n_scales; k++)
            add_weighted(row->p[k] + at, 1.0f, (size_t)row->n, k == 0, row->d_q + at);
        finish_mixture(row->n, row->q + at, row->log_q + at, row->d_q + at);
        for (int k = 0; k < row->n_scales; k++)
            add_divergence(row->z[k] + at, row->p[k] + at, row->maximum[k], row->log_sum[k],
                           row->log_q + at, row->n, row->pixel);
    }
    sums->consistency += sum_pixels(row->pixel, row->n);
}

// a = log p - log q + w d_q; leaves it in `slope`, adds p a to inner and p d_q to pixel.
CPU_KERNEL(static void, slope_category,
           (const struct loss_row *row, int k, int c, float *restrict slope), (row, k, c, slope)) {
    size_t at = (size_t)c * (size_t)row->stride;
    const float *restrict z = row->z[k] + at;
    const float *restrict p = row->p[k] + at;
    const float *restrict maximum = row->maximum[k];
    const float *restrict log_sum = row->log_sum[k];
    const float *restrict log_q = row->log_q + at;
    const float *restrict d_q = row->d_q + at;
    float *restrict inner = row->inner;
    float *restrict pixel = row->pixel;
    float w = row->w[k];
    int n = row->n;
    for (int x = 0; x < n; x++) {
        float a = (z[x] - maximum[x]) - log_sum[x] - log_q[x] + w * d_q[x];
        slope[x] = a;
        inner[x] += p[x] * a;
        pixel[x] += p[x] * d_q[x];
    }
}

CPU_KERNEL(static void, add_softmax_gradient,
           (const float *restrict p, const float *restrict slope, const float *restrict inner,
            float factor, int n, float *restrict d_z),
           (p, slope, inner, factor, n, d_z)) {
    for (int x = 0; x < n; x++)
        d_z[x] += factor * (p[x] * (slope[x] - inner[x]));
}

void loss_row_consistency_gradient(struct loss_row *row, int k, float factor,
                                   struct loss_row_sums *sums) {
    memset(row->inner, 0, (size_t)row->n * sizeof *row->inner);
    memset(row->pixel, 0, (size_t)row->n * sizeof *row->pixel);
    for (int c = 0; c < row->n_categories; c++)
        slope_category(row, k, c, row->softened + (size_t)c * (size_t)row->stride);
    for (int c = 0; c < row->n_categories; c++) {
        size_t at = (size_t)c * (size_t)row->stride;
        add_softmax_gradient(row->p[k] + at, row->softened + at, row->inner, factor, row->n,
                             row->d_z + at);
    }
    sums->d_w[k] += (double)factor * sum_pixels(row->pixel, row->n);
}
