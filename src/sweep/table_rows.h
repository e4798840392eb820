// SPDX-License-Identifier: MIT
// The table of many runs: mean and deviation of each configuration with each kind of noise.
#ifndef ADELE_SWEEP_TABLE_ROWS_H
#define ADELE_SWEEP_TABLE_ROWS_H

#include "sweep/table_plan.h"

// Reads the metrics of the finished runs, also into plan->runs. Destroy *out with
// table_rows_destroy.
ADELE_MUST_CHECK adele_status table_rows_create(struct table_plan *plan, struct adele_table **out);
void table_rows_destroy(struct adele_table *table); // NULL is legal

// table_notes.c: what a reader should know of the rows. *out: MAX_NOTES texts, NULL from the last
// note on; each is freed by table_rows_destroy.
enum { MAX_NOTES = 2 };
ADELE_MUST_CHECK adele_status table_notes_create(const struct adele_table *table,
                                                 char *out[MAX_NOTES]);

// table_files.c: table.md, table.csv, table_classes.csv and table_runs.csv in the plan's output.
ADELE_MUST_CHECK adele_status table_files_write(const struct adele_table *table,
                                                const struct table_plan *plan);
#endif
