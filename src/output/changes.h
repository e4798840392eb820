// SPDX-License-Identifier: MIT
// changes.csv: how much of each label map was changed, and from which category to which.
#ifndef ADELE_OUTPUT_CHANGES_H
#define ADELE_OUTPUT_CHANGES_H

#include "adele/status.h"
#include <stddef.h>
#include <stdint.h>

// How often one category became another.
struct change_count {
    int pair; // from * 256 + to
    int64_t n;
};
struct change_row {
    const char *name; // borrowed
    int slice;
    int64_t n_pixels, n_changed;
    struct change_count *counts; // those above 0, by pair
    int n_counts;
};
struct changes {
    struct change_row *rows;
    int n;
    int64_t *totals; // (256, 256) over all rows
    int64_t *counts; // (256, 256) of the row that is being added; else all 0
};

ADELE_MUST_CHECK adele_status changes_init(struct changes *out);
void changes_deinit(struct changes *changes);
// Adds a row that compares two maps of n pixels.
ADELE_MUST_CHECK adele_status changes_add(struct changes *changes, const char *name, int slice,
                                          const uint8_t *before, const uint8_t *after, size_t n);
// Adds a row that is counted already; its counts are copied from `counts` (row->n_counts).
ADELE_MUST_CHECK adele_status changes_append(struct changes *changes, const struct change_row *row,
                                             const struct change_count *counts);
// How much changed in all rows together.
struct changes_sum {
    int64_t n_pixels, n_changed;
    int n_names, n_changed_names; // cases, and cases with a changed pixel
};
// The rows of a case must be adjacent, as they are before changes_save.
struct changes_sum changes_sum(const struct changes *changes);
// Sorts the rows, most changed first (then by name and slice), and writes FOLDER/changes.csv.
// Columns: case, slice, changed_pixels, changed_fraction, then "FROM->TO" for each pair that
// occurs.
ADELE_MUST_CHECK adele_status changes_save(struct changes *changes, int n_categories,
                                           char *const *names, const char *folder);
#endif
