// SPDX-License-Identifier: MIT
// The helper that all comparisons rest on must itself be able to fail.
#include "support/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

// The reports of the expected failures would read like failures, so stderr is put aside.
static int saved_stderr;

static int silence(void **state) {
    (void)state;
    saved_stderr = dup(2);
    return freopen("/dev/null", "w", stderr) != NULL ? 0 : -1;
}

static int restore(void **state) {
    (void)state;
    (void)fflush(stderr);
    int answer = dup2(saved_stderr, 2) >= 0 ? 0 : -1;
    (void)close(saved_stderr);
    return answer;
}

static void test_tolerances(void **state) {
    (void)state;
    const float want[4] = {1.0f, 100.0f, 0.0f, -8.0f};
    const float got[4] = {1.0f, 100.5f, 0.0f, -8.0f};
    assert_true(compare_f32("equal", want, want, 1, 1, 2, 2, 0.0, 0.0));
    assert_true(compare_f32("absolute", got, want, 1, 1, 2, 2, 0.5, 0.0));
    assert_true(compare_f32("relative", got, want, 1, 1, 2, 2, 0.0, 0.005));
    assert_false(compare_f32("too far", got, want, 1, 1, 2, 2, 0.4, 0.0));
    assert_false(compare_f32("too far", got, want, 1, 1, 2, 2, 0.0, 0.0049));
    assert_true(compare_f32("nothing", got, want, 0, 1, 2, 2, 0.0, 0.0));
}

static void test_not_finite_never_passes(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const float one[1] = {1.0f};
    for (int i = 0; i < 3; i++) {
        assert_false(compare_f32("got", &bad[i], one, 1, 1, 1, 1, INFINITY, 0.0));
        assert_false(compare_f32("want", one, &bad[i], 1, 1, 1, 1, INFINITY, 0.0));
        assert_false(compare_f32("both", &bad[i], &bad[i], 1, 1, 1, 1, INFINITY, 0.0));
        assert_true(isinf(compare_relative_l2(&bad[i], one, 1)));
        assert_true(isinf(compare_relative_l2(one, &bad[i], 1)));
        assert_false(compare_l2("got", &bad[i], one, 1, 1e30));
    }
    assert_false(compare_f32("NaN tolerance", one, one, 1, 1, 1, 1, (double)NAN, 0.0));
}

static void test_relative_l2(void **state) {
    (void)state;
    const float want[2] = {3.0f, 4.0f};
    const float got[2] = {3.0f, 4.5f};
    const float zero[2] = {0.0f, 0.0f};
    assert_true(fabs(compare_relative_l2(got, want, 2) - 0.1) < 1e-12);
    assert_true(compare_relative_l2(want, want, 2) == 0.0);
    assert_true(compare_relative_l2(zero, zero, 2) == 0.0);
    assert_true(fabs(compare_relative_l2(want, zero, 2) - 5.0) < 1e-12);
    assert_true(compare_l2("within", got, want, 2, 0.1001));
    assert_false(compare_l2("beyond", got, want, 2, 0.0999));
}

static void test_bytes(void **state) {
    (void)state;
    const uint8_t a[3] = {1, 2, 3};
    const uint8_t b[3] = {1, 2, 4};
    assert_true(compare_bytes("equal", a, a, 3));
    assert_true(compare_bytes("front", a, b, 2));
    assert_false(compare_bytes("differ", a, b, 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tolerances, silence, restore),
        cmocka_unit_test_setup_teardown(test_not_finite_never_passes, silence, restore),
        cmocka_unit_test_setup_teardown(test_relative_l2, silence, restore),
        cmocka_unit_test_setup_teardown(test_bytes, silence, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
