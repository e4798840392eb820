// SPDX-License-Identifier: MIT
// The curve of each class: IoU of the network's predictions during training against the original
// noisy labels, one value an epoch, or one an interval of iterations (pipeline voc).
#ifndef ADELE_CORRECTION_CURVES_H
#define ADELE_CORRECTION_CURVES_H

#include "device/device.h"

struct curves {
    int n_categories, n_values;
    double *iou[256]; // (n_values) of each class
    // Pipeline voc: the epoch's counters less these are those of the interval so far. Negative
    // where an interval began in an earlier epoch.
    int64_t interval_base[ADELE_COUNT_KINDS * 256];
};

// `max_values`: the most that a curve may get. After an error, curves_deinit frees what was made.
ADELE_MUST_CHECK adele_status curves_init(struct curves *out, int n_categories, size_t max_values);
void curves_deinit(struct curves *curves); // also zeroes it; legal on a zeroed struct

// One value of every curve from counts (3, 256) of an epoch.
void curves_append(struct curves *curves, const int64_t *counts);
// One value of every curve at the end of an interval, from the epoch's counters so far.
void curves_end_interval(struct curves *curves, const int64_t *counts);
// At the end of an epoch, whose counters are `counts`: they start at zero in the next one.
void curves_end_epoch(struct curves *curves, const int64_t *counts);
#endif
