// SPDX-License-Identifier: MIT
// Literal records of runs, and the warnings that follow from them; then a run of the program.
#include "run/unpredicted.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N_EPOCHS 14

static char lines[4096];

static void keep_line(void *context, enum log_level level, const char *line) {
    (void)context;
    size_t used = strlen(lines);
    (void)snprintf(lines + used, sizeof lines - used, "%s%s\n",
                   level == LOG_WARNING ? "warning: " : "", line);
}

// What epoch `epoch` says of a class with these IoUs of the epochs so far; below 0: the class was
// neither labelled nor predicted, and has none.
static const char *lines_of(void *const *state, const struct config *config, int epoch,
                            const double *iou, int64_t n_predicted, int64_t n_labelled) {
    char *names[] = {"background", "leaf"};
    int64_t counts[3 * 256] = {[0] = 50, [256] = 50, [257] = n_predicted, [513] = n_labelled};
    struct metrics *metrics = NULL;
    check_ok(metrics_open(*state, 0, &metrics));
    for (int e = 1; e <= epoch; e++) {
        check_ok(metrics_begin(metrics, e, e));
        if (iou[e - 1] >= 0)
            check_ok(metrics_add(metrics, iou[e - 1], "train/pred_vs_noisy/iou/%s", names[1]));
        check_ok(metrics_end(metrics));
    }
    lines[0] = '\0';
    log_set_sink(keep_line, NULL);
    adele_status status = unpredicted_warn(&(struct unpredicted_classes){
        config, metrics, epoch, sizeof names / sizeof *names, names, counts});
    log_set_sink(NULL, NULL);
    metrics_close(metrics);
    check_ok(status);
    return lines;
}

static void a_class_is_named_once(void **state) {
    const double sunk[N_EPOCHS] = {0.09, 0.13, 0.02};
    const double back[N_EPOCHS] = {0, 0, 0, 0, 0.1}; // zero again from epoch 6 on
    const double twice[N_EPOCHS] = {0, 0, 0, 0, 0, 0, 0.2};
    const double absent[N_EPOCHS] = {0, 0, -1, 0, 0, 0, 0, 0};
    struct config *config = tiny_run_config(state, SETS("train.optimizer.lr=0.01"));
    for (int epoch = 1; epoch <= N_EPOCHS; epoch++) {
        assert_true((lines_of(state, config, epoch, sunk, 0, 9)[0] != '\0') == (epoch == 8));
        assert_true((lines_of(state, config, epoch, back, 0, 9)[0] != '\0') == (epoch == 10));
        assert_true((lines_of(state, config, epoch, twice, 0, 9)[0] != '\0') == (epoch == 5));
        assert_true((lines_of(state, config, epoch, absent, 0, 9)[0] != '\0') == (epoch == 8));
        // Predicted at the wrong places, or not labelled in this epoch.
        assert_string_equal(lines_of(state, config, epoch, sunk, 1, 9), "");
        assert_string_equal(lines_of(state, config, epoch, sunk, 0, 0), "");
    }
    assert_string_equal(
        lines_of(state, config, 8, sunk, 0, 9),
        "warning: the network predicts no leaf in any training image since epoch 4: raise "
        "train.optimizer.lr (0.01), or train longer; train.optimizer.name: adamw with a rate of "
        "0.001 takes fewer epochs on small sets\n");
    config_destroy(config);
}

static void the_advice_is_of_the_optimizer(void **state) {
    const double none[5] = {0};
    struct config *config = tiny_run_config(state, SETS("train.optimizer.lr=0.00002"));
    config->correction.method = METHOD_ENSEMBLE; // which was measured with sgd
    assert_string_equal(lines_of(state, config, 5, none, 0, 9),
                        "warning: the network predicts no leaf in any training image since epoch "
                        "1: raise train.optimizer.lr (2e-05), or train longer\n");
    config->correction.method = METHOD_ADELE;
    config->train.optimizer = OPTIMIZER_ADAMW;
    assert_string_equal(lines_of(state, config, 5, none, 0, 9),
                        "warning: the network predicts no leaf in any training image since epoch "
                        "1: try another train.optimizer.lr (2e-05), or train longer\n");
    config_destroy(config);
}

// ---- the program --------------------------------------------------------------------------------

#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

static void assert_says(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in\n%s", part, text);
}

static void assert_in_file(const char *path, const char *part) {
    char *text = NULL;
    size_t bytes;
    check_ok(file_read(path, 0, &text, &bytes));
    assert_says(text, part);
    memory_free(text);
}

static void assert_success(const struct program_result *result) {
    if (result->code != 0)
        fail_msg("exit code %d\n%s%s", result->code, result->out, result->err);
}

static void assert_other_verbs_say_it(void *const *state, const char *run) {
    struct program_result result;
    char folder[4200];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "report"));
    ADELE(&result, "report", run, "-o", folder);
    assert_success(&result);
    program_result_deinit(&result);
    assert_in_file(scratch_path(state, "report/report.html"),
                   "<li>disc: never corrected, because the network has not learned it: ");
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "audit"));
    ADELE(&result, "audit", run, "--device", "cpu", "-o", folder);
    assert_success(&result);
    assert_says(result.err, "warning: the network predicts disc in no pixel of these images, ");
    assert_says(result.err, "warning: the network predicts box in no pixel of these images, ");
    program_result_deinit(&result);
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "labels"));
    ADELE(&result, "labels", run, "-o", folder);
    assert_success(&result);
    assert_says(result.out, "not learned, predicted almost nowhere: disc, box\n");
    program_result_deinit(&result);
}

// A loss that leaves the pixels of both classes out teaches the network the background alone.
static void a_run_that_learns_nothing_says_so(void **state) {
    struct program_result result;
    char config[4200], run[4200], log[4200];
    char *text = tiny_set_config(scratch_path(state, "set"), NULL);
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "nothing"));
    (void)snprintf(log, sizeof log, "%s", scratch_path(state, "nothing/log.txt"));
    check_ok(file_write(config, text, strlen(text)));
    memory_free(text);
    ADELE(&result, "train", config, "--run", run, "--device", "cpu", "--set", "train.epochs=14",
          "--set", "loss.class_weights=[1, 0, 0]");
    assert_success(&result);
    const char *warning = "warning: the network predicts no disc in any training image since epoch";
    assert_says(result.err, warning);
    assert_null(strstr(strstr(result.err, warning) + 1, warning));
    assert_says(result.err, "warning: the network predicts no box in any training image since ");
    assert_in_file(log, "the network predicts no disc in any training image since epoch");
    assert_says(result.out,
                "2 of 2 classes were never corrected:\n  disc: never corrected, because "
                "the network has not learned it: ");
    program_result_deinit(&result);
    assert_other_verbs_say_it(state, run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_class_is_named_once),
        cmocka_unit_test(the_advice_is_of_the_optimizer),
        cmocka_unit_test(a_run_that_learns_nothing_says_so),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
