// SPDX-License-Identifier: MIT
// Groups similar problems: ninety masks with the same mistake become one line.
#ifndef ADELE_DATA_CHECK_GROUPS_H
#define ADELE_DATA_CHECK_GROUPS_H

#include "data/check_report.h"
#include <stddef.h>

// At least this many problems that differ only in paths and numbers form a group.
#define CHECK_GROUP_MIN 3
// Files or cases of a group that its line names.
#define CHECK_GROUP_NAMES 5

struct check_group {
    const struct check_problem *first; // borrowed from the report
    int n;                             // problems: 1, or CHECK_GROUP_MIN and more
    const struct check_problem *next[CHECK_GROUP_NAMES - 1]; // those after the first; or NULL
};

// The groups of a report in the order of their first problems. Caller frees *out with memory_free.
ADELE_MUST_CHECK adele_status check_groups_make(const struct check_report *report,
                                                struct check_group **out, int *n_out);
// One line: the problem's own text, or "90 files (first: PATH: ...; also NAME, NAME, NAME, NAME,
// ...)". Cases instead of files where the messages have no path, or one for all, and name cases.
void check_group_text(const struct check_group *group, char *out, size_t bytes);
#endif
