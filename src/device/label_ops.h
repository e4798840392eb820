// SPDX-License-Identifier: MIT
// Ops that make predictions and correct labels: a descriptor and an argument struct each; none has
// a backward pass. What "plain", "tensor" and the letters mean is in tensor.h.
//
// A descriptor fixes the shapes when an op is created; arguments are given with each call. Outputs
// are overwritten unless the comment says "+=".
#ifndef ADELE_DEVICE_LABEL_OPS_H
#define ADELE_DEVICE_LABEL_OPS_H

#include "device/tensor.h"

// ---- ensemble: adds one prediction to an accumulator --------------------------------------------
enum adele_ensemble_mode { ADELE_ENSEMBLE_PROBABILITIES, ADELE_ENSEMBLE_LOGITS };
struct adele_ensemble_desc {
    int n, c, h_in, w_in;          // of the logits
    int h, w;                      // of the accumulator
    enum adele_ensemble_mode mode; // average softmax(z) or z itself
};
struct adele_ensemble_args {
    const void *logits; // tensor
    bool is_first;      // accumulator = instead of +=
    bool flip;          // the logits are of a flipped image: flip them back
    float weight;       // 1 / number of members
    float *accumulator; // plain (N, C, H, W)
};

// ---- decide: accumulator -> prediction and confidence -------------------------------------------
struct adele_decide_desc {
    int n, c, h, w;
    enum adele_ensemble_mode mode;
    double temperature; // LOGITS: softmax(accumulator / temperature); METHOD section 3 (VOC: 3)
};
struct adele_decide_args {
    const float *accumulator;
    // Row i goes to image sample_ids[i] of the set; rows with an id < 0 are skipped. NULL: row i
    // goes to image i.
    const int32_t *sample_ids;    // plain (N)
    uint8_t *prediction;          // plain (set, H, W)
    float *confidence_foreground; // plain (set, H, W): max probability over c >= 1; NULL when not
                                  // wanted
    float *confidence_background; // plain (set, H, W): probability of category 0; NULL likewise
    float *probabilities;         // plain (N, C, H, W), NULL when not wanted
};

// ---- accumulate_maps: an average of predictions over epochs -------------------------------------
// maps = beta maps + (1 - beta) softmax(logits), computed in float and rounded to half precision
// (nearest, ties to even). Maps that start as zeros hold 1 - beta^e times the weighted mean of e
// predictions. Where a pixel's logits have no softmax, because one is NaN or +infinity or all are
// -infinity, the pixel's maps keep their old values.
struct adele_accumulate_maps_desc {
    int n, c, h, w; // of the logits and of the maps
};
struct adele_accumulate_maps_args {
    const void *logits; // tensor
    // Row i goes to map sample_ids[i]; rows with an id < 0 are skipped. NULL: row i goes to map i.
    const int32_t *sample_ids; // plain (N)
    uint16_t *maps;            // plain (set, C, H, W), half precision; read and overwritten
    float beta;                // 0..1
};

// ---- guided_filter: probabilities that follow the edges of the image ----------------------------
// The guided filter of He, Sun and Tang (2010) with the image as the guide. For every class
//     q = maps scale, brought bilinearly with align-corners to (h, w), clamped to 0..1
//     I = (mean over the channels of the image - low) / (high - low), clamped to 0..1
//     a = (<I q> - <I> <q>) / (<I I> - <I>^2 + eps),  b = <q> - a <I>
//     dst = <a> I + <b>, clamped to 0..1
// where <x> is the mean over the pixels of the image that are at most `radius` rows and columns
// away: windows are clipped at the border. With radius 0, dst = q and no image is read. What is
// not finite counts as 0 in maps, a NaN also in images. I, a, b and all sums are in double; q and
// dst in float.
//
// Against exact arithmetic, q is off by at most 2^-22 (its weights and itself are floats). The
// covariance of this error with I is at most the error times the deviation of I, so a is off by at
// most the error / (2 sqrt(eps)), and dst, with b = <q> - a <I>, by (1 + 1 / sqrt(eps)) 2^-22.
struct adele_guided_filter_desc {
    int n, c;
    int h_maps, w_maps;
    int h, w;    // of images and dst
    int image_c; // at least 1
    enum adele_pixel pixel;
    int radius; // at least 0
    double eps; // above 0 where the radius is
};
struct adele_guided_filter_args {
    const uint16_t *maps; // plain (maps, C, h_maps, w_maps), half precision
    // Row i is of map map_ids[i] and of image sample_ids[i]; rows where one of them is < 0 are
    // skipped: nothing of their dst is written. NULL: row i is of map or image i.
    const int32_t *map_ids, *sample_ids; // plain (N)
    float scale;
    const void *images;       // plain (set, image_c, H, W), u8 or f16
    const void *batch_images; // plain (N, image_c, H, W): row i is the image of row i; NULL: take
                              // images from `images`
    // The values of the mean channel that are black and white (0 and 255 for u8). low = high: the
    // smallest and the largest finite one of each image.
    float low, high;
    float *dst; // plain (N, C, H, W)
    void *workspace;
};

// ---- area_decision: classes as large as their probabilities say ---------------------------------
// In each image, the area K_c of a class is the sum of its q over all pixels, times the class's
// factor, rounded to a whole number (one half upwards). Its threshold t_c is the level that K_c
// pixels reach: with n_b pixels in bin b = floor(2048 q), q = 1 in bin 2047, t_c = b / 2048 of the
// highest b with n_b + ... + n_2047 >= K_c, clamped to 0.02..0.98. The prediction is the class with
// the largest logit(q_c) - logit(t_c), where q_c is clamped to 1e-5..1 - 1e-5 for this; of equal
// ones the lowest. A class with K_c = 0 takes no part. Where all have K_c = 0, and with ARGMAX, the
// prediction is the class with the largest q.
//
// Every device decides every pixel alike: before all else, q is clamped to 0..1 and a NaN is 0;
// the sum of K_c is that of the whole numbers floor(2^24 q), and K_c = floor(sum factor / 2^24 +
// 1/2) in double; and instead of logits, (q / (1 - q)) ((1 - t) / t) is compared, which grows with
// them and which doubles compute with the same bits everywhere.
enum adele_area_mode { ADELE_AREA_THRESHOLDS, ADELE_AREA_ARGMAX };
#define ADELE_AREA_BINS 2048
struct adele_area_decision_desc {
    int n, c, h, w;
    enum adele_area_mode mode;
};
struct adele_area_decision_args {
    const float *q; // plain (N, C, H, W)
    // Row i goes to image sample_ids[i] of the set; rows with an id < 0 are skipped. NULL: row i
    // goes to image i.
    const int32_t *sample_ids; // plain (N)
    const float *area_factors; // plain (C): above 0, finite; NULL: all are 1
    uint8_t *prediction;       // plain (set, H, W)
    float *thresholds; // plain (N, C): t_c, 0 of a class that takes no part (with ARGMAX: of
                       // all), not written in skipped rows; NULL when not wanted
    void *workspace;
};

// ---- crf: probabilities refined along the edges of the image, METHOD section 3 ------------------
// Fully connected CRF with Potts potentials, mean field: q = softmax(-u) at first, then
// `iterations` times q = softmax(-u + w_s K_s q + w_b K_b q), with u = -log p (a p below 1e-5 or
// NaN counts as 1e-5, one above 1 as 1). K is the Gaussian exp(-|f_i - f_j|^2 / 2) of the features
// (position / spatial_sigma), and of (position / bilateral_sigma, colour / colour_sigma), divided
// by the square roots of the sums of row i and of row j; the sum over j includes j = i. A device
// may approximate K_s as closely as one that is cut off at 4 sigma, and may approximate K_b on a
// permutohedral lattice (device/lattice.h gives the errors).
struct adele_crf_desc {
    int n, c, image_c, h, w; // image_c: 1 (gray) or 3 (RGB)
    int iterations;          // 1 or more
    double spatial_sigma, spatial_weight;
    double bilateral_sigma, colour_sigma, bilateral_weight;
};
struct adele_crf_args {
    const float *probabilities; // plain (N, C, H, W)
    const uint8_t *images;      // plain (set, image_c, H, W)
    const int32_t *sample_ids;  // row i is of image sample_ids[i]; rows with an id < 0 are skipped;
                                // NULL: row i of image i
    float *dst;                 // plain (N, C, H, W); may be `probabilities`
    void *workspace;
};

// ---- correct: METHOD section 3 ------------------------------------------------------------------
enum adele_correct_rule { ADELE_CORRECT_BOTH, ADELE_CORRECT_SINGLE };
struct adele_correct_desc {
    int n, n_categories, h, w;
    enum adele_correct_rule rule;
    // A pixel is confident where foreground > tau_foreground or background > tau_background.
    double tau_foreground, tau_background;
    bool class_constraint; // write only categories that the image's base labels contain
    bool mask;             // write 255 instead of the prediction
    bool logic255;         // BOTH: then 255 where a foreground label is predicted background
    bool guard;            // SINGLE: the 50 % / 95 % guard
};
struct adele_correct_args {
    const uint8_t *base;       // plain (N, H, W): labels to correct; may be `labels`
    uint8_t *labels;           // plain (N, H, W): corrected labels
    const uint8_t *prediction; // plain (N, H, W)
    const float *confidence_foreground, *confidence_background; // plain (N, H, W)
    uint8_t correct[256]; // host: the categories to correct now; [0] set when any is
    int64_t *n_changed; // plain (1), +=: pixels where labels differ from base; NULL when not wanted
};

// ---- count: IoU counts of one label map against another -----------------------------------------
struct adele_count_desc {
    int n, h, w, n_categories;
};
struct adele_count_args {
    const uint8_t *prediction, *labels; // plain (N, H, W); pixels with the label 255 are skipped,
                                        // and a prediction of 255 is of no category
    int64_t *counts;                    // plain (3, 256), +=: intersection, predicted, labelled
};

#endif
