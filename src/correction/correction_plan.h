// SPDX-License-Identifier: MIT
// What a run reports of its corrections before its first step: when labels will be corrected, and
// where its settings keep the correction from being of use.
#ifndef ADELE_CORRECTION_CORRECTION_PLAN_H
#define ADELE_CORRECTION_CORRECTION_PLAN_H

#include "correction/corrector.h"

// Warns, once a run, of keys that the method of the correction does not use, of settings beside
// which it was not tried, and of an ensemble without a gate.
ADELE_MUST_CHECK adele_status correction_plan_check(const struct config *config);

struct correction_plan {
    char when[200];    // "once, after epoch 8 of 24, from the ensemble"
    char warning[400]; // too few epochs; "": none
};
// The checkpoint of a run that is resumed is loaded.
void correction_plan_describe(const struct corrector *corrector, struct correction_plan *out);
#endif
