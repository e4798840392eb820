// SPDX-License-Identifier: MIT
// What happens when a loss or a gradient is not finite: the device skips the update of that step
// and counts it; here the host reads the count, and stops, goes on, or rolls back, by train.on_nan.
#ifndef ADELE_RUN_ON_NAN_H
#define ADELE_RUN_ON_NAN_H

#include "run/epoch.h"

// Collective. Called when n_issued steps of the epoch were given to the device in this run: checks,
// without waiting where the device is not far behind, whether the update of one of them was
// skipped. At the first one, by train.on_nan: ADELE_NUMERIC names epoch, step and source; or a
// warning; or the state of the last checkpoint is loaded, with result->is_rolled_back. With several
// ranks, trainer->is_stopping becomes true when one of them has to stop.
ADELE_MUST_CHECK adele_status on_nan_check_step(struct trainer *trainer, int epoch, int n_issued,
                                                struct epoch_result *result);
// The same when all steps are done and result->totals are read. An epoch whose steps were all
// skipped is ADELE_NUMERIC too.
ADELE_MUST_CHECK adele_status on_nan_check_epoch(struct trainer *trainer, int epoch,
                                                 struct epoch_result *result);
#endif
