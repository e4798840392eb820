// SPDX-License-Identifier: MIT
// Training as a program that embeds the library does it: nothing but adele/adele.h is called.
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

static adele_status train(void *const *state, const char *run, int resume, struct seen *seen,
                          struct adele_train_result *result) {
    static const char *const sets[] = {"train.epochs=4", "train.evaluate_test=false"};
    struct adele_train_options options = {.config = tiny_run_config_file(state),
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
    struct adele_train_options options = {.config = tiny_run_config_file(state),
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
    struct adele_train_options options = {.config = tiny_run_config_file(state),
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
    options.config = tiny_run_config_file(state);
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
    struct adele_train_options options = {.config = tiny_run_config_file(state),
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
    options.config = tiny_run_config_file(state);
    options.run_folder = longest;
    assert_int_equal(adele_train(&options, &result), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "4096 bytes"));
    assert_string_equal(result.run_folder, "");
    // A folder that holds a run is refused before its log is touched.
    options.config = tiny_run_config_file(state);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callbacks),   cmocka_unit_test(test_stop_after_epoch),
        cmocka_unit_test(test_should_stop), cmocka_unit_test(test_one_log),
        cmocka_unit_test(test_dry_run),     cmocka_unit_test(test_train_errors),
        cmocka_unit_test(test_config_keys),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
