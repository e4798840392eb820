// SPDX-License-Identifier: MIT
// Under- and over-drawn organs of one label map, at a number of iterations that need not be whole.
#ifndef ADELE_NOISE_NOISE_MORPH_H
#define ADELE_NOISE_NOISE_MORPH_H

#include "adele/status.h"
#include "base/random.h"
#include <stdint.h>

// One draw, under (-) or over (+), for every foreground category in the program's order (1, 3, 4,
// 2, then 5, 6, ...; those that exist): resize by sqrt(1000 / area), erode or dilate, resize back
// (cubic, > 0). At a whole count this is the program's result.
//
// `out` must not overlap `clean`. `count` = k + f iterations, k whole: each pixel takes the result
// of k + 1 iterations where a smooth random field in [0, 1) lies below f, else that of k. So
// different stretches of a contour move one after the other as the count grows. Count 0 is the
// clean map itself, without the blur of resizing. `wobble` gives the field (one for each category)
// and is only read for a count that is not whole.
ADELE_MUST_CHECK adele_status noise_morph(const uint8_t *clean, int height, int width,
                                          int n_categories, double count, int is_over,
                                          struct random_stream wobble, uint8_t *out);
#endif
