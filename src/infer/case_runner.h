// SPDX-License-Identifier: MIT
// Predicts the cases of a split one after another: one case's images are on the device at a time.
// Meanwhile one thread reads the files of the next case, and another one scores and saves the last.
#ifndef ADELE_INFER_CASE_RUNNER_H
#define ADELE_INFER_CASE_RUNNER_H

#include "data/output.h"
#include "infer/case_result.h"
#include "infer/model.h"
#include "infer/sliding.h"

struct case_runner {
    struct model *model;
    const struct model_options *options;
    struct dataset *dataset;
    struct inference *inference;         // of whole images
    struct sliding *sliding;             // of windows; one of the two is NULL
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
