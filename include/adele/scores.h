// SPDX-License-Identifier: MIT
// Scores of single cases: what adele_model_evaluate measures case by case, over all cases, and two
// such sets of scores beside each other.
//
// A case is a picture, or a volume as a whole. Distances are in mm for volumes, with their voxels'
// spacing, and in pixels for pictures. Ignored pixels count nowhere. The measures:
//   IoU, Dice     of the class's pixels or voxels in the prediction and in the labels
//   HD95          the larger of the 95th percentiles of the distances from the one surface to the
//                 other and back
//   ASSD          average symmetric surface distance: the mean of the distances of both directions
//   boundary IoU  of the pixels within 2 % of the picture's diagonal of the contour (Cheng et al.,
//                 2021); of a volume: slice by slice, with the counts added
// The surface are the voxels with a neighbour across a face outside of the class. A lesion is a
// connected component, corners included; one of the labels is found when one of its pixels is
// predicted, one of the prediction is false when none of its pixels is labelled.
//
// Undefined, NaN here and empty in scores.csv: every measure where the class is neither predicted
// nor labelled; the distances where it is only one of both (IoU, Dice and boundary IoU are 0
// there); all but IoU and Dice of the background, class 0. What is undefined is left out of means;
// `n` says how many cases are left.
#ifndef ADELE_SCORES_H
#define ADELE_SCORES_H

#include "adele/status.h"
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum adele_measure {
    ADELE_IOU,
    ADELE_DICE,
    ADELE_HD95,
    ADELE_ASSD,
    ADELE_BOUNDARY_IOU,
    ADELE_N_MEASURES
};

struct adele_statistic {
    int n;               // cases in which the measure is defined; 0: the rest is NaN
    double mean, median; // over these cases
    double low, high;    // the 95 % percentile bootstrap interval of the mean, from 10,000 samples
                         // of the cases; NaN when n is below 2
};
struct adele_class_scores {
    const char *name; // "mean foreground" for the last
    struct adele_statistic measures[ADELE_N_MEASURES];
    // Over all cases: lesions of the labels that were found, predicted ones that are false, and
    // lesions of the labels that were missed. 0 for the background.
    int64_t n_lesions_found, n_lesions_false, n_lesions_missed;
};
// The library may append fields in later versions. Borrowed from the list.
struct adele_case_scores {
    int n_cases, n_classes;                   // classes with the background
    const char *unit;                         // of the distances: "mm" or "px"
    const struct adele_class_scores *classes; // (n_classes + 1): the last has, as the value of a
                                              // case, the mean over its foreground classes
};
void adele_case_scores_destroy(struct adele_case_scores *scores); // NULL is legal

struct adele_difference {
    int n;                 // cases in which the measure is defined on both sides
    double mean_a, mean_b; // over these cases; NaN when there is none
    double mean, median;   // of the differences, b - a
    double low, high;      // the interval of the mean difference, as above
};
struct adele_class_difference {
    const char *name;
    struct adele_difference measures[ADELE_N_MEASURES];
};
// The library may append fields in later versions.
struct adele_comparison {
    int n_cases, n_classes;
    const char *unit;
    const struct adele_class_difference *classes; // (n_classes + 1), as above
};
// `a` and `b` are files that adele_model_evaluate wrote (cases_file), or folders of runs, which
// have such a file under the name scores.csv. Cases are matched by their names. Destroy *out with
// adele_comparison_destroy. Errors: ADELE_DATA when cases, classes or units differ, with the names
// of the first that do; ADELE_FORMAT, ADELE_IO for files that cannot be read; ADELE_NO_MEMORY;
// ADELE_INVALID_ARGUMENT when one of both is NULL.
ADELE_MUST_CHECK adele_status adele_compare(const char *a, const char *b,
                                            struct adele_comparison **out);
void adele_comparison_destroy(struct adele_comparison *comparison); // NULL is legal

#ifdef __cplusplus
}
#endif
#endif
