// SPDX-License-Identifier: MIT
// Prediction of a resident set: input scales and flips averaged (METHOD section 3), batch by batch.
#ifndef ADELE_INFER_INFERENCE_H
#define ADELE_INFER_INFERENCE_H

#include "infer/resident.h"
#include "nn/network.h"

#define INFERENCE_MAX_SCALES 8 // each runs on its own, so more than a training step's

struct inference_config {
    int batch;
    int n_scales;
    double scales[INFERENCE_MAX_SCALES]; // in any order; floor(size * s), bilinear align-corners
    bool flip;                           // also the mirror images
    enum adele_ensemble_mode average;
    double temperature; // of averaged logits
    int crf_iterations; // of a CRF behind the average, METHOD section 3; 0 = none
};

struct inference;

// Plans the network at the needed sizes (c, h, w) of the images; call network_allocate before the
// first run. Borrows device and network.
ADELE_MUST_CHECK adele_status inference_create(const struct adele_device *device,
                                               struct network *network,
                                               const struct inference_config *config,
                                               int n_categories, int c, int h, int w,
                                               struct inference **out);
// Before network_allocate: ADELE_NO_MEMORY names the largest batch that fits when this one does
// not.
ADELE_MUST_CHECK adele_status inference_check_memory(const struct inference *inference,
                                                     struct network *network);
void inference_destroy(struct inference *inference); // NULL is legal

// Where the answer goes: device memory, plain (set, H, W), or with on_prediction (batch, H, W);
// confidences NULL when not wanted.
struct inference_output {
    // Size of the maps, to which the logits are brought before they are averaged: a file's own,
    // say. 0, 0: the images'.
    int h, w;
    // What a CRF looks at when the maps have another size than the images: the same images at the
    // maps' size, of 8 bits, plain (set, C, h, w).
    const uint8_t *crf_images;
    uint8_t *prediction;
    float *confidence_foreground, *confidence_background;
    // Called after every batch when not NULL: probabilities in device memory, plain (n_rows, C, H,
    // W), of images first .. first + n_rows - 1.
    adele_status (*on_probabilities)(void *context, int first, int n_rows,
                                     const float *probabilities);
    // Called after every batch when not NULL: row i of the answer is of image first + i < first +
    // n_rows, and the next batch overwrites it.
    adele_status (*on_prediction)(void *context, int first, int n_rows);
    void *context;    // of both
    bool without_crf; // this time, for all that the configuration says
};
// Eval mode (running statistics). All images of the set, in order. `should_stop` may be NULL.
ADELE_MUST_CHECK adele_status inference_run(struct inference *inference, struct resident *resident,
                                            const struct inference_output *output,
                                            bool (*should_stop)(void *), void *stop_context);
#endif
