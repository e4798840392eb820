// SPDX-License-Identifier: MIT
// The loss of one row of pixels: METHOD section 4, for logits that are already at label size.
// Value (c, x) of a row lies at c * stride + x. Symbols as there: z_k logits, p_k = softmax(z_k),
// w_k scale weights, q the mixture.
#ifndef ADELE_CPU_LOSS_ROWS_H
#define ADELE_CPU_LOSS_ROWS_H

#include "device/device.h"

#define LOSS_Q_MIN 1e-3f
#define LOSS_Q_MAX (1.0f - 1e-3f)

// The buffers of one thread, which loss_row_init places in the op's workspace.
struct loss_row {
    int n_categories, n_scales, n, stride;
    const float *w;                                               // (K)
    const float *class_weights;                                   // (C); NULL: all 1
    float *z[ADELE_MAX_SCALES], *p[ADELE_MAX_SCALES];             // (C, stride)
    float *maximum[ADELE_MAX_SCALES], *log_sum[ADELE_MAX_SCALES]; // (stride): log p = z - both
    float *q;                      // (C, stride): the clamped mixture
    float *d_q;                    // (C, stride): d consistency / d q, 0 where the clamp holds
    float *log_q;                  // (C, stride)
    float *softened;               // (C, stride): softmax(w_k z_k)
    float *d_z;                    // (C, stride): the gradient of one scale
    float *picked, *pixel, *inner; // (stride): scratch
    float *validity;               // (stride): 1 where the label names a category
    float *importance;             // (stride): the weight of that category; 0 where there is none
    int32_t *label;                // (stride): -1 where it does not
    uint8_t *prediction;           // (stride): argmax of z_0
    float *scratch;                // for resampling
};
// Doubles summed over the pixels of a row.
struct loss_row_sums {
    double cross_entropy, consistency;
    double d_w[ADELE_MAX_SCALES];
};

size_t loss_row_floats(int n_categories, int n_scales, int stride, size_t scratch_floats);
void loss_row_init(struct loss_row *row, float *memory, int n_categories, int n_scales, int n,
                   int stride);

// Labels of n_categories and above count as 255, so that no label indexes outside an array.
void loss_row_set_labels(struct loss_row *row, const uint8_t *labels);
// z_k -> p_k of every scale, and q.
void loss_row_mix(struct loss_row *row);
// The largest q over the pixels that are not ignored; 0 where all are.
float loss_row_largest(const struct loss_row *row);

// Adds the row's cross-entropy of weight * z_k, and writes its gradient times `factor` to d_z and
// adds d / d weight times `factor` to sums->d_w[k]. needs_gradient = false: the sum alone.
void loss_row_cross_entropy(struct loss_row *row, int k, float weight, float factor,
                            bool needs_gradient, struct loss_row_sums *sums);
// Adds the row's sum_k KL(p_k, q), and prepares q's part of its gradient, to be called once before
// loss_row_consistency_gradient, which adds the gradient times `factor` to d_z and to sums->d_w[k].
void loss_row_consistency(struct loss_row *row, struct loss_row_sums *sums);
void loss_row_consistency_gradient(struct loss_row *row, int k, float factor,
                                   struct loss_row_sums *sums);

#endif
