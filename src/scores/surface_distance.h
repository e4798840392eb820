// SPDX-License-Identifier: MIT
// How two masks (0 / not 0) of one grid differ in shape: distances of their surfaces, boundary IoU,
// and connected components (lesions) that are found, missed or false.
#ifndef ADELE_SCORES_SURFACE_DISTANCE_H
#define ADELE_SCORES_SURFACE_DISTANCE_H

#include "image/distance_transform.h"

// The surface of a mask: its voxels that have a neighbour outside of it across a face (a side, in
// pictures). Outside of the grid counts as outside of the mask, except along an axis of one voxel.
struct surface_distance {
    // The larger of two 95th percentiles: of the distances from a's surface voxels to the nearest
    // of b's, and back. Percentiles are interpolated between the two nearest distances.
    double hd95;
    double mean; // of the distances in both directions, each surface voxel once
};
// In the unit of the spacing. Both are NaN where one of the masks is empty. ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status surface_distance(const uint8_t *a, const uint8_t *b,
                                               const struct grid *grid,
                                               struct surface_distance *out);

// Boundary IoU (Cheng et al., CVPR 2021): the IoU of the parts of both masks that lie within
// `width` pixels (at least 1) of the own contour, which is what `width` erosions by a 3 x 3 square
// remove; outside of the grid counts as outside of the mask. Of volumes: of each slice, with the
// counts of all slices added. NaN where both masks are empty. ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status boundary_iou(const uint8_t *a, const uint8_t *b,
                                           const struct grid *grid, int width, double *out);

// ---- components.c -------------------------------------------------------------------------------
// Numbers the connected components of a mask: voxels that touch, corners included (8 neighbours in
// a picture, 26 in a volume), are of one component. out[i] is 0 outside of the mask, else the
// component, from 1 in the order of their first voxels. *n is how many there are. ADELE_DATA for
// more voxels than 32 bits number.
ADELE_MUST_CHECK adele_status components_label(const uint8_t *mask, const struct grid *grid,
                                               uint32_t *out, uint32_t *n);

struct lesion_counts {
    int64_t found;  // components of the truth with a voxel that is predicted: true positives
    int64_t falses; // predicted components without a voxel of the truth: false positives
    int64_t missed; // components of the truth without a voxel that is predicted: false negatives
};
ADELE_MUST_CHECK adele_status lesions_count(const uint8_t *truth, const uint8_t *predicted,
                                            const struct grid *grid, struct lesion_counts *out);
#endif
