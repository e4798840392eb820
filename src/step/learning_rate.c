// SPDX-License-Identifier: MIT
#include "step/learning_rate.h"

#include "base/fail.h"

#include <math.h>

// M_PI is no part of C11.
static const double pi = 3.14159265358979323846;

static long warmup_steps(const struct config *config, const struct epoch_plan *epochs) {
    return lround(config->train.warmup_epochs * (double)epochs->n_steps);
}

adele_status learning_rate_check(const struct config *config, const struct epoch_plan *epochs) {
    long n_warmup = warmup_steps(config, epochs);
    if (n_warmup < epochs->n_steps_total || n_warmup == 0)
        return ADELE_OK;
    return FAIL(ADELE_CONFIG, "Make train.warmup_epochs smaller, or train longer.",
                "train.warmup_epochs is %g, which is %ld steps, but the run has %ld",
                config->train.warmup_epochs, n_warmup, epochs->n_steps_total);
}

double learning_rate(const struct config *config, const struct epoch_plan *epochs, long step) {
    long n_warmup = warmup_steps(config, epochs);
    double rate = config->train.lr;
    if (step < n_warmup) // the first step learns too, the last one with the whole rate
        return rate * (double)(step + 1) / (double)n_warmup;
    double done = (double)(step - n_warmup) / (double)(epochs->n_steps_total - n_warmup);
    switch (config->train.schedule) {
    case SCHEDULE_POLY:
        return rate * pow(1.0 - done, config->train.poly_power);
    case SCHEDULE_COSINE:
        return rate * 0.5 * (1.0 + cos(pi * done));
    default:
        return rate;
    }
}
