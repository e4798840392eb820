// SPDX-License-Identifier: MIT
// The specification of the method's ops: plain loops, double accumulators. Descriptors and
// arguments are the device's own, with every "tensor" a plain (N, C, H, W) float array in host
// memory and no workspace; what is overwritten and what is added to is as in device.h. In
// addition:
//
// - bilinear, align-corners: output o reads position o (n_in - 1) / (n_out - 1), position 0 for
// n_out = 1;
// - loss: a label of c or more counts as 255. PLAIN uses scale 0 alone, leaves image_mask and the
//   consistency 0, sets the gradients of the other scales to 0, and divides by 1 when no pixel is
//   valid; its mixture is the clamped softmax of scale 0. PAPER ignores learn_scale_weights, and
//   its consistency sum contains the 1 / K. The mask compares the clamped q.
//   ADELE_SUM_CROSS_ENTROPY and ADELE_SUM_CONSISTENCY are before lambda and divisor,
//   ADELE_SUM_TOTAL behind both. The clamp passes gradient on its bounds. counts, sums, noisy and
//   all outputs but d_logits may be NULL each on its own;
// - correct: thresholds are rounded to float; `mask` writes 255 only where the prediction differs
// from the
//   label; logic255 looks at every pixel of an image that takes part; an on-category that makes an
//   image take part is one of 1..254;
// - count: n_categories does not filter; a label of 255 leaves the pixel out;
// - sample and augment_intensity: see sample.c and augment_intensity.c.
#ifndef ADELE_TESTS_REFERENCE_METHOD_H
#define ADELE_TESTS_REFERENCE_METHOD_H

#include "device/device.h"

void reference_loss_forward(const struct adele_loss_desc *desc, const struct adele_loss_args *args);
void reference_dice_forward(const struct adele_dice_desc *desc, const struct adele_dice_args *args);
void reference_sample_forward(const struct adele_sample_desc *desc,
                              const struct adele_sample_args *args);
void reference_augment_intensity_forward(const struct adele_augment_intensity_desc *desc,
                                         const struct adele_augment_intensity_args *args);
void reference_ensemble_forward(const struct adele_ensemble_desc *desc,
                                const struct adele_ensemble_args *args);
void reference_decide_forward(const struct adele_decide_desc *desc,
                              const struct adele_decide_args *args);
void reference_accumulate_maps_forward(const struct adele_accumulate_maps_desc *desc,
                                       const struct adele_accumulate_maps_args *args);
void reference_guided_filter_forward(const struct adele_guided_filter_desc *desc,
                                     const struct adele_guided_filter_args *args);
void reference_area_decision_forward(const struct adele_area_decision_desc *desc,
                                     const struct adele_area_decision_args *args);
void reference_crf_forward(const struct adele_crf_desc *desc, const struct adele_crf_args *args);
void reference_correct_forward(const struct adele_correct_desc *desc,
                               const struct adele_correct_args *args);
void reference_count_forward(const struct adele_count_desc *desc,
                             const struct adele_count_args *args);

// The value at output pixel (y, x) of one plane (h_in, w_in) resampled to (h, w).
double reference_bilinear(const float *plane, int h_in, int w_in, int h, int w, int y, int x);
// Adds d_out, the gradient at that output pixel, to the gradient of the plane's four pixels.
void reference_bilinear_backward(double *d_plane, int h_in, int w_in, int h, int w, int y, int x,
                                 double d_out);
// p = softmax(scale z) and log_p, its logarithm, over n values.
void reference_softmax(const double *z, int n, double scale, double *p, double *log_p);

#endif
