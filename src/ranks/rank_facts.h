// SPDX-License-Identifier: MIT
// What has to be the same on all ranks before they work together: otherwise each of them would
// compute a part of something else. All functions are collective and fail on every rank, with a
// message that names the first rank that differs from rank 0, its host, and what differs.
#ifndef ADELE_RANKS_RANK_FACTS_H
#define ADELE_RANKS_RANK_FACTS_H

#include "ranks/ranks.h"

#define RANK_FACT_BYTES 192
// In a message: "rank 1 on HOST differs in NAME: it has VALUE, rank 0 on HOST has ...".
struct rank_fact {
    const char *name;
    char value[RANK_FACT_BYTES]; // where it is longer: its beginning, and the XXH3 of the whole
    bool is_option;              // of the command: the hint says so
};
void rank_fact_set(struct rank_fact *fact, const char *name, const char *value); // NULL: "none"
void rank_fact_set_option(struct rank_fact *fact, const char *name, const char *value);

// One process: nothing is compared.
ADELE_MUST_CHECK adele_status rank_facts_compare(struct ranks *ranks, int n,
                                                 const struct rank_fact *facts);
// Of a message about ranks that differ: what to do.
extern const char rank_facts_hint[];
#endif
