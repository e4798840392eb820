// SPDX-License-Identifier: MIT
// Compares two label maps on a device, class by class.
#ifndef ADELE_SCORES_MAP_COUNTER_H
#define ADELE_SCORES_MAP_COUNTER_H

#include "device/device.h"
#include "scores/score.h"

struct map_counter {
    const struct adele_device *device; // borrowed
    struct adele_op *op;
    int64_t *counts; // device: plain (3, 256)
    int n_categories;
};

// For maps (n, h, w). After an error, map_counter_deinit frees what was made.
ADELE_MUST_CHECK adele_status map_counter_init(struct map_counter *out,
                                               const struct adele_device *device, int n, int h,
                                               int w, int n_categories);
void map_counter_deinit(struct map_counter *counter); // also zeroes it; legal on a zeroed struct

// Counts (3, 256) of the device's maps, on the host: intersection, predicted, labelled. Pixels
// whose label is 255 are left out. Waits for the device.
ADELE_MUST_CHECK adele_status map_counter_run(struct map_counter *counter,
                                              const uint8_t *prediction, const uint8_t *labels,
                                              int64_t counts[3 * 256]);
ADELE_MUST_CHECK adele_status map_counter_score(struct map_counter *counter,
                                                const uint8_t *prediction, const uint8_t *labels,
                                                struct score *out);
#endif
