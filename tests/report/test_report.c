// SPDX-License-Identifier: MIT
// Runs are made up in a folder of the test, with values that a person can check.
#include "report/report.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "image/image.h"
#include "output/output.h"
#include "run_folder/metrics.h"
#include "support/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// ---- made-up runs -------------------------------------------------------------------------------

// Five epochs on `split`: 0.5, 0.625, 0.75, then down to `last` in two steps.
static void write_metrics(const char *run, const char *split, double last, bool with_truth) {
    const double values[5] = {0.5, 0.625, 0.75, (0.75 + last) / 2.0, last};
    struct metrics *metrics = NULL;
    assert_int_equal(file_make_directory(run), ADELE_OK);
    assert_int_equal(metrics_open(run, 0, &metrics), ADELE_OK);
    for (int epoch = 1; epoch <= 5; epoch++) {
        assert_int_equal(metrics_begin(metrics, epoch, 10L * epoch), ADELE_OK);
        assert_int_equal(
            metrics_add(metrics, values[epoch - 1], "%s/pred_vs_true/miou_foreground", split),
            ADELE_OK);
        if (with_truth) {
            assert_int_equal(
                metrics_add(metrics, 0.5 + 0.03125 * epoch, "train/labels_vs_true/miou_foreground"),
                ADELE_OK);
            // As it is now, and, memorization, as earlier versions wrote it.
            assert_int_equal(metrics_add(metrics, 0.75, "train/early_learning/miou"), ADELE_OK);
            assert_int_equal(metrics_add(metrics, 0.125, "train/early_learning/miou_foreground"),
                             ADELE_OK);
            assert_int_equal(metrics_add(metrics, 0.125 * epoch, "train/memorization/miou"),
                             ADELE_OK);
            assert_int_equal(metrics_add(metrics, 0.5, "train/early_learning/iou/heart"), ADELE_OK);
            assert_int_equal(metrics_add(metrics, 0.25, "train/memorization/iou/heart"), ADELE_OK);
        }
        assert_int_equal(metrics_end(metrics), ADELE_OK);
    }
    metrics_close(metrics);
}

static void write_file(const char *folder, const char *name, const char *text) {
    char *path = file_join(folder, name);
    assert_int_equal(file_write(path, text, strlen(text)), ADELE_OK);
    memory_free(path);
}

static void write_onset(const char *run, const char *pipeline) {
    char *text = memory_printf(
        "{\"pipeline\": \"%s\", \"r\": 0.9, \"categories\": ["
        "{\"name\": \"background\", \"iou\": [0.9, 0.9, 0.9, 0.9, 0.9], \"fit\": null, "
        "\"onset_epoch\": null, \"on_epoch\": null, \"corrected_epochs\": []},"
        "{\"name\": \"heart\", \"iou\": [0.1, 0.4, 0.5, 0.55, 0.6], "
        "\"fit\": {\"a\": 0.7, \"b\": 0.9, \"c\": 2.0}, \"t0\": 0, \"dt\": 1.25, \"n_dropped\": 0, "
        "\"onset_epoch\": 3, \"on_epoch\": 4, \"corrected_epochs\": [4, 5]},"
        "{\"name\": \"lung & <aorta>\", \"iou\": [0.1, null, 0.3, 0.3, 0.4], \"fit\": null, "
        "\"onset_epoch\": null, \"on_epoch\": null, \"corrected_epochs\": []}]}",
        pipeline);
    write_file(run, "onset.json", text);
    memory_free(text);
}

// Two examples of h x w: category 1 is the left half of the truth, and less of it in the labels.
static void write_examples(const char *run, int n_channels, int h, int w, bool with_truth) {
    size_t n = (size_t)2 * (size_t)h * (size_t)w;
    uint8_t *image = memory_calloc(n * (size_t)n_channels, 1);
    uint8_t *labels[4];
    for (size_t i = 0; i < n * (size_t)n_channels; i++)
        image[i] = (uint8_t)(i * 7);
    for (int k = 0; k < 4; k++) {
        labels[k] = memory_calloc(n, 1);
        for (size_t i = 0; i < n; i++)
            labels[k][i] = (int)(i % (size_t)w) < w / (k == 1 ? 4 : 2) ? 1 : 0;
    }
    labels[2][0] = 255;
    const int64_t image_shape[4] = {2, n_channels, h, w};
    const int64_t label_shape[3] = {2, h, w};
    static const char *const names[4] = {"truth", "noisy", "corrected", "prediction"};
    struct safetensors_writer *writer = NULL;
    assert_int_equal(safetensors_writer_create(&writer), ADELE_OK);
    assert_int_equal(safetensors_writer_add(writer, "image", SAFETENSORS_U8, 4, image_shape, image),
                     ADELE_OK);
    for (int k = with_truth ? 0 : 1; k < 4; k++)
        assert_int_equal(
            safetensors_writer_add(writer, names[k], SAFETENSORS_U8, 3, label_shape, labels[k]),
            ADELE_OK);
    assert_int_equal(safetensors_writer_metadata(writer, "categories", "background\nheart"),
                     ADELE_OK);
    assert_int_equal(safetensors_writer_metadata(writer, "names", "case_1\ncase_2"), ADELE_OK);
    char *path = file_join(run, "examples.safetensors");
    assert_int_equal(safetensors_writer_save(writer, path), ADELE_OK);
    memory_free(path);
    safetensors_writer_destroy(writer);
    memory_free(image);
    for (int k = 0; k < 4; k++)
        memory_free(labels[k]);
}

// ---- checks -------------------------------------------------------------------------------------

static char *read_text(void **state, const char *name) {
    char *text = NULL;
    size_t n_bytes = 0;
    assert_int_equal(file_read(scratch_path(state, name), 0, &text, &n_bytes), ADELE_OK);
    return text;
}

// Tags open and close in pairs, and nothing is left open at the end.
static void assert_svg(void **state, const char *name) {
    char *text = read_text(state, name);
    int depth = 0;
    int n_elements = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] != '<')
            continue;
        size_t end = i + strcspn(text + i, ">");
        assert_int_equal(text[end], '>');
        if (text[i + 1] == '?' || text[i + 1] == '!')
            continue;
        if (text[i + 1] == '/')
            depth--;
        else if (text[end - 1] != '/')
            depth++;
        n_elements++;
        assert_true(depth >= 0);
    }
    assert_int_equal(depth, 0);
    assert_true(n_elements > 20);
    assert_non_null(strstr(text, "<svg xmlns="));
    memory_free(text);
}

// Decodes, has the size, and is neither blank nor dark: a figure is ink on white.
static void assert_png(void **state, const char *name, int width, int height) {
    struct image image = {0};
    assert_int_equal(image_load(scratch_path(state, name), 0, &image), ADELE_OK);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    const uint8_t *pixels = image.pixels;
    size_t n = (size_t)width * (size_t)height;
    size_t n_white = 0;
    for (size_t i = 0; i < n; i++)
        n_white += pixels[i * (size_t)image.n_channels] == 255;
    assert_true(n_white > n / 4 && n_white < n - 1000);
    image_deinit(&image);
}

static bool exists(void **state, const char *name) {
    return file_exists(scratch_path(state, name));
}

// Into an empty folder or one that an earlier report filled.
static adele_status write_report_into(const char *folder, int n, const char *const *runs,
                                      struct report_summary **out) {
    struct output *output = NULL;
    adele_status status = output_create(folder, true, &output);
    if (status == ADELE_OK)
        status = report_write(n, runs, output, out);
    output_destroy(output);
    return status;
}

static adele_status write_report(void **state, int n, const char *const *runs,
                                 struct report_summary **out) {
    char folder[1024]; // scratch_path would forget the paths of the runs
    (void)snprintf(folder, sizeof folder, "%s/report", (const char *)*state);
    return write_report_into(folder, n, runs, out);
}

// ---- tests --------------------------------------------------------------------------------------

static void test_two_whole_runs(void **state) {
    const char *runs[2] = {scratch_path(state, "baseline"), scratch_path(state, "adele/")};
    write_metrics(runs[0], "test", 0.625, true);
    write_metrics(runs[1], "test", 0.75, true);
    for (int i = 0; i < 2; i++) {
        write_onset(runs[i], i == 0 ? "segthor" : "voc");
        write_examples(runs[i], i == 0 ? 1 : 3, 40, 30, true);
        write_file(runs[i], "config.resolved.yaml", "train: {epochs: 5}\n");
    }
    struct report_summary *summaries = NULL;
    assert_int_equal(write_report(state, 2, runs, &summaries), ADELE_OK);
    assert_string_equal(summaries[0].name, "baseline");
    assert_string_equal(summaries[1].name, "adele");
    assert_true(summaries[0].best == 0.75 && summaries[0].best_epoch == 3.0);
    assert_true(summaries[0].last == 0.625 && summaries[1].last == 0.75);
    assert_true(summaries[0].labels_first == 0.53125 && summaries[0].labels_last == 0.65625);
    assert_true(summaries[0].early_learning_last == 0.125);
    assert_true(summaries[0].memorization_last == 0.625);
    assert_int_equal(summaries[0].n_epochs, 5);
    assert_string_equal(summaries[0].split, "test");
    report_summaries_destroy(2, summaries);

    assert_png(state, "report/comparison.png", 2080, 1080);
    // Two categories are drawn: the background has no onset of its own.
    assert_png(state, "report/baseline_onset.png", 1920, 1048);
    // Five panels of 138 x 184, two rows.
    assert_png(state, "report/adele_panels.png", 1604, 1172);
    static const char *const svgs[] = {"report/comparison.svg", "report/baseline_onset.svg",
                                       "report/adele_onset.svg", "report/baseline_panels.svg",
                                       "report/adele_panels.svg"};
    for (size_t i = 0; i < sizeof svgs / sizeof svgs[0]; i++)
        assert_svg(state, svgs[i]);
    char *markdown = read_text(state, "report/table.md");
    assert_non_null(strstr(markdown, "| baseline | test | 5 | 0.750 | 3 | 0.625 | -0.125 | "
                                     "0.531 -> 0.656 | 0.12 / 0.62 |\n"));
    assert_non_null(strstr(markdown, "```yaml\ntrain: {epochs: 5}\n```\n"));
    memory_free(markdown);
    char *csv = read_text(state, "report/table.csv");
    assert_non_null(strstr(csv, "\nadele,test,5,0.75,3,0.75,0.53125,0.65625,0.125,0.625\n"));
    memory_free(csv);
}

static void test_bare_run(void **state) {
    const char *run = scratch_path(state, "r|1");
    write_metrics(run, "val", 0.625, false);
    struct report_summary *summaries = NULL;
    assert_int_equal(write_report(state, 1, &run, &summaries), ADELE_OK);
    assert_string_equal(summaries[0].split, "val");
    assert_true(isnan(summaries[0].labels_first) && isnan(summaries[0].memorization_last));
    char *table = NULL;
    assert_int_equal(report_table(1, summaries, &table), ADELE_OK);
    assert_ptr_equal(strstr(table,
                            "run  split  epochs  best mIoU  at epoch  last mIoU  last - best\n"
                            "---  -----  ------  ---------  --------  ---------  -----------\n"
                            "r|1    val       5      0.750         3      0.625       -0.125\n"
                            "mIoU: foreground mean on the named split.\n"),
                     table);
    memory_free(table);
    report_summaries_destroy(1, summaries);
    assert_true(exists(state, "report/comparison.png"));
    assert_false(exists(state, "report/r|1_onset.png"));
    assert_false(exists(state, "report/r|1_panels.png"));
    char *markdown = read_text(state, "report/table.md");
    assert_non_null(strstr(markdown, "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
                                     "| r\\|1 | val | 5 | 0.750 | 3 | 0.625 | -0.125 |\n\nmIoU: "
                                     "foreground mean on the named split.\n"));
    memory_free(markdown);
}

static void test_runs_of_one_name(void **state) {
    const char *runs[4] = {scratch_path(state, "a/run"), scratch_path(state, "b/run"),
                           scratch_path(state, "x/b/run"), scratch_path(state, "other")};
    for (int i = 0; i < 4; i++)
        write_metrics(runs[i], i == 1 ? "val" : "test", 0.5, false);
    struct report_summary *summaries = NULL;
    assert_int_equal(write_report(state, 4, runs, &summaries), ADELE_OK);
    assert_string_equal(summaries[0].name, "a_run");
    assert_string_equal(summaries[1].name, "b_run");
    assert_string_equal(summaries[2].name, "b_run-2");
    assert_string_equal(summaries[3].name, "other");
    report_summaries_destroy(4, summaries);
}

static void test_run_without_evaluation(void **state) {
    const char *run = scratch_path(state, "run");
    assert_int_equal(file_make_directory(run), ADELE_OK);
    write_file(run, "metrics.jsonl", "{\"epoch\": 1, \"step\": 1, \"train/loss\": null}\n");
    write_file(run, "onset.json", "{\"pipeline\": \"segthor\", \"categories\": []}");
    struct report_summary *summaries = NULL;
    assert_int_equal(write_report(state, 1, &run, &summaries), ADELE_OK);
    assert_true(isnan(summaries[0].best) && isnan(summaries[0].last));
    report_summaries_destroy(1, summaries);
    assert_png(state, "report/comparison.png", 2080, 1080);
}

// Twice in one process, with other figures drawn in between: cairo's own counters must not show.
static void test_same_bytes(void **state) {
    static const char *const names[] = {"comparison.png", "comparison.svg", "run_onset.png",
                                        "run_onset.svg",  "run_panels.png", "run_panels.svg",
                                        "table.md",       "table.csv"};
    const char *run = scratch_path(state, "run");
    write_metrics(run, "test", 0.5, true);
    write_onset(run, "segthor");
    write_examples(run, 1, 24, 500, true);
    const char *folders[2] = {scratch_path(state, "one"), scratch_path(state, "two")};
    for (int i = 0; i < 2; i++) {
        struct report_summary *summaries = NULL;
        assert_int_equal(write_report_into(folders[i], 1, &run, &summaries), ADELE_OK);
        report_summaries_destroy(1, summaries);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *text[2];
        size_t n_bytes[2];
        for (int k = 0; k < 2; k++) {
            char *path = file_join(folders[k], names[i]);
            assert_int_equal(file_read(path, 0, &text[k], &n_bytes[k]), ADELE_OK);
            memory_free(path);
        }
        assert_int_equal(n_bytes[0], n_bytes[1]);
        assert_memory_equal(text[0], text[1], n_bytes[0]);
        memory_free(text[0]);
        memory_free(text[1]);
    }
}

static void test_names_that_are_not_utf8(void **state) {
    const char *run = scratch_path(state, "caf\xE9_\xF0\x9F");
    write_metrics(run, "test", 0.5, false);
    write_examples(run, 2, 16, 16, false);
    struct report_summary *summaries = NULL;
    assert_int_equal(write_report(state, 1, &run, &summaries), ADELE_OK);
    report_summaries_destroy(1, summaries);
    assert_svg(state, "report/comparison.svg");
}

static void assert_fails(void **state, const char *run, adele_status expected, const char *what) {
    struct report_summary *summaries = NULL;
    assert_int_equal(write_report(state, 1, &run, &summaries), expected);
    assert_null(summaries);
    assert_non_null(strstr(adele_error_message(), what));
    assert_string_not_equal(adele_error_hint(), "");
}

static void test_errors(void **state) {
    const char *run = scratch_path(state, "run");
    struct report_summary *summaries = NULL;
    assert_int_equal(write_report(state, 0, &run, &summaries), ADELE_INVALID_ARGUMENT);
    assert_fails(state, run, ADELE_IO, "run");
    assert_int_equal(file_make_directory(run), ADELE_OK);
    assert_fails(state, run, ADELE_IO, "no metrics.jsonl");
    write_file(run, "metrics.jsonl", "");
    assert_fails(state, run, ADELE_DATA, "no record");
    write_metrics(run, "test", 0.5, true);
    write_file(run, "onset.json", "{\"categories\": 3}");
    assert_fails(state, run, ADELE_FORMAT, "onset.json");
    write_file(run, "onset.json", "{\"categories\": [{\"iou\": [1]}]}");
    assert_fails(state, run, ADELE_FORMAT, "without a name");
    write_file(run, "onset.json", "{\"categories\": [");
    assert_fails(state, run, ADELE_FORMAT, "onset.json");
    write_onset(run, "segthor");
    write_file(run, "examples.safetensors", "rubbish");
    assert_fails(state, run, ADELE_FORMAT, "examples.safetensors");
    // A file where the folder for the report should be.
    write_examples(run, 1, 16, 16, true);
    assert_int_equal(file_remove_tree(scratch_path(state, "report")), ADELE_OK);
    write_file(*state, "report", "x");
    assert_fails(state, run, ADELE_IO, "report");
}

static void test_malformed_examples(void **state) {
    static const uint8_t bytes[64];
    static const int64_t shapes[][4] = {{1, 1, 4, 4}, {1, 4, 4, 1}, {1, 4, 5, 1}};
    const char *run = scratch_path(state, "run");
    write_metrics(run, "test", 0.5, true);
    char *path = file_join(run, "examples.safetensors");
    for (int i = 0; i < 4; i++) {
        struct safetensors_writer *writer = NULL;
        assert_int_equal(safetensors_writer_create(&writer), ADELE_OK);
        // 0: the image has no label; 1: a label of another size; 2: the image is flat; 3: no image.
        if (i < 3)
            assert_int_equal(safetensors_writer_add(writer, "image", SAFETENSORS_U8, i == 2 ? 3 : 4,
                                                    shapes[0], bytes),
                             ADELE_OK);
        assert_int_equal(safetensors_writer_add(writer, i == 1 ? "noisy" : "other", SAFETENSORS_U8,
                                                3, shapes[2], bytes),
                         ADELE_OK);
        assert_int_equal(safetensors_writer_save(writer, path), ADELE_OK);
        safetensors_writer_destroy(writer);
        assert_fails(state, run, ADELE_FORMAT, i < 2 ? "tensor \"noisy\"" : "tensor \"image\"");
    }
    memory_free(path);
}

// All of reading, and the tables; the figures of one small run are drawn at each turn, so one of
// ten later allocations is enough. test_page has all of the page's.
static void test_allocations_may_fail(void **state) {
    const char *run = scratch_path(state, "run");
    write_metrics(run, "test", 0.5, true);
    write_onset(run, "segthor");
    write_examples(run, 1, 8, 8, true);
    int n_failures = 0;
    for (long i = 0;; i += n_failures < 30 ? 1 : 10) {
        struct report_summary *summaries = NULL;
        memory_fail_at(i);
        adele_status status = write_report(state, 1, &run, &summaries);
        bool has_failed = memory_count() > i;
        memory_fail_at(-1);
        report_summaries_destroy(1, summaries);
        if (!has_failed) {
            assert_int_equal(status, ADELE_OK);
            break;
        }
        assert_int_equal(status, ADELE_NO_MEMORY);
        n_failures++;
    }
    assert_true(n_failures > 30);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

// Every program that draws text through fontconfig leaves some hundred bytes behind in it.
// LeakSanitizer asks a program by this name for what is not to be reported.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_two_whole_runs),
        WITH_FOLDER(test_bare_run),
        WITH_FOLDER(test_runs_of_one_name),
        WITH_FOLDER(test_run_without_evaluation),
        WITH_FOLDER(test_same_bytes),
        WITH_FOLDER(test_names_that_are_not_utf8),
        WITH_FOLDER(test_errors),
        WITH_FOLDER(test_malformed_examples),
        WITH_FOLDER(test_allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
