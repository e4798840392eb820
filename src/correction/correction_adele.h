// SPDX-License-Identifier: MIT
// The state of correction.method: adele, and how it rewrites the labels (METHOD sections 3 and 7).
#ifndef ADELE_CORRECTION_CORRECTION_ADELE_H
#define ADELE_CORRECTION_CORRECTION_ADELE_H

#include "correction/veto.h"

struct correction_adele {
    struct set_inference *inference; // NULL: the training pass stores the prediction
    struct veto veto;
};

// Sets corrector->adele; after an error, correction_adele_destroy frees what was made.
ADELE_MUST_CHECK adele_status correction_adele_create(struct corrector *corrector,
                                                      const struct corrector_options *options);
void correction_adele_destroy(struct correction_adele *self,
                              const struct adele_device *device); // NULL is legal

// From the labels in corrector->scratch_map, which are those of the device.
ADELE_MUST_CHECK adele_status correction_adele_rewrite(struct corrector *corrector, int epoch,
                                                       const struct schedule_decision *decision);
#endif
