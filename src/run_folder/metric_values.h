// SPDX-License-Identifier: MIT
// Reads the values of one metric from the records in the folder of a run that is under way.
#ifndef ADELE_RUN_FOLDER_METRIC_VALUES_H
#define ADELE_RUN_FOLDER_METRIC_VALUES_H

#include "run_folder/metrics.h"

// Of epochs 0 .. n - 1 into a new array: NaN where there is none. Free with memory_free, also after
// a failure.
ADELE_MUST_CHECK adele_status metric_values_read(const struct metrics *metrics, const char *name,
                                                 size_t n, double **out);
#endif
