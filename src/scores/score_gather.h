// SPDX-License-Identifier: MIT
// The scores of the cases of several ranks.
#ifndef ADELE_SCORES_SCORE_GATHER_H
#define ADELE_SCORES_SCORE_GATHER_H

#include "ranks/ranks.h"
#include "scores/score_cases.h"

// Collective: puts the cases of all ranks behind each other by rank, so that each has what one
// process has. Nothing for one process.
ADELE_MUST_CHECK adele_status case_scores_gather(struct ranks *ranks, struct case_scores *scores);
#endif
