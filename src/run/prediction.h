// SPDX-License-Identifier: MIT
#ifndef ADELE_RUN_PREDICTION_H
#define ADELE_RUN_PREDICTION_H

#include <stdint.h>

// The prediction that a correction reads, in device memory: of the whole training set where the
// training pass stores it, else of one batch, whose labels are corrected before the next batch is
// predicted.
struct prediction {
    int n;                                                // images
    uint8_t *category;                                    // plain (n, H, W)
    float *confidence_foreground, *confidence_background; // plain (n, H, W)
};
#endif
