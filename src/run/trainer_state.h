// SPDX-License-Identifier: MIT
// The parts of a training run. For the files that lead a run or save all of it; each part has a
// header of its own for everybody else.
#ifndef ADELE_RUN_TRAINER_STATE_H
#define ADELE_RUN_TRAINER_STATE_H

#include "base/memory.h"
#include "correction/corrector.h"
#include "loader/run_data.h"
#include "run/evaluator.h"
#include "run/memory_need.h"
#include "run/progress.h"
#include "run/run_origin.h"
#include "run/step_progress.h"
#include "run/trainer.h"
#include "run_folder/metrics.h"
#include "step/training_step.h"

struct trainer {
    struct trainer_options options;
    int folder_lock;             // keeps a second run out of the folder; -1: none
    const struct config *config; // borrowed
    struct adele_device *device;
    struct run_data data;
    struct network *network;
    struct training_step step;
    struct corrector corrector;
    struct evaluator evaluator;
    struct memory_need memory; // before the network's memory was allocated
    struct progress progress;
    struct step_progress step_progress;
    bool is_saved;    // CHECKPOINT_LAST holds this state
    bool is_stopping; // several ranks: they have agreed to stop before the next step
    struct run_origin origin;
    struct metrics *metrics; // NULL: another rank writes them
    char *records;           // metrics.jsonl as a loaded checkpoint has it; NULL: it has none
    size_t records_bytes;
    int n_rollbacks, rollback_epoch; // rollbacks in that epoch
};

// Of several ranks only the first one writes files.
static inline bool trainer_writes(const struct trainer *trainer) {
    return ranks_index(trainer->options.ranks) == 0;
}

// setup.c: claims nothing and loads no checkpoint. `options` with its configuration is borrowed.
// NULL run_folder: of a dry run, which has none.
ADELE_MUST_CHECK adele_status trainer_create(const struct trainer_options *options,
                                             struct trainer **out);
void trainer_destroy(struct trainer *trainer); // NULL is legal
OWNER(trainer_destroy, struct trainer)
// The parts of trainer_create: device and data; plans of train.batch, of which buffers alone are
// allocated; the network's memory.
ADELE_MUST_CHECK adele_status trainer_load(const struct trainer_options *options,
                                           struct trainer **out);
// trainer->memory is that of these plans also after ADELE_NO_MEMORY, as far as they were made.
ADELE_MUST_CHECK adele_status trainer_plan(struct trainer *trainer);
ADELE_MUST_CHECK adele_status trainer_allocate(struct trainer *trainer);
void trainer_drop_plan(struct trainer *trainer); // of both, also after an error; legal before them
#endif
