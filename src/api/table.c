// SPDX-License-Identifier: MIT
#include "adele/table.h"

#include "sweep/table.h"
#include "sweep/table_rows.h"

adele_status adele_table(const struct adele_table_options *options, struct adele_table **out) {
    return table_train(options, out);
}

void adele_table_destroy(struct adele_table *table) {
    table_rows_destroy(table);
}
