// SPDX-License-Identifier: MIT
// Checks the values of a decoded label file and maps them to categories.
#ifndef ADELE_DATA_LABEL_VALUES_H
#define ADELE_DATA_LABEL_VALUES_H

#include "data/case_labels.h"

// case_labels_load and case_labels_place, then compares the size with that of `image` (may be NULL)
// and checks all values. `adele check` reports problems in the same order.
ADELE_MUST_CHECK adele_status case_labels_load_checked(const struct dataset *dataset,
                                                       const struct dataset_case *item,
                                                       const char *path,
                                                       const struct case_image *image,
                                                       struct case_labels *out);
// ADELE_DATA when a value of the file is not a category: names the first such pixel in the order of
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
