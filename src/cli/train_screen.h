// SPDX-License-Identifier: MIT
// What `adele train` shows a person: the facts of a run before its first step, its progress, how
// long it will take, and the batch sizes of a dry run.
#ifndef ADELE_CLI_TRAIN_SCREEN_H
#define ADELE_CLI_TRAIN_SCREEN_H

#include "adele/train.h"
#include "cli/progress.h"

struct train_screen {
    struct progress progress;
    struct adele_train_progress last; // as it was told
    int n_steps_seen;
    double first_step_at, first_share; // when this call's first step had ended
    bool has_estimated, has_estimated_epoch;
    bool was_finished;          // before this call
    int64_t n_corrected_pixels; // of the whole run
    int n_batches;              // rows of the dry run's table
    bool has_unmeasured;
    bool has_memory_alone; // of a dry run: some batch has no time
};

// Fills in the callbacks of `options`, whose context is `screen` from now on. Between progress_init
// and progress_deinit of screen->progress.
void train_screen_init(struct train_screen *screen, struct adele_train_options *options);
void train_screen_batch(void *screen, const struct adele_train_batch *batch); // of a dry run
void train_screen_end_batches(const struct train_screen *screen);
// The scores of a run that has ended, and the commands that come next.
void train_screen_end(const struct train_screen *screen, const struct adele_train_result *result);
// The command that goes on with a run that was interrupted, on standard error.
void train_screen_show_resume(const struct adele_train_options *options,
                              const struct adele_train_result *result);
#endif
