// SPDX-License-Identifier: MIT
// See trust_model.h.
#include "onset/trust_model.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define N TRUST_REGION_N

#define JACOBI_SWEEPS 40

double trust_model_dot(const double *a, const double *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

// ---- the Jacobian -------------------------------------------------------------------------------

// Forward differences; backward where forward would leave the bounds. The step is the one of the
// authors' solver: an exact derivative would lead along another path in flat valleys.
static void difference_steps(const struct trust_region_problem *p, const double *x, double *h) {
    for (int j = 0; j < N; j++) {
        double below = x[j] - p->lower[j], above = p->upper[j] - x[j];
        h[j] = sqrt(DBL_EPSILON) * fmax(1, fabs(x[j]));
        h[j] = (x[j] + h[j]) - x[j];
        if (h[j] <= above)
            continue;
        if (h[j] <= below)
            h[j] = -h[j];
        else
            h[j] = above >= below ? above : -below;
    }
}

// Adds one row (N derivatives, one residual) to the triangle by Givens rotations, so that the
// Jacobian never needs storage.
static void rotate_row_in(struct trust_model *m, double *row, double f) {
    for (int j = 0; j < N; j++) {
        double length = hypot(m->r[j][j], row[j]);
        if (!(length > 0))
            continue;
        double cosine = m->r[j][j] / length, sine = row[j] / length;
        for (int k = j; k < N; k++) {
            double top = m->r[j][k];
            m->r[j][k] = cosine * top + sine * row[k];
            row[k] = cosine * row[k] - sine * top;
        }
        double top = m->qf[j];
        m->qf[j] = cosine * top + sine * f;
        f = cosine * f - sine * top;
    }
}

void trust_model_linearize(const struct trust_region_problem *p, const double *x,
                           struct trust_model *m) {
    double h[N];
    memset(m, 0, sizeof *m);
    difference_steps(p, x, h);
    for (int i = 0; i < p->n_rows; i++) {
        double row[N], f = p->residual(p->context, i, x);
        for (int j = 0; j < N; j++) {
            double moved[N];
            memcpy(moved, x, sizeof moved);
            moved[j] = x[j] + h[j];
            row[j] = (p->residual(p->context, i, moved) - f) / (moved[j] - x[j]);
            m->g[j] += row[j] * f;
        }
        rotate_row_in(m, row, f);
    }
}

// ---- the scaled model ---------------------------------------------------------------------------

// Singular values and vectors of the 2N x N matrix `a` by one-sided Jacobi rotations: its columns
// become left vector times singular value. Accurate for tiny singular values too.
static void jacobi_svd(double a[2 * N][N], double v[N][N]) {
    for (int j = 0; j < N; j++)
        for (int k = 0; k < N; k++)
            v[j][k] = j == k;
    for (int sweep = 0; sweep < JACOBI_SWEEPS; sweep++) {
        bool changed = false;
        for (int j = 0; j < N - 1; j++) {
            for (int k = j + 1; k < N; k++) {
                double jj = 0, kk = 0, jk = 0;
                for (int i = 0; i < 2 * N; i++) {
                    jj += a[i][j] * a[i][j];
                    kk += a[i][k] * a[i][k];
                    jk += a[i][j] * a[i][k];
                }
                if (!(fabs(jk) > DBL_EPSILON * sqrt(jj * kk)))
                    continue;
                changed = true;
                double zeta = (kk - jj) / (2 * jk);
                double tangent = copysign(1 / (fabs(zeta) + hypot(1, zeta)), zeta);
                double cosine = 1 / hypot(1, tangent), sine = cosine * tangent;
                for (int i = 0; i < 3 * N; i++) {
                    double *row = i < 2 * N ? a[i] : v[i - 2 * N];
                    double left = row[j];
                    row[j] = cosine * left - sine * row[k];
                    row[k] = sine * left + cosine * row[k];
                }
            }
        }
        if (!changed)
            break;
    }
}

void trust_model_decompose(struct trust_model *m) {
    double a[2 * N][N] = {{0}}, v[N][N], s[N], uf[N];
    for (int i = 0; i < N; i++) {
        memcpy(a[i], m->r_h[i], sizeof a[i]);
        a[N + i][i] = sqrt(m->curve[i]);
    }
    jacobi_svd(a, v);
    for (int j = 0; j < N; j++) {
        double sum = 0;
        uf[j] = 0;
        for (int i = 0; i < 2 * N; i++)
            sum += a[i][j] * a[i][j];
        s[j] = sqrt(sum);
        for (int i = 0; s[j] > 0 && i < N; i++)
            uf[j] += a[i][j] / s[j] * m->qf[i];
    }
    int order[N] = {0, 1, 2};
    for (int i = 1; i < N; i++)
        for (int j = i; j > 0 && s[order[j]] > s[order[j - 1]]; j--) {
            int swap = order[j];
            order[j] = order[j - 1];
            order[j - 1] = swap;
        }
    for (int j = 0; j < N; j++) {
        m->s[j] = s[order[j]];
        m->uf[j] = uf[order[j]];
        for (int i = 0; i < N; i++)
            m->v[i][j] = v[i][order[j]];
    }
}

void trust_model_scale(const struct trust_region_problem *p, const double *x,
                       struct trust_model *m) {
    m->g_norm = 0;
    for (int j = 0; j < N; j++) {
        double distance = 1, slope = 0;
        if (m->g[j] < 0 && isfinite(p->upper[j])) {
            distance = p->upper[j] - x[j];
            slope = -1;
        } else if (m->g[j] > 0) {
            distance = x[j] - p->lower[j];
            slope = 1;
        }
        m->g_norm = fmax(m->g_norm, fabs(m->g[j] * distance));
        m->d[j] = sqrt(distance);
        m->g_h[j] = m->d[j] * m->g[j];
        m->curve[j] = m->g[j] * slope;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            m->r_h[i][j] = m->r[i][j] * m->d[j];
}

static void apply_r(const struct trust_model *m, const double *step_h, double *out) {
    for (int i = 0; i < N; i++)
        out[i] = trust_model_dot(m->r_h[i], step_h);
}

struct parabola trust_model_along(const struct trust_model *m, const double *origin,
                                  const double *direction) {
    double along[N], base[N];
    struct parabola q = {0, 0, 0};
    apply_r(m, direction, along);
    apply_r(m, origin, base);
    for (int j = 0; j < N; j++) {
        q.a += 0.5 * m->curve[j] * direction[j] * direction[j];
        q.b += m->curve[j] * origin[j] * direction[j];
        q.c += 0.5 * m->curve[j] * origin[j] * origin[j];
    }
    q.a += 0.5 * trust_model_dot(along, along);
    q.b += trust_model_dot(m->g_h, direction) + trust_model_dot(base, along);
    q.c += 0.5 * trust_model_dot(base, base) + trust_model_dot(m->g_h, origin);
    return q;
}

static double parabola_value(struct parabola q, double t) {
    return t * (q.a * t + q.b) + q.c;
}

double trust_model_value(const struct trust_model *m, const double *step_h) {
    const double zero[N] = {0};
    return parabola_value(trust_model_along(m, zero, step_h), 1);
}

double parabola_minimum(struct parabola q, double low, double high, double *t) {
    double best = parabola_value(q, low);
    *t = low;
    if (parabola_value(q, high) < best) {
        *t = high;
        best = parabola_value(q, high);
    }
    double vertex = q.a != 0 ? -0.5 * q.b / q.a : NAN;
    if (low < vertex && vertex < high && parabola_value(q, vertex) < best) {
        *t = vertex;
        best = parabola_value(q, vertex);
    }
    return best;
}
