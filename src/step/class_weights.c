// SPDX-License-Identifier: MIT
#include "step/class_weights.h"

#include "base/fail.h"
#include "base/log.h"

static void invert_frequencies(const struct run_data *data, float *out) {
    const struct dataset_images *images = &data->images[SPLIT_TRAIN];
    size_t n_pixels = (size_t)images->n * (size_t)images->h * (size_t)images->w;
    int64_t n_of_label[256] = {0};
    double sum = 0.0;
    int n_present = 0;
    for (size_t i = 0; i < n_pixels; i++)
        n_of_label[images->labels[i]]++;
    for (int c = 0; c < data->n_categories; c++)
        if (n_of_label[c] > 0) {
            sum += 1.0 / (double)n_of_label[c];
            n_present++;
        }
    for (int c = 0; c < data->n_categories; c++)
        out[c] =
            n_of_label[c] > 0 ? (float)(1.0 / (double)n_of_label[c] / (sum / n_present)) : 1.0f;
}

adele_status class_weights_find(const struct run_data *data, float *out, bool *out_any) {
    const struct config *config = data->config;
    int n = config->loss.n_class_weights;
    *out_any = n != 0;
    if (n == 0)
        return ADELE_OK;
    if (n == CLASS_WEIGHTS_INVERSE) {
        invert_frequencies(data, out);
        for (int c = 0; c < data->n_categories; c++)
            log_line(LOG_DETAIL, "loss.class_weights: %g for %s", (double)out[c],
                     data->dataset->category_names[c]);
        return ADELE_OK;
    }
    if (n != data->n_categories)
        return FAIL(ADELE_CONFIG, "Give one number for each class, the background's first.",
                    "loss.class_weights has %d numbers, but %s has %d classes", n,
                    config->data.root, data->n_categories);
    for (int c = 0; c < n; c++)
        out[c] = (float)config->loss.class_weights[c];
    return ADELE_OK;
}
