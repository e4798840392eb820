// SPDX-License-Identifier: MIT
// The quadratic model of a bounded least-squares problem at one point, in scaled variables.
// Letters: x the point, g the gradient, R the triangle of the Jacobian's QR factorization; a hat
// (`_h`) marks quantities in the scaled variables x_h = x / d.
#ifndef ADELE_ONSET_TRUST_MODEL_H
#define ADELE_ONSET_TRUST_MODEL_H

#include "onset/trust_region.h"

// The quadratic model at x, as one iteration computes it.
struct trust_model {
    // Upper triangle of the QR factorization of the Jacobian.
    double r[TRUST_REGION_N][TRUST_REGION_N];
    double qf[TRUST_REGION_N]; // the same rotations applied to the residuals
    double g[TRUST_REGION_N];
    double d[TRUST_REGION_N];                   // scaling: x = d * x_h
    double g_h[TRUST_REGION_N];                 // d * g
    double r_h[TRUST_REGION_N][TRUST_REGION_N]; // R * diag(d)
    double curve[TRUST_REGION_N]; // the bounds' own part of the scaled Hessian's diagonal
    double s[TRUST_REGION_N];     // singular values of [R_h; diag(sqrt(curve))], largest first
    double v[TRUST_REGION_N][TRUST_REGION_N]; // right singular vectors, one a column
    double uf[TRUST_REGION_N];                // left singular vectors times the residuals
    double g_norm;                            // largest scaled gradient: 0 at a solution
};

// Jacobian, gradient and rotated residuals at x; clears the rest.
void trust_model_linearize(const struct trust_region_problem *p, const double *x,
                           struct trust_model *m);
// Scales each variable by its distance to the bound that the downhill direction points at.
void trust_model_scale(const struct trust_region_problem *p, const double *x,
                       struct trust_model *m);
// Singular values and vectors of the scaled model.
void trust_model_decompose(struct trust_model *m);

// The change of the model along origin + t * direction: curvature a, slope b, value c at t = 0.
struct parabola {
    double a, b, c;
};

struct parabola trust_model_along(const struct trust_model *m, const double *origin,
                                  const double *direction);
// The least value of the parabola on [low, high]; *t is where it is taken.
double parabola_minimum(struct parabola q, double low, double high, double *t);
double trust_model_value(const struct trust_model *m, const double *step_h);

double trust_model_dot(const double *a, const double *b);
#endif
