// SPDX-License-Identifier: MIT
// The fit of an IoU series by f(t) = a (1 - exp(-t^b / c)): METHOD section 2.
//
// The start (1, 1, 1) lies on two of the bounds, most curves of real runs end on a = 1, and a late
// or flat series has a valley instead of a minimum: the result depends on the path of the solver.
// trust_region.c therefore follows the path of the solver in the official program.
#include "onset/onset.h"
#include "onset/trust_region.h"

#include <math.h>
#include <string.h>

struct series {
    int n;
    curve_point_at point_at;
    const void *context;
};

// 1 / geomspace(1, 0.1, n)[i]: the last point weighs ten times the first.
static double weight_of(int i, int n) {
    return n > 1 ? pow(10, (double)i / (n - 1)) : 1;
}

static double curve_value(const double *x, double t) {
    return x[0] * (1 - exp(-pow(t, x[1]) / x[2]));
}

static double weighted_residual(const void *context, int i, const double *x) {
    const struct series *series = context;
    struct curve_point point = series->point_at(series->context, i);
    return weight_of(i, series->n) * (curve_value(x, point.t) - point.y);
}

void curve_fit_solve(int n, curve_point_at point_at, const void *context, struct curve_fit *out) {
    struct series series = {n, point_at, context};
    struct trust_region_problem problem = {
        .n_rows = n,
        .residual = weighted_residual,
        .context = &series,
        .lower = {0, 0, 0},
        .upper = {1, 1, INFINITY},
        .tolerance = 1e-8,
        .max_evaluations = 100 * TRUST_REGION_N,
    };
    struct trust_region_result result = {.x = {1, 1, 1}};
    memset(out, 0, sizeof *out);
    out->a = out->b = out->c = 1;
    if (n < 1)
        return;
    for (int i = 0; i < n; i++) {
        struct curve_point point = point_at(context, i);
        if (!isfinite(point.t) || !isfinite(point.y) || point.t < 0)
            return;
    }
    trust_region_solve(&problem, &result);
    out->a = result.x[0];
    out->b = result.x[1];
    out->c = result.x[2];
    out->residual = 2 * result.cost;
    out->n_iterations = result.n_evaluations;
    out->converged = result.converged;
}

double curve_fit_value(const struct curve_fit *fit, double t) {
    const double x[TRUST_REGION_N] = {fit->a, fit->b, fit->c};
    return curve_value(x, t);
}

double curve_fit_derivative(const struct curve_fit *fit, double t) {
    double late = t + 1e-6; // t^(b-1) is infinite at 0
    return fit->a * fit->b / fit->c * pow(late, fit->b - 1) * exp(-pow(late, fit->b) / fit->c);
}
