// SPDX-License-Identifier: MIT
// The scores of one case: a prediction beside its labels, a volume as a volume.
//
// What is undefined is decided here and nowhere else, as nnU-Net and MONAI do:
//   the class is in neither mask   no measure is defined; the lesions are 0, 0, 0
//   it is in one of the masks      IoU, Dice and boundary IoU are 0; the distances are undefined
//   class 0, the background        IoU and Dice alone are defined; the lesions are 0, 0, 0
// An undefined measure is NaN in memory, an empty field in CSV, null in JSON and "-" on a terminal,
// and is left out of means, medians and intervals, whose n says over how many cases they go.
#ifndef ADELE_SCORES_SCORE_CASE_H
#define ADELE_SCORES_SCORE_CASE_H

#include "scores/surface_distance.h"

// X(name, is_distance)
#define SCORE_MEASURES(X)                                                                          \
    X(iou, 0)                                                                                      \
    X(dice, 0)                                                                                     \
    X(hd95, 1)                                                                                     \
    X(assd, 1)                                                                                     \
    X(boundary_iou, 0)
enum score_measure {
#define SCORE_ENUM(name, is_distance) SCORE_##name,
    SCORE_MEASURES(SCORE_ENUM)
#undef SCORE_ENUM
        SCORE_N_MEASURES
};
extern const char *const score_measure_names[SCORE_N_MEASURES]; // "iou", ...

struct class_score {
    int64_t n_labelled, n_predicted, n_both; // pixels or voxels that are not ignored
    double measures[SCORE_N_MEASURES];       // NaN where undefined
    struct lesion_counts lesions;
};

// Scores `prediction` against `labels`, both of the grid: pixels of a picture with spacing 1, or
// the voxels of a volume in mm. Ignored pixels (label 255) belong to no class in either mask.
// Boundary IoU takes 2 % of the diagonal of the last two axes as its width, at least 1 pixel.
// `out` (n_categories). ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status score_case_compute(const struct grid *grid, const uint8_t *prediction,
                                                 const uint8_t *labels, int n_categories,
                                                 struct class_score *out);
#endif
