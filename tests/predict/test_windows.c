// SPDX-License-Identifier: MIT
// Where windows lie, in literal cases and by what must hold for any extent.
#include "predict/windows.h"

#include "base/memory.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_starts(int extent, int window, int n, const int *starts) {
    struct window_axis axis;
    check_ok(window_axis_init(&axis, extent, window));
    assert_int_equal(axis.n, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(axis.start[i], starts[i]);
    window_axis_deinit(&axis);
}

static void literal_cases(void **state) {
    (void)state;
    assert_starts(8, 8, 1, (int[]){0});
    assert_starts(9, 8, 2, (int[]){0, 1});
    assert_starts(12, 8, 2, (int[]){0, 4});
    assert_starts(13, 8, 3, (int[]){0, 3, 5});
    assert_starts(16, 8, 3, (int[]){0, 4, 8});
    assert_starts(17, 7, 5, (int[]){0, 3, 5, 8, 10});
    assert_starts(5, 8, 1, (int[]){-1}); // the odd pixel is at the end
    assert_starts(6, 8, 1, (int[]){-1});
    assert_starts(1, 8, 1, (int[]){-3});
    assert_starts(3, 1, 3, (int[]){0, 1, 2});
    assert_starts(1, 1, 1, (int[]){0});
}

static void neighbours_overlap_by_half_and_cover_all(void **state) {
    (void)state;
    for (int window = 1; window <= 19; window++)
        for (int extent = 1; extent <= 120; extent++) {
            struct window_axis axis;
            check_ok(window_axis_init(&axis, extent, window));
            for (int i = 1; i < axis.n; i++) {
                int step = axis.start[i] - axis.start[i - 1];
                assert_true(step >= 1 && step <= (window > 1 ? (window + 1) / 2 : 1));
            }
            if (extent >= window) {
                assert_int_equal(axis.start[0], 0);
                assert_int_equal(axis.start[axis.n - 1], extent - window);
            }
            for (int at = 0; at < extent; at++)
                assert_true(axis.sum[at] > 0.0f && isfinite(axis.sum[at]));
            window_axis_deinit(&axis);
        }
}

static void weights_are_a_gaussian(void **state) {
    (void)state;
    struct window_axis axis;
    check_ok(window_axis_init(&axis, 24, 16)); // deviation 2, from 7.5
    for (int t = 0; t < 16; t++) {
        double want = exp(-(t - 7.5) * (t - 7.5) / 8.0);
        assert_true(fabs(axis.weight[t] - want) <= 1e-7);
    }
    assert_int_equal(axis.n, 2); // from 0 and 8
    assert_true(fabs(axis.sum[10] - exp(-2.5 * 2.5 / 8.0) - exp(-5.5 * 5.5 / 8.0)) <= 1e-6);
    assert_true(fabs(axis.sum[23] / exp(-7.5 * 7.5 / 8.0) - 1.0) <= 1e-6);
    window_axis_deinit(&axis);
}

static void no_memory(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct window_axis axis;
        memory_fail_at(i);
        assert_int_equal(window_axis_init(&axis, 24, 16), ADELE_NO_MEMORY);
        memory_fail_at(-1);
        window_axis_deinit(&axis);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literal_cases),
        cmocka_unit_test(neighbours_overlap_by_half_and_cover_all),
        cmocka_unit_test(weights_are_a_gaussian),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
