// SPDX-License-Identifier: MIT
// The rules of METHOD section 3, one by one.
#include "reference/reference_method.h"

#include <stdlib.h>
#include <string.h>

static bool contains(const uint8_t *label, size_t n, int category) {
    for (size_t i = 0; i < n; i++)
        if (label[i] == category)
            return true;
    return false;
}

static bool takes_part(const struct adele_correct_desc *desc, const struct adele_correct_args *args,
                       const uint8_t *label, size_t n) {
    bool has_foreground = false, has_on = false;
    for (int c = 1; c < 255; c++) {
        bool is_there = contains(label, n, c);
        has_foreground = has_foreground || is_there;
        has_on = has_on || (is_there && args->correct[c]);
    }
    return has_on || (desc->rule == ADELE_CORRECT_SINGLE && !has_foreground);
}

static bool background_or_on(const struct adele_correct_args *args, int category) {
    return category == 0 || (category != 255 && args->correct[category]);
}

static bool is_allowed(const struct adele_correct_desc *desc, const bool *present, int prediction) {
    if (!desc->class_constraint || present[prediction])
        return true;
    if (desc->rule == ADELE_CORRECT_BOTH)
        return prediction == 0;
    for (int c = 1; c < 255; c++)
        if (present[c])
            return false;
    return true; // a label of nothing but 0 and 255
}

static void rewrite(const struct adele_correct_desc *desc, const struct adele_correct_args *args,
                    const uint8_t *label, size_t first, size_t n, uint8_t *out) {
    bool present[256];
    for (int c = 0; c < 256; c++)
        present[c] = contains(label, n, c);
    for (size_t i = 0; i < n; i++) {
        int prediction = args->prediction[first + i];
        bool is_confident = args->confidence_foreground[first + i] > (float)desc->tau_foreground ||
                            args->confidence_background[first + i] > (float)desc->tau_background;
        bool is_rewritten = is_confident && background_or_on(args, prediction) &&
                            is_allowed(desc, present, prediction);
        if (desc->rule == ADELE_CORRECT_BOTH && !background_or_on(args, label[i]))
            is_rewritten = false;
        out[i] = label[i];
        if (is_rewritten && prediction != label[i])
            out[i] = desc->mask ? 255 : (uint8_t)prediction;
        if (desc->rule == ADELE_CORRECT_BOTH && desc->logic255 && label[i] != 0 && prediction == 0)
            out[i] = 255;
    }
}

static bool is_guarded(const uint8_t *before, const uint8_t *after, size_t n) {
    double foreground_before = 0.0, foreground_after = 0.0, background_after = 0.0;
    for (size_t i = 0; i < n; i++) {
        foreground_before += before[i] > 0 && before[i] < 255;
        foreground_after += after[i] > 0 && after[i] < 255;
        background_after += after[i] == 0;
    }
    return foreground_after < 0.5 * foreground_before && background_after > 0.95 * (double)n;
}

void reference_correct_forward(const struct adele_correct_desc *desc,
                               const struct adele_correct_args *args) {
    size_t n_pixels = (size_t)desc->h * (size_t)desc->w;
    uint8_t *label = malloc(n_pixels), *out = malloc(n_pixels);
    for (int n = 0; n < desc->n; n++) {
        size_t first = (size_t)n * n_pixels;
        memcpy(label, args->base + first, n_pixels);
        memcpy(out, label, n_pixels);
        if (takes_part(desc, args, label, n_pixels)) {
            rewrite(desc, args, label, first, n_pixels, out);
            if (desc->rule == ADELE_CORRECT_SINGLE && desc->guard &&
                is_guarded(label, out, n_pixels))
                memcpy(out, label, n_pixels);
        }
        memcpy(args->labels + first, out, n_pixels);
        for (size_t i = 0; i < n_pixels && args->n_changed != NULL; i++)
            *args->n_changed += out[i] != label[i];
    }
    free(label);
    free(out);
}
