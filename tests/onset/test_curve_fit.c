// SPDX-License-Identifier: MIT
// The bounded fit: known curves, bounds, refusals, and MINPACK where the solution lies inside the
// bounds.
#include "base/random.h"
#include "onset/onset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#ifdef ADELE_HAVE_CMINPACK
#include <cminpack-1/cminpack.h>
#endif

#define MAX_VALUES 64

struct data {
    int n;
    double t[MAX_VALUES], y[MAX_VALUES];
};

static struct curve_point point_of(const void *context, int i) {
    const struct data *data = context;
    return (struct curve_point){data->t[i], data->y[i]};
}

static double sigma_of(int i, int n) {
    return n > 1 ? pow(10, -(double)i / (n - 1)) : 1;
}

static double model(double a, double b, double c, double t) {
    return a * (1 - exp(-pow(t, b) / c));
}

static void fill(struct data *data, int n, double a, double b, double c) {
    data->n = n;
    for (int i = 0; i < n; i++) {
        data->t[i] = n * (double)i / (n - 1);
        data->y[i] = model(a, b, c, data->t[i]);
    }
}

static double residual_at(const struct data *data, double a, double b, double c) {
    double sum = 0;
    for (int i = 0; i < data->n; i++) {
        double error = (model(a, b, c, data->t[i]) - data->y[i]) / sigma_of(i, data->n);
        sum += error * error;
    }
    return sum;
}

static void test_recovers_curves(void **state) {
    (void)state;
    const double curves[][3] = {{0.7, 0.8, 2}, {0.5, 0.5, 1}, {0.9, 0.95, 5}, {0.3, 0.6, 3}};
    for (size_t k = 0; k < sizeof curves / sizeof *curves; k++) {
        struct data data;
        struct curve_fit fit;
        fill(&data, 30, curves[k][0], curves[k][1], curves[k][2]);
        curve_fit_solve(data.n, point_of, &data, &fit);
        assert_true(fit.converged);
        assert_true(fabs(fit.a - curves[k][0]) <= 1e-5);
        assert_true(fabs(fit.b - curves[k][1]) <= 1e-5);
        assert_true(fabs(fit.c - curves[k][2]) <= 1e-4);
        assert_true(fit.residual <= 1e-12);
        assert_true(fit.n_iterations > 1);
        assert_true(fabs(curve_fit_value(&fit, 4) - model(fit.a, fit.b, fit.c, 4)) <= 1e-15);
    }
}

// The best unbounded curve has a > 1: the bounded one ends at a = 1, and no neighbour on the bound
// is better.
static void test_bound_is_active(void **state) {
    (void)state;
    struct data data;
    struct curve_fit fit;
    fill(&data, 25, 1.6, 0.8, 40);
    curve_fit_solve(data.n, point_of, &data, &fit);
    assert_true(fit.converged);
    assert_true(fit.a > 1 - 1e-5 && fit.a <= 1);
    assert_true(fit.b >= 0 && fit.b <= 1 && fit.c >= 0);
    assert_true(fabs(fit.residual - residual_at(&data, fit.a, fit.b, fit.c)) <=
                1e-9 * fit.residual);
    for (int k = 0; k < 4; k++) {
        double b = fit.b * (1 + 1e-3 * ((k == 0) - (k == 1)));
        double c = fit.c * (1 + 1e-3 * ((k == 2) - (k == 3)));
        assert_true(residual_at(&data, fit.a, b, c) > fit.residual);
    }
}

#ifdef ADELE_HAVE_CMINPACK
static int weighted(void *context, int m, int n, const double *x, double *f, int flag) {
    const struct data *data = context;
    (void)n;
    (void)flag;
    for (int i = 0; i < m; i++)
        f[i] = (model(x[0], x[1], x[2], data->t[i]) - data->y[i]) / sigma_of(i, m);
    return 0;
}

// Noisy curves whose unbounded solution lies inside the bounds: the same place as MINPACK's.
static void test_minpack(void **state) {
    (void)state;
    struct random_stream random;
    int n_compared = 0;
    random_stream_init(&random, 7, RANDOM_TEST, 0, 0);
    for (int k = 0; k < 200; k++) {
        struct data data;
        struct curve_fit fit;
        double f[MAX_VALUES], work[MAX_VALUES * 3 + 5 * 3 + MAX_VALUES];
        int pivots[3];
        fill(&data, 20 + (int)random_below(&random, 40), random_range(&random, 0.3, 0.9),
             random_range(&random, 0.5, 0.9), random_range(&random, 1, 4));
        for (int i = 0; i < data.n; i++)
            data.y[i] += 0.005 * random_normal(&random);
        curve_fit_solve(data.n, point_of, &data, &fit);
        assert_true(fit.converged);
        double x[3] = {fit.a * 0.98, fit.b * 1.01, fit.c * 1.02};
        int info = lmdif1(weighted, &data, data.n, 3, x, f, 1e-12, pivots, work,
                          (int)(sizeof work / sizeof *work));
        if (info < 1 || info > 3 || x[0] >= 0.999 || x[1] >= 0.999 || x[1] <= 0 || x[2] <= 0)
            continue;
        n_compared++;
        double theirs = residual_at(&data, x[0], x[1], x[2]);
        if (!(fit.residual <= theirs * (1 + 1e-6)))
            fail_msg("curve %d: residual %.12g, MINPACK's %.12g", k, fit.residual, theirs);
        assert_true(fabs(fit.a - x[0]) <= 1e-3 && fabs(fit.b - x[1]) <= 1e-3);
    }
    assert_true(n_compared > 100);
}
#else
static void test_minpack(void **state) {
    (void)state;
    print_message("built without cminpack\n");
    skip();
}
#endif

static void test_refusals(void **state) {
    (void)state;
    struct data data;
    struct curve_fit fit;
    fill(&data, 8, 0.5, 0.8, 2);
    curve_fit_solve(0, point_of, &data, &fit);
    assert_false(fit.converged);
    double kept = data.y[3];
    data.y[3] = NAN;
    curve_fit_solve(8, point_of, &data, &fit);
    assert_false(fit.converged);
    data.y[3] = kept;
    data.t[5] = INFINITY;
    curve_fit_solve(8, point_of, &data, &fit);
    assert_false(fit.converged);
    data.t[5] = -1;
    curve_fit_solve(8, point_of, &data, &fit);
    assert_false(fit.converged);
}

// One point at t = 0 says nothing: the fit stays at its start, just inside the bounds. Two points
// leave one unknown free, and are met exactly.
static void test_few_points(void **state) {
    (void)state;
    struct curve_fit fit;
    const struct data one = {1, {0}, {0.4}}, two = {2, {0, 2}, {0, 0.5}};
    curve_fit_solve(1, point_of, &one, &fit);
    assert_true(fit.converged);
    assert_true(fit.a < 1 && fit.a > 1 - 1e-9);
    assert_true(fit.b < 1 && fit.b > 1 - 1e-9);
    assert_true(fit.c == 1);
    curve_fit_solve(2, point_of, &two, &fit);
    assert_true(fit.converged);
    assert_true(fabs(curve_fit_value(&fit, 2) - 0.5) <= 1e-6);
}

// Extreme values: no crash, no NaN, bounds kept.
static void test_extremes(void **state) {
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 8, RANDOM_TEST, 0, 0);
    for (int k = 0; k < 300; k++) {
        struct data data = {.n = 3 + (int)random_below(&random, 40)};
        struct curve_fit fit;
        double scale = pow(10, random_range(&random, -12, 12));
        for (int i = 0; i < data.n; i++) {
            data.t[i] = i * pow(10, random_range(&random, -3, 3));
            data.y[i] = k % 3 == 0 ? (i % 2) * scale : random_range(&random, -1, 1) * scale;
        }
        curve_fit_solve(data.n, point_of, &data, &fit);
        assert_true(fit.a >= 0 && fit.a <= 1 && fit.b >= 0 && fit.b <= 1 && fit.c >= 0);
        assert_true(isfinite(fit.c) && isfinite(fit.residual));
        assert_true(fit.n_iterations <= 300 + 2);
    }
}

static void test_derivative(void **state) {
    (void)state;
    struct curve_fit fit = {.a = 0.8, .b = 0.7, .c = 3};
    for (double t = 1; t < 50; t += 7) {
        double h = 1e-5, at = t + 1e-6;
        double slope = (curve_fit_value(&fit, at + h) - curve_fit_value(&fit, at - h)) / (2 * h);
        assert_true(fabs(curve_fit_derivative(&fit, t) - slope) <= 1e-8);
    }
    assert_true(isfinite(curve_fit_derivative(&fit, 0)));
}

static void test_deterministic(void **state) {
    (void)state;
    struct data data;
    struct curve_fit first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    fill(&data, 40, 0.6, 0.9, 7);
    data.y[9] += 0.02;
    curve_fit_solve(data.n, point_of, &data, &first);
    curve_fit_solve(data.n, point_of, &data, &second);
    assert_true(first.a == second.a && first.b == second.b && first.c == second.c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovers_curves), cmocka_unit_test(test_bound_is_active),
        cmocka_unit_test(test_minpack),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_few_points),      cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_derivative),      cmocka_unit_test(test_deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
