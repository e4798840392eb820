// SPDX-License-Identifier: MIT
#include "scores/score.h"

#include "base/json.h"

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
    out->miou_foreground = mean_of(out->iou, 1, n_categories);
    // Without foreground there is no score: the background's IoU of 1 would look like a perfect
    // network.
    out->miou = isnan(out->miou_foreground) ? NAN : mean_of(out->iou, 0, n_categories);
    out->dice_foreground = mean_of(out->dice, 1, n_categories);
}

static cJSON *number_or_null(double value) {
    return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull();
}

static bool add_numbers(cJSON *json, const char *key, const double *values, int n) {
    cJSON *array = cJSON_AddArrayToObject(json, key);
    for (int i = 0; array && i < n; i++)
        if (!json_append(array, number_or_null(values[i])))
            return false;
    return array != NULL;
}

static bool add_classes(cJSON *json, int n, char *const *names) {
    cJSON *classes = cJSON_AddArrayToObject(json, "classes");
    for (int c = 0; classes && c < n; c++)
        if (!json_append(classes, cJSON_CreateString(names[c])))
            return false;
    return classes != NULL;
}

cJSON *score_to_json(const struct score *score, const char *split, int n_images,
                     char *const *names) {
    int n = score->n_categories;
    cJSON *json = cJSON_CreateObject();
    bool is_fine = json_add(json, "split", cJSON_CreateString(split)) &&
                   json_add(json, "images", cJSON_CreateNumber(n_images)) &&
                   add_classes(json, n, names) && add_numbers(json, "iou", score->iou, n) &&
                   json_add(json, "miou", number_or_null(score->miou)) &&
                   json_add(json, "miou_foreground", number_or_null(score->miou_foreground)) &&
                   add_numbers(json, "dice", score->dice, n) &&
                   json_add(json, "dice_foreground", number_or_null(score->dice_foreground));
    if (is_fine)
        return json;
    cJSON_Delete(json);
    return NULL;
}
