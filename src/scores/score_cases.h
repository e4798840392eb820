// SPDX-License-Identifier: MIT
// The scores of many cases: collected, written to scores.csv, read back, and compared.
//
// scores.csv has one row for each case and class, all classes of a case together:
//   case,class,unit,labelled,predicted,both,iou,dice,hd95,assd,boundary_iou,lesion_tp,lesion_fp,lesion_fn
// unit is that of hd95 and assd, "mm" or "px"; labelled, predicted and both count pixels or voxels.
// An undefined measure (scores/score_case.h) is an empty field.
#ifndef ADELE_SCORES_SCORE_CASES_H
#define ADELE_SCORES_SCORE_CASES_H

#include "data/dataset.h"
#include "scores/score_case.h"
#include "scores/score_statistics.h"

#include <stdbool.h>

struct ranks;

struct scored_case {
    char *name;
    struct class_score *classes; // (n_classes)
};
struct case_scores { // zero-initialized: empty
    int n_classes;
    char **class_names; // (n_classes)
    bool is_in_mm;      // distances; else in pixels
    int n_cases;
    struct scored_case *cases;
};
ADELE_MUST_CHECK adele_status case_scores_init(struct case_scores *scores, int n_classes,
                                               char *const *class_names, bool is_in_mm);
void case_scores_deinit(struct case_scores *scores); // also zeroes it; legal on a zeroed struct
const char *case_scores_unit(const struct case_scores *scores);

// The grid of a case of (slices, height, width) voxels: of volumes with their spacing in mm along
// the axes of the set's orientation, of pictures with spacing 1.
struct grid case_scores_grid(const struct dataset *dataset, const struct dataset_case *item,
                             const int extents[3]);

// A new case whose classes are all zero, for the caller to fill in; borrowed until the next one.
ADELE_MUST_CHECK adele_status case_scores_add(struct case_scores *scores, const char *name,
                                              struct class_score **out);

// The measure of class c in case i. Class n_classes is the mean over the foreground classes whose
// measure is defined; NaN where none is.
double case_scores_value(const struct case_scores *scores, int i, int c, enum score_measure m);
// Over all cases.
ADELE_MUST_CHECK adele_status case_scores_statistic(const struct case_scores *scores, int c,
                                                    enum score_measure m, struct statistic *out);
// Sums over all cases; class n_classes: over the foreground classes.
struct lesion_counts case_scores_lesions(const struct case_scores *scores, int c);

// ---- score_file.c -------------------------------------------------------------------------------
ADELE_MUST_CHECK adele_status case_scores_write(const char *path, const struct case_scores *scores);
// ADELE_FORMAT names file, line and value of what is no scores.csv: another header, a number that
// is none, classes or units that differ between cases.
ADELE_MUST_CHECK adele_status case_scores_read(const char *path, struct case_scores *out);

// ---- score_compare.c ----------------------------------------------------------------------------
// match[i] is the case of b that has the name of case i of a (n_cases of a). ADELE_DATA names the
// classes, the units or the cases in which the two differ, or a case that is twice in one of them;
// `path_a` and `path_b` are for that.
ADELE_MUST_CHECK adele_status score_match(const struct case_scores *a, const char *path_a,
                                          const struct case_scores *b, const char *path_b,
                                          int *match);
struct score_difference {
    double mean_a, mean_b;      // over the cases in which both are defined
    struct statistic b_minus_a; // of the differences of these cases
};
ADELE_MUST_CHECK adele_status score_difference(const struct case_scores *a,
                                               const struct case_scores *b, const int *match, int c,
                                               enum score_measure m, struct score_difference *out);
// score_gather.c. Collective: puts the cases of all ranks behind each other by rank, so that each
// has what one process has. Nothing for one process.
ADELE_MUST_CHECK adele_status case_scores_gather(struct ranks *ranks, struct case_scores *scores);
#endif
