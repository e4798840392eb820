// SPDX-License-Identifier: MIT
// METHOD section 4 for one pixel at a time, then one category at a time. Full-size gradients are
// held in double and brought to the low-resolution logits by the transpose of the resampling.
#include "reference/reference_method.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define Q_MIN 1e-3
#define Q_MAX (1.0 - 1e-3)

struct pixel {
    double z[ADELE_MAX_SCALES][256], p[ADELE_MAX_SCALES][256], log_p[ADELE_MAX_SCALES][256];
    double d_z[ADELE_MAX_SCALES][256];
    double raw_q[256], q[256]; // before and after the clamp
};

struct batch {
    const struct adele_loss_desc *desc;
    const struct adele_loss_args *args;
    int n_used; // scales in the loss
    double w[ADELE_MAX_SCALES], d_w[ADELE_MAX_SCALES];
    double n_mean;  // divides every sum over pixels
    double ce_mean; // but that of the cross-entropy
    double cross_entropy, consistency;
    double *d_plain[ADELE_MAX_SCALES]; // (N, C, h_scale, w_scale)
};

static bool is_learned(const struct adele_loss_desc *desc) {
    return desc->learn_scale_weights && desc->form == ADELE_LOSS_PROGRAM;
}

static size_t label_index(const struct adele_loss_desc *desc, int n, int y, int x) {
    return ((size_t)n * (size_t)desc->h + (size_t)y) * (size_t)desc->w + (size_t)x;
}

static bool is_valid(const struct batch *batch, int n, int y, int x) {
    return batch->args->labels[label_index(batch->desc, n, y, x)] < batch->desc->c;
}

static size_t plane_offset(const struct adele_loss_desc *desc, int k, int n, int c) {
    return ((size_t)n * (size_t)desc->c + (size_t)c) * (size_t)desc->h_scale[k] *
           (size_t)desc->w_scale[k];
}

static void load(const struct batch *batch, int n, int y, int x, struct pixel *pixel) {
    const struct adele_loss_desc *desc = batch->desc;
    for (int k = 0; k < batch->n_used; k++) {
        const float *logits = batch->args->logits[k];
        for (int c = 0; c < desc->c; c++)
            pixel->z[k][c] =
                reference_bilinear(logits + plane_offset(desc, k, n, c), desc->h_scale[k],
                                   desc->w_scale[k], desc->h, desc->w, y, x);
        reference_softmax(pixel->z[k], desc->c, 1.0, pixel->p[k], pixel->log_p[k]);
    }
    for (int c = 0; c < desc->c; c++) {
        pixel->raw_q[c] = 0.0;
        for (int k = 0; k < batch->n_used; k++)
            pixel->raw_q[c] += batch->w[k] * pixel->p[k][c];
        pixel->q[c] = fmin(fmax(pixel->raw_q[c], Q_MIN), Q_MAX);
    }
}

// m_n: does some pixel that is not ignored reach rho?
static bool is_confident(const struct batch *batch, int n) {
    const struct adele_loss_desc *desc = batch->desc;
    struct pixel pixel;
    double largest = 0.0;
    for (int y = 0; y < desc->h; y++)
        for (int x = 0; x < desc->w; x++) {
            load(batch, n, y, x, &pixel);
            for (int c = 0; c < desc->c; c++)
                if (is_valid(batch, n, y, x) && pixel.q[c] > largest)
                    largest = pixel.q[c];
        }
    return largest >= desc->rho;
}

static double n_batches(const struct batch *batch) {
    return batch->args->n_batches > 0 ? (double)batch->args->n_batches : 1.0;
}

static double class_weight(const struct batch *batch, int label) {
    return batch->args->class_weights != NULL ? (double)batch->args->class_weights[label] : 1.0;
}

// Cross-entropy of weight * z_k at a pixel with a label; d_z_k += gradient.
static void add_cross_entropy(struct batch *batch, struct pixel *pixel, int k, double weight,
                              int label) {
    double s[256], log_s[256];
    double importance = class_weight(batch, label);
    double factor = importance / (batch->ce_mean * batch->desc->divisor * n_batches(batch));
    reference_softmax(pixel->z[k], batch->desc->c, weight, s, log_s);
    batch->cross_entropy -= importance * log_s[label];
    for (int c = 0; c < batch->desc->c; c++) {
        double d_scaled = factor * (s[c] - (c == label ? 1.0 : 0.0));
        pixel->d_z[k][c] += weight * d_scaled;
        batch->d_w[k] += pixel->z[k][c] * d_scaled;
    }
}

// sum_k sum_c p_k (log p_k - log q); d / d p_k = log p_k + 1 - log q + w_k d / d q.
static void add_consistency(struct batch *batch, struct pixel *pixel) {
    const struct adele_loss_desc *desc = batch->desc;
    double d_q[256], d_p[256];
    double factor = desc->lambda / (batch->n_mean * desc->divisor * n_batches(batch));
    if (desc->form == ADELE_LOSS_PAPER)
        factor /= (double)batch->n_used;
    for (int c = 0; c < desc->c; c++) {
        d_q[c] = 0.0;
        for (int k = 0; k < batch->n_used; k++) {
            batch->consistency += pixel->p[k][c] * (pixel->log_p[k][c] - log(pixel->q[c]));
            if (pixel->raw_q[c] >= Q_MIN && pixel->raw_q[c] <= Q_MAX)
                d_q[c] -= pixel->p[k][c] / pixel->q[c];
        }
    }
    for (int k = 0; k < batch->n_used; k++) {
        double mean = 0.0;
        for (int c = 0; c < desc->c; c++) {
            d_p[c] = pixel->log_p[k][c] + 1.0 - log(pixel->q[c]) + batch->w[k] * d_q[c];
            mean += pixel->p[k][c] * d_p[c];
            batch->d_w[k] += factor * pixel->p[k][c] * d_q[c];
        }
        for (int c = 0; c < desc->c; c++)
            pixel->d_z[k][c] += factor * pixel->p[k][c] * (d_p[c] - mean);
    }
}

static void count(int64_t *counts, int table, int prediction, int label) {
    int64_t *rows = counts + (size_t)table * ADELE_COUNT_KINDS * 256;
    if (label == 255)
        return;
    if (prediction == label)
        rows[0 * 256 + label]++;
    rows[1 * 256 + prediction]++;
    rows[2 * 256 + label]++;
}

static void count_all(const struct adele_loss_args *args, size_t i, int prediction) {
    if (args->counts == NULL)
        return;
    count(args->counts, ADELE_COUNT_PREDICTION_CURRENT, prediction, args->labels[i]);
    if (args->noisy != NULL)
        count(args->counts, ADELE_COUNT_PREDICTION_NOISY, prediction, args->noisy[i]);
    if (args->truth != NULL)
        count(args->counts, ADELE_COUNT_PREDICTION_TRUE, prediction, args->truth[i]);
    if (args->truth != NULL && args->noisy != NULL && args->noisy[i] != args->truth[i]) {
        count(args->counts, ADELE_COUNT_EARLY_LEARNING, prediction, args->truth[i]);
        count(args->counts, ADELE_COUNT_MEMORIZATION, prediction, args->noisy[i]);
    }
}

static void report(const struct batch *batch, const struct pixel *pixel, int n, int y, int x) {
    const struct adele_loss_desc *desc = batch->desc;
    const struct adele_loss_args *args = batch->args;
    int best = 0;
    double foreground = 0.0;
    for (int c = 1; c < desc->c; c++) {
        if (pixel->z[0][c] > pixel->z[0][best])
            best = c;
        foreground = fmax(foreground, pixel->p[0][c]);
    }
    count_all(args, label_index(desc, n, y, x), best);
    int i_image = args->sample_ids != NULL ? args->sample_ids[n] : n;
    size_t to = i_image >= 0 ? label_index(desc, i_image, y, x) : 0;
    if (i_image >= 0 && args->prediction != NULL)
        args->prediction[to] = (uint8_t)best;
    if (i_image >= 0 && args->confidence_foreground != NULL)
        args->confidence_foreground[to] = (float)foreground;
    if (i_image >= 0 && args->confidence_background != NULL)
        args->confidence_background[to] = (float)pixel->p[0][0];
    for (int c = 0; c < desc->c && args->mixture != NULL; c++)
        args->mixture[(((size_t)n * (size_t)desc->c + (size_t)c) * (size_t)desc->h + (size_t)y) *
                          (size_t)desc->w +
                      (size_t)x] = (float)pixel->q[c];
}

static void process_pixel(struct batch *batch, bool is_masked, int n, int y, int x) {
    const struct adele_loss_desc *desc = batch->desc;
    struct pixel pixel;
    memset(&pixel, 0, sizeof pixel);
    load(batch, n, y, x, &pixel);
    report(batch, &pixel, n, y, x);
    int label = batch->args->labels[label_index(desc, n, y, x)];
    if (is_valid(batch, n, y, x) && desc->form == ADELE_LOSS_PROGRAM)
        for (int k = 0; k < batch->n_used; k++)
            add_cross_entropy(batch, &pixel, k, batch->w[k], label);
    else if (is_valid(batch, n, y, x))
        add_cross_entropy(batch, &pixel, 0, 1.0, label);
    if (is_masked)
        add_consistency(batch, &pixel);
    for (int k = 0; k < batch->n_used; k++)
        for (int c = 0; c < desc->c && batch->d_plain[k] != NULL; c++)
            reference_bilinear_backward(batch->d_plain[k] + plane_offset(desc, k, n, c),
                                        desc->h_scale[k], desc->w_scale[k], desc->h, desc->w, y, x,
                                        pixel.d_z[k][c]);
}

// The weight of the labelled pixels, and their mean weight for each ignored one that the mean
// counts.
static void prepare_ce_mean(struct batch *batch) {
    const struct adele_loss_desc *desc = batch->desc;
    double weight = 0.0, n_valid = 0.0;
    for (size_t i = 0; i < label_index(desc, desc->n, 0, 0); i++)
        if (batch->args->labels[i] < desc->c) {
            weight += class_weight(batch, batch->args->labels[i]);
            n_valid += 1.0;
        }
    batch->ce_mean = batch->n_mean;
    if (batch->args->class_weights != NULL)
        batch->ce_mean = weight > 0.0 ? batch->n_mean * weight / n_valid : 1.0;
}

static void prepare(struct batch *batch) {
    const struct adele_loss_desc *desc = batch->desc;
    double raw[ADELE_MAX_SCALES] = {0}, log_w[ADELE_MAX_SCALES];
    batch->n_used = desc->form == ADELE_LOSS_PLAIN ? 1 : desc->n_scales;
    for (int k = 0; k < batch->n_used; k++)
        raw[k] = is_learned(desc) ? (double)batch->args->scale_weights[k] : 0.0;
    reference_softmax(raw, batch->n_used, 1.0, batch->w, log_w);
    batch->n_mean = (double)desc->n * (double)desc->h * (double)desc->w;
    if (desc->form == ADELE_LOSS_PLAIN) {
        batch->n_mean = 0.0;
        for (int n = 0; n < desc->n; n++)
            for (int y = 0; y < desc->h; y++)
                for (int x = 0; x < desc->w; x++)
                    batch->n_mean += is_valid(batch, n, y, x);
        batch->n_mean = fmax(batch->n_mean, 1.0);
    }
    prepare_ce_mean(batch);
    for (int k = 0; k < desc->n_scales; k++)
        if (batch->args->d_logits[k] != NULL)
            batch->d_plain[k] = calloc(plane_offset(desc, k, desc->n, 0), sizeof(double));
}

static void finish(struct batch *batch, double n_masked) {
    const struct adele_loss_desc *desc = batch->desc;
    const struct adele_loss_args *args = batch->args;
    bool has_gradient = args->d_logits[0] != NULL;
    double mean = 0.0;
    for (int k = 0; k < batch->n_used; k++)
        mean += batch->w[k] * batch->d_w[k];
    for (int k = 0; k < batch->n_used; k++)
        if (is_learned(desc) && has_gradient && args->d_scale_weights != NULL)
            args->d_scale_weights[k] += (float)(batch->w[k] * (batch->d_w[k] - mean));
    for (int k = 0; k < desc->n_scales; k++) {
        float *d_logits = args->d_logits[k];
        for (size_t i = 0; i < plane_offset(desc, k, desc->n, 0) && d_logits != NULL; i++)
            d_logits[i] = (float)batch->d_plain[k][i];
        free(batch->d_plain[k]);
    }
    double ce = batch->cross_entropy / batch->ce_mean, kl = batch->consistency / batch->n_mean;
    if (desc->form == ADELE_LOSS_PAPER)
        kl /= (double)batch->n_used;
    double total = (ce + desc->lambda * kl) / desc->divisor;
    if (args->is_finite != NULL && (args->n_batches <= 1 || !isfinite(total)))
        *args->is_finite = isfinite(total);
    if (args->sums == NULL || !isfinite(total))
        return;
    args->sums[ADELE_SUM_TOTAL] += total;
    args->sums[ADELE_SUM_CROSS_ENTROPY] += ce;
    args->sums[ADELE_SUM_CONSISTENCY] += kl;
    args->sums[ADELE_SUM_MASKED_IMAGES] += n_masked;
    args->sums[ADELE_SUM_STEPS] += 1.0;
}

void reference_loss_forward(const struct adele_loss_desc *desc,
                            const struct adele_loss_args *args) {
    struct batch batch;
    memset(&batch, 0, sizeof batch);
    batch.desc = desc;
    batch.args = args;
    prepare(&batch);
    double n_masked = 0.0;
    for (int n = 0; n < desc->n; n++) {
        bool is_masked = desc->form != ADELE_LOSS_PLAIN && is_confident(&batch, n);
        if (args->image_mask != NULL)
            args->image_mask[n] = is_masked;
        n_masked += is_masked;
        for (int y = 0; y < desc->h; y++)
            for (int x = 0; x < desc->w; x++)
                process_pixel(&batch, is_masked, n, y, x);
    }
    finish(&batch, n_masked);
}
