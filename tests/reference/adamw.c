// SPDX-License-Identifier: MIT
// PyTorch's AdamW in double, from the update's number alone. What is skipped, and its record, is as
// in sgd: that reference decides, with a descriptor of the same segments whose rates are zero.
#include "reference/reference.h"

#include <math.h>
#include <stdlib.h>

static int is_skipped(const struct adele_adamw_desc *desc, const struct adele_adamw_args *args) {
    int64_t skipped = args->health[ADELE_HEALTH_SKIPPED];
    struct adele_sgd_segment *still = calloc((size_t)desc->n_segments + 1, sizeof *still);
    for (int s = 0; s < desc->n_segments; s++) {
        still[s].offset = desc->segments[s].offset;
        still[s].count = desc->segments[s].count;
    }
    const struct adele_sgd_desc of_sgd = {desc->n_segments, still};
    int64_t n = 0;
    for (int s = 0; s < desc->n_segments; s++)
        n = still[s].offset + still[s].count > n ? still[s].offset + still[s].count : n;
    float *nowhere = calloc((size_t)n + 1, sizeof *nowhere);
    float *momenta = calloc((size_t)n + 1, sizeof *momenta);
    const struct adele_sgd_args sgd = {.weights = nowhere,
                                       .gradients = args->gradients,
                                       .momenta = momenta,
                                       .health = args->health,
                                       .state = args->state,
                                       .kept = args->kept,
                                       .n_kept = args->n_kept,
                                       .loss_is_finite = args->loss_is_finite,
                                       .n_losses = args->n_losses,
                                       .skip_all_later = args->skip_all_later,
                                       .gradients_are_checked = args->gradients_are_checked};
    reference_sgd_forward(&of_sgd, &sgd);
    free(still);
    free(nowhere);
    free(momenta);
    return args->health[ADELE_HEALTH_SKIPPED] != skipped;
}

void reference_adamw_forward(const struct adele_adamw_desc *desc,
                             const struct adele_adamw_args *args) {
    if (args->health && is_skipped(desc, args))
        return;
    double t = (double)++*args->n_updates;
    double correction1 = 1.0 - pow(args->beta1, t), correction2 = 1.0 - pow(args->beta2, t);
    for (int s = 0; s < desc->n_segments; s++) {
        const struct adele_sgd_segment *segment = &desc->segments[s];
        double rate = (double)args->rate * segment->lr_scale;
        for (int64_t i = segment->offset; i < segment->offset + segment->count; i++) {
            double g = args->gradients[i];
            double m = args->beta1 * args->first[i] + (1.0 - args->beta1) * g;
            double v = args->beta2 * args->second[i] + (1.0 - args->beta2) * g * g;
            double weight = args->weights[i] * (1.0 - rate * segment->decay);
            args->first[i] = (float)m;
            args->second[i] = (float)v;
            args->weights[i] =
                (float)(weight - rate * (m / correction1) / (sqrt(v / correction2) + args->eps));
            if (args->average)
                args->average[i] =
                    (float)(args->average[i] + (1.0 - (double)args->average_decay) *
                                                   ((double)args->weights[i] - args->average[i]));
        }
    }
}
