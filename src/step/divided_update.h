// SPDX-License-Identifier: MIT
// The update of several ranks whose device is the host: each keeps the momenta of its chunks of the
// weights (buckets.h) and updates these with the sums of the gradients that it has added up, and
// then all get the new weights. Values and the record of skipped updates are those of one process.
#ifndef ADELE_STEP_DIVIDED_UPDATE_H
#define ADELE_STEP_DIVIDED_UPDATE_H

#include "nn/network.h"
#include "step/bucket_exchange.h"

struct divided_update {
    struct bucket_exchange exchange;
    struct network *network; // borrowed
    // What this rank updates: offsets are those among its chunks; and which of the segments of the
    // whole update each is of.
    struct adele_sgd_segment *segments;
    int *segment_of;
    int n_segments;
    // Of a step: this rank's gradients and weights, plain (own_floats), and of each rank the last
    // segment whose gradient is not finite (-1: none).
    float *gradients, *weights;
    int64_t *bad;
    // For a checkpoint: those of all ranks, plain (n_weights) on the host. NULL: not collected.
    float *momenta, *second_moments;
};

// Divides the momenta of the network, whose parameters are not allocated yet. Borrows all; after an
// error, divided_update_deinit frees what was made.
ADELE_MUST_CHECK adele_status divided_update_init(struct divided_update *out,
                                                  const struct adele_device *device,
                                                  struct ranks *ranks,
                                                  const struct buckets *buckets,
                                                  struct network *network);
void divided_update_deinit(struct divided_update *self); // legal on a zeroed struct

// This rank's part of the segments of an update: self->segments, for the op that updates.
ADELE_MUST_CHECK adele_status divided_update_choose(struct divided_update *self, int n_segments,
                                                    const struct adele_sgd_segment *segments);

// divided_step.c: a step, collective, once all buckets are sent (bucket_exchange.h). The sums: this
// rank's gradients, and the rest of the vector. *are_finite: whether all gradients of all ranks
// are.
ADELE_MUST_CHECK adele_status divided_update_sum(struct divided_update *self, float *vector,
                                                 bool *are_finite);
// Around the op that updates self->weights. The first one copies them from the network; the second
// one brings those of all ranks into it, and completes the op's record of skipped updates.
ADELE_MUST_CHECK adele_status divided_update_open(struct divided_update *self);
ADELE_MUST_CHECK adele_status divided_update_close(struct divided_update *self, bool is_loss_finite,
                                                   int64_t *health);

// Collective: brings the momenta of all ranks, and second moments if there are, into `momenta` and
// `second_moments` on rank 0; the second one frees these. Nothing on a zeroed struct.
ADELE_MUST_CHECK adele_status divided_update_collect(struct divided_update *self);
void divided_update_drop_collected(struct divided_update *self);
#endif
