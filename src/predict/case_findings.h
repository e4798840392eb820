// SPDX-License-Identifier: MIT
// What ranks have found in the files of their own cases, and what all have to know.
#ifndef ADELE_PREDICT_CASE_FINDINGS_H
#define ADELE_PREDICT_CASE_FINDINGS_H

#include "data/dataset.h"
#include "ranks/ranks.h"

// Collective, after the last case. Rank 0 logs the notes on pictures that other ranks have read
// (data/notes.h), and palettes are compared between the cases of all ranks (data/palette_check.h):
// the same ADELE_DATA on each rank. One process: nothing, because it has done both before.
ADELE_MUST_CHECK adele_status case_findings_share(struct ranks *ranks,
                                                  const struct dataset *dataset);
#endif
