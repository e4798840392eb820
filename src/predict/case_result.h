// SPDX-License-Identifier: MIT
// What is left to do with predicted cases on the host: their scores and their files. A thread does
// it while the next cases are predicted.
#ifndef ADELE_PREDICT_CASE_RESULT_H
#define ADELE_PREDICT_CASE_RESULT_H

#include "predict/case_files.h"
#include "predict/model.h"

// Maps have the size of the case's file.
struct case_result {
    const struct dataset *dataset; // borrowed, as all that is const
    const struct dataset_case *item;
    const struct model_options *options;
    struct case_files files;
    int h, w, n_categories;
    const uint8_t *labels; // (n, h, w) in `files`; NULL when nothing is scored
    uint8_t *prediction;   // (n, h, w); NULL when it is not wanted
    float *probabilities;  // (n, C, h, w); NULL when not wanted
};
void case_result_deinit(struct case_result *result);
// At the size of the maps.
const struct dataset_images *case_result_images(const struct case_result *result);

// Scores and saves the cases one after another, in the order in which they are added.
struct case_writer;
ADELE_MUST_CHECK adele_status case_writer_create(struct case_writer **out);
void case_writer_destroy(struct case_writer *writer); // waits for the thread; NULL is legal
// Takes the content of n results (1 .. CASES_AT_ONCE), which become empty. The error may be that of
// a case before; then they are left as they are.
ADELE_MUST_CHECK adele_status case_writer_add(struct case_writer *writer,
                                              struct case_result *results, int n);
// Waits for the last case. Returns the error of saving one, which was before `status`, that of
// predicting the next one; else `status`.
ADELE_MUST_CHECK adele_status case_writer_finish(struct case_writer *writer, adele_status status);
#endif
