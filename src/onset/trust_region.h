// SPDX-License-Identifier: MIT
// Bounded least squares in three unknowns by a trust region in scaled variables.
// After Branch, Coleman and Li, "A subspace, interior, and conjugate gradient method for
// large-scale bound-constrained minimization problems", SIAM J. Sci. Comput. 21 (1999): every
// iterate stays strictly inside the bounds, and the distance to the bound that the gradient points
// at scales each variable. The constants are those of the solver that the official program calls,
// because on a flat valley the result depends on where the solver stops.
#ifndef ADELE_ONSET_TRUST_REGION_H
#define ADELE_ONSET_TRUST_REGION_H

#include <stdbool.h>

#define TRUST_REGION_N 3

// Residual i of the `n_rows` at x. The problem may be evaluated at any x inside the bounds.
typedef double (*trust_region_residual)(const void *context, int i, const double *x);

struct trust_region_problem {
    int n_rows;
    trust_region_residual residual;
    const void *context;          // borrowed
    double lower[TRUST_REGION_N]; // finite
    double upper[TRUST_REGION_N]; // finite or +inf
    double tolerance;             // of the decrease, of the step and of the scaled gradient
    int max_evaluations;
};

struct trust_region_result {
    double x[TRUST_REGION_N];
    double cost; // half the sum of squares
    int n_evaluations;
    bool converged;
};

// Starts at out->x (moved inside the bounds when it lies on one) and leaves the best point there.
// Uses no heap; deterministic.
void trust_region_solve(const struct trust_region_problem *problem,
                        struct trust_region_result *out);
#endif
