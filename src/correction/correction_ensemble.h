// SPDX-License-Identifier: MIT
// The state of correction.method: ensemble, and what it does at the end of an epoch (METHOD
// section 9).
#ifndef ADELE_CORRECTION_CORRECTION_ENSEMBLE_H
#define ADELE_CORRECTION_CORRECTION_ENSEMBLE_H

#include "correction/corrector.h"
#include "correction/ensemble_gate.h"

struct correction_ensemble {
    struct ensemble ensemble;
    struct ensemble_gate gate;
    bool is_labelled[256]; // the labels as given contain the class
};

// Sets corrector->ensemble; after an error, correction_ensemble_destroy frees what was made.
ADELE_MUST_CHECK adele_status correction_ensemble_create(struct corrector *corrector,
                                                         const struct corrector_options *options);
void correction_ensemble_destroy(struct correction_ensemble *self); // NULL is legal

// Whether labels may still be corrected from the maps of an ensemble.
static inline bool correction_ensemble_is_open(const struct correction_ensemble *self) {
    return self != NULL && ensemble_is_open(&self->ensemble);
}

// Adds the epoch's predictions, by the averaged weights where there are such, and decides where a
// class is to be corrected. *out_is_last: no class is left for a later epoch. Collective.
ADELE_MUST_CHECK adele_status correction_ensemble_decide(struct corrector *corrector, int epoch,
                                                         struct schedule_decision *decision,
                                                         bool *out_is_last);
// The ensemble has decided the images of this rank's share.
ADELE_MUST_CHECK adele_status correction_ensemble_rewrite(struct corrector *corrector,
                                                          const struct schedule_decision *decision);
#endif
