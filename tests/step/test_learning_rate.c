// SPDX-License-Identifier: MIT
// The rate of each step, by literal values.
#include "step/learning_rate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// 10 steps an epoch, 100 in all.
static const struct epoch_plan epochs = {.n_steps = 10, .n_epochs = 10, .n_steps_total = 100};

static struct config with(enum schedule_kind schedule, double warmup_epochs) {
    return (struct config){
        .train = {
            .lr = 0.5, .schedule = schedule, .poly_power = 2.0, .warmup_epochs = warmup_epochs}};
}

static void assert_rate(const struct config *config, long step, double want) {
    double rate = learning_rate(config, &epochs, step);
    if (!(fabs(rate - want) <= 1e-15))
        fail_msg("step %ld has the rate %.17g, not %.17g", step, rate, want);
}

static void a_constant_rate(void **state) {
    (void)state;
    struct config config = with(SCHEDULE_CONSTANT, 0.0);
    assert_rate(&config, 0, 0.5);
    assert_rate(&config, 99, 0.5);
}

// 0.5 (1 - step / 100)^2.
static void a_power_of_what_is_left(void **state) {
    (void)state;
    struct config config = with(SCHEDULE_POLY, 0.0);
    assert_rate(&config, 0, 0.5);
    assert_rate(&config, 50, 0.125);
    assert_rate(&config, 90, 0.005);
}

// 0.5 (1 + cos(pi step / 100)) / 2.
static void half_a_cosine(void **state) {
    (void)state;
    struct config config = with(SCHEDULE_COSINE, 0.0);
    assert_rate(&config, 0, 0.5);
    assert_rate(&config, 25, 0.25 * (1.0 + sqrt(0.5)));
    assert_rate(&config, 50, 0.25);
    assert_rate(&config, 75, 0.25 * (1.0 - sqrt(0.5)));
}

// Two epochs of warm-up are 20 steps; the 80 steps that follow have the whole schedule.
static void a_warm_up_comes_before_each_schedule(void **state) {
    (void)state;
    static const double halfway[] = {
        [SCHEDULE_CONSTANT] = 0.5, [SCHEDULE_POLY] = 0.125, [SCHEDULE_COSINE] = 0.25};
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_COSINE; kind++) {
        struct config config = with((enum schedule_kind)kind, 2.0);
        assert_rate(&config, 0, 0.025);
        assert_rate(&config, 9, 0.25);
        assert_rate(&config, 19, 0.5);
        assert_rate(&config, 20, 0.5);
        assert_rate(&config, 60, halfway[kind]);
    }
    struct config half = with(SCHEDULE_CONSTANT, 0.5);
    assert_rate(&half, 0, 0.1);
    assert_rate(&half, 4, 0.5);
}

static void a_warm_up_is_shorter_than_the_run(void **state) {
    (void)state;
    struct config config = with(SCHEDULE_COSINE, 9.9);
    assert_int_equal(learning_rate_check(&config, &epochs), ADELE_OK);
    config.train.warmup_epochs = 10.0;
    assert_int_equal(learning_rate_check(&config, &epochs), ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(),
                           "train.warmup_epochs is 10, which is 100 steps, but the run has 100"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_rate),
        cmocka_unit_test(a_power_of_what_is_left),
        cmocka_unit_test(half_a_cosine),
        cmocka_unit_test(a_warm_up_comes_before_each_schedule),
        cmocka_unit_test(a_warm_up_is_shorter_than_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
