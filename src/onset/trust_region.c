// SPDX-License-Identifier: MIT
// See trust_region.h; the letters are those of trust_model.h.
#include "onset/trust_model.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define N TRUST_REGION_N

// A start on a bound is moved this far inside, relative to max(1, |bound|).
#define START_MARGIN 1e-10
// The least share of a step that is done before a bound.
#define MIN_BACK_OFF          0.995
#define RADIUS_TOLERANCE      0.01 // of the step length against the radius
#define MAX_RADIUS_ITERATIONS 10
#define N_POLISH              2
#define POLISH_LIMIT          0.1

static double norm(const double *a) {
    return sqrt(trust_model_dot(a, a));
}

// ---- bounds -------------------------------------------------------------------------------------

static bool is_inside(const struct trust_region_problem *p, const double *x) {
    for (int j = 0; j < N; j++)
        if (!(x[j] >= p->lower[j] && x[j] <= p->upper[j]))
            return false;
    return true;
}

static void move_start_inside(const struct trust_region_problem *p, double *x) {
    for (int j = 0; j < N; j++) {
        double margin_low = START_MARGIN * fmax(1, fabs(p->lower[j]));
        double below = x[j] - p->lower[j], above = p->upper[j] - x[j];
        if (below <= fmin(above, margin_low)) {
            x[j] = p->lower[j] + margin_low;
        } else if (isfinite(p->upper[j])) {
            double margin_high = START_MARGIN * fmax(1, fabs(p->upper[j]));
            if (above <= fmin(below, margin_high))
                x[j] = p->upper[j] - margin_high;
        }
    }
}

static void move_off_bounds(const struct trust_region_problem *p, double *x) {
    for (int j = 0; j < N; j++) {
        if (x[j] <= p->lower[j])
            x[j] = nextafter(p->lower[j], p->upper[j]);
        else if (x[j] >= p->upper[j])
            x[j] = nextafter(p->upper[j], p->lower[j]);
    }
}

// The largest multiple of `step` that stays within the bounds; hits[j] says which bounds stop it.
static double stride_to_bound(const struct trust_region_problem *p, const double *x,
                              const double *step, bool *hits) {
    double stride[N], least = INFINITY;
    for (int j = 0; j < N; j++) {
        stride[j] = INFINITY;
        if (step[j] != 0)
            stride[j] = fmax((p->lower[j] - x[j]) / step[j], (p->upper[j] - x[j]) / step[j]);
        least = fmin(least, stride[j]);
    }
    for (int j = 0; hits && j < N; j++)
        hits[j] = step[j] != 0 && stride[j] == least;
    return least;
}

static double evaluate_cost(const struct trust_region_problem *p, const double *x) {
    double sum = 0;
    for (int i = 0; i < p->n_rows; i++) {
        double f = p->residual(p->context, i, x);
        sum += f * f;
    }
    return 0.5 * sum;
}

// ---- the step -----------------------------------------------------------------------------------

static void damped_step(const struct trust_model *m, double damping, double *step_h) {
    for (int i = 0; i < N; i++)
        step_h[i] = 0;
    for (int j = 0; j < N; j++) {
        double weight = m->s[j] * m->uf[j] / (m->s[j] * m->s[j] + damping);
        for (int i = 0; i < N; i++)
            step_h[i] -= weight * m->v[i][j];
    }
}

// Length of the damped step less the radius, and its derivative with respect to the damping.
static double excess_length(const struct trust_model *m, double damping, double radius,
                            double *slope) {
    double length = 0, cubic = 0;
    for (int j = 0; j < N; j++) {
        double sf = m->s[j] * m->uf[j], denominator = m->s[j] * m->s[j] + damping;
        length += (sf / denominator) * (sf / denominator);
        cubic += sf * sf / (denominator * denominator * denominator);
    }
    length = sqrt(length);
    *slope = -cubic / length;
    return length - radius;
}

// The model's minimizer within the radius (More's iteration for the damping); *damping carries the
// last value from step to step.
static void trust_region_step(const struct trust_model *m, int n_rows, double radius,
                              double *damping, double *step_h) {
    bool full_rank = n_rows >= N && m->s[N - 1] > DBL_EPSILON * n_rows * m->s[0];
    if (full_rank) {
        damped_step(m, 0, step_h);
        if (norm(step_h) <= radius) {
            *damping = 0;
            return;
        }
    }
    double low = 0, high = 0, slope;
    for (int j = 0; j < N; j++)
        high += (m->s[j] * m->uf[j]) * (m->s[j] * m->uf[j]);
    high = sqrt(high) / radius;
    if (full_rank) {
        double excess = excess_length(m, 0, radius, &slope);
        low = -excess / slope;
    }
    double value = *damping;
    if (!full_rank && value == 0)
        value = fmax(0.001 * high, sqrt(low * high));
    for (int i = 0; i < MAX_RADIUS_ITERATIONS; i++) {
        if (value < low || value > high)
            value = fmax(0.001 * high, sqrt(low * high));
        double excess = excess_length(m, value, radius, &slope);
        if (excess < 0)
            high = value;
        double ratio = excess / slope;
        low = fmax(low, value - ratio);
        value -= (excess + radius) * ratio / radius;
        if (fabs(excess) < RADIUS_TOLERANCE * radius)
            break;
    }
    damped_step(m, value, step_h);
    double length = norm(step_h);
    for (int j = 0; j < N; j++)
        step_h[j] *= radius / length;
    *damping = value;
}

// The distance from `origin` along `direction` to the sphere of the radius (origin lies inside it).
static double stride_to_sphere(const double *origin, const double *direction, double radius) {
    double a = trust_model_dot(direction, direction), b = trust_model_dot(origin, direction);
    double c = fmin(0, trust_model_dot(origin, origin) - radius * radius);
    double q = -(b + copysign(sqrt(b * b - a * c), b));
    return fmax(q / a, c / q);
}

// The step reflected at the first bound that it meets. Returns the value of the model, +inf if
// there is no such step.
static double reflected_step(const struct trust_region_problem *p, const struct trust_model *m,
                             const double *x, double theta, double radius, double *cut_h,
                             double *out_h) {
    double step[N], reflected[N], on_bound[N], cut_stride;
    bool hits[N];
    for (int j = 0; j < N; j++)
        step[j] = m->d[j] * cut_h[j];
    cut_stride = stride_to_bound(p, x, step, hits);
    for (int j = 0; j < N; j++) {
        out_h[j] = hits[j] ? -cut_h[j] : cut_h[j];
        reflected[j] = m->d[j] * out_h[j];
        cut_h[j] *= cut_stride;
        on_bound[j] = x[j] + cut_stride * step[j];
    }
    double to_sphere = stride_to_sphere(cut_h, out_h, radius);
    double to_bound = stride_to_bound(p, on_bound, reflected, NULL);
    double stride = fmin(to_bound, to_sphere), low = 0, high = -1;
    if (stride > 0) {
        low = (1 - theta) * cut_stride / stride;
        high = stride == to_bound ? theta * to_bound : to_sphere;
    }
    if (!(low <= high))
        return INFINITY;
    double value = parabola_minimum(trust_model_along(m, cut_h, out_h), low, high, &stride);
    for (int j = 0; j < N; j++)
        out_h[j] = cut_h[j] + stride * out_h[j];
    return value;
}

// Of the step cut at the bound, its reflection and the steepest descent, the one with the least
// value of the model. `step_h` is the unrestricted step on entry. Returns the predicted decrease.
static double choose_step(const struct trust_region_problem *p, const struct trust_model *m,
                          const double *x, double theta, double radius, double *step_h) {
    const double zero[N] = {0};
    double moved[N], reflected_h[N], descent_h[N], descent[N];
    for (int j = 0; j < N; j++)
        moved[j] = x[j] + m->d[j] * step_h[j];
    if (is_inside(p, moved))
        return -trust_model_value(m, step_h);
    double reflected_value = reflected_step(p, m, x, theta, radius, step_h, reflected_h);
    for (int j = 0; j < N; j++) {
        step_h[j] *= theta;
        descent_h[j] = -m->g_h[j];
        descent[j] = m->d[j] * descent_h[j];
    }
    double cut_value = trust_model_value(m, step_h);
    double to_sphere = radius / norm(descent_h);
    double to_bound = stride_to_bound(p, x, descent, NULL), stride;
    double descent_value =
        parabola_minimum(trust_model_along(m, zero, descent_h), 0,
                         to_bound < to_sphere ? theta * to_bound : to_sphere, &stride);
    if (cut_value < reflected_value && cut_value < descent_value)
        return -cut_value;
    if (reflected_value < cut_value && reflected_value < descent_value) {
        memcpy(step_h, reflected_h, sizeof reflected_h);
        return -reflected_value;
    }
    for (int j = 0; j < N; j++)
        step_h[j] = stride * descent_h[j];
    return -descent_value;
}

// ---- the iteration ------------------------------------------------------------------------------

struct search {
    double radius, damping;
    bool done; // a tolerance was met
};

static double decrease_ratio(double decrease, double predicted) {
    if (predicted > 0)
        return decrease / predicted;
    return predicted == 0 && decrease == 0 ? 1 : 0;
}

// Changes the radius according to the quality of the prediction, and checks the tolerances.
static void judge_step(const struct trust_region_problem *p, double cost, double decrease,
                       double predicted, const double *x, const double *step, const double *step_h,
                       struct search *search) {
    double ratio = decrease_ratio(decrease, predicted), length = norm(step_h);
    double radius = search->radius;
    if (ratio < 0.25)
        radius = 0.25 * length;
    else if (ratio > 0.75 && length > 0.95 * search->radius)
        radius *= 2;
    search->done = (decrease < p->tolerance * cost && ratio > 0.25) ||
                   norm(step) < p->tolerance * (p->tolerance + norm(x));
    if (!search->done) {
        search->damping *= search->radius / radius;
        search->radius = radius;
    }
}

// Tries ever shorter steps from out->x until one lowers the cost, and moves there. False if none
// does.
static bool take_step(const struct trust_region_problem *p, const struct trust_model *m,
                      struct search *search, struct trust_region_result *out) {
    double theta = fmax(MIN_BACK_OFF, 1 - m->g_norm);
    while (out->n_evaluations < p->max_evaluations) {
        double step_h[N], step[N], moved[N];
        trust_region_step(m, p->n_rows, search->radius, &search->damping, step_h);
        double predicted = choose_step(p, m, out->x, theta, search->radius, step_h);
        for (int j = 0; j < N; j++) {
            step[j] = m->d[j] * step_h[j];
            moved[j] = out->x[j] + step[j];
        }
        move_off_bounds(p, moved);
        double cost = evaluate_cost(p, moved);
        out->n_evaluations++;
        if (!isfinite(cost)) {
            search->radius = 0.25 * norm(step_h);
            continue;
        }
        double decrease = out->cost - cost;
        judge_step(p, out->cost, decrease, predicted, out->x, step, step_h, search);
        if (decrease > 0) {
            memcpy(out->x, moved, sizeof moved);
            out->cost = cost;
            return true;
        }
        if (search->done)
            return false;
    }
    return false;
}

// One more step from the solution, kept when it lowers the cost and moves no variable by more than
// POLISH_LIMIT of itself. The tolerances stop short of the bottom where the residuals vanish; a
// longer move would leave the point on a flat valley at which the official program's solver stops.
static void polish(const struct trust_region_problem *p, struct trust_model *m,
                   struct search *search, struct trust_region_result *out) {
    struct trust_region_result polished = *out;
    trust_model_linearize(p, polished.x, m);
    trust_model_scale(p, polished.x, m);
    if (!(m->g_norm > 0))
        return;
    trust_model_decompose(m);
    if (!take_step(p, m, search, &polished))
        return;
    for (int j = 0; j < N; j++)
        if (!(fabs(polished.x[j] - out->x[j]) <= POLISH_LIMIT * fabs(out->x[j])))
            return;
    *out = polished;
}

void trust_region_solve(const struct trust_region_problem *problem,
                        struct trust_region_result *out) {
    struct trust_model m;
    struct search search = {0, 0, false};
    move_start_inside(problem, out->x);
    out->cost = evaluate_cost(problem, out->x);
    out->n_evaluations = 1;
    out->converged = false;
    if (!isfinite(out->cost))
        return;
    trust_model_linearize(problem, out->x, &m);
    trust_model_scale(problem, out->x, &m);
    double scaled[N];
    for (int j = 0; j < N; j++)
        scaled[j] = out->x[j] / m.d[j];
    search.radius = norm(scaled) > 0 ? norm(scaled) : 1;
    while (!(m.g_norm < problem->tolerance) && !search.done) {
        if (out->n_evaluations >= problem->max_evaluations || !isfinite(m.g_norm))
            return;
        trust_model_decompose(&m);
        if (take_step(problem, &m, &search, out)) {
            trust_model_linearize(problem, out->x, &m);
            trust_model_scale(problem, out->x, &m);
        }
    }
    out->converged = true;
    for (int i = 0; i < N_POLISH; i++)
        polish(problem, &m, &search, out);
}
