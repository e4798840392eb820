// SPDX-License-Identifier: MIT
// What a run reports before its first step: to options.on_start, and in the log.
#ifndef ADELE_RUN_START_REPORT_H
#define ADELE_RUN_START_REPORT_H

#include "run/trainer_state.h"

// Calls options.on_start, if there is one, and logs when labels will be corrected. The plans are
// made, and the checkpoint of a run that is resumed is loaded.
ADELE_MUST_CHECK adele_status start_report(const struct trainer *trainer);
#endif
