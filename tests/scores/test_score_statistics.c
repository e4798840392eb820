// SPDX-License-Identifier: MIT
#include "scores/score_statistics.h"

#include "support/train_step.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void mean_and_median_without_the_undefined(void **state) {
    (void)state;
    struct statistic s;
    check_ok(statistic_compute((double[]){4.0, NAN, 1.0, 2.0, NAN, 9.0}, 6, &s));
    assert_int_equal(s.n, 4);
    assert_true(s.mean == 4.0 && s.median == 3.0);
    check_ok(statistic_compute((double[]){5.0, 1.0, 3.0}, 3, &s));
    assert_true(s.mean == 3.0 && s.median == 3.0);
}

static void nothing_has_no_mean_and_one_value_no_interval(void **state) {
    (void)state;
    struct statistic s;
    check_ok(statistic_compute((double[]){NAN, NAN}, 2, &s));
    assert_int_equal(s.n, 0);
    assert_true(isnan(s.mean) && isnan(s.median) && isnan(s.low) && isnan(s.high));
    check_ok(statistic_compute((double[]){NAN, 0.5}, 2, &s));
    assert_int_equal(s.n, 1);
    assert_true(s.mean == 0.5 && s.median == 0.5 && isnan(s.low) && isnan(s.high));
}

// The mean of a sample of ten values, half of them 1, is a tenth of a binomial number. It is at
// most 0.1 with a probability of 0.0107 and at most 0.2 with 0.0547: the 2.5th percentile is 0.2,
// by more than eight standard deviations of 10,000 samples on both sides, and the 97.5th is 0.8.
static void the_interval_of_a_binomial_number(void **state) {
    (void)state;
    struct statistic s;
    check_ok(statistic_compute((double[]){0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, 10, &s));
    assert_true(fabs(s.low - 0.2) <= 1e-12);
    assert_true(fabs(s.high - 0.8) <= 1e-12);
    check_ok(statistic_compute((double[]){0, 1}, 2, &s)); // a quarter of the samples is 0, 0
    assert_true(s.low == 0.0 && s.high == 1.0);
    check_ok(statistic_compute((double[]){0.25, 0.25, 0.25}, 3, &s));
    assert_true(s.low == 0.25 && s.high == 0.25);
}

// With a hundred values the mean of a sample is nearly normal: +- 1.96 standard errors, to the
// width of some hundredths of one that 10,000 samples leave.
static void the_interval_of_many_values(void **state) {
    (void)state;
    double values[100], sum = 0.0, squares = 0.0;
    struct statistic s;
    for (int i = 0; i < 100; i++) {
        values[i] = (i * 37 % 100) / 10.0;
        sum += values[i];
        squares += values[i] * values[i];
    }
    double mean = sum / 100, error = sqrt((squares / 100 - mean * mean) / 100);
    check_ok(statistic_compute(values, 100, &s));
    assert_true(fabs(s.mean - mean) <= 1e-12);
    assert_true(fabs(s.low - (mean - 1.96 * error)) <= 0.1 * error);
    assert_true(fabs(s.high - (mean + 1.96 * error)) <= 0.1 * error);
}

static void same_values_have_the_same_interval(void **state) {
    (void)state;
    struct statistic first, again;
    check_ok(statistic_compute((double[]){0.3, 0.1, 0.8, 0.5}, 4, &first));
    int n_threads = omp_get_max_threads();
    omp_set_num_threads(3);
    check_ok(statistic_compute((double[]){0.8, 0.5, NAN, 0.3, 0.1}, 5, &again)); // other order
    omp_set_num_threads(n_threads);
    assert_true(first.n == again.n && first.mean == again.mean && first.low == again.low &&
                first.high == again.high);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_and_median_without_the_undefined),
        cmocka_unit_test(nothing_has_no_mean_and_one_value_no_interval),
        cmocka_unit_test(the_interval_of_a_binomial_number),
        cmocka_unit_test(the_interval_of_many_values),
        cmocka_unit_test(same_values_have_the_same_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
