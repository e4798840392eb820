// SPDX-License-Identifier: MIT
#include "ranks/rank_facts.h"

#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

const char rank_facts_hint[] =
    "Start the same program on all hosts, with folders that all of them see under the same path. "
    "Where processors differ, give ADELE_CPU_ISA on all ranks the set that each has (mpirun -x "
    "ADELE_CPU_ISA=avx2).";

#define OPTION_HINT "Start the same command on all ranks, with the same options."

void rank_fact_set(struct rank_fact *fact, const char *name, const char *value) {
    memset(fact, 0, sizeof *fact);
    fact->name = name;
    if (value == NULL)
        value = "none";
    const size_t n = strlen(value);
    (void)snprintf(fact->value, sizeof fact->value, "%s", value);
    if (n >= sizeof fact->value) // ends may differ, too
        hash_xxh3_hex(value, n, fact->value + sizeof fact->value - HASH_HEX_BYTES);
}

void rank_fact_set_option(struct rank_fact *fact, const char *name, const char *value) {
    rank_fact_set(fact, name, value);
    fact->is_option = true;
}

// The same error on each rank; the agreement makes that known, so that rank 0 alone tells it.
adele_status rank_facts_compare(struct ranks *ranks, int n, const struct rank_fact *facts) {
    OWNED char(*all)[RANK_FACT_BYTES] = NULL;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    TRY(ALLOCATE(&all, ranks_count(ranks)));
    for (int i = 0; i < n; i++) {
        TRY(ranks_gather(ranks, facts[i].value, RANK_FACT_BYTES, all));
        for (int r = 1; r < ranks_count(ranks); r++)
            if (strncmp(all[r], all[0], RANK_FACT_BYTES) != 0)
                return ranks_agree(
                    ranks,
                    FAIL(ADELE_INVALID_ARGUMENT, facts[i].is_option ? OPTION_HINT : rank_facts_hint,
                         "rank %d on %s differs in %s: it has %.*s, rank 0 on %s has %.*s", r,
                         ranks_host(ranks, r), facts[i].name, RANK_FACT_BYTES, all[r],
                         ranks_host(ranks, 0), RANK_FACT_BYTES, all[0]));
    }
    return ADELE_OK;
}
