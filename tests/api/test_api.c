// SPDX-License-Identifier: MIT
// The public API as a program that embeds the library uses it: nothing but adele/adele.h is called.
// test_model.c has what an opened model does.
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

struct lines {
    int n_lines, n_warnings;
};

static void count_line(void *context, enum adele_log_level level, const char *line) {
    struct lines *lines = context;
    assert_non_null(line);
    lines->n_lines++;
    lines->n_warnings += level == ADELE_LOG_WARNING;
}

// What the callbacks of a training have seen.
struct seen {
    int n_steps, n_epochs, stop_after; // stop_after 0: never
    struct adele_epoch last;
    double val_iou[3];
    int64_t n_corrected;
};

static void see_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    struct seen *seen = context;
    assert_int_equal(epoch, seen->n_epochs + 1);
    assert_int_equal(n_epochs, N_EPOCHS);
    assert_true(step >= 1 && step <= n_steps);
    seen->n_steps++;
}

static int see_epoch(void *context, const struct adele_epoch *epoch) {
    struct seen *seen = context;
    seen->n_epochs++;
    assert_int_equal(epoch->epoch, seen->n_epochs);
    assert_int_equal(epoch->n_classes, 3);
    assert_string_equal(epoch->class_names[2], "box");
    assert_true(isfinite(epoch->loss) && epoch->seconds > 0.0);
    assert_true(isfinite(epoch->train.foreground) && epoch->train.classes != NULL);
    assert_null(epoch->test.classes); // train.evaluate_test is off
    assert_true(isnan(epoch->test.mean));
    seen->last = *epoch;
    memcpy(seen->val_iou, epoch->val.classes, sizeof seen->val_iou);
    seen->n_corrected += epoch->n_corrected_pixels;
    return epoch->epoch == seen->stop_after;
}

// The configuration's path in the scratch folder of tiny_run_setup.
static const char *write_config(void *const *state) {
    char *yaml = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    const char *config = scratch_path(state, "config.yaml");
    assert_int_equal(file_write(config, yaml, strlen(yaml)), ADELE_OK);
    memory_free(yaml);
    return config;
}

static adele_status train(void *const *state, const char *run, int resume, struct seen *seen,
                          struct adele_train_result *result) {
    static const char *const sets[] = {"train.epochs=4", "train.evaluate_test=false"};
    struct adele_train_options options = {.config = write_config(state),
                                          .sets = sets,
                                          .n_sets = 2,
                                          .run_folder = scratch_path(state, run),
                                          .resume = resume,
                                          .device = "cpu",
                                          .keep_log = 1,
                                          .on_step = see_step,
                                          .on_epoch = see_epoch,
                                          .context = seen};
    return adele_train(&options, result);
}

static int setup(void **state) {
    struct seen seen = {0};
    struct adele_train_result result;
    if (tiny_run_setup(state) != 0)
        return -1;
    if (train(state, "run", 0, &seen, &result) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return 0;
}

// ---- training -----------------------------------------------------------------------------------

static void test_callbacks(void **state) {
    struct seen seen = {0};
    struct lines lines = {0, 0};
    struct adele_train_result result;
    adele_log_to(count_line, &lines);
    assert_int_equal(train(state, "callbacks", 0, &seen, &result), ADELE_OK);
    adele_log_to(NULL, NULL);
    assert_true(lines.n_lines > N_EPOCHS);
    assert_int_equal(result.n_epochs, N_EPOCHS);
    assert_string_equal(result.run_folder, scratch_path(state, "callbacks"));
    assert_int_equal(seen.n_epochs, N_EPOCHS);
    assert_int_equal(seen.n_steps, N_EPOCHS * 5); // 18 images in batches of 4
    assert_true(seen.last.val.foreground == result.val_miou);
    assert_true(seen.last.val.foreground == 0.5 * (seen.val_iou[1] + seen.val_iou[2]));
    // The corrected pixels are those of the run's own records.
    double n_corrected = 0.0;
    for (int epoch = 1; epoch <= N_EPOCHS; epoch++)
        n_corrected += tiny_run_metric(state, "callbacks", epoch, "correction/changed_pixels");
    assert_true(n_corrected > 0.0 && (double)seen.n_corrected == n_corrected);
    // The run keeps the log, too.
    char *log = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(scratch_path(state, "callbacks/log.txt"), 0, &log, &bytes),
                     ADELE_OK);
    assert_non_null(strstr(log, " s  epoch 4: loss "));
    memory_free(log);
}

// A callback that asks to stop leaves a run that resumes to the same bytes.
static void test_stop_after_epoch(void **state) {
    struct seen seen = {.stop_after = 2};
    struct adele_train_result result;
    assert_int_equal(train(state, "stopped", 0, &seen, &result), ADELE_INTERRUPTED);
    assert_non_null(strstr(adele_error_message(), "after epoch 2"));
    assert_int_equal(result.n_epochs, 2);
    seen.stop_after = N_EPOCHS; // after the last epoch there is nothing to stop
    assert_int_equal(train(state, "stopped", 1, &seen, &result), ADELE_OK);
    assert_int_equal(result.n_epochs, N_EPOCHS);
    tiny_run_assert_same(state, "run", "stopped");
}

static int stop_at_once(void *context) {
    ++*(int *)context;
    return 1;
}

static void test_should_stop(void **state) {
    int n_asked = 0;
    struct adele_train_options options = {.config = write_config(state),
                                          .run_folder = scratch_path(state, "interrupted"),
                                          .should_stop = stop_at_once,
                                          .context = &n_asked};
    struct adele_train_result result;
    assert_int_equal(adele_train(&options, &result), ADELE_INTERRUPTED);
    assert_int_equal(n_asked, 1);
    assert_int_equal(result.n_epochs, 0);
}

// Within a training: a second one that would keep a log, too, and another function for the lines.
struct nested {
    void *const *state;
    struct lines lines;
    adele_status status;
};

static int train_another(void *context, const struct adele_epoch *epoch) {
    struct nested *nested = context;
    const char *run = scratch_path(nested->state, "second log");
    struct adele_train_options options = {.config = scratch_path(nested->state, "config.yaml"),
                                          .run_folder = run,
                                          .device = "cpu",
                                          .keep_log = 1};
    struct adele_train_result result;
    if (epoch->epoch == 1)
        nested->status = adele_train(&options, &result);
    adele_log_to(count_line, &nested->lines);
    return epoch->epoch == 2;
}

static void test_one_log(void **state) {
    struct nested nested = {.state = state};
    struct adele_train_options options = {.config = write_config(state),
                                          .run_folder = scratch_path(state, "first log"),
                                          .device = "cpu",
                                          .keep_log = 1,
                                          .on_epoch = train_another,
                                          .context = &nested};
    struct adele_train_result result;
    assert_int_equal(adele_train(&options, &result), ADELE_INTERRUPTED);
    assert_int_equal(nested.status, ADELE_INVALID_ARGUMENT);
    assert_false(file_exists(scratch_path(state, "second log/log.txt")));
    assert_true(nested.lines.n_lines > 0);
    char *log = NULL;
    size_t bytes = 0;
    const char *path = scratch_path(state, "first log/log.txt");
    assert_int_equal(file_read(path, 0, &log, &bytes), ADELE_OK);
    assert_non_null(strstr(log, " s  epoch 2: loss ")); // after the function was changed
    memory_free(log);
    // The next run may keep one again; only the function of the program goes on.
    int n_lines = nested.lines.n_lines;
    options.config = write_config(state);
    options.run_folder = scratch_path(state, "second log");
    options.keep_log = 0;
    options.on_epoch = NULL;
    options.should_stop = stop_at_once;
    options.context = &(int){0};
    assert_int_equal(adele_train(&options, &result), ADELE_INTERRUPTED);
    assert_true(nested.lines.n_lines > n_lines);
    adele_log_to(NULL, NULL);
    options.run_folder = scratch_path(state, "third log");
    options.keep_log = 1;
    assert_int_equal(adele_train(&options, &result), ADELE_INTERRUPTED);
    assert_true(file_exists(scratch_path(state, "third log/log.txt")));
}

struct dry {
    int n_starts, n_batches, n_configured;
};

static void see_dry_start(void *context, const struct adele_train_start *start) {
    ((struct dry *)context)->n_starts++;
    assert_int_equal(start->train.n_cases, 18);
    assert_null(start->run_folder);
}

static void see_batch(void *context, const struct adele_train_batch *batch) {
    struct dry *dry = context;
    dry->n_batches++;
    dry->n_configured += batch->is_configured;
    assert_true(batch->fits && batch->step_seconds > 0.0);
}

static void test_dry_run(void **state) {
    static const char *const sets[] = {"train.batch=16"};
    struct dry dry = {0};
    struct adele_train_options options = {.config = write_config(state),
                                          .sets = sets,
                                          .n_sets = 1,
                                          .run_folder = scratch_path(state, "dry"),
                                          .device = "cpu",
                                          .keep_log = 1,
                                          .on_start = see_dry_start,
                                          .context = &dry};
    assert_int_equal(adele_train_dry_run(&options, see_batch), ADELE_OK);
    assert_int_equal(dry.n_starts, 1);
    assert_int_equal(dry.n_batches, 4); // 2, 4, 8, 16
    assert_int_equal(dry.n_configured, 1);
    assert_false(file_exists(scratch_path(state, "dry")));
    options.should_stop = stop_at_once;
    options.on_start = NULL;
    options.context = &(int){0};
    assert_int_equal(adele_train_dry_run(&options, NULL), ADELE_INTERRUPTED);
    options.resume = 1;
    assert_int_equal(adele_train_dry_run(&options, NULL), ADELE_INVALID_ARGUMENT);
    assert_int_equal(adele_train_dry_run(&(struct adele_train_options){0}, NULL),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "configuration"));
}

static void test_train_errors(void **state) {
    struct adele_train_options options = {.config = scratch_path(state, "none.yaml"),
                                          .run_folder = scratch_path(state, "failed")};
    struct adele_train_result result;
    assert_int_not_equal(adele_train(&options, &result), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), "none.yaml"));
    assert_string_equal(result.run_folder, "");
    options.config = NULL;
    assert_int_equal(adele_train(&options, &result), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "configuration"));
    // A path that the result cannot hold is refused, not cut.
    static char longest[4097];
    memset(longest, 'a', sizeof longest - 1);
    options.config = write_config(state);
    options.run_folder = longest;
    assert_int_equal(adele_train(&options, &result), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "4096 bytes"));
    assert_string_equal(result.run_folder, "");
    // A folder that holds a run is refused before its log is touched.
    options.config = write_config(state);
    options.run_folder = scratch_path(state, "run");
    options.keep_log = 1;
    assert_int_equal(adele_train(&options, &result), ADELE_RUN_EXISTS);
    assert_string_not_equal(adele_error_hint(), "");
}

static void test_config_keys(void **state) {
    (void)state;
    struct adele_config_key key;
    int n = 0, n_free = 0, n_named = 0;
    for (; adele_config_key(n, &key); n++) {
        assert_non_null(key.meaning);
        n_free += key.may_change;
        bool is_epochs = strcmp(key.name, "train.epochs") == 0;
        if (is_epochs || strcmp(key.name, "train.seed") == 0) {
            assert_int_equal(key.may_change, is_epochs);
            n_named++;
        }
    }
    assert_int_equal(n_named, 2);
    assert_true(n > 50 && n_free > 5 && n_free < n);
    assert_false(adele_config_key(-1, &key));
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
    assert_int_equal(adele_check(&(struct adele_data){0}, &report), ADELE_INVALID_ARGUMENT);
    assert_null(report);
}

// What is given wins over the configuration, whatever the path looks like in YAML.
static void test_data_over_config(void **state) {
    static const char *const names[] = {"set #2", "a: b", "[x]", "it's"};
    struct adele_check_report *report = NULL;
    for (int i = 0; i < 4; i++) {
        struct adele_data data = {.root = scratch_path(state, names[i]),
                                  .config = write_config(state)};
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
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_stop_after_epoch),
        cmocka_unit_test(test_should_stop),
        cmocka_unit_test(test_one_log),
        cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_train_errors),
        cmocka_unit_test(test_config_keys),
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
