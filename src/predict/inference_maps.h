// SPDX-License-Identifier: MIT
// The last part of an inference at one size of maps: logits resized to it and averaged, prediction,
// CRF, and their memory.
#ifndef ADELE_PREDICT_INFERENCE_MAPS_H
#define ADELE_PREDICT_INFERENCE_MAPS_H

#include "predict/inference.h"

struct inference_maps {
    const struct adele_device *device; // borrowed
    int h, w;
    struct adele_op *ensembles[INFERENCE_MAX_SCALES];
    struct adele_op *decide;
    struct adele_op *crf, *decide_crf; // NULL without
    size_t n_floats;
    float *accumulator;   // plain (batch, n_categories, h, w)
    float *probabilities; // the same, allocated when first needed
    void *workspace;      // of the CRF
};

// `logits`: the shape of each scale's; image_c: channels of the images that a CRF compares pixels
// in.
ADELE_MUST_CHECK adele_status inference_maps_init(struct inference_maps *out,
                                                  const struct adele_device *device,
                                                  const struct inference_config *config,
                                                  const struct adele_shape *logits, int image_c,
                                                  int h, int w);
void inference_maps_deinit(struct inference_maps *maps); // also zeroes it
ADELE_MUST_CHECK adele_status inference_maps_allocate_probabilities(struct inference_maps *maps);
// The images that a CRF compares pixels in: of 8 bits, plain (set, C, h, w), and which of them are
// the batch's; `sample_ids` NULL: row i is image i.
struct inference_view {
    const void *images;
    const int32_t *sample_ids;
};
// The average in the accumulator -> prediction, confidences and probabilities.
ADELE_MUST_CHECK adele_status inference_maps_decide(struct inference_maps *maps,
                                                    const int32_t *sample_ids,
                                                    const struct inference_view *view,
                                                    const struct inference_output *output);
#endif
