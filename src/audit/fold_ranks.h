// SPDX-License-Identifier: MIT
// Several processes that divide the folds of an audit.
#ifndef ADELE_AUDIT_FOLD_RANKS_H
#define ADELE_AUDIT_FOLD_RANKS_H

#include "ranks/ranks.h"

// What the trainings of all folds have in common.
struct fold_training {
    const char *config; // path
    const char *const *sets;
    int n_sets;
    const char *output; // the folder in which their runs lie
    const char *device; // of this rank
};
// Collective, before the first training: fails on all ranks where one has another build,
// configuration or device, on which the bytes of its folds' networks would depend. Nothing for one
// process.
ADELE_MUST_CHECK adele_status fold_ranks_compare(struct ranks *ranks,
                                                 const struct fold_training *training);
#endif
