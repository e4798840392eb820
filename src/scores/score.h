// SPDX-License-Identifier: MIT
// Scores from counts summed over a whole set: IoU and Dice by category, METHOD section 1.
#ifndef ADELE_SCORES_SCORE_H
#define ADELE_SCORES_SCORE_H

#include "adele/status.h"
#include <cjson/cJSON.h>
#include <stdint.h>

struct score {
    int n_categories;
    double iou[256], dice[256]; // NaN where the category is in neither map
    double miou, miou_foreground,
        dice_foreground; // means over the categories that are there; NaN when none is
};

// `counts`: (3, 256): intersection, predicted, labelled (device.h, count).
void score_compute(const int64_t *counts, int n_categories, struct score *out);

// {"split":..., "images":N, "classes":[...], "iou":[...], "miou":..., "miou_foreground":...,
// "dice":[...], "dice_foreground":...}; NaN is null. NULL when memory is out. Free with
// cJSON_Delete.
cJSON *score_to_json(const struct score *score, const char *split, int n_images,
                     char *const *names);
#endif
