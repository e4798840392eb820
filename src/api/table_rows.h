// SPDX-License-Identifier: MIT
#ifndef ADELE_API_TABLE_ROWS_H
#define ADELE_API_TABLE_ROWS_H

#include "api/table_plan.h"

// Reads the metrics of the finished runs, also into plan->runs. Destroy *out with
// adele_table_destroy.
ADELE_MUST_CHECK adele_status table_rows_create(struct table_plan *plan, struct adele_table **out);

// table_files.c: table.md, table.csv, table_classes.csv and table_runs.csv in the plan's output.
ADELE_MUST_CHECK adele_status table_files_write(const struct adele_table *table,
                                                const struct table_plan *plan);
#endif
