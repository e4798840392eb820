// SPDX-License-Identifier: MIT
// When a category starts to be memorized: literal series, the flat start, refusals, smoothing.
#include "onset/onset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>

#define N 40

static void saturating(int n, double *out, double a, double c) {
    for (int i = 0; i < n; i++)
        out[i] = a * (1 - exp(-(n * (double)i / (n - 1)) / c));
}

static void test_defaults(void **state) {
    (void)state;
    struct onset_config config;
    onset_config_init(&config, ONSET_SEGTHOR);
    assert_true(config.r == 0.9 && config.n_epochs == 100 && config.smooth == 1);
    onset_config_init(&config, ONSET_VOC);
    assert_true(config.pipeline == ONSET_VOC && config.interval_iterations == 100);
    assert_true(fabs(config.iterations_per_epoch - 1058.1) <= 1e-9);
}

// f(t) = 0.8 (1 - exp(-t / 5)): the slope falls by 1 - exp(-(t - 1) / 5), at most 0.9 for t
// <= 12.5.
static void test_literal_segthor(void **state) {
    (void)state;
    struct onset_config config;
    struct onset_result got;
    double iou[N];
    onset_config_init(&config, ONSET_SEGTHOR);
    saturating(N, iou, 0.8, 5);
    onset_find(&config, N, iou, &got);
    assert_true(got.known);
    assert_int_equal(got.n_dropped, 0);
    assert_int_equal(got.epoch, 1 + 12);
    assert_true(got.t0 == 0 && fabs(got.dt - N / (N - 1.0)) <= 1e-12);
    // Fewer epochs to look at, fewer to count.
    config.n_epochs = 6;
    onset_find(&config, N, iou, &got);
    assert_int_equal(got.epoch, 1 + 5);
    // A smaller r: 1 - exp(-(t - 1) / 5) <= 0.5 for t <= 4.46.
    config.n_epochs = 100;
    config.r = 0.5;
    onset_find(&config, N, iou, &got);
    assert_int_equal(got.epoch, 1 + 4);
}

// VOC: 2 values lie 100 / 1000 epochs apart; the time constant is 3 epochs: 1 - exp(-(t - 1) / 3)
// <= 0.9 for t <= 7.9.
static void test_literal_voc(void **state) {
    (void)state;
    struct onset_config config;
    struct onset_result got;
    double iou[N];
    onset_config_init(&config, ONSET_VOC);
    config.iterations_per_epoch = 1000;
    saturating(N, iou, 0.7, 30); // in values: 3 epochs of 10
    onset_find(&config, N, iou, &got);
    assert_true(got.known);
    assert_int_equal(got.epoch, 1 + 7);
    assert_int_equal(got.n_dropped, 0);
    assert_true(fabs(got.dt * (N - 1) - 4) <= 1e-12);
    // At most 1 + 15, however slow.
    saturating(N, iou, 0.9, 4000);
    onset_find(&config, N, iou, &got);
    assert_int_equal(got.epoch, 16);
}

// The values before the first rise of 0.1 are dropped and delay the onset by their number.
static void test_flat_start(void **state) {
    (void)state;
    struct onset_config config;
    struct onset_result plain, late;
    double iou[N + 6] = {0.01, 0.02, 0.01, 0.03, 0.02, 0.02};
    onset_config_init(&config, ONSET_SEGTHOR);
    saturating(N, iou + 6, 0.8, 5);
    onset_find(&config, N, iou + 6, &plain);
    onset_find(&config, N + 6, iou, &late);
    assert_true(late.known);
    assert_int_equal(late.n_dropped, 6);
    assert_int_equal(late.epoch, plain.epoch + 6);
    assert_true(late.fit.a == plain.fit.a && late.fit.c == plain.fit.c);
}

// A series that never rises by 0.1 is cut to its last value; the fit stays at the start, and the
// onset (n - 1) + 1 + 3 lies beyond every epoch that was seen.
static void test_all_flat(void **state) {
    (void)state;
    struct onset_config config;
    struct onset_result got;
    double iou[N];
    onset_config_init(&config, ONSET_SEGTHOR);
    for (int i = 0; i < N; i++)
        iou[i] = 0.02 * i;
    onset_find(&config, N, iou, &got);
    assert_int_equal(got.n_dropped, N - 1);
    assert_true(got.dt == 0);
    assert_int_equal(got.epoch, N + 3);
}

static void test_not_yet(void **state) {
    (void)state;
    struct onset_config config;
    struct onset_result got;
    double iou[N];
    for (int pipeline = ONSET_SEGTHOR; pipeline <= ONSET_VOC; pipeline++) {
        onset_config_init(&config, pipeline);
        saturating(N, iou, 0.8, 5);
        for (int n = 0; n < 3; n++) {
            onset_find(&config, n, iou, &got);
            assert_false(got.known);
        }
        iou[7] = NAN;
        onset_find(&config, N, iou, &got);
        assert_false(got.known);
        iou[7] = INFINITY;
        onset_find(&config, N, iou, &got);
        assert_false(got.known);
        for (int i = 0; i < N; i++)
            iou[i] = 0.25;
        onset_find(&config, N, iou, &got);
        assert_false(got.known);
    }
}

// Smoothing leaves a smooth series' onset nearly where it was and takes a single spike's weight
// away.
static void test_smooth(void **state) {
    (void)state;
    struct onset_config config;
    struct onset_result plain, spiked, smoothed;
    double iou[N];
    onset_config_init(&config, ONSET_SEGTHOR);
    saturating(N, iou, 0.8, 5);
    onset_find(&config, N, iou, &plain);
    iou[N - 1] -= 0.3;
    onset_find(&config, N, iou, &spiked);
    config.smooth = 5;
    onset_find(&config, N, iou, &smoothed);
    assert_true(smoothed.known && spiked.known);
    assert_true(fabs(smoothed.fit.a - plain.fit.a) < fabs(spiked.fit.a - plain.fit.a));
    config.smooth = 2;
    onset_find(&config, N, iou, &smoothed);
    assert_true(smoothed.known);
}

// ---- beyond the program: few points, and curves that still rise --------------------------------

// A fast curve whose fit says "now" from three points on, as on clean labels.
static void test_min_points(void **state) {
    (void)state;
    const double iou[] = {0.2, 0.7, 0.9, 0.91, 0.915, 0.918, 0.92, 0.921, 0.922, 0.9225};
    struct onset_config config;
    struct onset_result got, program;
    onset_config_init(&config, ONSET_SEGTHOR);
    assert_int_equal(config.min_points, 3);
    assert_true(config.while_rising);
    for (int n = 1; n <= 10; n++) {
        onset_config_init(&config, ONSET_SEGTHOR);
        onset_find(&config, n, iou, &program);
        assert_true(program.known == (n >= 3));
        config.min_points = 8;
        onset_find(&config, n, iou, &got);
        assert_true(got.known == (n >= 8));
        if (got.known)
            assert_memory_equal(&got, &program, sizeof got);
        config.min_points = 1; // never fewer than the program's
        onset_find(&config, n, iou, &got);
        assert_true(got.known == (n >= 3));
    }
}

static bool is_known_while(bool rising, int n, const double *iou) {
    struct onset_config config;
    struct onset_result got;
    onset_config_init(&config, ONSET_SEGTHOR);
    config.while_rising = rising;
    onset_find(&config, n, iou, &got);
    return got.known;
}

static void test_a_rising_curve_has_no_onset(void **state) {
    (void)state;
    const double rising[] = {0.1, 0.3, 0.4, 0.5, 0.56, 0.62, 0.65, 0.68};
    const double flat[] = {0.1, 0.5, 0.6, 0.65, 0.66, 0.64, 0.66, 0.67};
    const double memorizing[] = {0.1, 0.5, 0.54, 0.55, 0.56, 0.57, 0.58, 0.59}; // by hundredths
    const double again[] = {0.1, 0.6, 0.5, 0.55, 0.6, 0.61}; // back to where it was is no rise
    for (int n = 4; n <= 8; n++) {
        assert_true(is_known_while(true, n, rising));
        assert_false(is_known_while(false, n, rising));
        assert_true(is_known_while(true, n, flat));
        assert_true(is_known_while(false, n, flat) == (n > 4)); // 0.65 is above 0.6
        assert_true(is_known_while(false, n, memorizing) == (n > 3));
    }
    for (int n = 3; n <= 6; n++)
        assert_true(is_known_while(false, n, again));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_literal_segthor),
        cmocka_unit_test(test_literal_voc),
        cmocka_unit_test(test_flat_start),
        cmocka_unit_test(test_all_flat),
        cmocka_unit_test(test_not_yet),
        cmocka_unit_test(test_smooth),
        cmocka_unit_test(test_min_points),
        cmocka_unit_test(test_a_rising_curve_has_no_onset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
