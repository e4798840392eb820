// SPDX-License-Identifier: MIT
// What `adele audit` collects: a row an image, sums for each class, and the most doubtful regions
// of all images. Memory: a few dozen bytes an image, 32 more for each class, and a fixed number of
// regions, whatever the size of the images and however many regions they have.
#ifndef ADELE_AUDIT_AUDIT_TABLE_H
#define ADELE_AUDIT_AUDIT_TABLE_H

#include "audit/doubt.h"

struct audit_row {
    char *name;       // of the case
    int slice, order; // order: of the images as they were added
    double score, worst_score;
    double
        first_score; // without the bias taken into account: its order chose what pictures are kept
    int worst_class; // -1: none
    int picture;     // the number of its picture, that of its rank; 0: none
    int64_t n_pixels, n_doubtful;
    int n_regions;
};

struct audit_region {
    int i_row;     // as added
    int64_t order; // of the regions as they were added
    struct doubt_region region;
};

// Scores of classes are added as whole numbers, so that the sum does not depend on their order.
#define AUDIT_SCORE_UNITS ((double)((int64_t)1 << 40))
struct audit_class {
    int64_t score_sum;            // over n_images, in units of 1 / AUDIT_SCORE_UNITS
    int n_images;                 // with the class in the label or the prediction
    int64_t n_pixels, n_doubtful; // labelled; of them in doubtful regions
    int64_t n_predicted;
};

struct audit_table {
    int n_categories;
    struct audit_row *rows;
    int n_rows;
    struct doubt_overlap *overlaps;    // (n_rows, K), in the order of adding
    double bias[DOUBT_MAX_CATEGORIES]; // audit_bias.h; 0: not known yet
    struct audit_region *regions;      // a heap, the least doubtful at its root
    int n_regions, max_regions;
    int64_t n_found; // regions in all
    struct audit_class classes[DOUBT_MAX_CATEGORIES];
    int64_t *pairs; // (K, K): pixels of doubtful regions by label and prediction
};

ADELE_MUST_CHECK adele_status audit_table_init(struct audit_table *out, int n_categories,
                                               int max_regions);
void audit_table_deinit(struct audit_table *table); // also zeroes it
// Adds an image; regions that are added next belong to it.
ADELE_MUST_CHECK adele_status audit_table_add_image(struct audit_table *table, const char *name,
                                                    int slice, const struct doubt_score *score);
void audit_table_add_region(struct audit_table *table, const struct doubt_region *region);
// Keeps a region that another table has counted, if it is among the most doubtful.
void audit_table_keep_region(struct audit_table *table, const struct audit_region *region);
// Adds to the scores of the classes.
void audit_table_add_scores(struct audit_table *table, const struct doubt_score *score);
// The mean over the images that have the class; NaN: in no image.
double audit_table_class_score(const struct audit_table *table, int category);

// Numbers the pictures of the first n_pictures rows of audit.csv. A row has none unless it is also
// among the n_kept most doubtful by first_score.
ADELE_MUST_CHECK adele_status audit_table_number_pictures(struct audit_table *table, int n_pictures,
                                                          int n_kept);
// Sorts the table, most doubtful first, and writes FOLDER/audit.csv, classes.csv and regions.csv.
// Nothing may be added afterwards.
ADELE_MUST_CHECK adele_status audit_table_save(struct audit_table *table, char *const *names,
                                               const char *folder);
// Whether an image of that score and order is more doubtful than the other: the order of audit.csv.
bool audit_row_is_before(double score, int order, double other_score, int other_order);
#endif
