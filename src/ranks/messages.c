// SPDX-License-Identifier: MIT
#include "base/clock.h"
#include "base/fail.h"
#include "ranks/ranks_state.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#define PIECE_BYTES (4 << 20)

// Polls at once while messages keep coming; then sleeps, a small part of the time that it has
// waited already, so that it takes no core from a rank that computes.
#define SPIN_SECONDS  0.001
#define SLEEP_SHARE   (1.0 / 20.0)
#define SLEEP_SECONDS 0.0005 // at most

static const char *const names[] = {[MESSAGES_BROADCAST] = "broadcast",
                                    [MESSAGES_GATHER] = "gather",
                                    [MESSAGES_GATHER_SIZED] = "gather",
                                    [MESSAGES_EXCHANGE] = "exchange",
                                    [MESSAGES_BESIDE] = "exchange",
                                    [MESSAGES_AGREE] = "agreement",
                                    [MESSAGES_FAILURES] = "agreement on an error",
                                    [MESSAGES_LEAVE] = "the end of the run"};

void messages_cancel(struct ranks *ranks) {
    ranks->transport->cancel(ranks->transport);
    ranks->is_broken = true;
    memset(ranks->n_pending, 0, (size_t)ranks->n * sizeof *ranks->n_pending);
}

// Ends a collective that has failed; `peer` -1: not with one rank.
static adele_status fail_with(struct ranks *ranks, enum rank_messages kind, int peer,
                              adele_status status) {
    messages_cancel(ranks);
    ranks->has_lost = peer >= 0;
    if (peer < 0)
        return fail_context(status, "%s", names[kind]);
    return fail_context(status, "%s, with rank %d on %s", names[kind], peer, ranks->hosts[peer]);
}

// Begins to send a block to another rank, or to receive one; in pieces, because MPI counts bytes in
// an int.
static adele_status begin(struct ranks *ranks, enum rank_messages kind, int peer,
                          const void *to_send, void *room, size_t bytes) {
    struct transport *transport = ranks->transport;
    ranks->heard[peer] = clock_seconds();
    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        int piece = bytes - at < PIECE_BYTES ? (int)(bytes - at) : PIECE_BYTES;
        adele_status status =
            to_send != NULL
                ? transport->send(transport, peer, kind, (const char *)to_send + at, piece)
                : transport->receive(transport, peer, kind, (char *)room + at, piece);
        if (status != ADELE_OK)
            return fail_with(ranks, kind, peer, status);
        ranks->n_pending[peer]++;
        ranks->bytes_sent += to_send != NULL ? piece : 0;
    }
    return ADELE_OK;
}

adele_status messages_send(struct ranks *ranks, enum rank_messages kind, int to, const void *block,
                           size_t bytes) {
    return begin(ranks, kind, to, block, NULL, bytes);
}
adele_status messages_receive(struct ranks *ranks, enum rank_messages kind, int from, void *block,
                              size_t bytes) {
    return begin(ranks, kind, from, NULL, block, bytes);
}

static adele_status take(struct ranks *ranks, enum rank_messages kind,
                         const struct message *message) {
    ranks->n_pending[message->peer]--;
    ranks->heard[message->peer] = clock_seconds();
    if (message->bytes == message->expected)
        return ADELE_OK;
    return fail_with(ranks, kind, message->peer,
                     FAIL(ADELE_DEVICE, "All ranks must run the same build of adele.",
                          "%d bytes came where %d were expected", message->bytes,
                          message->expected));
}

// The rank with messages on their way of which none was done for the longest time; -1: none.
static int find_latest_rank(const struct ranks *ranks) {
    int latest = -1;
    for (int r = 0; r < ranks->n; r++)
        if (ranks->n_pending[r] > 0 && (latest < 0 || ranks->heard[r] < ranks->heard[latest]))
            latest = r;
    return latest;
}

static void pause_for(double waited) {
    if (waited < SPIN_SECONDS) {
        (void)sched_yield();
        return;
    }
    double seconds = waited * SLEEP_SHARE < SLEEP_SECONDS ? waited * SLEEP_SHARE : SLEEP_SECONDS;
    const struct timespec pause = {0, (long)(seconds * 1e9)};
    (void)nanosleep(&pause, NULL);
}

adele_status messages_poll(struct ranks *ranks, enum rank_messages kind, int *n_done) {
    const struct message *done;
    *n_done = 0;
    adele_status status = ranks->transport->poll(ranks->transport, &done, n_done);
    if (status != ADELE_OK)
        return fail_with(ranks, kind, *n_done > 0 ? done[0].peer : -1, status);
    for (int i = 0; i < *n_done; i++)
        TRY(take(ranks, kind, &done[i]));
    return ADELE_OK;
}

// Until all messages that were begun are done.
adele_status messages_finish(struct ranks *ranks, enum rank_messages kind, double limit) {
    double last = clock_seconds();
    for (int late; (late = find_latest_rank(ranks)) >= 0;) {
        int n_done = 0;
        TRY(messages_poll(ranks, kind, &n_done));
        double now = clock_seconds();
        if (n_done > 0)
            last = now;
        else if (now - ranks->heard[late] > limit)
            return fail_with(ranks, kind, late,
                             FAIL(ADELE_DEVICE,
                                  "Look for its error above and in its log; it may itself wait "
                                  "for a rank that is gone. ADELE_RANK_TIMEOUT is the number of "
                                  "seconds that ranks wait for each other.",
                                  "nothing came from it for %.4g seconds", limit));
        else
            pause_for(now - last);
    }
    return ADELE_OK;
}
