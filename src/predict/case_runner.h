// SPDX-License-Identifier: MIT
// Predicts the cases of a split one after another, small pictures of one size several at a time:
// one case's images, or theirs, are on the device. Meanwhile one thread reads the next files, and
// another one scores and saves the last results.
#ifndef ADELE_PREDICT_CASE_RUNNER_H
#define ADELE_PREDICT_CASE_RUNNER_H

#include "output/output.h"
#include "predict/case_result.h"
#include "predict/model.h"
#include "predict/sliding.h"

struct case_runner {
    struct model *model;
    const struct model_options *options;
    struct dataset *dataset;
    int n_at_once;                       // pictures of a whole batch, see case_batch.h; 1: none
    struct inference *inference;         // of whole images: of one picture, or of a volume's slices
    struct inference *of_batches;        // of n_at_once pictures; NULL: none
    struct sliding *sliding;             // of windows; then there is no inference
    struct case_reader *reader;          // of files
    struct case_writer *writer;          // of masks and of scores of cases
    struct output *output;               // of the label maps; NULL: none
    const struct model_visitor *visitor; // NULL: none
};

// Begins `output`, plans the network and predicts. Collective with options->ranks: each predicts
// its own cases, and all get the sums of all. `counts`: (3, 256), added to; NULL when nothing is
// scored. *n_images is added to.
ADELE_MUST_CHECK adele_status case_runner_run(struct case_runner *runner, enum dataset_split split,
                                              int64_t *counts, int *n_images);
void case_runner_deinit(struct case_runner *runner); // of what it has planned
#endif
