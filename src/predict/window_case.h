// SPDX-License-Identifier: MIT
// The cases of a data set by a sliding window: loaded whole, or as pictures that are read and
// written by rows.
#ifndef ADELE_PREDICT_WINDOW_CASE_H
#define ADELE_PREDICT_WINDOW_CASE_H

#include "data/dataset.h"
#include "data/images.h"
#include "predict/sliding.h"

struct window_watch {
    bool (*should_stop)(void *context); // NULL: never
    void *context;
};

// Images of any size, as dataset_read_case returns them. `classes` (n, h, w), the caller's;
// `probabilities` (n, n_categories, h, w), NULL when they are not wanted.
ADELE_MUST_CHECK adele_status window_predict_images(struct sliding *sliding,
                                                    const struct dataset_images *images,
                                                    int n_categories,
                                                    const struct window_watch *watch,
                                                    uint8_t *classes, float *probabilities);

// A picture into its mask FOLDER/NAME.png, neither of which is ever whole in memory. *is_done is
// false, and nothing is written, where the case must be loaded whole (data/case_rows.h).
ADELE_MUST_CHECK adele_status window_predict_picture(
    struct sliding *sliding, const struct dataset *dataset, enum dataset_split split, int i_case,
    const char *folder, const struct window_watch *watch, bool *is_done);
#endif
