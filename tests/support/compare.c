// SPDX-License-Identifier: MIT
#include "support/compare.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

struct report {
    size_t n_bad;
    size_t n_not_finite_got;
    size_t n_not_finite_want;
    size_t i_first;
    double max_abs;
    double max_rel;
    double sum_error; // of squares, over the finite elements
    double sum_want;
};

static void inspect(struct report *report, size_t i, double got, double want, double tolerance_abs,
                    double tolerance_rel) {
    bool is_bad = false;
    // A difference that involves NaN or infinity is meaningless, so these are counted first.
    if (!isfinite(got) || !isfinite(want)) {
        report->n_not_finite_got += !isfinite(got);
        report->n_not_finite_want += !isfinite(want);
        is_bad = true;
    } else {
        double difference = fabs(got - want);
        double relative = difference == 0.0 ? 0.0 : difference / fabs(want);
        if (!(difference <= report->max_abs))
            report->max_abs = difference;
        if (!(relative <= report->max_rel))
            report->max_rel = relative;
        report->sum_error += difference * difference;
        report->sum_want += want * want;
        is_bad = !(difference <= tolerance_abs + tolerance_rel * fabs(want));
    }
    if (is_bad && report->n_bad++ == 0)
        report->i_first = i;
}

bool compare_f32(const char *what, const float *got, const float *want, int n, int c, int h, int w,
                 double tolerance_abs, double tolerance_rel) {
    struct report report = {0};
    size_t row = (size_t)w;
    size_t plane = row * (size_t)h;
    size_t image = plane * (size_t)c;
    size_t n_elements = image * (size_t)n;
    for (size_t i = 0; i < n_elements; i++)
        inspect(&report, i, got[i], want[i], tolerance_abs, tolerance_rel);
    if (report.n_bad == 0)
        return true;
    size_t i = report.i_first;
    double nmse = report.sum_error == 0.0 ? 0.0 : report.sum_error / report.sum_want;
    fprintf(stderr,
            "%s: %zu of %zu elements differ by more than %g + %g |want|\n"
            "  NaN or infinite: %zu got, %zu wanted; max abs %g, max rel %g, NMSE %g\n"
            "  first at (n, c, y, x) = (%zu, %zu, %zu, %zu): got %.9g, want %.9g\n",
            what, report.n_bad, n_elements, tolerance_abs, tolerance_rel, report.n_not_finite_got,
            report.n_not_finite_want, report.max_abs, report.max_rel, nmse, i / image,
            i % image / plane, i % plane / row, i % row, (double)got[i], (double)want[i]);
    return false;
}

double compare_relative_l2(const float *got, const float *want, size_t n) {
    double sum_error = 0.0;
    double sum_want = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(got[i]) || !isfinite(want[i]))
            return INFINITY;
        double difference = (double)got[i] - (double)want[i];
        sum_error += difference * difference;
        sum_want += (double)want[i] * (double)want[i];
    }
    return sum_want > 0.0 ? sqrt(sum_error / sum_want) : sqrt(sum_error);
}

bool compare_l2(const char *what, const float *got, const float *want, size_t n, double tolerance) {
    double error = compare_relative_l2(got, want, n);
    if (error <= tolerance)
        return true;
    fprintf(stderr, "%s: relative L2 error %g of %zu elements, allowed %g\n", what, error, n,
            tolerance);
    return false;
}

bool compare_bytes(const char *what, const void *got, const void *want, size_t n) {
    const uint8_t *a = got;
    const uint8_t *b = want;
    size_t n_bad = 0;
    size_t i_first = 0;
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i] && n_bad++ == 0)
            i_first = i;
    }
    if (n_bad == 0)
        return true;
    fprintf(stderr, "%s: %zu of %zu bytes differ, first at %zu: got %d, want %d\n", what, n_bad, n,
            i_first, a[i_first], b[i_first]);
    return false;
}
