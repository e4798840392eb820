// SPDX-License-Identifier: MIT
// A warning when the network predicts a class nowhere in the training images, epoch after epoch:
// such a run learns nothing of it, and neither its curve nor a correction says so. It is computed
// from the records, so a resumed run warns as an uninterrupted one does.
#ifndef ADELE_RUN_UNPREDICTED_H
#define ADELE_RUN_UNPREDICTED_H

#include "config/config.h"
#include "run_folder/metrics.h"

struct unpredicted_classes {
    const struct config *config;
    const struct metrics *metrics; // with the record of `epoch`
    int epoch;
    int n_categories;
    char *const *names;
    const int64_t *counts; // (3, 256) of the epoch: intersection, predicted, labelled
};

// Once for each class: after its fifth epoch in a row.
ADELE_MUST_CHECK adele_status unpredicted_warn(const struct unpredicted_classes *classes);
#endif
