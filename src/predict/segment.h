// SPDX-License-Identifier: MIT
// Segments images that a program has in memory (adele_model_segment).
#ifndef ADELE_PREDICT_SEGMENT_H
#define ADELE_PREDICT_SEGMENT_H

#include "adele/model.h"
#include "predict/model.h"

// A model, with what it has planned for such images.
struct segmenter {
    struct model *model; // borrowed
    // Of the last call, for the next with the same options; NULL: none. The caller destroys it.
    struct inference *inference;
    struct inference_config config;
};
// Releases what calls on the model have planned: it would take memory from the next one, which may
// leave them without their plans when it fails.
ADELE_MUST_CHECK adele_status segmenter_drop_plans(struct segmenter *self);

ADELE_MUST_CHECK adele_status segment_check_images(const struct model *model,
                                                   const struct adele_images *images,
                                                   const uint8_t *classes);
// Of images that segment_check_images takes.
ADELE_MUST_CHECK adele_status segment_images(struct segmenter *segmenter,
                                             const struct adele_images *images,
                                             const struct inference_config *wanted,
                                             uint8_t *classes, float *probabilities);
#endif
