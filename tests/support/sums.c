// SPDX-License-Identifier: MIT
#include "support/sums.h"

#include "support/compare.h"

#include <math.h>
#include <stdio.h>

double sums_rms(double n_terms) {
    return 0x1p-23 * sqrt((n_terms * n_terms / 18.0 + n_terms / 2.0) / 12.0);
}

bool sums_agree(const char *what, const float *got, const float *want, struct adele_shape shape,
                const struct sums_error *error) {
    double rms = sums_rms(error->n_terms) * (error->factor > 0.0 ? error->factor : 1.0);
    double worst = SUMS_WORST * rms + SUMS_WORST_NORMAL * error->random;
    if (!compare_f32(what, got, want, shape.n, shape.c, shape.h, shape.w, worst, error->relative))
        return false;
    size_t n = (size_t)shape.n * (size_t)shape.c * (size_t)shape.h * (size_t)shape.w;
    double squares = 0.0, squares_stored = 0.0;
    for (size_t i = 0; i < n; i++) {
        double difference = (double)got[i] - (double)want[i];
        double stored = error->relative * (double)want[i];
        squares += difference * difference;
        squares_stored += stored * stored;
    }
    double mean = sqrt(squares / (double)n);
    double allowed =
        2.0 * (rms + error->random) + worst / sqrt((double)n) + sqrt(squares_stored / (double)n);
    if (mean <= allowed)
        return true;
    fprintf(stderr, "%s: off by %g in the root mean square of %zu elements, allowed %g\n", what,
            mean, n, allowed);
    return false;
}
