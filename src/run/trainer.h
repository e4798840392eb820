// SPDX-License-Identifier: MIT
// A training run from the configuration to the last checkpoint.
//
// One epoch: every step samples, runs the network at all scales, the loss op, backward and SGD on
// the device; at the epoch's end the host reads the counters, fits the curves, determines the
// onsets and corrects the labels of the classes whose onset has passed. Then evaluation, metrics
// and checkpoint.
#ifndef ADELE_RUN_TRAINER_H
#define ADELE_RUN_TRAINER_H

#include "adele/train.h"
#include "config/config.h"
#include "ranks/ranks.h"
#include "scores/score.h"
#include <stdbool.h>

// A finished epoch. Everything is borrowed during the call.
struct trainer_epoch {
    int epoch, n_epochs;
    int n_categories;
    char *const *category_names;
    double seconds;                 // of its steps
    double loss;                    // mean of its steps
    const struct score *train;      // of its steps, against the labels that the run was given
    const struct score *val, *test; // NULL: not evaluated after this epoch
    int64_t n_corrected;            // pixels whose label this epoch's correction changed
};

struct trainer_options {
    const struct config *config; // borrowed
    const char *run_folder;      // created when it does not exist
    bool resume;                 // continue from its last checkpoint when there is one
    const char *device;          // "auto", "cpu", ...
    struct ranks *ranks;         // borrowed; NULL: one process
    // Above 0: the run ends with ADELE_OK after so many steps (or its last one); nothing is
    // corrected or evaluated, and no checkpoint is written.
    int64_t n_profile_steps;
    // All may be NULL. Called on the calling thread.
    // Once the folder is the run's, before the device is opened; an error ends the run.
    adele_status (*on_claimed)(void *context);
    void (*on_step)(void *context, int epoch, int n_epochs, int step, int n_steps);
    // See adele/train.h.
    void (*on_start)(void *context, const struct adele_train_start *start);
    void (*on_progress)(void *context, const struct adele_train_progress *progress);
    double progress_seconds;
    // After each epoch's checkpoint; true: stop with ADELE_INTERRUPTED.
    bool (*on_epoch)(void *context, const struct trainer_epoch *epoch);
    // Before every step; true: stop with ADELE_INTERRUPTED.
    bool (*should_stop)(void *context);
    void *context;
};

struct trainer_result {
    int n_epochs;               // done
    double val_miou, test_miou; // foreground, after the last epoch; NaN when not evaluated
    double best_miou;
    int best_epoch;
};

// Seconds. No step begins that would not end within `in_all`, but the first one. A batch has no
// further step, after two, once `of_size` is over.
struct dry_run_times {
    double in_all, of_size;
};
// Tries batch sizes, as adele_train_dry_run says. options->run_folder is not used.
ADELE_MUST_CHECK adele_status
trainer_dry_run(const struct trainer_options *options, struct dry_run_times times,
                void (*on_batch)(void *context, const struct adele_train_batch *batch));

// Trains. ADELE_INTERRUPTED after a stop: all steps done so far are in
// checkpoints/last.safetensors. Files in the run folder: config.resolved.yaml, metrics.*,
// onset.json, noise.json, labels/, checkpoints/, examples.safetensors (README lists
// them). Errors leave the last checkpoint as it was.
ADELE_MUST_CHECK adele_status trainer_run(const struct trainer_options *options,
                                          struct trainer_result *out);
#endif
