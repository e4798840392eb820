// SPDX-License-Identifier: MIT
// Noise for a data set on disk: reads the training labels, adds noise at the files' own size,
// writes them.
#ifndef ADELE_NOISE_NOISE_FILES_H
#define ADELE_NOISE_NOISE_FILES_H

#include "data/dataset.h"
#include "noise/noise.h"

// Writes noisy versions of the training split's labels under `folder`, in the layout and file type
// of the input, with changes.csv and noise.json (the settings and the resulting IoU). Files may
// differ in size. Slices of volumes without foreground are unchanged, as training skips them,
// unless the data set's configuration keeps them. *n_images: label maps with noise, for a summary.
// ADELE_INVALID_ARGUMENT when a file would be written into a data set or a run, or over an existing
// file; with `is_overwriting` those of an earlier output are replaced (output/output.h).
ADELE_MUST_CHECK adele_status noise_files_write(const struct dataset *dataset,
                                                const struct noise_config *config,
                                                const char *folder, bool is_overwriting,
                                                struct noise_report *out, int *n_images);
#endif
