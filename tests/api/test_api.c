// SPDX-License-Identifier: MIT
// The public API as a program that embeds the library uses it: nothing but adele/adele.h is called.
#include "adele/adele.h"

#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"
#include "support/tiny_set.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct lines {
    int n_lines, n_warnings;
};

static void count_line(void *context, int is_warning, const char *line) {
    struct lines *lines = context;
    assert_non_null(line);
    lines->n_lines++;
    lines->n_warnings += is_warning;
}

// A data set and its configuration in the scratch folder; returns the configuration's path.
static const char *write_inputs(void *const *state) {
    struct tiny_set set = tiny_set_default(5);
    const char *root = scratch_path(state, "set");
    tiny_set_write(root, &set);
    char *yaml = tiny_set_config(root, NULL);
    const char *config = scratch_path(state, "config.yaml");
    assert_int_equal(file_write(config, yaml, strlen(yaml)), ADELE_OK);
    memory_free(yaml);
    return config;
}

static void train(void *const *state, const char *config, struct adele_train_result *result) {
    static const char *const sets[] = {"train.epochs=2"};
    struct adele_train_options options = {.config = config,
                                          .sets = sets,
                                          .n_sets = 1,
                                          .run_folder = scratch_path(state, "run"),
                                          .device = "cpu"};
    assert_int_equal(adele_train(&options, result), ADELE_OK);
}

static void test_train_evaluate_predict_export(void **state) {
    const char *config = write_inputs(state);
    struct lines lines = {0, 0};
    adele_log_to(count_line, &lines);
    struct adele_train_result result;
    train(state, config, &result);
    adele_log_to(NULL, NULL);
    assert_int_equal(result.n_epochs, 2);
    assert_true(isfinite(result.val_miou));
    assert_true(lines.n_lines > 2);

    const char *run = scratch_path(state, "run");
    struct adele_score score;
    assert_int_equal(adele_evaluate(run, "cpu", NULL, "val", &score), ADELE_OK);
    assert_int_equal(score.n_categories, 3);
    assert_true(score.n_images > 0);
    // The same network on the same images: what training said of its last epoch.
    assert_true(fabs(score.miou_foreground - result.val_miou) < 1e-12);

    char images[512];
    snprintf(images, sizeof images, "%s/imagesTr", scratch_path(state, "set"));
    int n_cases = 0;
    const char *masks = scratch_path(state, "masks");
    assert_int_equal(adele_predict(run, NULL, images, masks, &n_cases), ADELE_OK);
    struct file_list list;
    assert_int_equal(file_list_directory(masks, &list), ADELE_OK);
    assert_int_equal(list.n, n_cases);
    file_list_deinit(&list);

    // Neither onto the images nor onto the maps of before.
    assert_int_equal(adele_predict(run, "cpu", images, images, &n_cases), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "would fall into"));
    assert_int_equal(adele_predict(run, "cpu", images, masks, &n_cases), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "is there already"));

    assert_int_equal(adele_export_labels(run, -1, scratch_path(state, "labels")), ADELE_OK);
    assert_true(file_exists(scratch_path(state, "labels/changes.csv")));
}

static int stop_at_once(void *context) {
    ++*(int *)context;
    return 1;
}

static void test_stop(void **state) {
    int n_asked = 0;
    struct adele_train_options options = {.config = write_inputs(state),
                                          .run_folder = scratch_path(state, "run"),
                                          .should_stop = stop_at_once,
                                          .context = &n_asked};
    struct adele_train_result result;
    assert_int_equal(adele_train(&options, &result), ADELE_INTERRUPTED);
    assert_int_equal(n_asked, 1);
    assert_int_equal(result.n_epochs, 0);
}

static void test_errors(void **state) {
    struct adele_train_options options = {.config = scratch_path(state, "none.yaml"),
                                          .run_folder = scratch_path(state, "run")};
    struct adele_train_result result;
    assert_int_not_equal(adele_train(&options, &result), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), "none.yaml"));
    struct adele_score score;
    assert_int_equal(adele_evaluate("x", "cpu", NULL, "all", &score), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "'all'"));
    assert_string_not_equal(adele_error_hint(), "");
}

// f(t) = 0.8 (1 - exp(-t)) flattens at once; a constant series never says anything.
static void test_onset(void **state) {
    (void)state;
    double iou[12];
    for (int i = 0; i < 12; i++)
        iou[i] = 0.8 * (1.0 - exp(-(i * 12.0 / 11.0)));
    struct adele_onset onset;
    adele_find_onset(iou, 12, 40, 0.9, &onset);
    assert_true(onset.is_known);
    // The first values rise by more than 0.1, so nothing is cut, and f'(4) is 0.05 of f'(1).
    assert_int_equal(onset.epoch, 4);
    assert_true(fabs(onset.a - 0.8) < 1e-3);
    for (int i = 0; i < 12; i++)
        iou[i] = 0.5;
    adele_find_onset(iou, 12, 40, 0.9, &onset);
    assert_false(onset.is_known);
}

static void test_version(void **state) {
    (void)state;
    assert_int_equal(strspn(adele_version(), "0123456789."), strlen(adele_version()));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_train_evaluate_predict_export, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_stop, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_errors, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_onset),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
