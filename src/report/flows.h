// SPDX-License-Identifier: MIT
// What each correction of a run changed, read from RUN/labels/epoch_NNNN.json.
#ifndef ADELE_REPORT_FLOWS_H
#define ADELE_REPORT_FLOWS_H

#include "report/run.h"

struct flow { // pixels of one class that became another one
    int from, to;
    double n_pixels;
};
struct correction {
    int epoch;
    double n_changed;
    int n;
    struct flow *flows; // (n), most pixels first
};
struct corrections {
    int n;
    struct correction *items; // by epoch
    struct correction total;  // of all together; a pixel that was changed twice counts twice
    int n_classes;
    char **classes;
};

// No file: n is 0. After an error, corrections_deinit frees what was read.
ADELE_MUST_CHECK adele_status corrections_load(const struct report_run *run,
                                               struct corrections *out);
void corrections_deinit(struct corrections *corrections); // also zeroes it
// The name of a class; its number where it has none; caller's buffer.
const char *corrections_class(const struct corrections *corrections, int category, char out[32]);
#endif
