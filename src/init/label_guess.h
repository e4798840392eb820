// SPDX-License-Identifier: MIT
// Classes from the values that masks hold, where no file defines them, or where the values are not
// the defined ones: masks of 0 and 255, gray values, nnU-Net's regions.
#ifndef ADELE_INIT_LABEL_GUESS_H
#define ADELE_INIT_LABEL_GUESS_H

#include "data/mask_values.h"

struct label_guess { // zeroed = no label_map is needed
    int n;           // pairs
    int *from;
    uint8_t *to;
    int other; // of label_map_other: -1, or 255 where the other values are ignored
    int n_names;
    char **names;    // (n_names), [0] = background
    const char *why; // in a few words, for a comment; static storage
};
void label_guess_deinit(struct label_guess *guess); // also zeroes it

// `dataset` was opened with any label_map, so that its own_names are those of its layout; `values`
// are those of its masks. ADELE_DATA when the values cannot be classes.
ADELE_MUST_CHECK adele_status label_guess(const struct dataset *dataset,
                                          const struct mask_values *values,
                                          struct label_guess *out);
#endif
