// SPDX-License-Identifier: MIT
// The learning rate of each step: train.warmup_epochs, then train.schedule (METHOD section 5).
#ifndef ADELE_STEP_LEARNING_RATE_H
#define ADELE_STEP_LEARNING_RATE_H

#include "loader/epoch_plan.h"

// ADELE_CONFIG unless the warm-up ends before the run does.
ADELE_MUST_CHECK adele_status learning_rate_check(const struct config *config,
                                                  const struct epoch_plan *epochs);

// Before parameters' own factors. `step`: steps that are finished, 0 to n_steps_total - 1.
double learning_rate(const struct config *config, const struct epoch_plan *epochs, long step);

#endif
