// SPDX-License-Identifier: MIT
// How far a run has come. All of it is in a checkpoint.
#ifndef ADELE_RUN_PROGRESS_H
#define ADELE_RUN_PROGRESS_H

struct progress {
    int epoch;            // finished epochs
    long step;            // finished steps
    int step_in_epoch;    // finished steps of the epoch after those; above 0 after an interruption
    int skipped_in_epoch; // of those, updates that were skipped because they were not finite
    double best_miou;     // foreground, on val; -1 = no evaluation so far
    int best_epoch;
};
#endif
