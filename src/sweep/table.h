// SPDX-License-Identifier: MIT
// `adele table`: trains the runs of a table as processes, and makes the table of what they left.
#ifndef ADELE_SWEEP_TABLE_H
#define ADELE_SWEEP_TABLE_H

#include "adele/table.h"

// See adele_table. Destroy *out with table_rows_destroy.
ADELE_MUST_CHECK adele_status table_train(const struct adele_table_options *options,
                                          struct adele_table **out);
#endif
