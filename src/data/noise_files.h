// SPDX-License-Identifier: MIT
// Noise for a data set on disk: the training labels read, made noisy at the files' own size,
// written.
#ifndef ADELE_DATA_NOISE_FILES_H
#define ADELE_DATA_NOISE_FILES_H

#include "data/dataset.h"
#include "data/noise.h"

// Writes noisy versions of the training split's labels under `folder`, in the layout and file type
// of the input, with changes.csv and noise.json (the setting, what was realized). Files may differ
// in size. The slices of volumes that have no foreground are left alone, as in training, unless the
// data set's configuration keeps them. *n_images: label maps that took part; `out` and it may be
// used for a summary. ADELE_INVALID_ARGUMENT when a file would fall into a data set or a run, or
// onto a file that is there; with `is_overwriting` those of an earlier output are replaced
// (output.h).
ADELE_MUST_CHECK adele_status noise_files_write(const struct dataset *dataset,
                                                const struct noise_config *config,
                                                const char *folder, bool is_overwriting,
                                                struct noise_report *out, int *n_images);
const char *noise_kind_name(enum noise_kind kind); // "none", "under-over", "flip", "mixed"
#endif
