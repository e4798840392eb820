// SPDX-License-Identifier: MIT
// Pictures of one size that are predicted as one batch, as the slices of a volume are. A batch of
// small pictures is faster than one after another: weights are brought into the order of the
// kernels once, they are read once, and the parts of a layer fill all threads.
#ifndef ADELE_PREDICT_CASE_BATCH_H
#define ADELE_PREDICT_CASE_BATCH_H

#include "predict/case_result.h"

// How many of n_cases pictures, which the network sees at h x w, are predicted together: at most
// `most`. It does not depend on the number of processes, so that an image is predicted in the same
// batch whatever that is.
int case_batch_size(int n_cases, int most, int h, int w);
// Whether the files are pictures of one size and kind that are small enough.
bool case_batch_is_possible(const struct case_files *files, int n);
// Copies of n files, one behind the other in one set. Free *out, also after an error.
ADELE_MUST_CHECK adele_status case_batch_join(const struct case_files *files, int n,
                                              struct case_files *out);
// The result of picture i of a batch for case `item`: takes `files`, which were joined, and a copy
// of the prediction.
ADELE_MUST_CHECK adele_status case_batch_part(const struct case_result *batch, int i,
                                              const struct dataset_case *item,
                                              struct case_files *files, struct case_result *out);
#endif
