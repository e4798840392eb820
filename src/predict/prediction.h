// SPDX-License-Identifier: MIT
// Predictions of training images in device memory, and how ranks share them.
#ifndef ADELE_PREDICT_PREDICTION_H
#define ADELE_PREDICT_PREDICTION_H

#include "loader/run_data.h"

// The prediction that a correction reads, in device memory: of the whole training set where the
// training pass stores it, else of one batch, whose labels are corrected before the next batch is
// predicted.
struct prediction {
    int n;                                                // images
    uint8_t *category;                                    // plain (n, H, W)
    float *confidence_foreground, *confidence_background; // plain (n, H, W)
};

// Of the whole set, of which each rank has its own images. `owners`: see ranks/image_owner.h.

// Makes the images of other ranks ones without a prediction: a correction does not change their
// labels.
ADELE_MUST_CHECK adele_status prediction_clear_others(const struct run_data *data,
                                                      const struct prediction *prediction,
                                                      const int *owners);
// Collective: every rank gets the predictions of all images, as a checkpoint in the middle of an
// epoch needs them.
ADELE_MUST_CHECK adele_status prediction_gather(const struct run_data *data,
                                                const struct prediction *prediction,
                                                const int *owners);
#endif
