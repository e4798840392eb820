// SPDX-License-Identifier: MIT
// For ranks on the CPU (divided_update.h): the exchange of gradients by MPI, beside backward. A
// bucket goes to the ranks that add up its chunks as soon as it is complete. The sums have the
// order of one binary tree over the ranks, which continues that of step/part_tree.h, and stay on
// the rank that has added them up, which then updates the weights of its chunks. Ranks with GPUs
// exchange whole sums instead (exchange.h).
//
//     bucket_exchange_begin
//     bucket_exchange_send for each bucket, gradients from the last one to the first, then the
//     rest;
//         ranks_poll in between
//     bucket_exchange_sum
//     bucket_exchange_spread, ranks_wait
#ifndef ADELE_STEP_BUCKET_EXCHANGE_H
#define ADELE_STEP_BUCKET_EXCHANGE_H

#include "device/device.h"
#include "ranks/ranks.h"
#include "step/buckets.h"

struct bucket_exchange {
    const struct adele_device *device; // borrowed, as ranks and buckets
    struct ranks *ranks;
    const struct buckets *buckets;
    // Plain (n_ranks, own_floats): this rank's chunks of each rank's vector. The sum comes in the
    // place of the first rank's, and that of the second one is free then.
    float *pieces;
    size_t bytes; // of them
};

// After an error, bucket_exchange_deinit frees what was made.
ADELE_MUST_CHECK adele_status bucket_exchange_init(struct bucket_exchange *out,
                                                   const struct adele_device *device,
                                                   struct ranks *ranks,
                                                   const struct buckets *buckets);
void bucket_exchange_deinit(struct bucket_exchange *self); // legal on a zeroed struct

// Makes ready to receive; nothing else is sent until the sum.
ADELE_MUST_CHECK adele_status bucket_exchange_begin(const struct bucket_exchange *self);
// Begins to send bucket i_bucket of the vector, which stays as it is until the sum.
ADELE_MUST_CHECK adele_status bucket_exchange_send(const struct bucket_exchange *self, int i_bucket,
                                                   const float *vector);
// After all buckets, collective: this rank's chunks become the sums over the ranks, *out, plain
// (own_floats).
ADELE_MUST_CHECK adele_status bucket_exchange_sum(const struct bucket_exchange *self, float **out);
// Begins to bring each rank's `own` chunks (own_floats) of n buckets from i_first on into the
// vector of every rank. Both stay as they are until ranks_wait.
ADELE_MUST_CHECK adele_status bucket_exchange_spread(const struct bucket_exchange *self,
                                                     int i_first, int n, const float *own,
                                                     float *vector);
#endif
