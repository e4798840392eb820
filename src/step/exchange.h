// SPDX-License-Identifier: MIT
// For ranks with GPUs: the sum of one vector of each rank, on all of them. Each rank gets one chunk
// of all vectors, adds the chunks up, and sends the sum to all: as many bytes as a ring takes, but
// in the order of one binary tree over the ranks, which continues that of step/part_tree.h.
//
// Where every rank has NCCL, sums are queued on the GPUs, bucket by bucket beside backward. Without
// it, whole vectors go through the host's memory and MPI after backward (exchange_sum): slower, but
// the same bytes. Ranks on the CPU never use this file: see step/divided_update.h.
#ifndef ADELE_STEP_EXCHANGE_H
#define ADELE_STEP_EXCHANGE_H

#include "base/memory.h"
#include "device/device.h"
#include "ranks/ranks.h"

struct exchange;

// `n_floats`: a multiple of the number of ranks, which is a power of two above 1. Borrows device
// and ranks.
ADELE_MUST_CHECK adele_status exchange_create(const struct adele_device *device,
                                              struct ranks *ranks, int64_t n_floats,
                                              struct exchange **out);
void exchange_destroy(struct exchange *exchange); // NULL is legal
OWNER(exchange_destroy, struct exchange)

// Before the first sum, collective: the devices exchange directly where every rank's can (GPUs
// through NCCL), else through the host's memory and MPI. Logs which.
ADELE_MUST_CHECK adele_status exchange_connect(struct exchange *exchange);
// After the last one, collective, where no rank has failed.
ADELE_MUST_CHECK adele_status exchange_disconnect(struct exchange *exchange);

// Collective. `vector`: device, plain (n_floats); becomes the sum, which has the same bytes either
// way. Where the devices exchange directly it is only queued, also between step_begin and step_end.
// Else not between these: the host waits for the device and for the other ranks.
ADELE_MUST_CHECK adele_status exchange_sum(struct exchange *exchange, float *vector);
// With exchange_is_queued, instead of it: the sum of n floats from `part` on, beside the ops that
// follow, until the last part. The device's exchange_sum says what may be done in between.
ADELE_MUST_CHECK adele_status exchange_sum_part(struct exchange *exchange, float *part, int64_t n,
                                                bool is_last);
bool exchange_is_queued(const struct exchange *exchange);      // the devices exchange directly
size_t exchange_device_bytes(const struct exchange *exchange); // that it has allocated
#endif
