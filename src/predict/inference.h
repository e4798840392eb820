// SPDX-License-Identifier: MIT
// Prediction of a resident set: input scales and flips averaged (METHOD section 3), batch by batch.
#ifndef ADELE_PREDICT_INFERENCE_H
#define ADELE_PREDICT_INFERENCE_H

#include "base/memory.h"
#include "loader/resident.h"
#include "nn/network.h"

#define INFERENCE_MAX_SCALES 8 // they run one after another, so more than in a training step

struct inference_config {
    int batch;
    int n_scales;
    double scales[INFERENCE_MAX_SCALES]; // in any order; floor(size * s), bilinear align-corners
    bool flip;                           // also the mirror images
    enum adele_ensemble_mode average;
    double temperature; // of averaged logits
    int crf_iterations; // of a CRF on the average, METHOD section 3; 0 = none
    // Of a sliding window (sliding.h); 0, 0: images are brought to the network's size.
    int window_h, window_w;
};

// One scale, no flip, no CRF.
struct inference_config inference_config_single(int batch, double scale);

struct inference;

// Plans the network at the needed sizes (c, h, w) of the images; call network_allocate before the
// first run. Borrows device and network.
ADELE_MUST_CHECK adele_status inference_create(const struct adele_device *device,
                                               struct network *network,
                                               const struct inference_config *config,
                                               int n_categories, int c, int h, int w,
                                               struct inference **out);
// Before network_allocate: ADELE_NO_MEMORY names the largest batch that fits when this one does
// not. n_processes of this host do the same, this one included, and share the memory of a CPU.
ADELE_MUST_CHECK adele_status inference_check_memory(const struct inference *inference,
                                                     struct network *network, int n_processes);
void inference_destroy(struct inference *inference); // NULL is legal
OWNER(inference_destroy, struct inference)

// Where the predictions are written: device memory, plain (set, H, W), or with is_by_batch (batch,
// H, W), whose row i is of the batch's image i. Confidences are NULL when not wanted.
struct inference_output {
    // Size of the maps, to which the logits are resized before they are averaged: that of the
    // files, for example. 0, 0: the images'.
    int h, w;
    // Images that a CRF compares pixels in, when the maps have another size than the images: the
    // same images at the maps' size, of 8 bits, plain (set, C, h, w).
    const uint8_t *crf_images;
    uint8_t *prediction; // NULL: logits alone, see inference_logits
    float *confidence_foreground, *confidence_background;
    bool is_by_batch;
    // Predicts the images first .. end - 1 alone, whole batches: `first` is a multiple of the
    // batch, and `end` is one or the number of images. end 0: all images.
    int first, end;
    bool with_probabilities; // see inference_probabilities
    bool without_crf;        // this time, whatever the configuration says
};

// Predicts a set in eval mode (running statistics), batch by batch, in the set's order:
//
//     inference_begin(...)
//     do inference_next(..., &first, &n) while n > 0, with work on images first .. first + n - 1
//
// resident and output are borrowed until the last batch; a caller may stop earlier.
ADELE_MUST_CHECK adele_status inference_begin(struct inference *inference,
                                              struct resident *resident,
                                              const struct inference_output *output);
// For files that predict batch by batch in their own way: where `output` ends in a set of so many
// images; ADELE_INVALID_ARGUMENT where it does not hold whole batches of them.
ADELE_MUST_CHECK adele_status inference_output_end(const struct inference_output *output, int batch,
                                                   int n_images, int *out_end);
// Predicts the next batch; *out_n = 0 when there is none left, and then the device has finished.
ADELE_MUST_CHECK adele_status inference_next(struct inference *inference, int *out_first,
                                             int *out_n);
// Of the last batch, with output.with_probabilities: device memory, plain (n, C, H, W), valid until
// the next batch.
const float *inference_probabilities(const struct inference *inference);
// Of the last batch, without output.prediction, at the only scale and without flips: tensor,
// `inference_logits_shape`, valid until the next forward of the network.
const void *inference_logits(const struct inference *inference);
struct adele_shape inference_logits_shape(const struct inference *inference);
#endif
