// SPDX-License-Identifier: MIT
// Which values masks hold: pixels and cases of each. Values beyond the first MASK_VALUES_MAX
// different ones are counted together, so that the memory is bounded.
#ifndef ADELE_DATA_MASK_VALUES_H
#define ADELE_DATA_MASK_VALUES_H

#include "data/case_labels.h"

#define MASK_VALUES_MAX 1024

struct mask_value {
    int32_t value; // LABEL_NOT_A_VALUE: not a whole number
    int n_cases;
    int last_case; // number of the last mask that held it
    int64_t n_pixels;
};

struct mask_values { // zeroed = empty
    struct mask_value *values;
    int n; // ascending by value
    int n_masks;
    int64_t n_pixels, n_other_pixels; // the latter: of values beyond MASK_VALUES_MAX
};
void mask_values_deinit(struct mask_values *values); // also zeroes it
ADELE_MUST_CHECK adele_status mask_values_add(struct mask_values *values,
                                              const struct case_labels *labels);
// NULL when no mask holds it.
const struct mask_value *mask_values_find(const struct mask_values *values, int32_t value);
#endif
