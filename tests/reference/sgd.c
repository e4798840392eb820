// SPDX-License-Identifier: MIT
#include "reference/reference.h"

#include <math.h>

// The last segment with a gradient that is not finite; -1: none.
static int last_bad(const struct adele_sgd_desc *desc, const float *gradients) {
    int last = -1;
    for (int s = 0; s < desc->n_segments; s++)
        for (int64_t i = 0; i < desc->segments[s].count; i++)
            if (!isfinite(gradients[desc->segments[s].offset + i]))
                last = s;
    return last;
}

static int is_left_out(const struct adele_sgd_desc *desc, const struct adele_sgd_args *args) {
    int last = args->gradients_are_checked ? -1 : last_bad(desc, args->gradients);
    int n_losses = args->n_losses > 1 ? args->n_losses : 1, is_loss_bad = 0;
    for (int i = 0; args->loss_is_finite && i < n_losses; i++)
        is_loss_bad |= !args->loss_is_finite[i];
    int is_out = last >= 0 || is_loss_bad ||
                 (args->skip_all_later && args->health[ADELE_HEALTH_SKIPPED] > 0);
    args->health[ADELE_HEALTH_UPDATES]++;
    args->health[ADELE_HEALTH_LAST_SKIPPED] = is_out;
    if (is_out && args->health[ADELE_HEALTH_SKIPPED]++ == 0) {
        args->health[ADELE_HEALTH_FIRST_UPDATE] = args->health[ADELE_HEALTH_UPDATES];
        args->health[ADELE_HEALTH_FIRST_SEGMENT] = is_loss_bad ? -1 : last;
    }
    for (int64_t i = 0; i < args->n_kept; i++) {
        if (is_out)
            args->state[i] = args->kept[i];
        else
            args->kept[i] = args->state[i];
    }
    return is_out;
}

void reference_sgd_forward(const struct adele_sgd_desc *desc, const struct adele_sgd_args *args) {
    if (args->health && is_left_out(desc, args))
        return;
    for (int s = 0; s < desc->n_segments; s++) {
        const struct adele_sgd_segment *segment = &desc->segments[s];
        for (int64_t i = segment->offset; i < segment->offset + segment->count; i++) {
            double g = args->gradients[i] + (double)segment->decay * args->weights[i];
            double m = (double)args->momentum * args->momenta[i] + g;
            args->momenta[i] = (float)m;
            args->weights[i] =
                (float)(args->weights[i] - (double)args->rate * segment->lr_scale * m);
            if (args->average)
                args->average[i] =
                    (float)(args->average[i] + (1.0 - (double)args->average_decay) *
                                                   ((double)args->weights[i] - args->average[i]));
        }
    }
}
