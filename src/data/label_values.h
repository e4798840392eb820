// SPDX-License-Identifier: MIT
// What the values of a decoded label file are allowed to be, and the categories that they stand
// for.
#ifndef ADELE_DATA_LABEL_VALUES_H
#define ADELE_DATA_LABEL_VALUES_H

#include "data/case_labels.h"

// case_labels_load and case_labels_place, then the size beside `image` (NULL: not looked at) and
// all values: what training and noise begin with, and the order in which `check` finds problems.
ADELE_MUST_CHECK adele_status case_labels_load_checked(const struct dataset *dataset,
                                                       const struct dataset_case *item,
                                                       const char *path,
                                                       const struct case_image *image,
                                                       struct case_labels *out);
// ADELE_DATA when a value of the file is no category: names the first such pixel in the order of
// the file, its value, and how many there are.
ADELE_MUST_CHECK adele_status case_labels_check_values(const struct dataset *dataset,
                                                       const char *path,
                                                       const struct case_labels *labels);
// Values -> categories of one slice, (H, W); fails as case_labels_check_values.
ADELE_MUST_CHECK adele_status case_labels_map(const struct dataset *dataset, const char *path,
                                              const struct case_labels *labels, int slice,
                                              uint8_t *out);
bool case_labels_has_foreground(const struct dataset *dataset, const struct case_labels *labels,
                                int slice);
#endif
