// SPDX-License-Identifier: MIT
// Scores of a run's network on the evaluation splits, and of its labels against the truth. Each
// rank predicts its share of the batches; the scores are the same on all ranks.
#ifndef ADELE_RUN_EVALUATOR_H
#define ADELE_RUN_EVALUATOR_H

#include "loader/run_data.h"
#include "predict/set_inference.h"
#include "scores/shared_counter.h"

struct evaluator {
    struct run_data *data;                        // borrowed
    struct shared_counter counters[SPLIT_COUNT];  // of the evaluation splits
    struct map_counter label_counter;             // of all training labels
    struct set_inference *inference[SPLIT_COUNT]; // NULL: the split is not evaluated
    uint8_t *map;                     // device: predictions of the share, for the larger split
    struct score scores[SPLIT_COUNT]; // of the last evaluation
};

// Borrows data and network. After an error, evaluator_deinit frees what was made.
ADELE_MUST_CHECK adele_status evaluator_init(struct evaluator *out, struct run_data *data,
                                             struct network *network, int batch);
void evaluator_deinit(struct evaluator *evaluator); // also zeroes it; legal on a zeroed struct

// Collective. Into evaluator->scores[split].
ADELE_MUST_CHECK adele_status evaluator_score_split(struct evaluator *evaluator,
                                                    enum dataset_split split);
// The current training labels against the truth; n_categories = 0 when there is no truth. Not
// collective, since every rank has all labels.
ADELE_MUST_CHECK adele_status evaluator_score_labels(struct evaluator *evaluator,
                                                     struct score *out);
#endif
