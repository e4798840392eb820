// SPDX-License-Identifier: MIT
// What the ranks have found in their cases (case_ranks.h), put behind each other by rank: then each
// of them has what one process has. All are collective, and do nothing for one process.
#ifndef ADELE_INFER_CASE_GATHER_H
#define ADELE_INFER_CASE_GATHER_H

#include "data/changes.h"
#include "data/dataset.h"
#include "infer/audit_table.h"
#include "ranks/ranks.h"
#include "scores/score_cases.h"

ADELE_MUST_CHECK adele_status case_gather_scores(struct ranks *ranks, struct case_scores *scores);
// *out_first: the rows of lower ranks, which are in front of this rank's now.
ADELE_MUST_CHECK adele_status case_gather_table(struct ranks *ranks, struct audit_table *table,
                                                int *out_first);
// Names are borrowed from the cases of the split.
ADELE_MUST_CHECK adele_status case_gather_changes(struct ranks *ranks,
                                                  const struct dataset *dataset,
                                                  enum dataset_split split,
                                                  struct changes *changes);
#endif
