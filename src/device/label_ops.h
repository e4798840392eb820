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

// ---- crf: probabilities refined along the edges of the image, METHOD section 3 ------------------
// Fully connected CRF with Potts potentials, mean field: q = softmax(-u) at first, then
// `iterations` times q = softmax(-u + w_s K_s q + w_b K_b q), with u = -log p (a p below 1e-5 or
// NaN counts as 1e-5, one above 1 as 1). K is the Gaussian exp(-|f_i - f_j|^2 / 2) of the features
// (position / spatial_sigma), and of (position / bilateral_sigma, colour / colour_sigma), divided
// by the square roots of the sums of row i and of row j; the sum over j includes j = i. A device
// may cut K_s off at 4 sigma, and may approximate K_b on a permutohedral lattice (device/lattice.h
// gives the errors).
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
