// SPDX-License-Identifier: MIT
// The decoded files of one case, and those of the next ones, which a thread reads meanwhile.
#ifndef ADELE_PREDICT_CASE_FILES_H
#define ADELE_PREDICT_CASE_FILES_H

#include "data/load.h"

#define CASES_AT_ONCE 16 // that a batch has at most, and that are read ahead

struct case_files {
    struct dataset_images images; // at the size that the network takes; for windows at the file's
    struct dataset_images whole;  // at the file's own size, where that is wanted and another one
};
void case_files_deinit(struct case_files *files);
// Memory that they take.
size_t case_files_bytes(const struct case_files *files);

struct case_reader_config {
    const struct dataset *dataset; // borrowed
    enum dataset_split split;
    bool is_windows;  // images at the file's own size
    bool wants_whole; // labels of a score, pixels of a CRF
};
struct case_reader;
ADELE_MUST_CHECK adele_status case_reader_create(const struct case_reader_config *config,
                                                 struct case_reader **out);
void case_reader_destroy(struct case_reader *reader); // waits for the thread; NULL is legal
// The files of case i; *out is the caller's. When none is left that was read ahead, begins to read
// the n_next cases (0 .. CASES_AT_ONCE) from `next` on, as far as they take little memory. Notes
// and checks of case i are logged and done here, in order.
ADELE_MUST_CHECK adele_status case_reader_take(struct case_reader *reader, int i_case, int next,
                                               int n_next, struct case_files *out);
#endif
