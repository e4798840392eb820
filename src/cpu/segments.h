// SPDX-License-Identifier: MIT
// What the optimizers share: segments of parameters, cut into chunks so that threads share large
// and small ones alike, and the check that skips an update.
#ifndef ADELE_CPU_SEGMENTS_H
#define ADELE_CPU_SEGMENTS_H

#include "device/device.h"

struct segment_chunks {
    struct adele_sgd_segment *chunks;
    int *segment; // (n): which segment the chunk is of
    uint8_t *bad; // (n): whether it has a non-finite gradient
    long n;
    int64_t n_floats; // of all segments
};

// The fields of the same names of adele_sgd_args and adele_adamw_args.
struct segment_guard {
    const float *gradients;
    int64_t *health;
    float *state, *kept;
    int64_t n_kept;
    const int32_t *loss_is_finite;
    int n_losses;
    bool skip_all_later, gradients_are_checked;
};

// After an error, segment_chunks_deinit frees what was allocated.
ADELE_MUST_CHECK adele_status segment_chunks_init(struct segment_chunks *out, int n_segments,
                                                  const struct adele_sgd_segment *segments);
void segment_chunks_deinit(struct segment_chunks *self); // legal on a zeroed struct

// Whether the update must be skipped; keeps the record. false without guard->health.
bool segment_chunks_must_skip(const struct segment_chunks *self, const struct segment_guard *guard);

#endif
