// SPDX-License-Identifier: MIT
// seconds.json of a table: how long the processes of each run took, those of earlier calls too.
#ifndef ADELE_SWEEP_TABLE_SECONDS_H
#define ADELE_SWEEP_TABLE_SECONDS_H

#include "adele/status.h"

struct table_seconds;
// Reads FOLDER/seconds.json, or begins a new one. Free with table_seconds_destroy.
ADELE_MUST_CHECK adele_status table_seconds_open(const char *folder, struct table_seconds **out);
void table_seconds_destroy(struct table_seconds *seconds); // NULL is legal
// NaN for a run that is not there, because it has not ended or was killed.
double table_seconds_get(const struct table_seconds *seconds, const char *run);
// Writes the file; NaN removes the run from it.
ADELE_MUST_CHECK adele_status table_seconds_set(struct table_seconds *seconds, const char *run,
                                                double value);
#endif
