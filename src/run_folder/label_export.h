// SPDX-License-Identifier: MIT
// Exports the corrected labels from the folder of a run in the input's own layout and file type
// (`adele labels`).
#ifndef ADELE_RUN_FOLDER_LABEL_EXPORT_H
#define ADELE_RUN_FOLDER_LABEL_EXPORT_H

#include "adele/status.h"

#include <stdbool.h>

struct label_export {
    const char *run_folder, *folder; // from, to
    const char *data;                // where the run's data set is now; NULL: it has not moved
    int epoch;              // the labels after the correction of that epoch; below 0: by...
    const char *checkpoint; // ..."last" (NULL) or "best": the labels at that checkpoint
    bool is_overwriting;    // earlier output is replaced (output/output.h)
    long long *out_changed; // pixels of the label files that corrections changed; NULL: not wanted
};
// The corrected labels of a run in the input's own layout and file type, with changes.csv. A log
// line says which they are. With data.noise changes are against the files' labels. ADELE_DATA when
// the data set is not the one that the run was trained on.
ADELE_MUST_CHECK adele_status label_export_write(const struct label_export *wanted);
#endif
