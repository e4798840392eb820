// SPDX-License-Identifier: MIT
// Training runs that are refused, fail, or are stopped and go on.
#include "run/trainer.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "run_folder/run_folder.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// ---- refusals -----------------------------------------------------------------------------------

static void a_folder_that_holds_a_run_is_refused_without_resume(void **state) {
    char copy[4096], last[4096];
    (void)snprintf(copy, sizeof copy, "%s", scratch_path(state, "copy.safetensors"));
    (void)snprintf(last, sizeof last, "%s",
                   scratch_path(state, "run/checkpoints/last.safetensors"));
    check_ok(scratch_copy(last, copy));
    assert_int_equal(tiny_run(state, "run", false, NULL, NULL), ADELE_RUN_EXISTS);
    assert_non_null(strstr(adele_error_message(), "/run holds a run already"));
    assert_non_null(strstr(adele_error_hint(), "--resume"));
    // Nothing of the other run's settings is left behind.
    assert_int_equal(
        tiny_run(state, "run", false, SETS("data.noisy_labels=", "data.noise.kind=flip"), NULL),
        ADELE_RUN_EXISTS);
    assert_int_equal(
        tiny_run(state, "run", true, SETS("data.noisy_labels=", "data.noise.kind=flip"), NULL),
        ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "data.noise.kind was none, is now flip"));
    assert_false(tiny_run_has(state, "run/noise.json"));
    assert_true(same_bytes(copy, last));
    assert_int_equal(tiny_run_n_records(state, "run"), 5);
}

static void augmented_predictions_cannot_correct(void **state) {
    assert_int_equal(tiny_run(state, "augment", false, SETS("data.augment.enabled=true"), NULL),
                     ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "data.augment"));
    assert_non_null(strstr(adele_error_hint(), "correction.source"));
}

static void noise_on_top_of_noisy_files_is_refused(void **state) {
    (void)state;
    struct config *config = NULL;
    const char *const sets[] = {"data.noise.kind=flip"};
    char *text = tiny_set_config("set", "set/noisyTr");
    assert_int_equal(config_parse("t.yaml", text, strlen(text), 1, sets, &config), ADELE_CONFIG);
    memory_free(text);
}

static void a_run_folder_below_a_file_is_an_error(void **state) {
    check_ok(file_write(scratch_path(state, "note.txt"), "x", 1));
    assert_int_equal(tiny_run(state, "note.txt/run", false, NULL, NULL), ADELE_IO);
    assert_non_null(strstr(adele_error_message(), "note.txt"));
}

static void an_image_that_the_network_cannot_halve_is_an_error(void **state) {
    adele_status status = tiny_run(state, "small", false, SETS("data.size=[16, 16]"), NULL);
    assert_int_equal(status, ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "1 x 1 pixels would give 0 x 0"));
    assert_non_null(strstr(adele_error_hint(), "larger images"));
    assert_false(tiny_run_has(state, "small/checkpoints/last.safetensors"));
}

static void an_unknown_device_is_an_error(void **state) {
    struct config *config = tiny_run_config(state, NULL);
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "device"), .device = "abacus"};
    struct trainer_result result;
    assert_int_not_equal(trainer_run(&options, &result), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), "abacus"));
    config_destroy(config);
}

static bool stop_after_a_step(void *context) {
    return (*(int *)context)++ == 1;
}

// A rate and a decay that make the weights overflow, for certain and within 15 steps (why is in
// test_nan_culprit.c): the run ends with a clear error, and what was saved before stays.
static void a_loss_that_is_not_finite_ends_the_run(void **state) {
    static const char *const sets[] = {"train.epochs=40",
                                       "train.optimizer.lr=1000",
                                       "train.optimizer.momentum=0",
                                       "train.optimizer.weight_decay=1",
                                       "train.checkpoint_every=40",
                                       "train.evaluate_every=40",
                                       "correction.enabled=false",
                                       "loss.form=plain",
                                       NULL};
    char copy[4096], last[4096];
    int n_asked = 0;
    struct config *config = tiny_run_config(state, sets);
    struct trainer_result result;
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, "nan"),
                                      .device = "cpu",
                                      .should_stop = stop_after_a_step,
                                      .context = &n_asked};
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    config_destroy(config);
    (void)snprintf(copy, sizeof copy, "%s", scratch_path(state, "nan.safetensors"));
    (void)snprintf(last, sizeof last, "%s",
                   scratch_path(state, "nan/checkpoints/last.safetensors"));
    check_ok(scratch_copy(last, copy));
    assert_int_equal(tiny_run(state, "nan", true, sets, NULL), ADELE_NUMERIC);
    assert_non_null(strstr(adele_error_message(), "not finite"));
    assert_non_null(strstr(adele_error_hint(), "train.optimizer.lr"));
    assert_true(same_bytes(copy, last));
}

// ---- stopping -----------------------------------------------------------------------------------

struct stopper {
    int n_left;
    int n_steps; // seen by on_step
};

static bool stop_after(void *context) {
    return ((struct stopper *)context)->n_left-- <= 0;
}

static void count_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    ((struct stopper *)context)->n_steps++;
    assert_in_range(epoch, 1, n_epochs);
    assert_in_range(step, 1, n_steps);
    assert_int_equal(n_steps, 5); // 18 images in fours
}

// Stopped at several places, in evaluation too, and continued each time: the same run.
static void an_interrupted_run_goes_on_where_it_was(void **state) {
    const int moments[] = {0, 2, 9, 23, 17, 30};
    struct config *config = tiny_run_config(state, NULL);
    struct trainer_result result;
    struct stopper stopper = {0};
    struct trainer_options options = {.config = config,
                                      .resume = true,
                                      .device = "cpu",
                                      .on_step = count_step,
                                      .should_stop = stop_after,
                                      .context = &stopper};
    adele_status status = ADELE_INTERRUPTED;
    for (size_t i = 0; status == ADELE_INTERRUPTED; i++) {
        options.run_folder = scratch_path(state, "stopped");
        stopper.n_left = i < sizeof moments / sizeof *moments ? moments[i] : 1000;
        status = trainer_run(&options, &result);
        assert_true(status == ADELE_OK || i < sizeof moments / sizeof *moments);
    }
    check_ok(status);
    assert_int_equal(stopper.n_steps, 25); // 5 epochs of 5 steps, none of them twice
    config_destroy(config);
    tiny_run_assert_same(state, "run", "stopped");
}

static bool stop_after_epoch_2(void *context, const struct trainer_epoch *epoch) {
    (void)context;
    return epoch->epoch == 2;
}

static void assert_saved_epochs(void *const *state, const char *last, const char *previous) {
    static const char *const names[] = {"epochs/" CHECKPOINT_LAST, "epochs/" CHECKPOINT_PREVIOUS};
    const char *const epochs[] = {last, previous};
    for (int i = 0; i < 2; i++) {
        struct safetensors *file = tiny_run_open(state, names[i]);
        assert_string_equal(safetensors_metadata(file, "epoch"), epochs[i]);
        safetensors_close(file);
    }
}

// Stopped after an epoch, and again before the next step: the checkpoint before the last one stays,
// because nothing new is to be saved.
static void a_stop_keeps_the_older_checkpoint(void **state) {
    struct config *config = tiny_run_config(state, SETS("train.epochs=4", "loss.scales=[1.0]"));
    struct trainer_result result;
    struct stopper stopper = {0};
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, "epochs"),
                                      .device = "cpu",
                                      .on_epoch = stop_after_epoch_2};
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    assert_saved_epochs(state, "2", "1");
    options = (struct trainer_options){.config = config,
                                       .run_folder = scratch_path(state, "epochs"),
                                       .resume = true,
                                       .device = "cpu",
                                       .should_stop = stop_after,
                                       .context = &stopper};
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    assert_saved_epochs(state, "2", "1");
    stopper.n_left = 1; // a step: a new state
    options.run_folder = scratch_path(state, "epochs");
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    assert_saved_epochs(state, "2", "2");
    config_destroy(config);
}

// Allocation fails at places spread over the run: a clean error. A picture that a loader's thread
// cannot hold is read again to learn why, and may then fit.
static void a_failing_allocation_is_a_clean_error(void **state) {
    const char *const *sets = SETS("train.epochs=1", "loss.scales=[1.0]");
    memory_fail_at(-1);
    check_ok(tiny_run(state, "memory", false, sets, NULL));
    long n = memory_count();
    int n_failed = 0;
    for (int i = 0; i < 24; i++) {
        struct config *config = tiny_run_config(state, sets);
        struct trainer_options options = {
            .config = config, .run_folder = scratch_path(state, "memory_fails"), .device = "cpu"};
        struct trainer_result result;
        memory_fail_at(n * i / 24);
        adele_status status = trainer_run(&options, &result);
        memory_fail_at(-1);
        config_destroy(config);
        bool is_read_again = status == ADELE_IO && strstr(adele_error_message(), "first try");
        if (status != ADELE_OK && status != ADELE_NO_MEMORY && !is_read_again)
            fail_msg("%s (%s)", adele_error_message(), adele_error_place());
        n_failed += status != ADELE_OK;
        check_ok(file_remove_tree(scratch_path(state, "memory_fails")));
    }
    assert_int_equal(n_failed, 24);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_that_holds_a_run_is_refused_without_resume),
        cmocka_unit_test(augmented_predictions_cannot_correct),
        cmocka_unit_test(noise_on_top_of_noisy_files_is_refused),
        cmocka_unit_test(a_run_folder_below_a_file_is_an_error),
        cmocka_unit_test(an_image_that_the_network_cannot_halve_is_an_error),
        cmocka_unit_test(an_unknown_device_is_an_error),
        cmocka_unit_test(a_loss_that_is_not_finite_ends_the_run),
        cmocka_unit_test(an_interrupted_run_goes_on_where_it_was),
        cmocka_unit_test(a_stop_keeps_the_older_checkpoint),
        cmocka_unit_test(a_failing_allocation_is_a_clean_error),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup_full, scratch_teardown);
}
