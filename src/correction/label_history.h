// SPDX-License-Identifier: MIT
// The labels of a run after each correction: labels/epoch_NNNN.safetensors and
// labels/manifest.json (run_folder/generations.h).
#ifndef ADELE_CORRECTION_LABEL_HISTORY_H
#define ADELE_CORRECTION_LABEL_HISTORY_H

#include "loader/run_data.h"

// Writes the current labels as those after the correction of `epoch`; n_changed pixels differ from
// the labels before.
ADELE_MUST_CHECK adele_status label_history_add(const struct run_data *data, const char *run_folder,
                                                int epoch, int64_t n_changed);
// For a run that is resumed after `epoch`: removes the files of later epochs and verifies the
// others. A damaged file is named in a warning, and written again from the current labels or from
// the other files where those say what it was.
ADELE_MUST_CHECK adele_status label_history_trim(const struct run_data *data,
                                                 const char *run_folder, int epoch);
#endif
