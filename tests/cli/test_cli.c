// SPDX-License-Identifier: MIT
// The program as a person runs it: exit codes, messages, and the files that its verbs leave.
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "image/image.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Runs `adele ARGUMENTS`.
#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

// Fails unless the code is as wanted; shows what the program said.
static void assert_code(const struct program_result *result, int code) {
    if (result->code != code)
        fail_msg("exit code %d, wanted %d\n%s%s", result->code, code, result->out, result->err);
}

// Also that it printed the part to standard error.
static void assert_failed(struct program_result *result, int code, const char *part) {
    assert_code(result, code);
    if (!strstr(result->err, part))
        fail_msg("standard error lacks '%s':\n%s", part, result->err);
    program_result_deinit(result);
}

// Exit code 1 with one "adele: error:" line that has the part.
static void assert_error(struct program_result *result, const char *part) {
    const char *line = strstr(result->err, "adele: error: ");
    if (!line || strstr(line + 1, "adele: error: "))
        fail_msg("not one error line:\n%s", result->err);
    assert_failed(result, 1, part);
}

static void assert_there(void *const *state, const char *name) {
    if (!file_exists(scratch_path(state, name)))
        fail_msg("%s is not there", name);
}

// The data set "set", its configuration "tiny.yaml", and "run" trained with it.
static int run_setup(void **state) {
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    // For builds with sanitizers: what fontconfig keeps until the end is no leak of ours.
    if (setenv("LSAN_OPTIONS", "suppressions=" PROJECT_DIR "/tests/lsan.supp", 0) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    struct program_result result;
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", scratch_path(state, "run"),
          "--set", "train.epochs=4", "--device=cpu");
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "epoch 4: loss "));
    assert_non_null(strstr(result.out, "done: 4 epochs in "));
    // Lines, no bar, where there is no terminal.
    assert_int_equal(strncmp(result.err, "epoch 1/4  step 1/20  ", 22), 0);
    assert_null(strchr(result.err, '\r'));
    program_result_deinit(&result);
    return 0;
}

// ---- usage ------------------------------------------------------------------------------------

static const char *const verbs[] = {"init",  "train",    "table",  "evaluate", "compare", "predict",
                                    "noise", "check",    "labels", "export",   "report",  "onset",
                                    "audit", "selftest", "info",   "help"};
#define N_VERBS (sizeof verbs / sizeof *verbs)

static void help_explains_every_verb(void **state) {
    (void)state;
    struct program_result all, result;
    ADELE(&all, "--help");
    assert_code(&all, 0);
    for (size_t i = 0; i < N_VERBS; i++) {
        char usage[64];
        (void)snprintf(usage, sizeof usage, "Usage: adele %s", verbs[i]);
        assert_non_null(strstr(all.out, verbs[i]));
        ADELE(&result, verbs[i], "--help");
        assert_code(&result, 0);
        if (!strstr(result.out, usage))
            fail_msg("no '%s' in\n%s", usage, result.out);
        // `adele help VERB` says the same.
        struct program_result same;
        ADELE(&same, "help", verbs[i]);
        assert_code(&same, 0);
        assert_string_equal(same.out, result.out);
        program_result_deinit(&same);
        program_result_deinit(&result);
    }
    ADELE(&result, "help");
    assert_code(&result, 0);
    assert_string_equal(result.out, all.out);
    program_result_deinit(&result);
    program_result_deinit(&all);
    ADELE(&result, "--version");
    assert_code(&result, 0);
    assert_int_equal(strncmp(result.out, "adele ", 6), 0);
    program_result_deinit(&result);
}

static void wrong_usage_exits_with_2(void **state) {
    (void)state;
    struct program_result result;
    program_run((const char *const[]){ADELE_CLI, NULL}, &result);
    assert_failed(&result, 2, "Usage: adele");
    ADELE(&result, "trane");
    assert_failed(&result, 2, "'trane'");
    for (size_t i = 0; i < N_VERBS; i++) {
        ADELE(&result, verbs[i], "--no-such-option");
        assert_failed(&result, 2, "--no-such-option");
    }
    for (size_t i = 0; i < N_VERBS - 3; i++) { // selftest, info and help need nothing
        ADELE(&result, verbs[i]);
        assert_failed(&result, 2, verbs[i]);
    }
    ADELE(&result, "help", "trane");
    assert_failed(&result, 2, "'trane'");
    ADELE(&result, "help", "train", "noise");
    assert_failed(&result, 2, "'noise'");
    ADELE(&result, "help", "--completion", "tcsh");
    assert_failed(&result, 2, "tcsh");
    ADELE(&result, "evaluate", "run", "--split", "holdout");
    assert_failed(&result, 2, "holdout");
    ADELE(&result, "evaluate", "run", "--scales", "1,,2");
    assert_failed(&result, 2, "--scales 1,,2");
    ADELE(&result, "predict", "run", "-i", "a", "-o", "b", "--batch", "0");
    assert_failed(&result, 2, "--batch 0");
    const char *const windows[] = {"64",       "64,",   "0,64",     "64,0",
                                   "64,64,64", "64x64", "16385,64", "-1,9"};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        ADELE(&result, "evaluate", "run", "--window", windows[i]);
        assert_failed(&result, 2, windows[i]);
    }
    ADELE(&result, "noise", "set", "-o", "x", "--target-miou", "1.5");
    assert_failed(&result, 2, "1.5");
    ADELE(&result, "noise", "set", "-o", "x", "--kind", "salt");
    assert_failed(&result, 2, "salt");
    ADELE(&result, "noise", "set", "-o", "x", "--corners", "2..8");
    assert_failed(&result, 2, "'2..8' is not a range such as 4..8, within 3..100");
    const char *const shares[] = {"--outward", "--object-fraction", "--shift-fraction"};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        ADELE(&result, "noise", "set", "-o", "x", shares[i], "1.1");
        assert_failed(&result, 2, "'1.1' is not a number from 0 to 1");
    }
    ADELE(&result, "labels", "run", "-o", "x", "--epoch", "none");
    assert_failed(&result, 2, "--epoch none");
}

static void info_lists_the_devices(void **state) {
    (void)state;
    struct program_result result;
    ADELE(&result, "info");
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "device cpu: "));
    assert_non_null(strstr(result.out, "  engine           auto\n"));
    assert_non_null(strstr(result.out, "  instruction set  "));
    assert_non_null(strstr(result.out, "  libraries        oneDNN "));
    assert_non_null(strstr(result.out, "  what repeats     the same bytes for the same build"));
    if (file_exists("/proc/meminfo"))
        assert_non_null(strstr(result.out, " MB free\n"));
    program_result_deinit(&result);
}

// ---- failures ---------------------------------------------------------------------------------

static void a_missing_file_is_named(void **state) {
    struct program_result result;
    ADELE(&result, "train", "nowhere/c.yaml");
    assert_error(&result, "nowhere/c.yaml");
    ADELE(&result, "evaluate", "nowhere/run");
    assert_error(&result, "nowhere/run");
    ADELE(&result, "compare", "nowhere/a.csv", "nowhere/b.csv");
    assert_error(&result, "nowhere/a.csv");
    ADELE(&result, "onset", "nowhere/onset.json");
    assert_error(&result, "nowhere/onset.json");
    ADELE(&result, "labels", "nowhere/run", "-o", scratch_path(state, "x"));
    assert_error(&result, "nowhere/run");
    ADELE(&result, "report", "nowhere/run", "-o", scratch_path(state, "x"));
    assert_error(&result, "nowhere/run");
    ADELE(&result, "noise", "nowhere/set", "-o", scratch_path(state, "x"));
    assert_error(&result, "nowhere/set");
    ADELE(&result, "check", "nowhere/set");
    assert_int_equal(result.code, 1);
    assert_true(strstr(result.err, "nowhere/set") || strstr(result.out, "nowhere/set"));
    program_result_deinit(&result);
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", scratch_path(state, "x"),
          "--set", "data.root=nowhere/set");
    assert_error(&result, "nowhere/set");
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", "nowhere/images", "-o",
          scratch_path(state, "x"));
    assert_error(&result, "nowhere/images");
}

static void a_misspelt_key_names_the_nearest(void **state) {
    struct program_result result;
    check_ok(file_write(scratch_path(state, "bad.yaml"), "data: {root: x}\ntrain: {epohcs: 3}\n",
                        sizeof "data: {root: x}\ntrain: {epohcs: 3}\n" - 1));
    ADELE(&result, "train", scratch_path(state, "bad.yaml"));
    assert_non_null(strstr(result.err, "bad.yaml"));
    assert_non_null(strstr(result.err, "epohcs"));
    assert_error(&result, "train.epochs");
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--set", "train.optimizer.Ir=0.1");
    assert_error(&result, "train.optimizer.lr");
}

static void a_value_out_of_range_is_named(void **state) {
    struct program_result result;
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--set", "correction.tau=1.5");
    assert_non_null(strstr(result.err, "1.5"));
    assert_error(&result, "correction.tau");
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--set", "loss.form=papre");
    assert_error(&result, "papre");
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--device", "abacus", "--run",
          scratch_path(state, "x"));
    assert_error(&result, "abacus");
}

// A path below a regular file: not even root can make that folder.
static void a_folder_that_cannot_be_written_is_named(void **state) {
    char below[4200];
    struct program_result result;
    (void)snprintf(below, sizeof below, "%s/below", scratch_path(state, "tiny.yaml"));
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "labels", scratch_path(state, "run"), "-o", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "report", scratch_path(state, "run"), "-o", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "set/imagesTs"),
          "-o", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "noise", scratch_path(state, "set"), "-o", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--json", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "export", scratch_path(state, "run"), "-o", below);
    assert_error(&result, "tiny.yaml");
}

static void a_run_is_not_overwritten(void **state) {
    struct program_result result;
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", scratch_path(state, "run"));
    assert_non_null(strstr(result.err, "hint: Continue it with --resume"));
    assert_error(&result, "holds a run already");
}

// ---- verbs at work ----------------------------------------------------------------------------

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

static void export_writes_a_file_once(void **state) {
    struct program_result result;
    char *first = NULL, *second = NULL;
    size_t n_first = 0, n_second = 0;
    const char *file = scratch_path(state, "new/model.onnx");
    ADELE(&result, "export", scratch_path(state, "run"), "-o", file);
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "image (batch, 1, height, width) -> logits (batch, 3, "
                                       "height, width), trained at 32 x 28"));
    program_result_deinit(&result);
    check_ok(file_read(file, 0, &first, &n_first));
    ADELE(&result, "export", scratch_path(state, "run"), "-o", file);
    assert_error(&result, "model.onnx is there already");
    ADELE(&result, "export", scratch_path(state, "run"), "-o", file, "--overwrite");
    assert_code(&result, 0);
    program_result_deinit(&result);
    check_ok(file_read(file, 0, &second, &n_second));
    assert_int_equal(n_first, n_second);
    assert_memory_equal(first, second, n_first); // the same network, the same bytes
    memory_free(first);
    memory_free(second);
}

static void export_of_no_checkpoint_is_refused(void **state) {
    struct program_result result;
    const char *file = scratch_path(state, "none.onnx");
    ADELE(&result, "export", scratch_path(state, "nowhere"), "-o", file);
    assert_error(&result, "nowhere");
    ADELE(&result, "export", scratch_path(state, "tiny.yaml"), "-o", file);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "export", scratch_path(state, "run"));
    assert_failed(&result, 2, "-o FILE");
    ADELE(&result, "export", scratch_path(state, "run"), "other", "-o", file);
    assert_failed(&result, 2, "'other'");
    assert_false(file_exists(file));
}

// Images of several sizes, none of them the network's.
static void predict_writes_maps_of_the_inputs_size(void **state) {
    static const int sizes[3][2] = {{40, 36}, {64, 31}, {33, 70}};
    struct program_result result;
    struct image image;
    char name[64];
    check_ok(file_make_directory(scratch_path(state, "in")));
    for (int i = 0; i < 3; i++) {
        check_ok(image_init(&image, sizes[i][1], sizes[i][0], 1, 8));
        for (int k = 0; k < sizes[i][0] * sizes[i][1]; k++)
            ((uint8_t *)image.pixels)[k] = (uint8_t)(k * 13 % 200 + 40);
        (void)snprintf(name, sizeof name, "in/p%d_0000.png", i);
        check_ok(image_save_png(scratch_path(state, name), &image));
        image_deinit(&image);
    }
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "in"), "-o",
          scratch_path(state, "out"), "--probabilities");
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "3 mask(s)"));
    program_result_deinit(&result);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "out/p%d.png", i);
        check_ok(image_load_label(scratch_path(state, name), 0, &image));
        assert_int_equal(image.height, sizes[i][0]);
        assert_int_equal(image.width, sizes[i][1]);
        for (int k = 0; k < sizes[i][0] * sizes[i][1]; k++)
            assert_true(((uint8_t *)image.pixels)[k] <= 2);
        image_deinit(&image);
        (void)snprintf(name, sizeof name, "out/p%d.safetensors", i);
        assert_there(state, name);
    }
    // A last file that is no picture is found before the first mask is written.
    check_ok(file_write(scratch_path(state, "in/p9.jpg"), "no picture", 10));
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "in"), "-o",
          scratch_path(state, "out of junk"));
    assert_failed(&result, 1, "in/p9.jpg");
    assert_false(file_exists(scratch_path(state, "out of junk")));
    check_ok(file_remove_tree(scratch_path(state, "in/p9.jpg")));
}

static void assert_same_files(void *const *state, const char *a, const char *b) {
    char *bytes[2] = {NULL, NULL};
    size_t n[2] = {0, 0};
    check_ok(file_read(scratch_path(state, a), 0, &bytes[0], &n[0]));
    check_ok(file_read(scratch_path(state, b), 0, &bytes[1], &n[1]));
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    memory_free(bytes[0]);
    memory_free(bytes[1]);
}

// Masks that are written by rows are those of images in memory, which --probabilities takes, and
// the batch does not change them. A window that an image fills is the image at its own size.
static void predict_slides_a_window(void **state) {
    struct program_result result;
    char run[4096], in[4096], out[4096], name[2][64];
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "run"));
    (void)snprintf(in, sizeof in, "%s", scratch_path(state, "in"));
    static const char *const options[][4] = {{"w0", "--batch=1", "--flip", "--flip"},
                                             {"w1", "--batch=3", "--flip", "--flip"},
                                             {"w2", "--batch=8", "--flip", "--probabilities"}};
    for (int i = 0; i < 3; i++) {
        (void)snprintf(out, sizeof out, "%s", scratch_path(state, options[i][0]));
        ADELE(&result, "predict", run, "-i", in, "-o", out, "--window=32,28", options[i][1],
              options[i][2], options[i][3]);
        assert_code(&result, 0);
        program_result_deinit(&result);
        for (int k = 0; i > 0 && k < 3; k++) {
            (void)snprintf(name[0], sizeof name[0], "w0/p%d.png", k);
            (void)snprintf(name[1], sizeof name[1], "%s/p%d.png", options[i][0], k);
            assert_same_files(state, name[0], name[1]);
        }
    }
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

static void a_colour_image_is_refused_by_a_gray_model(void **state) {
    struct program_result result;
    struct image image;
    check_ok(file_make_directory(scratch_path(state, "colour")));
    check_ok(image_init(&image, 32, 32, 3, 8));
    for (int k = 0; k < 3 * 32 * 32; k++)
        ((uint8_t *)image.pixels)[k] = (uint8_t)(k % 251);
    check_ok(image_save_png(scratch_path(state, "colour/red.png"), &image));
    image_deinit(&image);
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "colour"), "-o",
          scratch_path(state, "x"));
    assert_error(&result, "red.png");
}

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
    assert_null(strstr(result.out, "train_001.png"));
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
        cmocka_unit_test(help_explains_every_verb),
        cmocka_unit_test(wrong_usage_exits_with_2),
        cmocka_unit_test(info_lists_the_devices),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_misspelt_key_names_the_nearest),
        cmocka_unit_test(a_value_out_of_range_is_named),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_named),
        cmocka_unit_test(a_run_is_not_overwritten),
        cmocka_unit_test(train_leaves_a_log),
        cmocka_unit_test(evaluate_writes_the_documented_json),
        cmocka_unit_test(evaluate_writes_a_row_a_case_and_class),
        cmocka_unit_test(compare_reads_runs_and_files),
        cmocka_unit_test(a_crf_changes_what_is_scored),
        cmocka_unit_test(export_writes_a_file_once),
        cmocka_unit_test(export_of_no_checkpoint_is_refused),
        cmocka_unit_test(predict_writes_maps_of_the_inputs_size),
        cmocka_unit_test(predict_slides_a_window),
        cmocka_unit_test(evaluate_slides_a_window),
        cmocka_unit_test(a_colour_image_is_refused_by_a_gray_model),
        cmocka_unit_test(labels_writes_every_training_case),
        cmocka_unit_test(labels_says_that_nothing_changed),
        cmocka_unit_test(report_draws_the_run),
        cmocka_unit_test(onset_answers_the_golden_file),
        cmocka_unit_test(onset_reads_a_runs_own_file),
        cmocka_unit_test(check_tells_a_good_set_from_a_bad_one),
        cmocka_unit_test(noise_reaches_its_target),
    };
    return cmocka_run_group_tests(tests, run_setup, scratch_teardown);
}
