// SPDX-License-Identifier: MIT
// OpenMP's place in the fuzzers, which have one thread and no OpenMP.
#ifndef ADELE_TESTS_FUZZ_SERIAL_OMP_H
#define ADELE_TESTS_FUZZ_SERIAL_OMP_H

static inline int omp_get_max_threads(void) {
    return 1;
}
#endif
