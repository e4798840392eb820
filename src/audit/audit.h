// SPDX-License-Identifier: MIT
// `adele audit`: ranks the images, classes and regions of a data set by how doubtful their labels
// are, image by image, in memory that does not depend on their number but for a row each.
#ifndef ADELE_AUDIT_AUDIT_H
#define ADELE_AUDIT_AUDIT_H

#include "audit/doubt.h"
#include "predict/model.h"

struct audit_options {
    struct model_options model; // data, split, inference, overwriting, callbacks
    const char *labels; // folder of the training labels beside `model.data`; NULL: the set's
    const char *folder; // of the output; NULL: RUN/audit
    struct doubt_limits limits; // of doubtful regions; 0 pixels: by the image, see below
    int max_regions;            // rows of regions.csv
    int max_pictures;           // images with pictures
    int mask_value;             // also write labels with doubtful regions ignored; -1: do not
};
// The smallest region by the image: so many pixels, and this part of those of the image.
#define AUDIT_REGION_PIXELS 4
#define AUDIT_REGION_PART   20000
int64_t audit_smallest_region(int h, int w);
void audit_options_init(struct audit_options *out);

struct audit_result {
    int n_images;
    int64_t n_pixels, n_doubtful, n_regions;
    double score[DOUBT_MAX_CATEGORIES]; // of the classes; NaN: in no image
    int64_t n_class_pixels[DOUBT_MAX_CATEGORIES], n_class_doubtful[DOUBT_MAX_CATEGORIES];
};

// Audits the labels that the model's run was given (with data.noise: the noisy ones, at the size at
// which the network works), or those of options->model.data. Writes audit.csv, classes.csv,
// regions.csv and overlays/ and, with mask_value, label files as `adele labels` does.
// ADELE_DATA for a split without cases or labels.
ADELE_MUST_CHECK adele_status model_audit(struct model *model, const struct audit_options *options,
                                          struct audit_result *out);

// ---- folds: each model predicts the cases that it was not trained on ----------------------------
// The list of the cases that fold %d, from 1, is trained on, in the folder of the output.
#define AUDIT_FOLD_LIST "fold_%d.txt"
// The configuration of the folds' trainings where the caller has none.
#define AUDIT_FOLDS_CONFIG "folds.yaml"

struct audit;
// Opens the data set, whose training labels are audited, and begins the output in options->folder;
// of options->model the inference, overwriting, callbacks and ranks count. Borrows `options`. *out
// is for audit_end, after an error too. Collective, as audit_end is.
ADELE_MUST_CHECK adele_status audit_begin(const struct audit_options *options,
                                          const struct dataset_config *data, int n_folds,
                                          struct audit **out);
const struct dataset *audit_dataset(const struct audit *audit); // borrowed
// Audits the wanted training cases. Not collective: a rank audits whole folds, of which lower ranks
// have lower ones.
ADELE_MUST_CHECK adele_status audit_fold(struct audit *audit, struct model *model,
                                         const bool *is_wanted);
// Writes the results of all ranks and frees the audit (NULL is legal). Returns `status`, that of
// the folds, unless that is ADELE_OK and writing fails; another status needs no other rank. After a
// failure the lists, and with mask_value the label files of the cases audited so far, are there.
ADELE_MUST_CHECK adele_status audit_end(struct audit *audit, adele_status status,
                                        struct audit_result *out);
#endif
