// SPDX-License-Identifier: MIT
// A warning when the validation score is lower after a correction than before it: at once when it
// falls by more than 0.02, and when it stays lower. It is computed from the records and the epochs
// that were corrected, which are in each checkpoint, so a resumed run warns as an uninterrupted one
// does.
#ifndef ADELE_CORRECTION_SCORE_DROP_H
#define ADELE_CORRECTION_SCORE_DROP_H

#include "correction/corrector.h"
#include "run_folder/metrics.h"

// After epoch `epoch` is in the records.
ADELE_MUST_CHECK adele_status score_drop_warn(const struct corrector *corrector,
                                              const struct metrics *metrics, int epoch);
#endif
