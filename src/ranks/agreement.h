// SPDX-License-Identifier: MIT
// What all ranks decide together between two steps: ranks receive the request to stop, and
// notice skipped steps, at different times. It also notices a rank that has died or hangs.
#ifndef ADELE_RANKS_AGREEMENT_H
#define ADELE_RANKS_AGREEMENT_H

#include "ranks/ranks.h"

// Collective. *stop: whether any rank has it set; *n_skipped: the largest. One process: unchanged.
ADELE_MUST_CHECK adele_status agreement_reach(struct ranks *ranks, bool *stop, int *n_skipped);
// Collective. The first text of the ranks, in their order, on all of them; NULL: no rank has one.
// `*text`: of memory.h, or NULL; it is replaced.
ADELE_MUST_CHECK adele_status agreement_first_text(struct ranks *ranks, char **text);
#endif
