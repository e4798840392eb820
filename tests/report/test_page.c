// SPDX-License-Identifier: MIT
// report.html of made-up runs: what is in it, and that nothing of a file becomes markup.
#include "report/report.h"

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "report/class_colour.h"
#include "report/figures.h"
#include "support/made_up_run.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_BYTES (size_t)1000000

#define HOSTILE "</script><script>alert(\"1\")</script>&'<b>"
#define ESCAPED                                                                                    \
    "&lt;/script&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;&lt;b&gt;"

static const struct made_up_examples small_examples = {.n = 6,
                                                       .n_spread = 2,
                                                       .h = 24,
                                                       .w = 20,
                                                       .with_truth = true,
                                                       .class_name = "heart",
                                                       .case_name = "case_"};

static void write_flow(const char *run, int epoch, const char *class_name, const char *flow) {
    char name[64], text[1024];
    (void)snprintf(name, sizeof name, "labels/epoch_%04d.json", epoch);
    (void)snprintf(text, sizeof text,
                   "{\"epoch\": %d, \"changed_pixels\": 1, \"classes\": [\"background\", \"%s\"], "
                   "\"flow\": [%s]}",
                   epoch, class_name, flow);
    made_up_file(run, name, text);
}

static void write_run(const char *run, double last) {
    made_up_metrics(run, "heart", last);
    made_up_onset(run, "heart");
    made_up_examples(run, &small_examples);
    write_flow(run, 4, "heart",
               "{\"from\": 0, \"to\": 1, \"pixels\": 1250}, {\"from\": 1, \"to\": 0, \"pixels\": "
               "50}");
    write_flow(run, 5, "heart", "{\"from\": 1, \"to\": 0, \"pixels\": 40}");
    made_up_file(run, "config.resolved.yaml",
                 "# made by adele 9.8.7 / compiler tcc 1 / device cpu / engine auto / instruction "
                 "set avx2 / libraries oneDNN 2.6.3, glibc 2.36\n"
                 "name: \"x\"\ntrain:\n  epochs: 5\n  optimizer:\n    lr: 0.01\n");
}

// The page alone: the figures take longer, and test_report writes them.
static adele_status write_page(void **state, int n, const char *const *paths, size_t max_bytes) {
    struct report_run runs[2] = {0};
    struct report_summary summaries[2] = {0};
    adele_status status = ADELE_OK;
    assert_true(n <= 2);
    for (int i = 0; i < n; i++) {
        assert_int_equal(report_run_load(paths[i], &runs[i]), ADELE_OK);
        assert_int_equal(report_run_summarize(&runs[i], &summaries[i]), ADELE_OK);
    }
    status = page_write(n, runs, summaries, max_bytes, *state);
    for (int i = 0; i < n; i++) {
        report_run_deinit(&runs[i]);
        memory_free(summaries[i].name);
    }
    return status;
}

// The caller frees it. (GCC 12 warns of a dangling pointer where `text` is not static.)
static char *page_of(void **state, int n, const char *const *runs) {
    static char *text;
    size_t n_bytes = 0;
    assert_int_equal(write_page(state, n, runs, MAX_BYTES), ADELE_OK);
    assert_int_equal(file_read(scratch_path(state, "report.html"), 0, &text, &n_bytes), ADELE_OK);
    return text;
}

static int count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        n++;
    return n;
}

static void assert_has(const char *page, const char *part) {
    if (strstr(page, part) == NULL)
        fail_msg("the page lacks: %s", part);
}

// The part of the page from `first` to the end of that section.
static char *section(const char *page, const char *id) {
    char *start = memory_printf("<section id=\"%s\">", id);
    const char *from = strstr(page, start);
    memory_free(start);
    assert_non_null(from);
    return memory_printf("%.*s", (int)(strstr(from, "</section>") - from), from);
}

static void assert_section_has(const char *page, const char *id, const char *part) {
    char *text = section(page, id);
    if (strstr(text, part) == NULL)
        fail_msg("section %s lacks: %s", id, part);
    memory_free(text);
}

// Every tag that is opened is closed, in order.
static void assert_well_formed(const char *page) {
    static const char *const empty[] = {"meta", "link", "img", "path"};
    char stack[64][16];
    int depth = 0;
    for (const char *at = strchr(page, '<'); at != NULL; at = strchr(at + 1, '<')) {
        char name[16] = "";
        bool is_end = at[1] == '/', is_empty = false;
        if (at[1] == '!' || sscanf(at + 1 + is_end, "%15[a-z0-9]", name) != 1)
            continue;
        for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++)
            is_empty = is_empty || strcmp(name, empty[i]) == 0;
        if (is_end) {
            assert_true(depth > 0);
            assert_string_equal(stack[--depth], name);
        } else if (!is_empty) {
            assert_true(depth < 64);
            (void)snprintf(stack[depth++], sizeof stack[0], "%s", name);
        }
        if (!is_end && (strcmp(name, "script") == 0 || strcmp(name, "style") == 0))
            at = strstr(at, "</") - 1; // what is between is no markup
    }
    assert_int_equal(depth, 0);
}

// ---- tests --------------------------------------------------------------------------------------

static void test_values_of_one_run(void **state) {
    const char *run = scratch_path(state, "adele");
    write_run(run, 0.625);
    char *page = page_of(state, 1, &run);
    assert_well_formed(page);
    assert_section_has(page, "summary",
                       "Best mIoU<span class=\"small\">foreground</span></th>"
                       "<td>0.750</td>");
    assert_section_has(page, "summary", "<td>-0.125</td>");
    assert_section_has(page, "summary", "<td>340</td>"); // changed pixels
    assert_section_has(page, "summary", "<th scope=\"row\">heart</th><td>0.625</td>");
    assert_section_has(page, "curves",
                       "data-name=\"adele\" data-x=\"1,2,3,4,5\" "
                       "data-y=\"0.5,0.625,0.75,0.6875,0.625\"");
    assert_section_has(page, "onset",
                       "<th scope=\"row\">heart</th><td>3</td><td>4</td><td>2</td>"
                       "<td>0.700</td><td>0.900</td><td>2.000</td>");
    assert_section_has(page, "onset", "onset by the fit");
    // All together: 0 -> 1 in 1,250 pixels, 1 -> 0 in 90; then each correction.
    assert_section_has(page, "changes", ">1,250</td>");
    assert_section_has(page, "changes", ">90</td>");
    assert_section_has(page, "changes",
                       "After epoch 4: 1,300 pixels of the training masks changed");
    assert_section_has(page, "changes", "After epoch 5: 40 pixels of the training masks changed");
    assert_section_has(page, "configuration", "<td class=\"text\">tcc 1</td>");
    assert_section_has(page, "configuration", "<td class=\"text\">oneDNN 2.6.3, glibc 2.36</td>");
    assert_section_has(page, "configuration", "  optimizer:\n    lr: 0.01\n");
    memory_free(page);
}

static void test_gallery_begins_with_the_most_changed(void **state) {
    const char *run = scratch_path(state, "run");
    write_run(run, 0.625);
    char *page = page_of(state, 1, &run);
    char *gallery = section(page, "gallery");
    assert_int_equal(count(gallery, "<article"), 6);
    assert_true(strstr(gallery, "case_5") < strstr(gallery, "case_4"));
    assert_true(strstr(gallery, "case_1") < strstr(gallery, "case_0"));
    assert_has(gallery, "<span class=\"small\">40 pixels of the label changed (8.3 %)</span>");
    static const char *const layers[] = {"image", "noisy",      "corrected",
                                         "truth", "prediction", "difference"};
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "<figure class=\"k-%s\">", layers[i]);
        assert_int_equal(count(gallery, text), 6);
        (void)snprintf(text, sizeof text, "data-layer=\"%s\" aria-pressed=\"true\"", layers[i]);
        assert_int_equal(count(gallery, text), 1);
    }
    // The picture once, five overlays.
    assert_int_equal(count(gallery, "data:image/jpeg;base64,"), 6);
    assert_int_equal(count(gallery, "data:image/png;base64,"), 30);
    memory_free(gallery);
    memory_free(page);
}

static void test_runs_side_by_side(void **state) {
    const char *runs[2] = {scratch_path(state, "baseline"), scratch_path(state, "adele")};
    write_run(runs[0], 0.5);
    write_run(runs[1], 0.75);
    made_up_file(runs[1], "config.resolved.yaml",
                 "name: \"x\"\ntrain:\n  epochs: 5\n  optimizer:\n    lr: 0.02\n  seed: 3\n");
    char *page = page_of(state, 2, runs);
    assert_section_has(page, "summary", "<th scope=\"row\">heart</th><td>0.500</td><td>0.750</td>");
    assert_section_has(page, "configuration",
                       "train.optimizer.lr</th><td class=\"text\">0.01</td>"
                       "<td class=\"text\">0.02</td>");
    assert_section_has(page, "configuration",
                       "train.seed</th><td class=\"text\">\xE2\x80\x93</td>"
                       "<td class=\"text\">3</td>");
    char *configuration = section(page, "configuration");
    assert_null(strstr(configuration, "train.epochs"));
    memory_free(configuration);
    // The same image in both: one article with two rows, and the picture once.
    char *gallery = section(page, "gallery");
    assert_int_equal(count(gallery, "<article"), 6);
    assert_int_equal(count(gallery, "<div class=\"panels\">"), 12);
    assert_int_equal(count(gallery, "data:image/jpeg;base64,"), 6);
    memory_free(gallery);
    memory_free(page);
}

static void test_names_are_escaped(void **state) {
    // The name of a folder has no '/'.
    const char *run = scratch_path(state, "r<script>alert(2)&\"'");
    struct made_up_examples examples = small_examples;
    examples.class_name = examples.case_name = HOSTILE;
    made_up_metrics(run, HOSTILE, 0.5);
    made_up_onset(run, HOSTILE);
    made_up_examples(run, &examples);
    write_flow(run, 4, "</script><script>alert(\\\"1\\\")</script>&'<b>",
               "{\"from\": 0, \"to\": 1, \"pixels\": 7}");
    made_up_file(run, "config.resolved.yaml", "name: \"" HOSTILE "\"\n");
    made_up_file(run, "audit.csv",
                 "case,slice,score,worst_class,worst_class_score,overlay\n"
                 "\"</script><script>alert(\"\"1\"\")</script>&'<b>\",0,0.1,x,0.1,none\n");
    char *page = page_of(state, 1, &run);
    assert_well_formed(page);
    assert_int_equal(count(page, "<script"), 1);
    assert_int_equal(count(page, "</script"), 1);
    assert_null(strstr(page, "<b>"));
    assert_has(page, "<h1>r&lt;script&gt;alert(2)&amp;&quot;&#39;</h1>");
    static const char *const ids[] = {"summary", "onset",         "changes",
                                      "gallery", "configuration", "doubt"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_section_has(page, ids[i], ESCAPED);
    memory_free(page);
}

static void test_nothing_comes_from_elsewhere(void **state) {
    const char *run = scratch_path(state, "run");
    write_run(run, 0.625);
    char *page = page_of(state, 1, &run);
    assert_has(page, "default-src 'none'");
    // The one address is the name of SVG's elements.
    assert_int_equal(count(page, "http"), count(page, "http-equiv") + 1);
    assert_has(page, "\"http://www.w3.org/2000/svg\"");
    assert_null(strstr(page, "@import"));
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
    assert_well_formed(page);
    assert_section_has(page, "onset", "once, from an ensemble, after epoch 8;");
    assert_section_has(page, "onset", "Known: the share of the class's probability");
    assert_section_has(page, "onset", "One-sided: the same differences, divided by the pixels");
    assert_section_has(
        page, "onset",
        "<tr><th scope=\"row\">heart</th><td>8</td><td><b>0.900</b></td><td>0.040</td>"
        "<td>\xE2\x80\x93</td><td>0.925</td><td>0.900</td><td>-0.025</td><td>kept</td></tr>");
    assert_section_has(
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
    assert_section_has(page, "onset",
                       "corrected nothing: after epoch 8 every class was kept by the gate;");
    assert_null(strstr(page, "corrected once, from"));
    memory_free(page);
}

static void test_what_is_missing_is_named(void **state) {
    const char *run = scratch_path(state, "bare");
    made_up_file(run, "metrics.jsonl", "{\"epoch\": 1, \"step\": 1, \"train/loss\": null}\n");
    char *page = page_of(state, 1, &run);
    assert_well_formed(page);
    assert_section_has(page, "curves", "No run has recorded: Training loss.");
    assert_section_has(page, "curves", "need true masks of the training images");
    // Rows without any value are left out.
    char *summary = section(page, "summary");
    assert_non_null(strstr(summary, ">Epochs</th>"));
    assert_null(strstr(summary, "Training labels against the truth"));
    assert_null(strstr(summary, "Agrees with"));
    assert_null(strstr(summary, "Pixels that corrections changed"));
    memory_free(summary);
    assert_section_has(page, "onset", "bare: no onset.json");
    assert_section_has(page, "changes", "bare: metrics.jsonl does not say");
    assert_section_has(page, "gallery", "bare: no examples.safetensors");
    assert_section_has(page, "doubt", "bare: no audit/audit.csv");
    assert_section_has(page, "configuration", "bare: no config.resolved.yaml");
    memory_free(page);
    made_up_metrics(run, "heart", 0.5);
    struct made_up_examples examples = small_examples;
    examples.with_truth = false;
    made_up_examples(run, &examples);
    page = page_of(state, 1, &run);
    assert_section_has(page, "changes", "bare: from which class to which is not known");
    assert_section_has(page, "gallery", "no panel &quot;truth&quot;");
    // Without the truth, differences have the colours of the new classes.
    assert_section_has(page, "gallery",
                       "background:#ffffff\"></span>difference: became background</li><li><span "
                       "class=\"swatch\" style=\"background:#56b4e9\"></span>became heart</li>");
    assert_section_has(page, "gallery", "data-layer=\"truth\" aria-pressed=\"false\" disabled");
    memory_free(page);
}

static void test_same_bytes(void **state) {
    const char *run = scratch_path(state, "run");
    write_run(run, 0.5);
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
    assert_int_equal(count(page, "<article"), 24);
    assert_section_has(page, "gallery", "first 24 of 100 images");
    memory_free(page);
    examples.is_random = true;
    examples.h = examples.w = 160;
    made_up_examples(run, &examples);
    page = page_of(state, 1, &run);
    int n_shown = count(page, "<article");
    assert_in_range(n_shown, 2, 20);
    assert_in_range(strlen(page), MAX_BYTES, MAX_BYTES + 300000);
    char text[128];
    (void)snprintf(text, sizeof text, "%d more images of the run folders are left out",
                   24 - n_shown);
    assert_section_has(page, "gallery", text);
    memory_free(page);
}

static void save_gray(const char *folder, const char *name, int width, int height, uint8_t value) {
    char path[4096];
    struct image image;
    assert_int_equal(image_init(&image, width, height, 1, 8), ADELE_OK);
    memset(image.pixels, value, (size_t)width * (size_t)height);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(image_save_png(path, &image), ADELE_OK);
    image_deinit(&image);
}

#define AUDIT_HEADER                                                                               \
    "rank,case,slice,score,worst_class,worst_class_score,pixels,doubtful_pixels,"                  \
    "doubtful_fraction,regions,overlay\n"

static void test_doubtful_images(void **state) {
    const char *run = scratch_path(state, "run");
    made_up_metrics(run, "heart", 0.5);
    made_up_examples(run, &small_examples);
    made_up_file(run, "audit/audit.csv",
                 AUDIT_HEADER "1,\"a \"\"b\"\", c\",0,0.250000,heart,0.125000,100,40,0.400000,2,"
                              "overlays/0001\n"
                              "2,second,7,0.500000,heart,0.500000,100,1,0.010000,1,\n");
    made_up_file(run, "audit/overlays/x", "");
    char folder[1024];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "run/audit/overlays"));
    save_gray(folder, "0001_image.png", 700, 350, 90);
    save_gray(folder, "0001_label.png", 700, 350, 0);
    save_gray(folder, "0001_prediction.png", 700, 350, 1);
    char *page = page_of(state, 1, &run);
    assert_well_formed(page);
    assert_section_has(page, "doubt", "</span>heart</li>");
    // Shrunk by 3 to at most 320 pixels.
    assert_section_has(page, "doubt", "aspect-ratio:233/116");
    assert_section_has(page, "doubt", "<h3>a &quot;b&quot;, c</h3>");
    assert_section_has(page, "doubt",
                       "agreement of label and prediction 0.25, lowest for heart "
                       "(0.12); 40.0 % of its pixels");
    assert_section_has(page, "doubt", "label against prediction");
    char *doubt = section(page, "doubt");
    assert_int_equal(count(doubt, "<article"), 1); // the second one has no pictures
    memory_free(doubt);
    memory_free(page);
}

static void assert_fails(void **state, const char *run, const char *what) {
    assert_int_equal(write_page(state, 1, &run, MAX_BYTES), ADELE_FORMAT);
    if (strstr(adele_error_message(), what) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", adele_error_message(), what);
    assert_string_not_equal(adele_error_hint(), "");
}

static void test_bad_files(void **state) {
    const char *run = scratch_path(state, "run");
    made_up_metrics(run, "heart", 0.5);
    static const struct {
        const char *name, *text, *message;
    } files[] = {
        {"labels/epoch_0004.json", "{\"epoch\": 4}", "labels/epoch_0004.json: no \"epoch\", or"},
        {"labels/epoch_0004.json",
         "{\"epoch\": 4, \"flow\": [{\"from\": 0, \"to\": 256, "
         "\"pixels\": 1}]}",
         "labels/epoch_0004.json: an element of \"flow\""},
        {"labels/epoch_0004.json", "{\"epoch\": 4, \"flow\": [], \"classes\": [3]}",
         "labels/epoch_0004.json: \"classes\""},
        {"labels/epoch_0004.json", "{\"epoch\": 4, \"flow\": [", "labels/epoch_0004.json"},
        {"labels/epoch_0004.json", "{\"epoch\": 4, \"flow\": []}", NULL},
        {"audit.csv", AUDIT_HEADER "1,a\n", "audit.csv: line 2: 2 fields, the header has 11"},
        {"audit.csv", AUDIT_HEADER "1,\"a", "audit.csv: line 2: a quote is not closed"},
        {"audit.csv", AUDIT_HEADER "1,\"a\"b,0,0,x,0,1,1,0,1,\n",
         "audit.csv: line 2: 'b' after a quoted field"},
        {"audit.csv", AUDIT_HEADER "1,a,0,0,x,0,1,1,0,1,../secret\n",
         "audit.csv: line 2: the overlay \"../secret\" is outside of the folder"},
        {"overlays/1_image.png", "rubbish", NULL},
        {"audit.csv", AUDIT_HEADER "1,a,0,0,x,0,1,1,0,1,overlays/1\n", "overlays/1_image.png"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        made_up_file(run, files[i].name, files[i].text);
        if (files[i].message != NULL)
            assert_fails(state, run, files[i].message);
    }
    // Pictures of different sizes.
    char folder[1024];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "run/overlays"));
    save_gray(folder, "1_image.png", 8, 8, 0);
    save_gray(folder, "1_label.png", 8, 9, 0);
    save_gray(folder, "1_prediction.png", 8, 8, 0);
    assert_fails(state, run, "1_label.png: 9 x 8 pixels, the image has 8 x 8 (height x width)");
}

// Each of the page's allocations, one after another.
static void test_allocations_may_fail(void **state) {
    const char *path = scratch_path(state, "run");
    struct report_run run = {0};
    struct report_summary summary = {0};
    struct made_up_examples examples = small_examples;
    examples.n = 2;
    write_run(path, 0.5);
    made_up_examples(path, &examples);
    made_up_file(path, "audit.csv", "case,overlay\na,\n");
    assert_int_equal(report_run_load(path, &run), ADELE_OK);
    assert_int_equal(report_run_summarize(&run, &summary), ADELE_OK);
    long i = 0;
    for (bool has_failed = true; has_failed; i++) {
        memory_fail_at(i);
        adele_status status = page_write(1, &run, &summary, MAX_BYTES, *state);
        has_failed = memory_count() > i;
        memory_fail_at(-1);
        assert_int_equal(status, has_failed ? ADELE_NO_MEMORY : ADELE_OK);
    }
    assert_true(i > 100);
    memory_free(summary.name);
    report_run_deinit(&run);
}

static void test_bytes_that_are_not_utf8(void **state) {
    const char *run = scratch_path(state, "caf\xE9_\xF0\x9F");
    write_run(run, 0.5);
    char *page = page_of(state, 1, &run);
    assert_has(page, "<h1>caf?_?\?</h1>");
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
        WITH_FOLDER(test_runs_side_by_side),
        WITH_FOLDER(test_names_are_escaped),
        WITH_FOLDER(test_nothing_comes_from_elsewhere),
        WITH_FOLDER(test_the_gate_of_the_ensemble),
        WITH_FOLDER(test_what_is_missing_is_named),
        WITH_FOLDER(test_same_bytes),
        WITH_FOLDER(test_the_size_is_bounded),
        WITH_FOLDER(test_doubtful_images),
        WITH_FOLDER(test_bad_files),
        WITH_FOLDER(test_bytes_that_are_not_utf8),
        WITH_FOLDER(test_allocations_may_fail),
        cmocka_unit_test(test_colours_of_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
