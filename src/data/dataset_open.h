// SPDX-License-Identifier: MIT
// Opening a data set with a report of its problems.
#ifndef ADELE_DATA_DATASET_OPEN_H
#define ADELE_DATA_DATASET_OPEN_H

#include "data/check_report.h"
#include "data/dataset.h"

// dataset_open, with the problems of single cases in the report.
ADELE_MUST_CHECK adele_status dataset_open_reported(const struct dataset_config *config,
                                                    struct check_report *report,
                                                    struct dataset **out);
#endif
