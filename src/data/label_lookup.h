// SPDX-License-Identifier: MIT
// From the values of label files to categories and back: the layout's own categories, an optional
// label_map over them, and the value that means "ignore".
#ifndef ADELE_DATA_LABEL_LOOKUP_H
#define ADELE_DATA_LABEL_LOOKUP_H

#include "data/dataset.h"

#define LABEL_IGNORE         255
#define LABEL_MAX_CATEGORIES 255
// Values up to here are looked up in a table; a label_map may name others, which are searched for.
#define LABEL_MAX_VALUE 65535
// Larger whole numbers in files are clamped to it; no map can name it.
#define LABEL_LARGEST INT32_MAX
// In place of a value that is not a whole number.
#define LABEL_NOT_A_VALUE INT32_MIN

struct label_pair {
    int32_t value;
    int16_t category;
};

struct label_lookup {
    int16_t category[LABEL_MAX_VALUE + 1]; // -1: no category has this value
    int n_others;
    struct label_pair *others; // values outside of the table that a label_map names, ascending
    int16_t unnamed;           // the category of all others; -1: none
    int32_t value[256];        // category -> value in the files; LABEL_NOT_A_VALUE: there is none
};

// Fixes dataset->n_categories, category_names and lookup from the layout's categories (in
// n_categories and category_names; 0 = the layout does not define them), its ignore_value and the
// map.
ADELE_MUST_CHECK adele_status label_lookup_build(struct dataset *dataset);

void label_lookup_destroy(struct label_lookup *lookup); // NULL is legal

// The category of a value outside of the table.
int label_lookup_other(const struct label_lookup *lookup, int32_t value);
// The category of a value of a label file; -1 when it has none.
static inline int label_lookup_category(const struct label_lookup *lookup, int32_t value) {
    return value < 0 || value > LABEL_MAX_VALUE ? label_lookup_other(lookup, value)
                                                : lookup->category[value];
}

// Replaces the category names of the data set by copies of `names`.
ADELE_MUST_CHECK adele_status label_names_set(struct dataset *dataset, int n,
                                              const char *const *names);
// One name a line, the first is that of value 0; trailing blank lines do not count.
ADELE_MUST_CHECK adele_status label_names_read(struct dataset *dataset, const char *path);
#endif
