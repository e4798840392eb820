// SPDX-License-Identifier: MIT
#include "reference/reference.h"

void reference_average_forward(const struct adele_average_desc *desc,
                               const struct adele_average_args *args) {
    if (args->health && args->health[ADELE_HEALTH_LAST_SKIPPED])
        return;
    double rest = 1.0 - (double)args->decay;
    for (int64_t i = 0; i < desc->n_floats; i++)
        args->average[i] =
            (float)(args->average[i] + rest * ((double)args->values[i] - args->average[i]));
}
