// SPDX-License-Identifier: MIT
// Noise of a whole count of iterations, as the authors' program makes it.
#ifndef ADELE_TESTS_UNDER_OVER_H
#define ADELE_TESTS_UNDER_OVER_H

#include "noise/noise_kinds.h"

static inline adele_status noise_under_over(const uint8_t *clean, int height, int width,
                                            int n_categories, int n_iterations, int is_over,
                                            uint8_t *out) {
    struct random_stream unused = {{0}, {0}, {0}, 4}; // a whole count draws nothing
    return noise_morph(clean, height, width, n_categories, n_iterations, is_over, unused, out);
}
#endif
