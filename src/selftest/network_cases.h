// SPDX-License-Identifier: MIT
// The shapes of the network of a configuration, as cases of the self-test.
#ifndef ADELE_SELFTEST_NETWORK_CASES_H
#define ADELE_SELFTEST_NETWORK_CASES_H

#include "nn/planned_ops.h"
#include "selftest/cases.h"

struct network_cases {
    enum adele_precision precision; // of the training
    int n;
    struct selftest_case *list; // each shape once, one image, by ascending work
    struct planned_ops *ops;    // own the descriptors
    struct graph graph;
};

// Opens the data set for the number of channels, and the size if the configuration does not give
// it. `config`: a file, with `sets` as for config_load.
ADELE_MUST_CHECK adele_status network_cases_init(const char *config, int n_sets,
                                                 const char *const *sets,
                                                 struct network_cases *out);
void network_cases_deinit(struct network_cases *cases); // a zeroed struct is legal
#endif
