// SPDX-License-Identifier: MIT
// How large the classes shall be: between what the labels of the training set and what the
// ensemble's probabilities say (METHOD section 9).
#ifndef ADELE_CORRECTION_CLASS_AREAS_H
#define ADELE_CORRECTION_CLASS_AREAS_H

#include "correction/ensemble.h"

#define CLASS_AREA_LIMIT 2.0 // a factor is at least 1 / this and at most this

// With correction.calibrate and the decision by area, after `epoch` epochs: from now on, and until
// its maps are freed, ensemble_decide multiplies the areas of each class by sqrt(l / p), where l
// are the pixels that the original labels give to it, and p is the sum of its probabilities at the
// pixels that have a label, over all images of all ranks; by 1 where one of the two is nothing.
// Collective; the same on any number of ranks.
ADELE_MUST_CHECK adele_status class_areas_apply(struct ensemble *ensemble, int epoch);
#endif
