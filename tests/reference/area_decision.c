// SPDX-License-Identifier: MIT
// Thresholds without a histogram: the highest level that enough pixels reach, tried one by one.
#include "reference/reference_method.h"

#include <math.h>

static double clean(float q) {
    return q > 0.0f ? fmin((double)q, 1.0) : 0.0; // a NaN too
}

// t_c of one plane; 0: the class takes no part.
static double threshold(const float *q, size_t n_pixels, double factor) {
    int64_t sum = 0;
    for (size_t i = 0; i < n_pixels; i++)
        sum += (int64_t)floor(clean(q[i]) * 16777216.0);
    int64_t area = (int64_t)floor((double)sum * factor / 16777216.0 + 0.5);
    if (area == 0)
        return 0.0;
    for (int level = ADELE_AREA_BINS - 1; level >= 0; level--) {
        int64_t n_reach = 0;
        for (size_t i = 0; i < n_pixels; i++)
            n_reach += clean(q[i]) * ADELE_AREA_BINS >= level;
        if (n_reach >= area)
            return fmin(fmax((double)level / ADELE_AREA_BINS, 0.02), 0.98);
    }
    return 0.02; // the area is larger than the image
}

static double score(const double *t, int c, float q) {
    double p = fmin(fmax(clean(q), 1e-5), 1.0 - 1e-5);
    return p / (1.0 - p) * ((1.0 - t[c]) / t[c]);
}

void reference_area_decision_forward(const struct adele_area_decision_desc *desc,
                                     const struct adele_area_decision_args *args) {
    size_t n_pixels = (size_t)desc->h * (size_t)desc->w;
    for (int n = 0; n < desc->n; n++) {
        int i_image = args->sample_ids != NULL ? args->sample_ids[n] : n, n_classes = 0;
        const float *q = args->q + (size_t)n * (size_t)desc->c * n_pixels;
        double t[256] = {0.0};
        if (i_image < 0)
            continue;
        for (int c = 0; c < desc->c; c++) {
            if (desc->mode == ADELE_AREA_THRESHOLDS)
                t[c] = threshold(q + (size_t)c * n_pixels, n_pixels,
                                 args->area_factors != NULL ? (double)args->area_factors[c] : 1.0);
            n_classes += t[c] > 0.0;
            if (args->thresholds != NULL)
                args->thresholds[(size_t)n * (size_t)desc->c + (size_t)c] = (float)t[c];
        }
        for (size_t i = 0; i < n_pixels; i++) {
            int best = -1;
            double highest = 0.0;
            for (int c = 0; c < desc->c; c++) {
                float value = q[(size_t)c * n_pixels + i];
                double of_class = n_classes > 0 ? score(t, c, value) : clean(value);
                if ((n_classes == 0 || t[c] > 0.0) && (best < 0 || of_class > highest)) {
                    best = c;
                    highest = of_class;
                }
            }
            args->prediction[(size_t)i_image * n_pixels + i] = (uint8_t)best;
        }
    }
}
