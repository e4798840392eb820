// SPDX-License-Identifier: MIT
// Brings the volumes of a set to one orientation before slices are cut, and checks that label maps
// and channels have the position of their image.
#ifndef ADELE_DATA_ORIENTATION_H
#define ADELE_DATA_ORIENTATION_H

#include "data/check_report.h"
#include "data/dataset.h"

// Call after all cases have their geometry. Sets dataset->orientation (the configuration's,
// else the most frequent one of the training images, the first of equals) and the cases' n_slices.
// Reports volumes in another order, to the log, or to `report` when that is not NULL.
ADELE_MUST_CHECK adele_status orientation_find(struct dataset *dataset,
                                               struct check_report *report);
// The order that brings an image of the set to its orientation.
struct nifti_order orientation_of_image(const struct dataset *dataset,
                                        const struct nifti_geometry *image);
enum orientation_role { ORIENTATION_LABEL, ORIENTATION_CHANNEL };
// The order that brings a label map or another channel to the storage of its image. ADELE_DATA
// describes the difference when their positions differ; *kind is then the kind of problem.
ADELE_MUST_CHECK adele_status orientation_match(enum orientation_role role, const char *path,
                                                const struct nifti_geometry *geometry,
                                                const char *image_path,
                                                const struct nifti_geometry *image,
                                                enum check_kind *kind, struct nifti_order *out);
#endif
