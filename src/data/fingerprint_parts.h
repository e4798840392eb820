// SPDX-License-Identifier: MIT
// Internal to the files fingerprint*.c: what a fingerprint keeps of the cases.
#ifndef ADELE_DATA_FINGERPRINT_PARTS_H
#define ADELE_DATA_FINGERPRINT_PARTS_H

#include "data/fingerprint.h"
#include "data/mask_values.h"

struct case_size {
    int extents[3];    // width, height, slices
    double spacing[3]; // 0 for pictures
};

struct fingerprint_counts {
    int n;             // of cases of the kind
    const char *first; // path of a file; the name of a case without image
};
// What the cases have shown beside the numbers of the result.
struct fingerprint_notes {
    struct fingerprint_counts unreadable, no_image, no_mask, empty_mask, other_size, constant;
    int n_gray, n_rgb, n_8, n_16; // pictures
};

struct fingerprint_builder {
    const struct dataset *dataset;
    const struct dataset_case *item; // the current one
    enum dataset_split split;
    int i_case;
    bool is_unreadable; // one of its files
    struct case_size *sizes;
    int n_sizes;
    bool has_size;                    // the last one is of the current case
    float *sample[DATASET_MAX_FILES]; // of each channel
    int n_sample[DATASET_MAX_FILES];
    int n_channels; // with a sample
    size_t n_per_case;
    struct mask_values values, classes; // as in the files; categories, -1 for none
    struct fingerprint_notes notes;
};

// Fills n_odd and odd.
ADELE_MUST_CHECK adele_status fingerprint_find_odd(const struct fingerprint_notes *notes,
                                                   const struct dataset *dataset,
                                                   struct adele_fingerprint *out);
#endif
