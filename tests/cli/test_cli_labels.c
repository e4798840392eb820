// SPDX-License-Identifier: MIT
// The verbs labels, report, onset, check and noise as a person runs them: messages, and the files
// that they leave.
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "image/image.h"
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

static void labels_writes_every_training_case(void **state) {
    struct program_result result;
    struct file_list list;
    struct image corrected, noisy;
    char *changes = NULL;
    size_t bytes = 0;
    ADELE(&result, "labels", scratch_path(state, "run"), "-o", scratch_path(state, "labels"));
    assert_code(&result, 0);
    check_ok(file_list_directory(scratch_path(state, "labels/labelsTr"), &list));
    assert_int_equal(list.n, TINY_SET_TRAIN);
    file_list_deinit(&list);
    int n_lines = 0, n_changed = 0, n_changed_cases = 0;
    check_ok(file_read(scratch_path(state, "labels/changes.csv"), 0, &changes, &bytes));
    assert_int_equal(strncmp(changes, "case,slice,changed_pixels,changed_fraction", 42), 0);
    for (size_t i = 0; i < bytes; i++)
        n_lines += changes[i] == '\n';
    assert_int_equal(n_lines, 1 + TINY_SET_TRAIN);
    memory_free(changes);
    for (int i = 0; i < TINY_SET_TRAIN; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "labels/labelsTr/train_%03d.png", i);
        check_ok(image_load_label(scratch_path(state, name), 0, &corrected));
        (void)snprintf(name, sizeof name, "set/noisyTr/train_%03d.png", i);
        check_ok(image_load_label(scratch_path(state, name), 0, &noisy));
        int before = n_changed;
        for (int k = 0; k < 32 * 28; k++)
            n_changed += ((uint8_t *)corrected.pixels)[k] != ((uint8_t *)noisy.pixels)[k];
        n_changed_cases += n_changed > before;
        image_deinit(&corrected);
        image_deinit(&noisy);
    }
    assert_true(n_changed > 0);
    char said[128];
    (void)snprintf(
        said, sizeof said,
        "%d of all %d pixels of the training masks changed (%.2f %%), in %d of %d training cases\n",
        n_changed, TINY_SET_TRAIN * 32 * 28, 100.0 * n_changed / (TINY_SET_TRAIN * 32 * 28),
        n_changed_cases, TINY_SET_TRAIN);
    assert_non_null(strstr(result.err, said));
    program_result_deinit(&result);
    ADELE(&result, "labels", scratch_path(state, "run"), "-o", scratch_path(state, "x"), "--epoch",
          "1");
    assert_non_null(strstr(result.err, "hint: Take one of these epochs: "));
    assert_error(&result, "epoch_0001.safetensors"); // nothing was corrected then
}

static void labels_says_that_nothing_changed(void **state) {
    struct program_result result;
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", scratch_path(state, "plain"),
          "--set", "correction.enabled=false", "--set", "train.epochs=1", "--device", "cpu");
    assert_code(&result, 0);
    program_result_deinit(&result);
    ADELE(&result, "labels", scratch_path(state, "plain"), "-o", scratch_path(state, "same"));
    assert_code(&result, 0);
    assert_non_null(strstr(result.err, "no pixel changed: the labels are those that the run was "
                                       "given\n"));
    assert_non_null(strstr(result.out, "the labels that the run was given are in "));
    program_result_deinit(&result);
}

static void report_draws_the_run(void **state) {
    static const char *const names[] = {"report/comparison.png", "report/comparison.svg",
                                        "report/run_onset.png",  "report/run_onset.svg",
                                        "report/run_panels.png", "report/run_panels.svg",
                                        "report/table.md",       "report/table.csv"};
    struct program_result result;
    ADELE(&result, "report", scratch_path(state, "run"), "-o", scratch_path(state, "report"));
    assert_code(&result, 0);
    program_result_deinit(&result);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_there(state, names[i]);
    struct image picture;
    check_ok(image_load(scratch_path(state, "report/comparison.png"), 0, &picture));
    assert_true(picture.width >= 300 && picture.height >= 200);
    image_deinit(&picture);
}

static void onset_answers_the_golden_file(void **state) {
    struct program_result result;
    cJSON *golden = NULL, *got;
    int n = 0, n_equal = 0;
    const char *path = ADELE_GOLDEN_DIR_DEFAULT "/onset.json";
    ADELE(&result, "onset", path, "--json");
    assert_code(&result, 0);
    got = cJSON_Parse(result.out);
    assert_true(cJSON_IsArray(got));
    check_ok(json_read(path, &golden));
    const cJSON *want, *answer = got->child;
    cJSON_ArrayForEach(want, golden) {
        assert_non_null(answer);
        const cJSON *epoch = cJSON_GetObjectItem(want, "onset_epoch");
        n_equal += cJSON_Compare(epoch, cJSON_GetObjectItem(answer, "onset_epoch"), 1);
        n++;
        answer = answer->next;
    }
    assert_null(answer);
    assert_true(n >= 100 && n_equal >= 0.995 * n);
    cJSON_Delete(golden);
    cJSON_Delete(got);
    program_result_deinit(&result);
    check_ok(file_write(scratch_path(state, "bad.json"), "[{\"pipeline\": 3}]", 17));
    ADELE(&result, "onset", scratch_path(state, "bad.json"));
    assert_non_null(strstr(result.err, "series 0"));
    assert_error(&result, "bad.json");
}

// The same series and the same rule give what the run has written.
static void onset_reads_a_runs_own_file(void **state) {
    struct program_result result;
    cJSON *run = NULL, *got;
    int n = 0;
    char path[4200];
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "run/onset.json"));
    ADELE(&result, "onset", path, "--json");
    assert_code(&result, 0);
    got = cJSON_Parse(result.out);
    program_result_deinit(&result);
    check_ok(json_read(path, &run));
    const cJSON *categories = cJSON_GetObjectItem(run, "categories"), *category;
    assert_int_equal(cJSON_GetArraySize(got), cJSON_GetArraySize(categories));
    cJSON_ArrayForEach(category, categories) {
        const cJSON *answer = cJSON_GetArrayItem(got, n++);
        assert_true(cJSON_Compare(cJSON_GetObjectItem(category, "onset_epoch"),
                                  cJSON_GetObjectItem(answer, "onset_epoch"), 1));
    }
    assert_int_equal(n, 2);
    cJSON_Delete(run);
    cJSON_Delete(got);
    ADELE(&result, "onset", path);
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "  disc\n"));
    assert_non_null(strstr(result.out, "  box\n"));
    program_result_deinit(&result);
    check_ok(file_write(scratch_path(state, "bad.json"), "{\"categories\": 3}", 17));
    ADELE(&result, "onset", scratch_path(state, "bad.json"));
    assert_error(&result, "bad.json");
}

static void check_tells_a_good_set_from_a_bad_one(void **state) {
    struct tiny_set set = tiny_set_default(4);
    struct program_result result;
    struct image label;
    set.n_train = set.n_val = set.n_test = 2;
    tiny_set_write(scratch_path(state, "bad"), &set);
    ADELE(&result, "check", scratch_path(state, "bad"));
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "0 errors"));
    program_result_deinit(&result);
    check_ok(image_load_label(scratch_path(state, "bad/labelsTr/train_001.png"), 0, &label));
    ((uint8_t *)label.pixels)[5 * 28 + 9] = 77;
    check_ok(image_save_png(scratch_path(state, "bad/labelsTr/train_001.png"), &label));
    image_deinit(&label);
    ADELE(&result, "check", scratch_path(state, "bad"));
    assert_code(&result, 1);
    assert_non_null(strstr(result.out, "label_out_of_range"));
    assert_non_null(strstr(result.out, "train_001.png"));
    assert_non_null(strstr(result.out, "77"));
    assert_non_null(strstr(result.out, "1 error,"));
    program_result_deinit(&result);
    ADELE(&result, "check", scratch_path(state, "bad"), "--json");
    assert_code(&result, 1);
    cJSON *json = cJSON_Parse(result.out);
    assert_int_equal(cJSON_GetObjectItem(json, "errors")->valueint, 1);
    cJSON_Delete(json);
    program_result_deinit(&result);
    // Three with the same mistake are one line, and all of them in the JSON.
    static const char *const more[] = {"bad/labelsTr/train_000.png", "bad/labelsTs/test_000.png"};
    for (int i = 0; i < 2; i++) {
        check_ok(image_load_label(scratch_path(state, more[i]), 0, &label));
        ((uint8_t *)label.pixels)[i] = (uint8_t)(70 + i);
        check_ok(image_save_png(scratch_path(state, more[i]), &label));
        image_deinit(&label);
    }
    ADELE(&result, "check", scratch_path(state, "bad"));
    assert_code(&result, 1);
    assert_non_null(strstr(result.out, "error: label_out_of_range: 3 files (first: "));
    assert_non_null(strstr(result.out, "train_000.png: "));
    assert_non_null(strstr(result.out, "; also "));
    assert_non_null(strstr(result.out, "train_001.png"));
    assert_non_null(strstr(result.out, " 3 errors,"));
    program_result_deinit(&result);
    ADELE(&result, "check", scratch_path(state, "bad"), "--json");
    json = cJSON_Parse(result.out);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "problems")), 3);
    cJSON_Delete(json);
    program_result_deinit(&result);
}

// The same seed twice gives the same files, and training takes them as they are.
static void noise_reaches_its_target(void **state) {
    struct program_result result;
    cJSON *json = NULL;
    char set[4200];
    for (int i = 0; i < 2; i++) {
        ADELE(&result, "noise", scratch_path(state, "set"), "-o",
              scratch_path(state, i ? "noise1" : "noise0"), "--kind", "under-over", "--target-miou",
              "0.7", "--seed", "5");
        assert_code(&result, 0);
        assert_non_null(strstr(result.out, "foreground mIoU 0.7"));
        (void)snprintf(set, sizeof set,
                       "next: adele init %s -o own.yaml\n      adele train own.yaml --set "
                       "data.noisy_labels=%s\n",
                       scratch_path(state, "set"), scratch_path(state, i ? "noise1" : "noise0"));
        assert_non_null(strstr(result.out, set));
        program_result_deinit(&result);
    }
    check_ok(json_read(scratch_path(state, "noise0/noise.json"), &json));
    double miou = cJSON_GetObjectItem(json, "miou_foreground")->valuedouble;
    assert_true(fabs(miou - 0.7) <= 0.01);
    cJSON_Delete(json);
    for (int i = 0; i < TINY_SET_TRAIN; i++) {
        char a[64], b[64];
        (void)snprintf(a, sizeof a, "noise0/labelsTr/train_%03d.png", i);
        (void)snprintf(b, sizeof b, "noise1/labelsTr/train_%03d.png", i);
        assert_true(same_bytes(scratch_path(state, a), scratch_path(state, b)));
    }
    (void)snprintf(set, sizeof set, "data.noisy_labels=%s", scratch_path(state, "noise0"));
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", scratch_path(state, "noisy"),
          "--set", set, "--set", "train.epochs=1");
    assert_code(&result, 0);
    program_result_deinit(&result);
    double trained = tiny_run_metric(state, "noisy", 1, "train/labels_vs_true/miou_foreground");
    assert_true(fabs(trained - miou) <= 1e-12);
    ADELE(&result, "noise", scratch_path(state, "set"), "-o", scratch_path(state, "set"));
    assert_error(&result, "would fall into a folder of the data set");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_writes_every_training_case),
        cmocka_unit_test(labels_says_that_nothing_changed),
        cmocka_unit_test(report_draws_the_run),
        cmocka_unit_test(onset_answers_the_golden_file),
        cmocka_unit_test(onset_reads_a_runs_own_file),
        cmocka_unit_test(check_tells_a_good_set_from_a_bad_one),
        cmocka_unit_test(noise_reaches_its_target),
    };
    return cmocka_run_group_tests(tests, cli_run_setup, scratch_teardown);
}
