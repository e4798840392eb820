// SPDX-License-Identifier: MIT
// What several ranks have found in the cases that each has audited, put behind each other by rank:
// then each of them has what one process has. Both are collective, and do nothing for one process.
#ifndef ADELE_AUDIT_AUDIT_GATHER_H
#define ADELE_AUDIT_AUDIT_GATHER_H

#include "audit/audit_table.h"
#include "data/dataset.h"
#include "output/changes.h"
#include "ranks/ranks.h"

// *out_first: the rows of lower ranks, which are in front of this rank's now.
ADELE_MUST_CHECK adele_status audit_gather_table(struct ranks *ranks, struct audit_table *table,
                                                 int *out_first);
// Names are borrowed from the cases of the split.
ADELE_MUST_CHECK adele_status audit_gather_changes(struct ranks *ranks,
                                                   const struct dataset *dataset,
                                                   enum dataset_split split,
                                                   struct changes *changes);
#endif
