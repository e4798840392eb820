// SPDX-License-Identifier: MIT
// Objects drawn as polygons of few corners.
#ifndef ADELE_NOISE_NOISE_COARSE_H
#define ADELE_NOISE_NOISE_COARSE_H

#include "adele/status.h"
#include "base/random.h"
#include <stdint.h>

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
#endif
