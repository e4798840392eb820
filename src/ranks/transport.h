// SPDX-License-Identifier: MIT
// What the collectives need of a message library: messages between two ranks that are begun and
// then polled, so that no function of the library waits for another rank.
#ifndef ADELE_RANKS_TRANSPORT_H
#define ADELE_RANKS_TRANSPORT_H

#include "adele/status.h"
#include "ranks/launcher.h"

#include <stdbool.h>

#define RANK_HOST_BYTES 128

// A message that has been sent or received.
struct message {
    int peer; // the other rank
    bool is_receive;
    int bytes;    // sent or received
    int expected; // room for a received one
};

// Messages of the same two ranks and tag arrive in the order in which they were sent. Failures have
// a message that names the function and what the library says.
struct transport {
    int n_ranks, index;
    int n_local, local_index; // of the ranks on this host
    char host[RANK_HOST_BYTES];

    // The block stays as it is until poll has reported the message.
    adele_status (*send)(struct transport *self, int to, int tag, const void *block, int bytes);
    adele_status (*receive)(struct transport *self, int from, int tag, void *block, int bytes);
    // The messages that are done since the last call, without waiting; borrowed until the next
    // call. After an error the one that failed, if *out_n is 1.
    adele_status (*poll)(struct transport *self, const struct message **out, int *out_n);
    void (*cancel)(struct transport *self); // all that is begun, so that blocks may be freed
    void (*abort)(struct transport *self);  // ends the processes of all ranks, this one too
    void (*close)(struct transport *self);  // leaves and frees
};

// mpi.c. Joins the processes of the launch. ADELE_UNSUPPORTED without MPI in this build.
ADELE_MUST_CHECK adele_status mpi_open(const struct launch *launch, struct transport **out);
#endif
