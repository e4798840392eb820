// SPDX-License-Identifier: MIT
// The problems of a data set, one by one.
#ifndef ADELE_DATA_CHECK_REPORT_H
#define ADELE_DATA_CHECK_REPORT_H

#include "data/dataset.h"

ADELE_MUST_CHECK adele_status check_report_add(struct check_report *report, enum check_kind kind,
                                               bool is_error, const char *hint, const char *format,
                                               ...) ADELE_PRINTF(5, 6);

// check_cases.c: what names and file hashes tell without decoding: the same case twice, the same
// picture under two names, one patient in two splits.
ADELE_MUST_CHECK adele_status check_names(const struct dataset *dataset,
                                          struct check_report *report);
ADELE_MUST_CHECK adele_status check_contents(const struct dataset *dataset,
                                             struct check_report *report);
#endif
