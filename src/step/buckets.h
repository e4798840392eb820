// SPDX-License-Identifier: MIT
// How the gradients of a network are divided among ranks that exchange them while backward runs: in
// buckets, each of which is sent when its gradients are complete, and each bucket in one chunk for
// each rank, which adds it up.
#ifndef ADELE_STEP_BUCKETS_H
#define ADELE_STEP_BUCKETS_H

#include "adele/status.h"
#include <stdint.h>

// A range of a vector [gradients | rest]; chunk r of it, of at most chunk_floats, is rank r's.
struct bucket {
    int64_t first, n;
    int64_t chunk_floats; // a multiple of 16: a cache line
    // Where a rank's own chunk begins among all of its chunks, which lie one behind the other.
    int64_t at;
};

// The last bucket is the rest: what every rank needs whole. Those before it are the gradients in
// the order of the network, of which backward completes the last ones first.
struct buckets {
    struct bucket *all;
    int n;              // with the rest
    int n_ranks;        // a power of two
    int64_t own_floats; // of a rank's chunks: room for them, the same on every rank
};

// The boundaries of buckets depend on `n_gradients` alone, and are the same for any number of
// ranks. n_rest: above 0. Freed by buckets_deinit.
ADELE_MUST_CHECK adele_status buckets_init(struct buckets *out, int64_t n_gradients, int64_t n_rest,
                                           int n_ranks);
void buckets_deinit(struct buckets *buckets); // legal on a zeroed struct

// The chunk of a rank: where it begins in the vector, and how long it is; the last ones of a bucket
// may be shorter or empty.
struct chunk {
    int64_t first, n;
};
struct chunk bucket_chunk(const struct bucket *bucket, int rank);
#endif
