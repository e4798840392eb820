// SPDX-License-Identifier: MIT
// train.average: a running average of the weights and the running statistics, updated behind every
// update of the weights: average = d average + (1 - d) weights, where d grows with the number of
// updates, so that the average soon forgets the initial weights. The network holds the arena
// (network_add_average). A network computes with the average between two calls of
// network_exchange_average.
#ifndef ADELE_STEP_AVERAGED_WEIGHTS_H
#define ADELE_STEP_AVERAGED_WEIGHTS_H

#include "loader/epoch_plan.h"
#include "nn/network.h"

struct averaged_weights {
    struct network *network;  // borrowed; NULL: train.average is off
    struct adele_op *buffers; // op average of the running statistics; NULL: there are none
    struct adele_op *weights; // of the weights; NULL: the op that updates them does it, too
};

// Before the network's memory is allocated. After an error, averaged_weights_deinit frees what was
// made. `is_apart`: the weights are not updated as a whole by one op.
ADELE_MUST_CHECK adele_status averaged_weights_init(struct averaged_weights *out,
                                                    const struct adele_device *device,
                                                    struct network *network, bool is_apart);
void averaged_weights_deinit(struct averaged_weights *self); // zeroes it; legal on a zeroed struct

// d of the update that step i_step of the epoch ends: min(0.99, (1 + t) / (10 + t)), where t is the
// number of updates before it. Updates that were skipped as non-finite count, so that t follows
// from epoch and step alone.
float averaged_weights_decay(const struct epoch_plan *plan, int epoch, int i_step);
// Behind the update of the weights, and that of their average; `health` is the record of that
// update's op: where it was skipped, the average of the buffers stays as it is, too.
ADELE_MUST_CHECK adele_status averaged_weights_update_buffers(const struct averaged_weights *self,
                                                              float decay, const int64_t *health);
// Before that, the average of the weights, where it is apart; else nothing.
ADELE_MUST_CHECK adele_status averaged_weights_update_weights(const struct averaged_weights *self,
                                                              float decay, const int64_t *health);
#endif
