// SPDX-License-Identifier: MIT
// Problems that are found without decoding: the same case twice, the same picture under two names,
// one patient in two splits.
#ifndef ADELE_DATA_CHECK_CASES_H
#define ADELE_DATA_CHECK_CASES_H

#include "data/check_report.h"
#include "data/dataset.h"

ADELE_MUST_CHECK adele_status check_names(const struct dataset *dataset,
                                          struct check_report *report);
ADELE_MUST_CHECK adele_status check_contents(const struct dataset *dataset,
                                             struct check_report *report);
#endif
