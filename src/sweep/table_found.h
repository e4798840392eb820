// SPDX-License-Identifier: MIT
// What an earlier call has left of a table's runs.
#ifndef ADELE_SWEEP_TABLE_FOUND_H
#define ADELE_SWEEP_TABLE_FOUND_H

#include "sweep/table_plan.h"
#include "sweep/table_seconds.h"

// Finds which of the plan's runs have begun and which have finished. ADELE_CONFIG when a run is
// there with other settings, before anything is written: the tables of an earlier call, which have
// its values, are then still those of the runs. A folder that cannot be read, or a configuration
// that fails, is a problem of its run alone.
ADELE_MUST_CHECK adele_status table_found_check(struct table_plan *plan,
                                                const struct table_seconds *seconds);
// The same of one run, directly before it is started; other settings are its problem then.
ADELE_MUST_CHECK adele_status table_found_again(const struct table_plan *plan,
                                                const struct table_seconds *seconds,
                                                struct table_run *run);
#endif
