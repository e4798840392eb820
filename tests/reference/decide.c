// SPDX-License-Identifier: MIT
#include "reference/reference_method.h"

#include <math.h>

void reference_decide_forward(const struct adele_decide_desc *desc,
                              const struct adele_decide_args *args) {
    size_t n_pixels = (size_t)desc->h * (size_t)desc->w;
    double value[256], p[256], log_p[256];
    for (int n = 0; n < desc->n; n++)
        for (size_t i = 0; i < n_pixels; i++) {
            int i_image = args->sample_ids != NULL ? args->sample_ids[n] : n;
            if (i_image < 0)
                continue;
            int best = 0;
            for (int c = 0; c < desc->c; c++) {
                value[c] =
                    (double)
                        args->accumulator[((size_t)n * (size_t)desc->c + (size_t)c) * n_pixels + i];
                if (value[c] > value[best])
                    best = c;
            }
            if (desc->mode == ADELE_ENSEMBLE_LOGITS)
                reference_softmax(value, desc->c, 1.0 / desc->temperature, p, log_p);
            else
                for (int c = 0; c < desc->c; c++)
                    p[c] = value[c];
            double foreground = 0.0;
            for (int c = 1; c < desc->c; c++)
                foreground = fmax(foreground, p[c]);
            size_t to = (size_t)i_image * n_pixels + i;
            args->prediction[to] = (uint8_t)best;
            if (args->confidence_foreground != NULL)
                args->confidence_foreground[to] = (float)foreground;
            if (args->confidence_background != NULL)
                args->confidence_background[to] = (float)p[0];
            for (int c = 0; c < desc->c && args->probabilities != NULL; c++)
                args->probabilities[((size_t)n * (size_t)desc->c + (size_t)c) * n_pixels + i] =
                    (float)p[c];
        }
}
