// SPDX-License-Identifier: MIT
// `adele check`.
#ifndef ADELE_DATA_CHECK_H
#define ADELE_DATA_CHECK_H

#include "data/dataset.h"
#include "data/problems.h"

// Reads every file. Fails only when the data set cannot be looked at at all; problems are in the
// report.
ADELE_MUST_CHECK adele_status check_run(const struct dataset_config *config,
                                        struct check_report *out);
#endif
