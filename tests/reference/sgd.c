// SPDX-License-Identifier: MIT
#include "reference/reference.h"

void reference_sgd_forward(const struct adele_sgd_desc *desc, const struct adele_sgd_args *args) {
    for (int s = 0; s < desc->n_segments; s++) {
        const struct adele_sgd_segment *segment = &desc->segments[s];
        for (int64_t i = segment->offset; i < segment->offset + segment->count; i++) {
            double g = args->gradients[i] + (double)segment->decay * args->weights[i];
            double m = (double)args->momentum * args->momenta[i] + g;
            args->momenta[i] = (float)m;
            args->weights[i] =
                (float)(args->weights[i] - (double)args->rate * segment->lr_scale * m);
        }
    }
}
