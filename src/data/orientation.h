// SPDX-License-Identifier: MIT
// Volumes of one set that are stored in different orders, brought to one before slices are cut; and
// whether label maps and channels lie where their image lies.
#ifndef ADELE_DATA_ORIENTATION_H
#define ADELE_DATA_ORIENTATION_H

#include "data/dataset.h"
#include "data/problems.h"

// After the cases and their geometries are there: fixes dataset->orientation (the configuration's,
// else the most frequent one of the training images, the first of equals) and the cases' n_slices.
// Says in one line each what is stored in another order, to the log, or to `report` when that is
// given.
ADELE_MUST_CHECK adele_status orientation_find(struct dataset *dataset,
                                               struct check_report *report);
// The order that brings an image of the set to its orientation.
struct nifti_order orientation_of_image(const struct dataset *dataset,
                                        const struct nifti_geometry *image);
enum orientation_role { ORIENTATION_LABEL, ORIENTATION_CHANNEL };
// The order that brings a label map or another channel to the storage of its image. ADELE_DATA when
// it does not lie where the image lies: says how; *kind is then the kind of problem.
ADELE_MUST_CHECK adele_status orientation_match(enum orientation_role role, const char *path,
                                                const struct nifti_geometry *geometry,
                                                const char *image_path,
                                                const struct nifti_geometry *image,
                                                enum check_kind *kind, struct nifti_order *out);
#endif
