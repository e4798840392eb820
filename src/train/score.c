// SPDX-License-Identifier: MIT
#include "train/score.h"

#include <math.h>
#include <string.h>

// Mean of values[first ..] without NaN; NaN when none is left.
static double mean_of(const double *values, int first, int n) {
    double sum = 0.0;
    int n_used = 0;
    for (int c = first; c < n; c++)
        if (!isnan(values[c])) {
            sum += values[c];
            n_used++;
        }
    return n_used > 0 ? sum / n_used : NAN;
}

void score_compute(const int64_t *counts, int n_categories, struct score *out) {
    memset(out, 0, sizeof *out);
    out->n_categories = n_categories;
    for (int c = 0; c < n_categories; c++) {
        double both = (double)counts[c], predicted = (double)counts[256 + c];
        double labelled = (double)counts[512 + c];
        double either = predicted + labelled - both;
        out->iou[c] = either > 0.0 ? both / either : NAN;
        out->dice[c] = either > 0.0 ? 2.0 * both / (predicted + labelled) : NAN;
    }
    out->miou = mean_of(out->iou, 0, n_categories);
    out->miou_foreground = mean_of(out->iou, 1, n_categories);
    out->dice_foreground = mean_of(out->dice, 1, n_categories);
}

static cJSON *number_or_null(double value) {
    return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull();
}

static cJSON *number_array(const double *values, int n) {
    cJSON *array = cJSON_CreateArray();
    for (int i = 0; array && i < n; i++)
        cJSON_AddItemToArray(array, number_or_null(values[i]));
    return array;
}

cJSON *score_to_json(const struct score *score, const char *split, int n_images,
                     char *const *names) {
    cJSON *json = cJSON_CreateObject();
    if (!json)
        return NULL;
    int n = score->n_categories;
    cJSON_AddStringToObject(json, "split", split);
    cJSON_AddNumberToObject(json, "images", n_images);
    cJSON *classes = cJSON_AddArrayToObject(json, "classes");
    for (int c = 0; classes && c < n; c++)
        cJSON_AddItemToArray(classes, cJSON_CreateString(names[c]));
    cJSON_AddItemToObject(json, "iou", number_array(score->iou, n));
    cJSON_AddItemToObject(json, "miou", number_or_null(score->miou));
    cJSON_AddItemToObject(json, "miou_foreground", number_or_null(score->miou_foreground));
    cJSON_AddItemToObject(json, "dice", number_array(score->dice, n));
    cJSON_AddItemToObject(json, "dice_foreground", number_or_null(score->dice_foreground));
    return json;
}
