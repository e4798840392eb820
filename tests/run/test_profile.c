// SPDX-License-Identifier: MIT
// A run that is stopped after some steps to be profiled leaves no checkpoint.
#include "base/file.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int n_steps_seen;

static void count_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    (void)context;
    (void)epoch;
    (void)n_epochs;
    (void)step;
    (void)n_steps;
    n_steps_seen++;
}

static adele_status profile(void *const *state, const char *run, long n_steps, const char *epochs) {
    struct config *config = tiny_run_config(state, SETS(epochs));
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, run),
                                      .device = "cpu",
                                      .n_profile_steps = n_steps,
                                      .on_step = count_step};
    struct trainer_result result;
    n_steps_seen = 0;
    adele_status status = trainer_run(&options, &result);
    config_destroy(config);
    return status;
}

static void assert_no_checkpoint(void *const *state, const char *run) {
    static const char *const names[] = {"checkpoints/last.safetensors",
                                        "checkpoints/best.safetensors", "examples.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", run, names[i]);
        assert_false(file_exists(scratch_path(state, path)));
    }
    assert_int_equal(tiny_run_n_records(state, run), 0);
}

// 18 images in batches of 4 are 5 steps an epoch.
static void a_profile_stops_within_an_epoch(void **state) {
    assert_int_equal(profile(state, "within", 3, "train.epochs=2"), ADELE_OK);
    assert_int_equal(n_steps_seen, 3);
    assert_no_checkpoint(state, "within");
}

static void a_profile_crosses_epochs(void **state) {
    assert_int_equal(profile(state, "across", 7, "train.epochs=2"), ADELE_OK);
    assert_int_equal(n_steps_seen, 7);
    assert_no_checkpoint(state, "across");
}

static void a_profile_ends_with_the_run(void **state) {
    assert_int_equal(profile(state, "whole", 1000, "train.epochs=1"), ADELE_OK);
    assert_int_equal(n_steps_seen, 5);
    assert_no_checkpoint(state, "whole");
}

static bool stop_after_two(void *context) {
    (void)context;
    return n_steps_seen == 2;
}

// Nothing of it can be continued, so the message does not say that it is saved.
static void an_interrupted_profile_saves_nothing(void **state) {
    struct config *config = tiny_run_config(state, SETS("train.epochs=2"));
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, "stopped"),
                                      .device = "cpu",
                                      .n_profile_steps = 4,
                                      .on_step = count_step,
                                      .should_stop = stop_after_two};
    struct trainer_result result;
    n_steps_seen = 0;
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    config_destroy(config);
    assert_non_null(strstr(adele_error_message(), "after 2 of 5 steps; nothing of a profile is"));
    assert_null(strstr(adele_error_hint(), "--resume"));
    assert_no_checkpoint(state, "stopped");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_stops_within_an_epoch),
        cmocka_unit_test(a_profile_crosses_epochs),
        cmocka_unit_test(a_profile_ends_with_the_run),
        cmocka_unit_test(an_interrupted_profile_saves_nothing),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
