// SPDX-License-Identifier: MIT
// Whether the label maps of a split have foreground. Masks of 0 and 255, a very common kind, have
// none unless a label_map defines 255, because 255 means "ignored".
#ifndef ADELE_DATA_FOREGROUND_H
#define ADELE_DATA_FOREGROUND_H

#include "data/case_labels.h"
#include "data/dataset.h"
#include "data/images.h"

struct foreground_counts {
    int n;                        // label maps
    int n_empty, n_empty_ignored; // without foreground; of these, with ignored pixels
    int n_both;                   // with foreground and ignored pixels
    const char *first_empty, *first_empty_ignored; // paths, borrowed
};

void foreground_count(struct foreground_counts *counts, const char *path, bool has_foreground,
                      bool has_ignored);

#define FOREGROUND_TEXT_BYTES 2048
struct foreground_finding {
    bool is_problem, is_error; // a problem that is not an error is a warning
    char text[FOREGROUND_TEXT_BYTES];
    // What to do, with lines of YAML where 255 is the reason: `hint` on several lines, `hint_line`
    // on one.
    char hint[FOREGROUND_TEXT_BYTES], hint_line[FOREGROUND_TEXT_BYTES];
};
// An error when no label map has foreground. Also an error with a single foreground category when
// some label maps contain only 0 and 255, while those with foreground never contain 255: probably
// two conventions are mixed.
void foreground_check(const struct dataset *dataset, enum dataset_split split,
                      const struct foreground_counts *counts, struct foreground_finding *out);
// A volume without foreground in any slice: always an error.
void foreground_check_volume(const struct dataset *dataset, const char *path, bool has_ignored,
                             struct foreground_finding *out);
// What a label map contains; ADELE_DATA for a value that is not a category.
ADELE_MUST_CHECK adele_status foreground_scan(const struct dataset *dataset, const char *path,
                                              const struct case_labels *labels,
                                              bool *has_foreground, bool *has_ignored);
// Returns the failure of a split without foreground: reads its label maps again to report what they
// contain.
ADELE_MUST_CHECK adele_status foreground_explain(const struct dataset *dataset,
                                                 enum dataset_split split);
// The same as foreground_check for loaded images: ADELE_DATA for an error, a line of the log for a
// warning. Images of cases without label files do not count.
ADELE_MUST_CHECK adele_status foreground_require(const struct dataset *dataset,
                                                 enum dataset_split split,
                                                 const struct dataset_images *images);
#endif
