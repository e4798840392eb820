// SPDX-License-Identifier: MIT
// Internal to the ensemble: where its maps lie, and how they come to the device.
#ifndef ADELE_CORRECTION_ENSEMBLE_MAPS_H
#define ADELE_CORRECTION_ENSEMBLE_MAPS_H

#include "correction/ensemble.h"

// Zeroed maps of the share's images, on the device or on the host, and the memory for a decision.
ADELE_MUST_CHECK adele_status ensemble_maps_allocate(struct ensemble *ensemble);
void ensemble_maps_free(struct ensemble *ensemble); // the device must have finished

// *out: device memory, with the maps of the batch that begins with image `first`. `store` after the
// ops that change them.
ADELE_MUST_CHECK adele_status ensemble_maps_fetch(struct ensemble *ensemble, int first,
                                                  uint16_t **out);
ADELE_MUST_CHECK adele_status ensemble_maps_store(struct ensemble *ensemble, int first);
#endif
