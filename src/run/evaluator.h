// SPDX-License-Identifier: MIT
// Scores of a run's network on the evaluation splits, and of its labels against the truth.
#ifndef ADELE_RUN_EVALUATOR_H
#define ADELE_RUN_EVALUATOR_H

#include "infer/map_counter.h"
#include "infer/set_inference.h"
#include "run/run_data.h"

struct evaluator {
    struct run_data *data; // borrowed
    struct map_counter counters[SPLIT_COUNT];
    struct set_inference *inference[SPLIT_COUNT]; // NULL: the split is not evaluated
    uint8_t *map;                                 // device: predictions of the larger split
    struct score scores[SPLIT_COUNT];             // of the last evaluation
};

// Borrows data and network. After an error, evaluator_deinit frees what was made.
ADELE_MUST_CHECK adele_status evaluator_init(struct evaluator *out, struct run_data *data,
                                             struct network *network, int batch);
void evaluator_deinit(struct evaluator *evaluator); // also zeroes it; legal on a zeroed struct

// Into evaluator->scores[split].
ADELE_MUST_CHECK adele_status evaluator_run(struct evaluator *evaluator, enum dataset_split split);
// The current training labels against the truth; n_categories = 0 when there is no truth.
ADELE_MUST_CHECK adele_status evaluator_score_labels(struct evaluator *evaluator,
                                                     struct score *out);
#endif
