// SPDX-License-Identifier: MIT
// The first tensor of a step that is not finite, for messages.
#ifndef ADELE_STEP_NONFINITE_SOURCE_H
#define ADELE_STEP_NONFINITE_SOURCE_H

#include "step/training_step.h"

// Runs step i_step (from 0) of the epoch again, without its update, and checks every tensor.
// *out_what (caller frees with memory_free) names the first one that is not finite: "the output of
// 'outc.conv' is not finite"; NULL: all were finite this time. Leaves the state as it was, and the
// images of step i_next fetched.
ADELE_MUST_CHECK adele_status nonfinite_source_find(struct training_step *step, int epoch,
                                                    int i_step, int i_next, char **out_what);
#endif
