// SPDX-License-Identifier: MIT
// A double holds the sum of two floats with more digits than a float keeps, so that the first
// rounding below is that of a float's addition.
#include "reference/reference.h"

void reference_combine_forward(const struct adele_combine_desc *desc,
                               const struct adele_combine_args *args) {
    for (int64_t i = 0; i < desc->n_floats; i++) {
        float sum = args->b ? (float)((double)args->a[i] + (double)args->b[i]) : args->a[i];
        args->out[i] = (float)((double)sum * (double)args->scale);
    }
}
