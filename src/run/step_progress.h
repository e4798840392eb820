// SPDX-License-Identifier: MIT
// What a run reports between its steps: speed and loss, for people. No result depends on it.
#ifndef ADELE_RUN_STEP_PROGRESS_H
#define ADELE_RUN_STEP_PROGRESS_H

#include "adele/status.h"
#include <stdbool.h>

struct trainer;

struct step_progress {
    bool has_reported;
    double reported_at; // clock_seconds
    double counts_at;   // when the first of the steps below began
    long n_images;      // of the steps since then
    double sum, n;      // the epoch's sums of losses and of steps at that time
};

// At the begin of an epoch's steps.
void step_progress_begin(struct step_progress *progress);
// After step i_step (from 0); calls options.on_progress when it is time.
ADELE_MUST_CHECK adele_status step_progress_report(struct trainer *trainer, int epoch, int i_step,
                                                   int n_steps);
#endif
