// SPDX-License-Identifier: MIT
// The verbs train, evaluate and compare as a person runs them: messages, and the files that they
// leave.
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "support/cli_run.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void train_leaves_a_log(void **state) {
    char *text = NULL;
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, "run/log.txt"), 0, &text, &bytes));
    assert_non_null(strstr(text, "device: cpu"));
    assert_non_null(strstr(text, "epoch 4: loss "));
    memory_free(text);
    assert_there(state, "run/events.out.tfevents.0.adele");
}

static void evaluate_writes_the_documented_json(void **state) {
    static const char *const keys[] = {"split", "images",          "classes", "iou",
                                       "miou",  "miou_foreground", "dice",    "dice_foreground",
                                       "cases"};
    struct program_result result;
    cJSON *json = NULL;
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--json", scratch_path(state, "e.json"),
          "--save-masks", scratch_path(state, "masks"));
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "test split, 3 images"));
    program_result_deinit(&result);
    check_ok(json_read(scratch_path(state, "e.json"), &json));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_true(cJSON_HasObjectItem(json, keys[i]));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "iou")), 3);
    // The run's own evaluation of the same network on the same split.
    double miou = cJSON_GetObjectItem(json, "miou_foreground")->valuedouble;
    double own = tiny_run_metric(state, "run", 4, "test/pred_vs_true/miou_foreground");
    if (!(fabs(miou - own) <= 1e-12))
        fail_msg("evaluate: %.15g, the run: %.15g", miou, own);
    cJSON_Delete(json);
    assert_there(state, "masks/test_000.png");
    ADELE(&result, "evaluate", scratch_path(state, "run/checkpoints/best.safetensors"), "--split",
          "val", "--data", scratch_path(state, "set"), "--scales", "0.75,1,1.5", "--flip");
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "val split, 3 images"));
    program_result_deinit(&result);
}

// Evaluates scratch/run into scratch/NAME, with the flip or without.
static void write_scores(void *const *state, const char *name, const char *option) {
    struct program_result result;
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--csv", scratch_path(state, name),
          "--overwrite", option);
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "case by case"));
    program_result_deinit(&result);
}

static void evaluate_writes_a_row_a_case_and_class(void **state) {
    char *text = NULL;
    size_t bytes = 0;
    int n_rows = 0;
    write_scores(state, "cases.csv", "--split=test");
    check_ok(file_read(scratch_path(state, "cases.csv"), 0, &text, &bytes));
    assert_int_equal(strncmp(text, "case,class,unit,", strlen("case,class,unit,")), 0);
    for (const char *at = strchr(text, '\n'); at && at[1]; at = strchr(at + 1, '\n'))
        n_rows++;
    assert_int_equal(n_rows, 3 * 3); // cases and classes
    assert_non_null(strstr(text, "\ntest_000,background,px,"));
    assert_non_null(strstr(text, "\ntest_002,"));
    assert_null(strstr(text, "nan"));
    memory_free(text);
}

static void compare_reads_runs_and_files(void **state) {
    struct program_result result;
    char folder[4096], file[4096];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "run"));
    (void)snprintf(file, sizeof file, "%s", scratch_path(state, "flip.csv"));
    write_scores(state, "flip.csv", "--flip");
    ADELE(&result, "compare", folder, file);
    assert_non_null(strstr(result.err, "hint: Write it: adele evaluate "));
    assert_error(&result, "run/scores.csv: not there");
    write_scores(state, "run/scores.csv", "--split=test");
    ADELE(&result, "compare", folder, file);
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "3 cases\n"));
    assert_non_null(strstr(result.out, "mean foreground"));
    program_result_deinit(&result);
    write_scores(state, "val.csv", "--split=val");
    ADELE(&result, "compare", folder, scratch_path(state, "val.csv"));
    assert_non_null(strstr(result.err, "3 cases in "));
    assert_error(&result, "alone: val_000, val_001, val_002");
    ADELE(&result, "evaluate", folder, "--json", file, "--csv", file);
    assert_error(&result, "would be JSON and CSV");
    ADELE(&result, "compare", folder, file, file);
    assert_failed(&result, 2, "unexpected argument");
    ADELE(&result, "compare", scratch_path(state, "tiny.yaml"), file);
    assert_error(&result, "tiny.yaml, row 1: ");
}

static void a_crf_changes_what_is_scored(void **state) {
    struct program_result result;
    cJSON *json = NULL;
    double miou[2];
    for (int i = 0; i < 2; i++) {
        ADELE(&result, "evaluate", scratch_path(state, "run"), "--overwrite", "--json",
              scratch_path(state, "crf.json"), i == 0 ? "--crf" : "--crf=2");
        assert_code(&result, 0);
        program_result_deinit(&result);
        check_ok(json_read(scratch_path(state, "crf.json"), &json));
        miou[i] = cJSON_GetObjectItem(json, "miou_foreground")->valuedouble;
        assert_true(miou[i] > 0.0 && miou[i] <= 1.0);
        cJSON_Delete(json);
    }
    double without = tiny_run_metric(state, "run", 4, "test/pred_vs_true/miou_foreground");
    if (!(miou[0] != without) || !(miou[1] != without))
        fail_msg("mIoU %.15g and %.15g with a CRF, %.15g without", miou[0], miou[1], without);
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--crf=0");
    assert_code(&result, 2);
    assert_non_null(strstr(result.err, "--crf=0"));
    program_result_deinit(&result);
}

// Images of the network's own size: scores by windows of that size are those without.
static void evaluate_slides_a_window(void **state) {
    struct program_result plain, windows;
    ADELE(&plain, "evaluate", scratch_path(state, "run"));
    assert_code(&plain, 0);
    ADELE(&windows, "evaluate", scratch_path(state, "run"), "--window", "32,28");
    assert_code(&windows, 0);
    assert_string_equal(plain.out, windows.out);
    program_result_deinit(&windows);
    // The network's lowest level has one pixel for 16 x 16.
    ADELE(&windows, "evaluate", scratch_path(state, "run"), "--window", "8,9");
    assert_error(&windows, "windows of 8 x 9 pixels");
    program_result_deinit(&plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_leaves_a_log),
        cmocka_unit_test(evaluate_writes_the_documented_json),
        cmocka_unit_test(evaluate_writes_a_row_a_case_and_class),
        cmocka_unit_test(compare_reads_runs_and_files),
        cmocka_unit_test(a_crf_changes_what_is_scored),
        cmocka_unit_test(evaluate_slides_a_window),
    };
    return cmocka_run_group_tests(tests, cli_run_setup, scratch_teardown);
}
