// SPDX-License-Identifier: MIT
// How many threads an op runs with: as many as OpenMP has now, but no more than the op has buffers
// for.
#ifndef ADELE_CPU_TEAM_H
#define ADELE_CPU_TEAM_H

#include <omp.h>

static inline int team_size(int n_buffers) {
    int n_offered = omp_get_max_threads();
    return n_offered < n_buffers ? n_offered : n_buffers;
}

#endif
