// SPDX-License-Identifier: MIT
// Contours moved by a Markov process, after the noise of Yao et al., "Learning to Segment from
// Noisy Annotations: A Spatial Correction Approach" (ICLR 2023).
#ifndef ADELE_NOISE_NOISE_BOUNDARY_H
#define ADELE_NOISE_NOISE_BOUNDARY_H

#include "adele/status.h"
#include "base/random.h"
#include <stdint.h>

#define NOISE_BOUNDARY_MAX_STEPS 2048

// Each category in the official program's order is resized to about 1,000 pixels (noise_window.h),
// walks `n_steps` steps, and is resized back. One step changes pixels of the small mask that had
// a 4-neighbour on the other side of the contour before the step: one outside
// joins the category with probability b / 2, one inside leaves it with (1 - b) / 2. b is the bias
// of the place: a smooth random field of the category (noise_field.h) that is 1 on about the share
// `outward` of the plane, 0 on most of the rest, so that long stretches of a contour go one way. Of
// the last step of a count that is not whole, each move happens with the fraction as a further
// factor of its probability.
//
// Pixels that the small mask loses on the way become background, background pixels that it gains
// become the category; others, also those of another category and of 255, stay.
// `out` must not overlap `clean`. The same `stream` makes the same steps whatever n_steps is.
// ADELE_INVALID_ARGUMENT for n_steps beyond 0 .. NOISE_BOUNDARY_MAX_STEPS, `outward` beyond 0 .. 1.
ADELE_MUST_CHECK adele_status noise_boundary(const uint8_t *clean, int height, int width,
                                             int n_categories, double n_steps, double outward,
                                             struct random_stream stream, uint8_t *out);
#endif
