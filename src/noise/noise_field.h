// SPDX-License-Identifier: MIT
// A smooth random field over an image, by which noise moves neighbouring stretches of a contour
// alike.
#ifndef ADELE_NOISE_NOISE_FIELD_H
#define ADELE_NOISE_NOISE_FIELD_H

#include "base/random.h"

#define NOISE_FIELD_GRID 6

struct noise_field {
    double grid[NOISE_FIELD_GRID][NOISE_FIELD_GRID]; // uniform in [0, 1)
};
void noise_field_init(struct noise_field *out, struct random_stream *stream);
// The field at a position given as a share of height and width, each in [0, 1): bilinear
// interpolation of the grid's values.
double noise_field_at(const struct noise_field *field, double y, double x);
#endif
