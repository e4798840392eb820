// SPDX-License-Identifier: MIT
#ifndef ADELE_API_TABLE_ROWS_H
#define ADELE_API_TABLE_ROWS_H

#include "adele/table.h"

#include <stdbool.h>

struct table_run {
    char *name, *folder;
    int i_config;
    uint64_t seed;
    bool has_finished;
};

// Reads the metrics of the finished runs. `names` (n_configs) are those of the configurations.
// Destroy *out with adele_table_destroy.
ADELE_MUST_CHECK adele_status table_rows_create(const struct adele_table_options *options,
                                                char *const *names, int n_runs,
                                                const struct table_run *runs,
                                                struct adele_table **out);
// FOLDER/table.md and FOLDER/table.csv.
ADELE_MUST_CHECK adele_status table_rows_write(const struct adele_table *table, const char *folder);
#endif
