// SPDX-License-Identifier: MIT
#include "reference/reference_method.h"

void reference_ensemble_forward(const struct adele_ensemble_desc *desc,
                                const struct adele_ensemble_args *args) {
    const float *logits = args->logits;
    size_t plane_in = (size_t)desc->h_in * (size_t)desc->w_in;
    double z[256], p[256], log_p[256];
    for (int n = 0; n < desc->n; n++)
        for (int y = 0; y < desc->h; y++)
            for (int x = 0; x < desc->w; x++) {
                int seen_x = args->flip ? desc->w - 1 - x : x;
                for (int c = 0; c < desc->c; c++)
                    z[c] = reference_bilinear(logits + ((size_t)n * (size_t)desc->c + (size_t)c) *
                                                           plane_in,
                                              desc->h_in, desc->w_in, desc->h, desc->w, y, seen_x);
                reference_softmax(z, desc->c, 1.0, p, log_p);
                for (int c = 0; c < desc->c; c++) {
                    size_t i =
                        (((size_t)n * (size_t)desc->c + (size_t)c) * (size_t)desc->h + (size_t)y) *
                            (size_t)desc->w +
                        (size_t)x;
                    double value = desc->mode == ADELE_ENSEMBLE_PROBABILITIES ? p[c] : z[c];
                    double old = args->is_first ? 0.0 : (double)args->accumulator[i];
                    args->accumulator[i] = (float)(old + (double)args->weight * value);
                }
            }
}
