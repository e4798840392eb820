// SPDX-License-Identifier: MIT
// CSV files of adele, read back: a header line, commas, quotes as in RFC 4180.
#ifndef ADELE_BASE_CSV_H
#define ADELE_BASE_CSV_H

#include "adele/status.h"
#include <stdbool.h>

#define CSV_MAX_FIELDS 64

struct csv {
    char *path, *text, *rest; // the file, and what of it is not read yet
    const char *hint;         // of errors: what to do about a damaged file; borrowed
    int line;                 // number of the current row; the header is 1
    int n_columns;
    char *columns[CSV_MAX_FIELDS], *fields[CSV_MAX_FIELDS]; // in text; of the current row
};

// Reads the file and its header.
ADELE_MUST_CHECK adele_status csv_open(const char *path, const char *hint, struct csv *out);
void csv_close(struct csv *csv); // also zeroes it
// The next row into csv->fields; *is_row is false at the end. ADELE_FORMAT names the row that has
// another number of fields than the header, or a quote that is not closed.
ADELE_MUST_CHECK adele_status csv_next(struct csv *csv, bool *is_row);
// The field of that column in the current row, "" where the file has no such column. Borrowed.
const char *csv_field(const struct csv *csv, const char *column);
// The same as a number; NaN where it is not one.
double csv_number(const struct csv *csv, const char *column);
#endif
