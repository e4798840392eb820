// SPDX-License-Identifier: MIT
// Corrected labels between ranks, each of which corrects its own images.
#ifndef ADELE_CORRECTION_LABEL_EXCHANGE_H
#define ADELE_CORRECTION_LABEL_EXCHANGE_H

#include "loader/run_data.h"

// Collective, after each rank has corrected the training labels of its own images: brings every
// rank's changes into the labels of all. `before`: device, plain (n_images, H, W), the labels
// before the correction, the same on all ranks; labels of other ranks' images are still those.
// `owners`: (n_images), the rank that has corrected each image. The device has finished.
ADELE_MUST_CHECK adele_status label_exchange_changes(struct run_data *data, const uint8_t *before,
                                                     const int *owners);
#endif
