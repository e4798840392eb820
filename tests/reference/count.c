// SPDX-License-Identifier: MIT
#include "reference/reference_method.h"

void reference_count_forward(const struct adele_count_desc *desc,
                             const struct adele_count_args *args) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    for (size_t i = 0; i < n_pixels; i++) {
        if (args->labels[i] == 255)
            continue;
        if (args->prediction[i] == args->labels[i])
            args->counts[0 * 256 + args->labels[i]]++;
        if (args->prediction[i] != 255)
            args->counts[1 * 256 + args->prediction[i]]++;
        args->counts[2 * 256 + args->labels[i]]++;
    }
}
