// SPDX-License-Identifier: MIT
// report.html of made-up runs: what is in it. test_page_files has what comes from files.
#include "base/memory.h"
#include "report/class_colour.h"
#include "support/page_check.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_values_of_one_run(void **state) {
    const char *run = scratch_path(state, "adele");
    page_write_run(run, 0.625);
    char *page = page_of(state, 1, &run);
    page_assert_well_formed(page);
    page_assert_section_has(page, "summary",
                            "Best mIoU<span class=\"small\">foreground</span></th>"
                            "<td>0.750</td>");
    page_assert_section_has(page, "summary", "<td>-0.125</td>");
    page_assert_section_has(page, "summary", "<td>340</td>"); // changed pixels
    page_assert_section_has(page, "summary", "<th scope=\"row\">heart</th><td>0.625</td>");
    page_assert_section_has(page, "curves",
                            "data-name=\"adele\" data-x=\"1,2,3,4,5\" "
                            "data-y=\"0.5,0.625,0.75,0.6875,0.625\"");
    page_assert_section_has(page, "onset",
                            "<th scope=\"row\">heart</th><td>3</td><td>4</td><td>2</td>"
                            "<td>0.700</td><td>0.900</td><td>2.000</td>");
    page_assert_section_has(page, "onset", "onset by the fit");
    // All together: 0 -> 1 in 1,250 pixels, 1 -> 0 in 90; then each correction.
    page_assert_section_has(page, "changes", ">1,250</td>");
    page_assert_section_has(page, "changes", ">90</td>");
    page_assert_section_has(page, "changes",
                            "After epoch 4: 1,300 pixels of the training masks changed");
    page_assert_section_has(page, "changes",
                            "After epoch 5: 40 pixels of the training masks changed");
    page_assert_section_has(page, "configuration", "<td class=\"text\">tcc 1</td>");
    page_assert_section_has(page, "configuration",
                            "<td class=\"text\">oneDNN 2.6.3, glibc 2.36</td>");
    page_assert_section_has(page, "configuration", "  optimizer:\n    lr: 0.01\n");
    memory_free(page);
    page_write_flow(run, 5, "heart", "{\"from\": 1, \"to\": 0, \"pixels\": 1}");
    page = page_of(state, 1, &run);
    page_assert_section_has(page, "changes",
                            "After epoch 5: 1 pixel of the training masks changed");
    memory_free(page);
}

static void test_gallery_begins_with_the_most_changed(void **state) {
    const char *run = scratch_path(state, "run");
    page_write_run(run, 0.625);
    char *page = page_of(state, 1, &run);
    char *gallery = page_section(page, "gallery");
    assert_int_equal(page_count(gallery, "<article"), 6);
    assert_true(strstr(gallery, "case_5") < strstr(gallery, "case_4"));
    assert_true(strstr(gallery, "case_1") < strstr(gallery, "case_0"));
    page_assert_has(gallery, "<span class=\"small\">40 pixels of the label changed (8.3 %)</span>");
    static const char *const layers[] = {"image", "noisy",      "corrected",
                                         "truth", "prediction", "difference"};
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "<figure class=\"k-%s\">", layers[i]);
        assert_int_equal(page_count(gallery, text), 6);
        (void)snprintf(text, sizeof text, "data-layer=\"%s\" aria-pressed=\"true\"", layers[i]);
        assert_int_equal(page_count(gallery, text), 1);
    }
    // The picture once, five overlays.
    assert_int_equal(page_count(gallery, "data:image/jpeg;base64,"), 6);
    assert_int_equal(page_count(gallery, "data:image/png;base64,"), 30);
    memory_free(gallery);
    memory_free(page);
}

// An empty picture says whether it is one on purpose.
static void test_empty_panels_say_so(void **state) {
    const char *run = scratch_path(state, "run");
    struct made_up_examples examples = page_examples;
    page_write_run(run, 0.625);
    char *page = page_of(state, 1, &run);
    assert_null(strstr(page, "nothing predicted"));
    assert_null(strstr(page, ": none</span>"));
    memory_free(page);
    examples.predicts_nothing = true;
    examples.n = 1; // whose labels are as they were
    made_up_examples(run, &examples);
    page = page_of(state, 1, &run);
    char *gallery = page_section(page, "gallery");
    page_assert_has(gallery,
                    "<figcaption>prediction<span class=\"small\">nothing predicted</span>");
    memory_free(gallery);
    memory_free(page);
}

static void test_runs_side_by_side(void **state) {
    const char *runs[2] = {scratch_path(state, "baseline"), scratch_path(state, "adele")};
    page_write_run(runs[0], 0.5);
    page_write_run(runs[1], 0.75);
    made_up_file(runs[1], "config.resolved.yaml",
                 "name: \"x\"\ntrain:\n  epochs: 5\n  optimizer:\n    lr: 0.02\n  seed: 3\n");
    char *page = page_of(state, 2, runs);
    page_assert_section_has(page, "summary",
                            "<th scope=\"row\">heart</th><td>0.500</td><td>0.750</td>");
    page_assert_section_has(page, "configuration",
                            "train.optimizer.lr</th><td class=\"text\">0.01</td>"
                            "<td class=\"text\">0.02</td>");
    page_assert_section_has(page, "configuration",
                            "train.seed</th><td class=\"text\">\xE2\x80\x93</td>"
                            "<td class=\"text\">3</td>");
    char *configuration = page_section(page, "configuration");
    assert_null(strstr(configuration, "train.epochs"));
    memory_free(configuration);
    // The same image in both: one article with two rows, and the picture once.
    char *gallery = page_section(page, "gallery");
    assert_int_equal(page_count(gallery, "<article"), 6);
    assert_int_equal(page_count(gallery, "<div class=\"panels\">"), 12);
    assert_int_equal(page_count(gallery, "data:image/jpeg;base64,"), 6);
    memory_free(gallery);
    memory_free(page);
}

// A class that the gate of the ensemble kept, one that it let pass, and one that it did not
// measure.
static void test_the_gate_of_the_ensemble(void **state) {
    const char *run = scratch_path(state, "gated");
    made_up_metrics(run, "heart", 0.5);
    char *page = page_of(state, 1, &run);
    assert_null(strstr(page, "The gate of the ensemble"));
    memory_free(page);
    made_up_file(
        run, "onset.json",
        "{\"pipeline\": \"segthor\", \"r\": 0.9, \"corrects\": true, \"ensemble_epoch\": 8, "
        "\"categories\": [{\"name\": \"heart\", \"iou\": [0.5], \"corrected_epochs\": [], "
        "\"gate\": {\"epoch\": 8, \"known\": 0.9, \"area_deviation\": 0.04, \"one_sided\": "
        "null, \"iou_of_decisions\": 0.9, \"iou_with_labels\": 0.925, \"corrects\": false}}, "
        "{\"name\": \"<lung>\", \"iou\": [0.5], \"corrected_epochs\": [8], \"gate\": "
        "{\"epoch\": 8, \"known\": 0.75, \"area_deviation\": 0.5, \"one_sided\": 0.951, "
        "\"iou_of_decisions\": 0.875, \"iou_with_labels\": 0.5, \"corrects\": true}}, "
        "{\"name\": \"trachea\", \"iou\": [0.5], \"gate\": null}]}");
    page = page_of(state, 1, &run);
    page_assert_well_formed(page);
    page_assert_section_has(page, "onset", "once, from an ensemble, after epoch 8;");
    page_assert_section_has(page, "onset", "Known: the share of the class's probability");
    page_assert_section_has(page, "onset",
                            "One-sided: the same differences, divided by the pixels");
    page_assert_section_has(
        page, "onset",
        "<tr><th scope=\"row\">heart</th><td>8</td><td><b>0.900</b></td><td>0.040</td>"
        "<td>\xE2\x80\x93</td><td>0.925</td><td>0.900</td><td>-0.025</td><td>kept</td></tr>");
    page_assert_section_has(
        page, "onset",
        "<tr><th scope=\"row\">&lt;lung&gt;</th><td>8</td><td><b>0.750</b></td><td><b>"
        "0.500</b></td><td><b>0.951</b></td><td>0.500</td><td>0.875</td><td><b>0.375"
        "</b></td><td>corrected</td></tr>\n</tbody>");
    memory_free(page);
    // No class passed.
    made_up_file(
        run, "onset.json",
        "{\"pipeline\": \"segthor\", \"r\": 0.9, \"corrects\": true, \"ensemble_epoch\": 8, "
        "\"categories\": [{\"name\": \"heart\", \"iou\": [0.5], \"corrected_epochs\": [], "
        "\"gate\": {\"epoch\": 8, \"known\": 0.9, \"corrects\": false}}]}");
    page = page_of(state, 1, &run);
    page_assert_section_has(page, "onset",
                            "corrected nothing: after epoch 8 every class was kept by the gate;");
    assert_null(strstr(page, "corrected once, from"));
    memory_free(page);
}

static void test_classes_that_were_not_learned(void **state) {
    const char *runs[2] = {scratch_path(state, "sgd"), scratch_path(state, "adamw")};
    page_write_run(runs[0], 0.5);
    page_write_run(runs[1], 0.5);
    char *page = page_of(state, 2, runs);
    assert_null(strstr(page, "not learned"));
    memory_free(page);
    made_up_file(
        runs[0], "onset.json",
        "{\"pipeline\": \"segthor\", \"r\": 0.9, \"corrects\": true, \"categories\": [{"
        "\"name\": \"heart\", \"iou\": [0.1, 0, 0, 0]}, {\"name\": \"lung\", \"iou\": [0.1, "
        "0.2, 0.3, 0.3]}, {\"name\": \"<leaf>\", \"iou\": [0, 0, 0, 0], \"onset_epoch\": "
        "43}]}");
    page = page_of(state, 2, runs);
    page_assert_well_formed(page);
    page_assert_section_has(
        page, "summary",
        "predicted almost nowhere in the training images at the end</span></th><td "
        "class=\"text\">heart, &lt;leaf&gt;</td><td>none</td></tr>");
    page_assert_section_has(
        page, "onset",
        "<li>&lt;leaf&gt;: never corrected, because the network has not learned it: ");
    assert_null(strstr(page, "..</li>"));
    memory_free(page);
}

static void test_what_is_missing_is_named(void **state) {
    const char *run = scratch_path(state, "bare");
    made_up_file(run, "metrics.jsonl", "{\"epoch\": 1, \"step\": 1, \"train/loss\": null}\n");
    char *page = page_of(state, 1, &run);
    page_assert_well_formed(page);
    page_assert_section_has(page, "curves", "No run has recorded: Training loss.");
    page_assert_section_has(page, "curves", "need true masks of the training images");
    // Rows without any value are left out.
    char *summary = page_section(page, "summary");
    assert_non_null(strstr(summary, ">Epochs</th>"));
    assert_null(strstr(summary, "Training labels against the truth"));
    assert_null(strstr(summary, "Agrees with"));
    assert_null(strstr(summary, "Pixels that corrections changed"));
    memory_free(summary);
    page_assert_section_has(page, "onset", "bare: no onset.json");
    page_assert_section_has(page, "changes", "bare: metrics.jsonl does not say");
    page_assert_section_has(page, "gallery", "bare: no examples.safetensors");
    page_assert_section_has(page, "doubt", "bare: no audit/audit.csv");
    page_assert_section_has(page, "configuration", "bare: no config.resolved.yaml");
    memory_free(page);
    made_up_metrics(run, "heart", 0.5);
    struct made_up_examples examples = page_examples;
    examples.with_truth = false;
    made_up_examples(run, &examples);
    page = page_of(state, 1, &run);
    page_assert_section_has(page, "changes", "bare: from which class to which is not known");
    page_assert_section_has(page, "gallery", "no panel &quot;truth&quot;");
    // Without the truth, differences have the colours of the new classes.
    page_assert_section_has(
        page, "gallery",
        "background:#ffffff\"></span>difference: became background</li><li><span "
        "class=\"swatch\" style=\"background:#56b4e9\"></span>became heart</li>");
    page_assert_section_has(page, "gallery",
                            "data-layer=\"truth\" aria-pressed=\"false\" disabled");
    memory_free(page);
}

static void test_same_bytes(void **state) {
    const char *run = scratch_path(state, "run");
    page_write_run(run, 0.5);
    char *first = page_of(state, 1, &run), *second = page_of(state, 1, &run);
    assert_string_equal(first, second);
    memory_free(first);
    memory_free(second);
}

// Of a file with any number of examples 24 are shown at most, and fewer where the page would become
// too large: noise cannot be compressed.
static void test_the_size_is_bounded(void **state) {
    const char *run = scratch_path(state, "run");
    struct made_up_examples examples = {
        .n = 100, .h = 20, .w = 20, .with_truth = true, .class_name = "heart", .case_name = "c"};
    made_up_metrics(run, "heart", 0.5);
    made_up_examples(run, &examples);
    char *page = page_of(state, 1, &run);
    assert_int_equal(page_count(page, "<article"), 24);
    page_assert_section_has(page, "gallery", "first 24 of 100 images");
    memory_free(page);
    examples.is_random = true;
    examples.h = examples.w = 160;
    made_up_examples(run, &examples);
    page = page_of(state, 1, &run);
    int n_shown = page_count(page, "<article");
    assert_in_range(n_shown, 2, 20);
    assert_in_range(strlen(page), PAGE_MAX_BYTES, PAGE_MAX_BYTES + 300000);
    char text[128];
    (void)snprintf(text, sizeof text, "%d more images of the run folders are left out",
                   24 - n_shown);
    page_assert_section_has(page, "gallery", text);
    memory_free(page);
}

// No two of the 254 classes have one colour, nor colours that look alike side by side.
static void test_colours_of_classes(void **state) {
    (void)state;
    int nearest = 1 << 30;
    for (int a = 1; a < 255; a++)
        for (int b = a + 1; b < 255; b++) {
            uint32_t one = class_colour(a), other = class_colour(b);
            int distance = 0;
            for (int shift = 0; shift < 24; shift += 8) {
                int d = (int)(one >> shift & 0xFF) - (int)(other >> shift & 0xFF);
                distance += d * d;
            }
            assert_true(distance > 0);
            nearest = distance < nearest && b - a < 20 ? distance : nearest;
        }
    assert_true(nearest >= 60 * 60);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

// Every program that draws text through fontconfig leaves some hundred bytes behind in it.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_values_of_one_run),
        WITH_FOLDER(test_gallery_begins_with_the_most_changed),
        WITH_FOLDER(test_empty_panels_say_so),
        WITH_FOLDER(test_runs_side_by_side),
        WITH_FOLDER(test_the_gate_of_the_ensemble),
        WITH_FOLDER(test_classes_that_were_not_learned),
        WITH_FOLDER(test_what_is_missing_is_named),
        WITH_FOLDER(test_same_bytes),
        WITH_FOLDER(test_the_size_is_bounded),
        cmocka_unit_test(test_colours_of_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
