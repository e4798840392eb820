// SPDX-License-Identifier: MIT
// A split for a data set that has no validation cases: a fifth of the training cases, drawn by a
// seed; all cases of a patient (data/patient_name.h) stay together.
#ifndef ADELE_INIT_SPLIT_GUESS_H
#define ADELE_INIT_SPLIT_GUESS_H

#include "data/dataset.h"

struct split_guess {
    bool has_lists; // the layout's own splits do not serve
    bool is_drawn;  // by the seed
    int n_patients; // above 0: the cases were split by patient
    int n_left_out; // cases without image or mask
    // Of these, the images without a mask. In a folder that holds the masks too, a file with their
    // suffix is not counted.
    int n_without_mask;
    char first_without_mask[256]; // the file's name without its folder
};
// Takes cases without image or mask out of the train and val splits of the data set, and moves
// cases from train to val when val has none. has_lists says whether it has changed anything.
// ADELE_DATA when fewer than two cases are left.
ADELE_MUST_CHECK adele_status split_guess(struct dataset *dataset, uint64_t seed,
                                          struct split_guess *out);
#endif
