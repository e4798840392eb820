// SPDX-License-Identifier: MIT
// Errors of single ranks: all learn of one at an agreement; elsewhere the rank that has failed
// tells its error and ends the others.
#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "ranks/ranks_state.h"

#include <stdio.h>
#include <time.h>

// How long a rank that has failed waits for the others to reach the agreement. When they do not,
// all are ended with the error that is known.
#define FAILED_SECONDS 15.0
// How often a rank that works tells the others so: often enough for those that wait with
// FAILED_SECONDS, and for shorter time limits.
#define ALIVE_SECONDS 2.0
#define ALIVE_SHARE   0.1

// How long a rank that has lost another one lets that one tell its error, which says more.
#define LOST_SECONDS  2.0
#define ALONE_SECONDS 3.0

// What a rank tells of its failure.
struct failure {
    int32_t status;
    char message[2048], hint[512];
};

static void keep_failure(adele_status status, struct failure *out) {
    *out = (struct failure){.status = (int32_t)status};
    if (status == ADELE_OK)
        return;
    (void)snprintf(out->message, sizeof out->message, "%s", adele_error_message());
    (void)snprintf(out->hint, sizeof out->hint, "%s", adele_error_hint());
}

static adele_status repeat_failure(const struct ranks *ranks, const struct failure *failure,
                                   int rank) {
    adele_status status = (adele_status)failure->status;
    if (rank == ranks->index)
        return FAIL(status, failure->hint, "%s", failure->message);
    return FAIL(status, failure->hint, "rank %d on %s: %s", rank, ranks->hosts[rank],
                failure->message);
}

// What a rank sends before an agreement, any number of times, while it still works.
static const int32_t still_works = -1;

void ranks_tell_alive(struct ranks *ranks) {
    int n_done = 0;
    if (ranks == NULL || ranks->has_agreed || ranks->is_broken)
        return;
    double now = clock_seconds();
    double pause = ranks->time_limit * ALIVE_SHARE;
    if (now - ranks->told_alive < (pause < ALIVE_SECONDS ? pause : ALIVE_SECONDS))
        return;
    ranks->told_alive = now;
    adele_status status = messages_poll(ranks, MESSAGES_AGREE, &n_done);
    for (int r = 0; r < ranks->n && status == ADELE_OK; r++)
        if (r != ranks->index)
            status = messages_send(ranks, MESSAGES_AGREE, r, &still_works, sizeof still_works);
}

// Each rank's status comes behind its signs of life, of which one is taken from every rank that
// still works before the next: none of them may be silent for longer than the limit.
static adele_status gather_statuses(struct ranks *ranks, const int32_t *mine, int32_t *all,
                                    double limit) {
    bool is_waiting = true;
    for (int r = 0; r < ranks->n; r++) {
        all[r] = r == ranks->index ? *mine : still_works;
        if (r != ranks->index)
            TRY(messages_send(ranks, MESSAGES_AGREE, r, mine, sizeof *mine));
    }
    while (is_waiting) {
        is_waiting = false;
        for (int r = 0; r < ranks->n; r++)
            if (all[r] == still_works) {
                is_waiting = true;
                TRY(messages_receive(ranks, MESSAGES_AGREE, r, &all[r], sizeof all[r]));
            }
        TRY(messages_finish(ranks, MESSAGES_AGREE, limit));
    }
    return ADELE_OK;
}

// The lowest rank that has failed; -1: none.
static adele_status find_failed(struct ranks *ranks, int32_t mine, double limit, int *out) {
    OWNED int32_t *all = NULL;
    *out = -1;
    TRY(ALLOCATE(&all, ranks->n));
    TRY(gather_statuses(ranks, &mine, all, limit));
    for (int r = ranks->n - 1; r >= 0; r--)
        if (all[r] != ADELE_OK)
            *out = r;
    return ADELE_OK;
}

static adele_status share_failure(struct ranks *ranks, const struct failure *own, int rank,
                                  double limit) {
    OWNED struct failure *all = NULL;
    TRY(ALLOCATE(&all, ranks->n));
    TRY(ranks_gather_kind(ranks, MESSAGES_FAILURES, own, sizeof *own, all, limit));
    ranks->has_agreed = true;
    return repeat_failure(ranks, &all[rank], rank);
}

adele_status ranks_agree(struct ranks *ranks, adele_status mine) {
    struct failure own;
    int failed = -1;
    if (ranks == NULL || ranks->has_agreed || ranks->is_broken)
        return mine;
    double limit = ranks->time_limit;
    if (mine != ADELE_OK && mine != ADELE_INTERRUPTED && limit > FAILED_SECONDS)
        limit = FAILED_SECONDS;
    keep_failure(mine, &own);
    adele_status status = find_failed(ranks, own.status, limit, &failed);
    if (status == ADELE_OK && failed < 0)
        return ADELE_OK;
    if (status == ADELE_OK)
        status = share_failure(ranks, &own, failed, limit);
    if (ranks->has_agreed || mine == ADELE_OK)
        return status;
    // The others did not come to hear of it: this rank's own error is still the reason.
    ranks->has_lost = false;
    return repeat_failure(ranks, &own, ranks->index);
}

bool ranks_have_agreed(const struct ranks *ranks) {
    return ranks != NULL && ranks->has_agreed;
}

adele_status ranks_check_usable(const struct ranks *ranks) {
    if (ranks == NULL || (!ranks->has_agreed && !ranks->is_broken))
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT,
                "End the program after the first error, and start it again.",
                "these processes have failed together before, and work together no more");
}

static void wait_seconds(double seconds) {
    const struct timespec pause = {(time_t)seconds, (long)((seconds - (long)seconds) * 1e9)};
    (void)nanosleep(&pause, NULL);
}

// A process that has not joined most likely fails as all others do. The launcher ends it when the
// first one has told the reason.
bool ranks_should_report(struct ranks *ranks, adele_status status) {
    if (ranks == NULL) {
        if (launch_find().index > 0)
            wait_seconds(ALONE_SECONDS);
        return true;
    }
    if (ranks->has_agreed || status == ADELE_INTERRUPTED)
        return ranks->index == 0;
    if (ranks->has_lost)
        wait_seconds(LOST_SECONDS + (ranks->index < 4 ? 0.25 * ranks->index : 1.0));
    (void)fail_context(status, "rank %d on %s", ranks->index, ranks->hosts[ranks->index]);
    return true;
}
