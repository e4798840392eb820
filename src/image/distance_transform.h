// SPDX-License-Identifier: MIT
// The exact Euclidean distance of every voxel to the nearest one of a set.
#ifndef ADELE_IMAGE_DISTANCE_TRANSFORM_H
#define ADELE_IMAGE_DISTANCE_TRANSFORM_H

#include "adele/status.h"
#include <stddef.h>
#include <stdint.h>

// A volume (n[0], n[1], n[2]), the last axis fastest; a picture is a volume of n[0] = 1.
struct grid {
    int n[3];
    double spacing[3]; // between the centres of neighbours along each axis, above 0
};
size_t grid_size(const struct grid *grid); // voxels

// out[i]: the square of the distance between voxel i and the nearest voxel whose source is not 0,
// in the unit of the spacing; INFINITY where there is no source at all. `sources` and `out` have
// grid_size elements. Time is linear in the voxels. ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status distance_transform(const uint8_t *sources, const struct grid *grid,
                                                 float *out);
#endif
