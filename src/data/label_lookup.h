// SPDX-License-Identifier: MIT
// From the values of label files to categories and back: the layout's own categories, an optional
// label_map over them, and the value that means "ignore".
#ifndef ADELE_DATA_LABEL_LOOKUP_H
#define ADELE_DATA_LABEL_LOOKUP_H

#include "data/dataset.h"

#define LABEL_IGNORE         255
#define LABEL_MAX_CATEGORIES 255
// Label volumes may hold any 16-bit value; a label_map brings them down to categories.
#define LABEL_MAX_VALUE 65535
// In place of a value that is no whole number from 0 to LABEL_MAX_VALUE.
#define LABEL_NOT_A_VALUE (-1)

struct label_lookup {
    int16_t category[LABEL_MAX_VALUE + 1]; // -1: no category has this value
    uint16_t value[256];                   // category -> value in the files
};

// Fixes dataset->n_categories, category_names and lookup from the layout's categories (which stand
// in n_categories and category_names; 0 = the layout does not say), its ignore_value and the map.
ADELE_MUST_CHECK adele_status label_lookup_build(struct dataset *dataset);

// The category of a value of a label file; -1 when it has none.
static inline int label_lookup_category(const struct label_lookup *lookup, int32_t value) {
    return value < 0 || value > LABEL_MAX_VALUE ? -1 : lookup->category[value];
}

// Replaces the category names of the data set by copies.
ADELE_MUST_CHECK adele_status label_names_set(struct dataset *dataset, int n,
                                              const char *const *names);
// One name a line, the first is that of value 0; trailing blank lines do not count.
ADELE_MUST_CHECK adele_status label_names_read(struct dataset *dataset, const char *path);
#endif
