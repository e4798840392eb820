// SPDX-License-Identifier: MIT
// Who the ranks are, how they meet and how they part.
#include "base/fail.h"
#include "base/memory.h"
#include "ranks/ranks_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIME_LIMIT    600.0
#define LEAVE_SECONDS 15.0 // that a rank waits for the others after an error that all know

int ranks_count(const struct ranks *ranks) {
    return ranks != NULL ? ranks->n : 1;
}
int ranks_index(const struct ranks *ranks) {
    return ranks != NULL ? ranks->index : 0;
}
int ranks_local_count(const struct ranks *ranks) {
    return ranks != NULL ? ranks->transport->n_local : 1;
}
int ranks_local_index(const struct ranks *ranks) {
    return ranks != NULL ? ranks->transport->local_index : 0;
}
const char *ranks_host(const struct ranks *ranks, int rank) {
    return ranks != NULL ? ranks->hosts[rank] : "";
}
void ranks_set_time_limit(struct ranks *ranks, double seconds) {
    if (ranks != NULL)
        ranks->time_limit = seconds;
}
double ranks_time_limit(const struct ranks *ranks) {
    return ranks != NULL ? ranks->time_limit : 0.0;
}
int64_t ranks_bytes_sent(const struct ranks *ranks) {
    return ranks != NULL ? ranks->bytes_sent : 0;
}

// ---- begin --------------------------------------------------------------------------------------

static void free_all(struct ranks *ranks) {
    memory_free(ranks->hosts);
    memory_free(ranks->n_pending);
    memory_free(ranks->heard);
    memory_free(ranks->starts);
    memory_free(ranks);
}

static adele_status allocate(struct ranks *ranks) {
    size_t n = (size_t)ranks->n;
    TRY(ALLOCATE(&ranks->hosts, n));
    TRY(ALLOCATE(&ranks->n_pending, n));
    TRY(ALLOCATE(&ranks->heard, n));
    return ALLOCATE(&ranks->starts, n + 1);
}

static adele_status read_time_limit(double *out) {
    const char *text = getenv("ADELE_RANK_TIMEOUT");
    char *end;
    *out = TIME_LIMIT;
    if (text == NULL || *text == '\0')
        return ADELE_OK;
    double seconds = strtod(text, &end);
    if (*end != '\0' || !(seconds > 0.0 && seconds < 1e9))
        return FAIL(ADELE_INVALID_ARGUMENT, "Set it to a number of seconds: 600.",
                    "ADELE_RANK_TIMEOUT=%s is no number of seconds above 0", text);
    *out = seconds;
    return ADELE_OK;
}

static adele_status meet(struct ranks *ranks) {
    char host[RANK_HOST_BYTES];
    ranks->time_limit = TIME_LIMIT;
    TRY(allocate(ranks));
    // Until the names are there, messages would name a host "".
    for (int r = 0; r < ranks->n; r++)
        (void)snprintf(ranks->hosts[r], RANK_HOST_BYTES, "a host that has not told its name");
    memcpy(host, ranks->transport->host, sizeof host);
    memcpy(ranks->hosts[ranks->index], host, sizeof host);
    TRY(ranks_gather(ranks, host, sizeof host, ranks->hosts));
    double limit = TIME_LIMIT;
    TRY(ranks_agree(ranks, read_time_limit(&limit)));
    ranks->time_limit = limit;
    return ADELE_OK;
}

int ranks_launched(void) {
    return launch_find().n_processes;
}

int ranks_launched_index(void) {
    return launch_find().index;
}

adele_status ranks_open(struct ranks **out) {
    struct launch launch = launch_find();
    OWNED struct ranks *ranks = NULL;
    *out = NULL;
    if (launch.n_processes == 1)
        return ADELE_OK;
    TRY(ALLOCATE(&ranks, 1));
    TRY(mpi_open(&launch, &ranks->transport));
    ranks->n = ranks->transport->n_ranks;
    ranks->index = ranks->transport->index;
    *out = ranks; // also after an error: ranks_close ends the others then
    ranks = NULL;
    return meet(*out);
}

// ---- end ----------------------------------------------------------------------------------------

// No rank ends before all are there: a launcher may end the others when the first one exits with an
// error, before rank 0 has told it.
static adele_status wait_for_all(struct ranks *ranks) {
    OWNED char *all = NULL;
    char mine = 1;
    TRY(ALLOCATE(&all, ranks->n));
    double limit =
        ranks->has_agreed && ranks->time_limit > LEAVE_SECONDS ? LEAVE_SECONDS : ranks->time_limit;
    return ranks_gather_kind(ranks, MESSAGES_LEAVE, &mine, 1, all, limit);
}

void ranks_close(struct ranks *ranks, bool failed) {
    if (ranks == NULL)
        return;
    bool is_told = !failed || ranks->has_agreed; // the others need not be ended
    bool are_there = is_told && wait_for_all(ranks) == ADELE_OK;
    if (failed && !are_there) {
        (void)fflush(NULL); // abort ends this process at once
        ranks->transport->abort(ranks->transport);
    }
    if (are_there) // after a success nothing more is needed of a lost rank, for which this would
                   // wait
        ranks->transport->close(ranks->transport);
    free_all(ranks);
}
