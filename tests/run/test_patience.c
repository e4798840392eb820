// SPDX-License-Identifier: MIT
// Runs that train.patience ends early. Only one pixel of each of the three validation labels is not
// ignored, so that the score takes at most four values, becomes better at most four times, and
// every run ends long before its last epoch.
#include "base/memory.h"
#include "image/image.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PATIENT                                                                                    \
    "train.patience=2", "train.epochs=17", "correction.enabled=false", "loss.form=plain",          \
        "train.evaluate_test=false", "train.checkpoint_every=5"

static int setup(void **state) {
    if (tiny_run_setup(state) != 0)
        return -1;
    struct image labels;
    struct tiny_set set = tiny_set_default(3);
    assert_int_equal(image_init(&labels, set.width, set.height, 1, 8), ADELE_OK);
    memset(labels.pixels, 255, (size_t)set.width * (size_t)set.height);
    ((uint8_t *)labels.pixels)[set.height / 2 * set.width + set.width / 4] = 1;
    for (int i = 0; i < set.n_val; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "set/labelsTr/val_%03d.png", i);
        check_ok(image_save_png(scratch_path(state, name), &labels));
    }
    image_deinit(&labels);
    return 0;
}

static void a_run_ends_two_epochs_after_its_best(void **state) {
    struct trainer_result result = {0};
    check_ok(tiny_run(state, "run", false, SETS(PATIENT), &result));
    assert_in_range(result.n_epochs, 3, 9);
    assert_int_equal(result.n_epochs, result.best_epoch + 2);
    assert_int_equal(tiny_run_n_records(state, "run"), result.n_epochs);
}

// Interrupted in each epoch, and resumed once more when it has ended already.
static void a_resumed_run_ends_at_the_same_epoch(void **state) {
    tiny_run_interrupted(state, "resumed", 7, SETS(PATIENT));
    check_ok(tiny_run(state, "resumed", true, SETS(PATIENT), NULL));
    tiny_run_assert_same(state, "run", "resumed");
    check_ok(tiny_run(state, "resumed", true, SETS(PATIENT), NULL));
    tiny_run_assert_same(state, "run", "resumed");
}

// Between two evaluations nothing is known, so the run goes on to the next.
static void only_an_evaluation_ends_a_run(void **state) {
    struct trainer_result result = {0};
    check_ok(tiny_run(state, "rare", false, SETS(PATIENT, "train.evaluate_every=3"), &result));
    assert_int_equal(result.n_epochs % 3, 0);
    assert_true(result.n_epochs < 17 && result.n_epochs >= result.best_epoch + 2);
}

static void more_patience_continues_a_run(void **state) {
    struct trainer_result result = {0};
    check_ok(tiny_run(state, "rare", true,
                      SETS(PATIENT, "train.evaluate_every=3", "train.patience=0"), &result));
    assert_int_equal(result.n_epochs, 17);
}

static void patience_needs_a_validation_split(void **state) {
    struct config *config = NULL;
    struct tiny_set set = tiny_set_default(3);
    struct trainer_result result;
    set.n_val = 0;
    char root[4096];
    (void)snprintf(root, sizeof root, "%s", scratch_path(state, "no_val"));
    tiny_set_write(root, &set);
    const char *const sets[] = {"train.patience=3", "train.best_by=last"};
    char *text = tiny_set_config(root, NULL);
    assert_int_equal(config_parse("t.yaml", text, strlen(text), 2, sets, &config), ADELE_CONFIG);
    assert_string_equal(adele_error_message(), "--set train.patience=3: train.patience is 3, but "
                                               "train.best_by: last compares no scores");
    check_ok(config_parse("t.yaml", text, strlen(text), 1, sets, &config));
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "none"), .device = "cpu"};
    assert_int_equal(trainer_run(&options, &result), ADELE_CONFIG);
    assert_string_equal(adele_error_message(),
                        "train.patience is 3, but the data set has no validation split");
    config_destroy(config);
    memory_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_ends_two_epochs_after_its_best),
        cmocka_unit_test(a_resumed_run_ends_at_the_same_epoch),
        cmocka_unit_test(only_an_evaluation_ends_a_run),
        cmocka_unit_test(more_patience_continues_a_run),
        cmocka_unit_test(patience_needs_a_validation_split),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
