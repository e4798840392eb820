// SPDX-License-Identifier: MIT
// The kinds of noise that change shapes; those of whole objects are in noise_objects.h. `out` must
// not overlap `clean`, both (H, W).
#ifndef ADELE_NOISE_NOISE_KINDS_H
#define ADELE_NOISE_NOISE_KINDS_H

#include "adele/status.h"
#include "base/random.h"
#include <stdint.h>

// ---- noise_morph.c ------------------------------------------------------------------------------
// Under- and over-drawn organs of one label map, at a number of iterations that need not be whole.

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

// ---- noise_boundary.c ---------------------------------------------------------------------------
// Contours moved by a Markov process, after the noise of Yao et al., "Learning to Segment from
// Noisy Annotations: A Spatial Correction Approach" (ICLR 2023).

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

// ---- noise_coarse.c -----------------------------------------------------------------------------
// Objects drawn as polygons of few corners.

// Each object (noise_objects.h) draws a real number from low .. high + 1, whose whole part after
// division by `strength` is its number of corners, 3 at least. Each closed contour of the object,
// outer or of a hole, runs along the edges of pixels; its corners lie on it at equal distances, the
// first one at random. Straight lines between the corners of all contours of the object bound its
// new shape, by the even-odd rule at the centres of the pixels. Object after object, in the order
// of their first pixels: what lies outside of its new shape becomes background, and the background
// inside becomes its category. Pixels of other objects and of 255 stay.
// `out` must not overlap `clean`. ADELE_INVALID_ARGUMENT for corners that are not 3 <= low <= high,
// or a strength that is not above 0.
ADELE_MUST_CHECK adele_status noise_coarse(const uint8_t *clean, int height, int width, int low,
                                           int high, double strength, struct random_stream stream,
                                           uint8_t *out);

// ---- noise_render.c -----------------------------------------------------------------------------
// Label maps that are displaced as a whole, as by a wrong registration of image and annotation.

// out (H, W) at (y, x) is clean at (y - down, x - right); what would come from outside repeats the
// edge. Pixels that are 255 stay 255, and one that would get 255 keeps its category.
// `out` must not overlap `clean`.
void noise_shift(const uint8_t *clean, int height, int width, int down, int right, uint8_t *out);
#endif
