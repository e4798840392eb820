// SPDX-License-Identifier: MIT
// Rounded to float and then to half precision, as devices do.
#include "base/half.h"
#include "reference/reference_method.h"

#include <math.h>

void reference_accumulate_maps_forward(const struct adele_accumulate_maps_desc *desc,
                                       const struct adele_accumulate_maps_args *args) {
    const float *logits = args->logits;
    size_t plane = (size_t)desc->h * (size_t)desc->w;
    double z[256], p[256], log_p[256], beta = (double)args->beta;
    for (int n = 0; n < desc->n; n++)
        for (size_t i = 0; i < plane; i++) {
            int i_map = args->sample_ids != NULL ? args->sample_ids[n] : n;
            if (i_map < 0)
                continue;
            for (int c = 0; c < desc->c; c++)
                z[c] = (double)logits[((size_t)n * (size_t)desc->c + (size_t)c) * plane + i];
            reference_softmax(z, desc->c, 1.0, p, log_p);
            for (int c = 0; c < desc->c; c++) {
                uint16_t *map =
                    &args->maps[((size_t)i_map * (size_t)desc->c + (size_t)c) * plane + i];
                double value = beta * (double)half_to_float(*map) + (1.0 - beta) * p[c];
                *map = isfinite(value) ? half_from_float((float)value) : *map;
            }
        }
}
