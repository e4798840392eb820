// SPDX-License-Identifier: MIT
// The ranks of a run inside the module: who they are, and the messages that are on their way.
#ifndef ADELE_RANKS_RANKS_STATE_H
#define ADELE_RANKS_RANKS_STATE_H

#include "ranks/ranks.h"
#include "ranks/transport.h"

// A kind of collective is the tag of its messages: ranks that have got out of step wait until the
// time limit instead of taking one thing for another.
enum rank_messages {
    MESSAGES_BROADCAST = 1,
    MESSAGES_GATHER,
    MESSAGES_GATHER_SIZED,
    MESSAGES_EXCHANGE,
    MESSAGES_BESIDE,
    MESSAGES_AGREE,
    MESSAGES_FAILURES,
    MESSAGES_LEAVE
};

// A rank that was given fewer cores than its share.
struct few_cores {
    int rank; // -1: none
    int n_own, n_share;
};

struct ranks {
    struct transport *transport;
    int n, index;
    char (*hosts)[RANK_HOST_BYTES]; // (n)
    int *n_pending;                 // (n) pieces to and from each rank that are not done
    double *heard;                  // (n) when one was last done, by clock_seconds
    size_t *starts;                 // (n + 1) scratch of a gather
    double time_limit;              // seconds
    double told_alive;              // when ranks_tell_alive last sent, by clock_seconds
    int64_t bytes_sent;
    int n_cores; // of this rank
    struct few_cores fewest;
    bool has_agreed; // on an error that all ranks know
    bool
        is_broken; // a collective failed, and the blocks of its messages are freed: no more of them
    bool has_lost; // a message failed: the other rank may have more to tell
};

// messages.c. Blocks are sent in pieces, because MPI counts bytes in an int. They stay as they are
// until messages_finish; an error cancels all that is on its way.
ADELE_MUST_CHECK adele_status messages_send(struct ranks *ranks, enum rank_messages kind, int to,
                                            const void *block, size_t bytes);
ADELE_MUST_CHECK adele_status messages_receive(struct ranks *ranks, enum rank_messages kind,
                                               int from, void *block, size_t bytes);
// Takes what is done, without waiting; *n_done: how many.
ADELE_MUST_CHECK adele_status messages_poll(struct ranks *ranks, enum rank_messages kind,
                                            int *n_done);
// Waits until all are done; fails when nothing was sent or taken by a rank for `limit` seconds.
ADELE_MUST_CHECK adele_status messages_finish(struct ranks *ranks, enum rank_messages kind,
                                              double limit);
void messages_cancel(struct ranks *ranks);

// collectives.c: ranks_gather of any kind.
ADELE_MUST_CHECK adele_status ranks_gather_kind(struct ranks *ranks, enum rank_messages kind,
                                                const void *mine, size_t bytes, void *all,
                                                double limit);
#endif
