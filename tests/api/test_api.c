// SPDX-License-Identifier: MIT
// The public API as a program that embeds the library uses it: nothing but adele/adele.h is called.
// test_train.c has training, test_model.c what an opened model does.
#include "adele/adele.h"

#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define N_EPOCHS 4

static int setup(void **state) {
    static const char *const sets[] = {"train.epochs=4"};
    struct adele_train_result result;
    if (tiny_run_setup(state) != 0)
        return -1;
    const struct adele_train_options options = {.config = tiny_run_config_file(state),
                                                .sets = sets,
                                                .n_sets = 1,
                                                .run_folder = scratch_path(state, "run"),
                                                .device = "cpu"};
    if (adele_train(&options, &result) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return 0;
}

// ---- data sets and runs -------------------------------------------------------------------------

static void test_check(void **state) {
    struct adele_data data = {.root = scratch_path(state, "set")};
    struct adele_check_report *report = NULL;
    assert_int_equal(adele_check(&data, &report), ADELE_OK);
    assert_string_equal(report->root, data.root);
    assert_int_equal(report->n_errors, 0);
    assert_true(report->n_files >= 2 * (TINY_SET_TRAIN + TINY_SET_VAL + TINY_SET_TEST));
    adele_check_report_destroy(report);

    // Labels of four cases that are not there: one by one, and told once.
    data.noisy_labels = scratch_path(state, "empty");
    assert_int_equal(file_make_directory(data.noisy_labels), ADELE_OK);
    assert_int_equal(adele_check(&data, &report), ADELE_OK);
    assert_true(report->n_errors >= 4 && report->n_groups < report->n_problems);
    assert_int_equal(report->n_errors + report->n_warnings, report->n_problems);
    int n = 0;
    for (int i = 0; i < report->n_groups; i++)
        n += report->groups[i].n;
    assert_int_equal(n, report->n_problems);
    assert_string_not_equal(report->problems[0].text, "");
    adele_check_report_destroy(report);

    data.layout = "folders";
    assert_int_equal(adele_check(&data, &report), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "'folders'"));
    assert_int_equal(strncmp(adele_error_hint(), "Use auto, ", 10), 0);
#define ASSERT_NAMED(id, name) assert_non_null(strstr(adele_error_hint(), #name));
    ADELE_LAYOUTS(ASSERT_NAMED)
#undef ASSERT_NAMED
    assert_non_null(strstr(adele_error_hint(), " or "));
    assert_int_equal(adele_check(&(struct adele_data){0}, &report), ADELE_INVALID_ARGUMENT);
    assert_null(report);
}

// What is given wins over the configuration, whatever the path looks like in YAML.
static void test_data_over_config(void **state) {
    static const char *const names[] = {"set #2", "a: b", "[x]", "it's"};
    struct adele_check_report *report = NULL;
    for (int i = 0; i < 4; i++) {
        struct adele_data data = {.root = scratch_path(state, names[i]),
                                  .config = tiny_run_config_file(state)};
        assert_int_equal(symlink(scratch_path(state, "set"), data.root), 0);
        assert_int_equal(adele_check(&data, &report), ADELE_OK);
        assert_string_equal(report->root, data.root);
        adele_check_report_destroy(report);
    }
    // A layout that the data set does not have, and one that asks to detect it again.
    const char *config = scratch_path(state, "voc.yaml");
    char *yaml = memory_printf("data:\n  root: %s\n  layout: voc\n", scratch_path(state, "set"));
    assert_int_equal(file_write(config, yaml, strlen(yaml)), ADELE_OK);
    memory_free(yaml);
    struct adele_data data = {.config = config};
    assert_int_not_equal(adele_check(&data, &report), ADELE_OK);
    data.layout = "auto";
    assert_int_equal(adele_check(&data, &report), ADELE_OK);
    adele_check_report_destroy(report);
}

// A configuration that no training would begin with: the user learns it before the training.
static void test_check_refuses_what_train_refuses(void **state) {
    struct adele_check_report *report = NULL;
    const char *config = scratch_path(state, "unread.yaml");
    char *yaml = memory_printf("data: {root: %s}\ntrain: {optimizer: {betas: [0.8, 0.99]}}\n",
                               scratch_path(state, "set"));
    assert_int_equal(file_write(config, yaml, strlen(yaml)), ADELE_OK);
    memory_free(yaml);
    assert_int_equal(adele_check(&(struct adele_data){.config = config}, &report), ADELE_CONFIG);
    assert_null(report);
    assert_non_null(strstr(adele_error_message(), "train.optimizer.betas is set"));
}

static void test_noise(void **state) {
    struct adele_data data = {.root = scratch_path(state, "set")};
    struct adele_noise_options options;
    struct adele_noise_report *report = NULL;
    adele_noise_options_init(&options);
    options.output = scratch_path(state, "noise");
    options.target_miou = 0.8;
    assert_int_equal(adele_noise(&data, &options, &report), ADELE_OK);
    assert_int_equal(report->n_images, TINY_SET_TRAIN);
    assert_string_equal(report->class_names[1], "disc");
    assert_true(fabs(report->miou_foreground - 0.8) <= 0.01);
    assert_true(fabs(0.5 * (report->iou[1] + report->iou[2]) - report->miou_foreground) < 1e-12);
    adele_noise_report_destroy(report);
    assert_int_equal(adele_noise(&data, &options, &report), ADELE_INVALID_ARGUMENT); // is there
    options.overwrite = 1;
    assert_int_equal(adele_noise(&data, &options, &report), ADELE_OK);
    adele_noise_report_destroy(report);

    options.kind = "salt";
    assert_int_equal(adele_noise(&data, &options, &report), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "'salt'"));
    adele_noise_options_init(&options);
    options.output = scratch_path(state, "noise");
    options.iterations_low = 5; // above the default of the other end
    assert_int_equal(adele_noise(&data, &options, &report), ADELE_INVALID_ARGUMENT);
    adele_noise_options_init(&options);
    options.output = scratch_path(state, "shapes");
    options.kind = "boundary";
    options.outward = -0.5;
    assert_int_equal(adele_noise(&data, &options, &report), ADELE_INVALID_ARGUMENT);
    options.outward = 1;
    assert_int_equal(adele_noise(&data, &options, &report), ADELE_OK);
    assert_true(report->miou_foreground < 1.0);
    adele_noise_report_destroy(report);
    report = NULL;
    options.kind = "coarse"; // into the same folder
    assert_int_equal(adele_noise(&data, &options, &report), ADELE_INVALID_ARGUMENT);
    assert_null(report);
}

static void test_labels_and_report(void **state) {
    struct adele_labels_options labels = {.run_folder = scratch_path(state, "run"),
                                          .output = scratch_path(state, "labels")};
    assert_int_equal(adele_labels(&labels), ADELE_OK);
    assert_true(file_exists(scratch_path(state, "labels/changes.csv")));
    labels.output = scratch_path(state, "labels of epoch 3");
    labels.epoch = 3;
    assert_int_equal(adele_labels(&labels), ADELE_OK);
    labels.epoch = 0;
    labels.checkpoint = "newest";
    assert_int_equal(adele_labels(&labels), ADELE_INVALID_ARGUMENT);
    const char *run = scratch_path(state, "run"), *output = scratch_path(state, "short");
    assert_int_equal(adele_export_labels(run, -1, output), ADELE_OK);

    char *table = NULL;
    struct adele_report_options report = {
        .n_runs = 1, .runs = &run, .output = scratch_path(state, "report")};
    assert_int_equal(adele_report(&report, &table), ADELE_OK);
    assert_non_null(strstr(table, "run"));
    adele_free(table);
    assert_true(file_exists(scratch_path(state, "report/run_onset.svg")));
    assert_int_equal(adele_report(&report, NULL), ADELE_INVALID_ARGUMENT); // is there
    table = (char *)"a text that is not the library's";
    report.n_runs = 0;
    assert_int_equal(adele_report(&report, &table), ADELE_INVALID_ARGUMENT);
    assert_null(table);
    report.n_runs = 1;
    report.runs = NULL;
    assert_int_equal(adele_report(&report, NULL), ADELE_INVALID_ARGUMENT);
}

// ---- onsets -------------------------------------------------------------------------------------

// f(t) = 0.8 (1 - exp(-t)) flattens at once; a constant series has no onset.
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

static void test_onset_read(void **state) {
    struct adele_onset_list *list = NULL;
    assert_int_equal(adele_onset_read(scratch_path(state, "run/onset.json"), &list), ADELE_OK);
    assert_int_equal(list->n, 2);
    assert_string_equal(list->series[0].name, "disc");
    assert_string_equal(list->series[0].pipeline, "segthor");
    assert_int_equal(list->series[1].n, N_EPOCHS);
    adele_onset_list_destroy(list);

    const char *text = "[{\"pipeline\": \"voc\", \"iou\": [0.1, \"x\"]}]";
    const char *path = scratch_path(state, "series.json");
    assert_int_equal(file_write(path, text, strlen(text)), ADELE_OK);
    assert_int_equal(adele_onset_read(path, &list), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "series.json: series 0: value 1"));
    assert_null(list);
}

// ---- the build and its devices ------------------------------------------------------------------

static void test_device(void **state) {
    (void)state;
    struct adele_device_info info;
    assert_int_equal(strspn(adele_version(), "0123456789."), strlen(adele_version()));
    assert_string_not_equal(adele_compiler(), "");
    assert_int_equal(adele_device_describe("cpu", &info), ADELE_OK);
    assert_memory_equal(info.description, "cpu", 3);
    assert_string_not_equal(info.instruction_set, "");
    assert_true(info.free_bytes > 0);
    assert_string_equal(info.selftest, "");
    assert_int_equal(adele_device_describe(NULL, &info), ADELE_OK); // "auto"
    assert_string_not_equal(info.description, "");
    assert_int_not_equal(adele_device_describe("abacus", &info), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), "abacus"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_data_over_config),
        cmocka_unit_test(test_check_refuses_what_train_refuses),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_labels_and_report),
        cmocka_unit_test(test_onset),
        cmocka_unit_test(test_onset_read),
        cmocka_unit_test(test_device),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
