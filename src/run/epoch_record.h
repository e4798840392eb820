// SPDX-License-Identifier: MIT
// What is recorded of a finished epoch: metrics, and a line of the log.
#ifndef ADELE_RUN_EPOCH_RECORD_H
#define ADELE_RUN_EPOCH_RECORD_H

#include "run/epoch.h"
#include "run/trainer_state.h"

// Each adds its metrics to the open record of trainer->metrics.
ADELE_MUST_CHECK adele_status epoch_record_training(struct trainer *trainer,
                                                    const struct epoch_result *result);
// n_changed: pixels that the epoch's correction changed; below 0: there was none.
ADELE_MUST_CHECK adele_status epoch_record_labels(struct trainer *trainer, int epoch,
                                                  int64_t n_changed);
ADELE_MUST_CHECK adele_status epoch_record_evaluation(struct trainer *trainer,
                                                      enum dataset_split split);
ADELE_MUST_CHECK adele_status epoch_record_speed(struct trainer *trainer,
                                                 const struct epoch_result *result);
void epoch_record_log(const struct trainer *trainer, int epoch, const struct epoch_result *result);
#endif
