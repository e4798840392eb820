// SPDX-License-Identifier: MIT
// The steps of one epoch.
#ifndef ADELE_RUN_EPOCH_H
#define ADELE_RUN_EPOCH_H

#include "step/training_step.h"

struct trainer;

struct epoch_result {
    int first_step;       // of those that were run now, from 0
    int n_steps;          // of a whole epoch
    int n_skipped;        // updates, as far as is known, that were skipped as non-finite
    int n_skipped_before; // the same of the steps before first_step, by the checkpoint
    int n_images;         // of the steps that were run now
    double rate;          // learning rate of the last step
    double seconds;       // of the steps that were run now
    bool is_rolled_back;  // the epoch was abandoned: the run goes on after progress.epoch
    char what[512];       // the first step that was skipped, and why
    struct step_totals totals;
};

// All steps of epoch `epoch` (from 1) that are left. ADELE_INTERRUPTED when options.should_stop
// returns true; then progress.step_in_epoch steps are done.
ADELE_MUST_CHECK adele_status epoch_run(struct trainer *trainer, int epoch,
                                        struct epoch_result *out);
#endif
