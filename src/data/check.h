// SPDX-License-Identifier: MIT
// `adele check`: all problems of a data set in one report.
#ifndef ADELE_DATA_CHECK_H
#define ADELE_DATA_CHECK_H

#include "data/check_report.h"
#include "data/dataset.h"

// Reads every file. Fails only when the data set cannot be opened at all; problems are in the
// report.
ADELE_MUST_CHECK adele_status check_run(const struct dataset_config *config,
                                        struct check_report *out);
#endif
