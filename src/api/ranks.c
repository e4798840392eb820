// SPDX-License-Identifier: MIT
#include "api/ranks.h"

#include "base/fail.h"
#include "base/memory.h"

struct ranks *ranks_of(const struct adele_ranks *ranks) {
    return ranks != NULL ? ranks->ranks : NULL;
}

int adele_ranks_launched(void) {
    return ranks_launched();
}

int adele_ranks_launched_index(void) {
    return ranks_launched_index();
}

adele_status adele_ranks_join(struct adele_ranks **out) {
    struct ranks *ranks = NULL;
    struct adele_ranks *joined = NULL;
    *out = NULL;
    TRY(ALLOCATE(&joined, 1));
    adele_status status = ranks_open(&ranks);
    if (ranks == NULL) {
        memory_free(joined);
        return status;
    }
    joined->ranks = ranks;
    *out = joined;
    return status == ADELE_OK ? ranks_share_cores(ranks) : status;
}

int adele_ranks_count(const struct adele_ranks *ranks) {
    return ranks_count(ranks_of(ranks));
}

int adele_ranks_index(const struct adele_ranks *ranks) {
    return ranks_index(ranks_of(ranks));
}

int adele_ranks_should_report(struct adele_ranks *ranks, adele_status status) {
    return ranks_should_report(ranks_of(ranks), status);
}

void adele_ranks_leave(struct adele_ranks *ranks, adele_status status) {
    ranks_close(ranks_of(ranks), status != ADELE_OK && status != ADELE_INTERRUPTED);
    memory_free(ranks);
}

const char *adele_mpi_library(void) {
    return ranks_library();
}
