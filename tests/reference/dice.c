// SPDX-License-Identifier: MIT
// The soft Dice loss for one pixel at a time, in double; the gradient with respect to the
// probabilities, through the softmax, and by the transpose of the resampling to the logits.
#include "reference/reference_method.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void probabilities(const struct adele_dice_desc *desc, const struct adele_dice_args *args,
                          int n, int y, int x, double *p) {
    const float *logits = args->logits;
    size_t plane = (size_t)desc->h_logits * (size_t)desc->w_logits;
    double z[256], log_p[256];
    for (int c = 0; c < desc->c; c++)
        z[c] = reference_bilinear(logits + ((size_t)n * (size_t)desc->c + (size_t)c) * plane,
                                  desc->h_logits, desc->w_logits, desc->h, desc->w, y, x);
    reference_softmax(z, desc->c, 1.0, p, log_p);
}

static int label_at(const struct adele_dice_desc *desc, const struct adele_dice_args *args, int n,
                    int y, int x) {
    return args->labels[((size_t)n * (size_t)desc->h + (size_t)y) * (size_t)desc->w + (size_t)x];
}

// Sums over the pixels of the images first <= n < end that have a label.
static void sum_group(const struct adele_dice_desc *desc, const struct adele_dice_args *args,
                      int first, int end, double both[256], double size[256]) {
    double p[256];
    for (int c = 0; c < desc->c; c++) {
        both[c] = 0.0;
        size[c] = 1e-5;
    }
    for (int n = first; n < end; n++)
        for (int y = 0; y < desc->h; y++)
            for (int x = 0; x < desc->w; x++) {
                int label = label_at(desc, args, n, y, x);
                if (label >= desc->c)
                    continue;
                probabilities(desc, args, n, y, x, p);
                both[label] += p[label];
                size[label] += 1.0;
                for (int c = 0; c < desc->c; c++)
                    size[c] += p[c];
            }
}

static void add_gradient(const struct adele_dice_desc *desc, const struct adele_dice_args *args,
                         int n, const double both[256], const double size[256], double scale,
                         double *d_plain) {
    size_t plane = (size_t)desc->h_logits * (size_t)desc->w_logits;
    double p[256], d_p[256];
    for (int y = 0; y < desc->h; y++)
        for (int x = 0; x < desc->w; x++) {
            int label = label_at(desc, args, n, y, x);
            double mean = 0.0;
            if (label >= desc->c)
                continue;
            probabilities(desc, args, n, y, x, p);
            for (int c = 0; c < desc->c; c++) {
                double dice = (2.0 * both[c] + 1e-5) / size[c];
                d_p[c] = c == 0 ? 0.0 : scale * (dice - (c == label ? 2.0 : 0.0)) / size[c];
                mean += p[c] * d_p[c];
            }
            for (int c = 0; c < desc->c; c++)
                reference_bilinear_backward(
                    d_plain + ((size_t)n * (size_t)desc->c + (size_t)c) * plane, desc->h_logits,
                    desc->w_logits, desc->h, desc->w, y, x, p[c] * (d_p[c] - mean));
        }
}

void reference_dice_forward(const struct adele_dice_desc *desc,
                            const struct adele_dice_args *args) {
    size_t count =
        (size_t)desc->n * (size_t)desc->c * (size_t)desc->h_logits * (size_t)desc->w_logits;
    double both[256], size[256], loss = 0.0;
    double *d_plain = calloc(count, sizeof *d_plain);
    int n_groups = desc->per_image ? desc->n : 1;
    double share = desc->weight / ((double)n_groups * (double)(desc->c - 1));
    double scale = share / (args->n_batches > 0 ? (double)args->n_batches : 1.0);
    for (int group = 0; group < n_groups; group++) {
        int first = desc->per_image ? group : 0, end = desc->per_image ? group + 1 : desc->n;
        sum_group(desc, args, first, end, both, size);
        for (int c = 1; c < desc->c; c++)
            loss += share * (1.0 - (2.0 * both[c] + 1e-5) / size[c]);
        for (int n = first; n < end; n++)
            add_gradient(desc, args, n, both, size, scale, d_plain);
    }
    float *d_logits = args->d_logits;
    for (size_t i = 0; i < count && d_logits != NULL; i++)
        d_logits[i] = (float)((double)d_logits[i] + d_plain[i]);
    free(d_plain);
    if (args->is_finite != NULL && !isfinite(loss))
        *args->is_finite = 0;
    if (args->sums != NULL && isfinite(loss))
        args->sums[ADELE_SUM_TOTAL] += loss;
}
