// SPDX-License-Identifier: MIT
// report.html of files that hold markup, are damaged or come from `adele audit`: nothing of a file
// becomes markup, and what cannot be read is named.
#include "report/figures.h"

#include "base/memory.h"
#include "image/image.h"
#include "support/page_check.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOSTILE "</script><script>alert(\"1\")</script>&'<b>"
#define ESCAPED                                                                                    \
    "&lt;/script&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;&lt;b&gt;"

static void test_names_are_escaped(void **state) {
    // The name of a folder has no '/'.
    const char *run = scratch_path(state, "r<script>alert(2)&\"'");
    struct made_up_examples examples = page_examples;
    examples.class_name = examples.case_name = HOSTILE;
    made_up_metrics(run, HOSTILE, 0.5);
    made_up_onset(run, HOSTILE);
    made_up_examples(run, &examples);
    page_write_flow(run, 4, "</script><script>alert(\\\"1\\\")</script>&'<b>",
                    "{\"from\": 0, \"to\": 1, \"pixels\": 7}");
    made_up_file(run, "config.resolved.yaml", "name: \"" HOSTILE "\"\n");
    made_up_file(run, "audit.csv",
                 "case,slice,score,worst_class,worst_class_score,overlay\n"
                 "\"</script><script>alert(\"\"1\"\")</script>&'<b>\",0,0.1,x,0.1,none\n");
    char *page = page_of(state, 1, &run);
    page_assert_well_formed(page);
    assert_int_equal(page_count(page, "<script"), 1);
    assert_int_equal(page_count(page, "</script"), 1);
    assert_null(strstr(page, "<b>"));
    page_assert_has(page, "<h1>r&lt;script&gt;alert(2)&amp;&quot;&#39;</h1>");
    static const char *const ids[] = {"summary", "onset",         "changes",
                                      "gallery", "configuration", "doubt"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        page_assert_section_has(page, ids[i], ESCAPED);
    memory_free(page);
}

static void test_nothing_comes_from_elsewhere(void **state) {
    const char *run = scratch_path(state, "run");
    page_write_run(run, 0.625);
    char *page = page_of(state, 1, &run);
    page_assert_has(page, "default-src 'none'");
    // The one address is the name of SVG's elements.
    assert_int_equal(page_count(page, "http"), page_count(page, "http-equiv") + 1);
    page_assert_has(page, "\"http://www.w3.org/2000/svg\"");
    assert_null(strstr(page, "@import"));
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
    made_up_examples(run, &page_examples);
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
    page_assert_well_formed(page);
    page_assert_section_has(page, "doubt", "</span>heart</li>");
    // Shrunk by 3 to at most 320 pixels.
    page_assert_section_has(page, "doubt", "aspect-ratio:233/116");
    page_assert_section_has(page, "doubt", "<h3>a &quot;b&quot;, c</h3>");
    page_assert_section_has(page, "doubt",
                            "agreement of label and prediction 0.25, lowest for heart "
                            "(0.12); 40.0 % of its pixels");
    page_assert_section_has(page, "doubt", "label against prediction");
    char *doubt = page_section(page, "doubt");
    assert_int_equal(page_count(doubt, "<article"), 1); // the second one has no pictures
    memory_free(doubt);
    memory_free(page);
}

static void assert_fails(void **state, const char *run, const char *what) {
    assert_int_equal(page_write_runs(state, 1, &run, PAGE_MAX_BYTES), ADELE_FORMAT);
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
        {"audit.csv", AUDIT_HEADER "1,a\n", "audit.csv, row 2: 2 fields, not 11"},
        {"audit.csv", AUDIT_HEADER "1,\"a", "audit.csv, row 2: a quote is not closed"},
        {"audit.csv", AUDIT_HEADER "1,\"a\"b,0,0,x,0,1,1,0,1,\n",
         "audit.csv, row 2: 'b' after a quoted field"},
        {"audit.csv", AUDIT_HEADER "1,a,0,0,x,0,1,1,0,1,../secret\n",
         "audit.csv, row 2: the overlay \"../secret\" is outside of the folder"},
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

static void test_bytes_that_are_not_utf8(void **state) {
    const char *run = scratch_path(state, "caf\xE9_\xF0\x9F");
    page_write_run(run, 0.5);
    char *page = page_of(state, 1, &run);
    page_assert_has(page, "<h1>caf?_?\?</h1>");
    memory_free(page);
}

// Each of the page's allocations, one after another.
static void test_allocations_may_fail(void **state) {
    const char *path = scratch_path(state, "run");
    struct report_run run = {0};
    struct report_summary summary = {0};
    struct made_up_examples examples = page_examples;
    examples.n = 2;
    page_write_run(path, 0.5);
    made_up_examples(path, &examples);
    made_up_file(path, "audit.csv", "case,overlay\na,\n");
    assert_int_equal(report_run_load(path, &run), ADELE_OK);
    assert_int_equal(report_run_summarize(&run, &summary), ADELE_OK);
    long i = 0;
    for (bool has_failed = true; has_failed; i++) {
        memory_fail_at(i);
        adele_status status = page_write(1, &run, &summary, PAGE_MAX_BYTES, *state);
        has_failed = memory_count() > i;
        memory_fail_at(-1);
        assert_int_equal(status, has_failed ? ADELE_NO_MEMORY : ADELE_OK);
    }
    assert_true(i > 100);
    memory_free(summary.name);
    report_run_deinit(&run);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

// Every program that draws text through fontconfig leaves some hundred bytes behind in it.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_names_are_escaped),       WITH_FOLDER(test_nothing_comes_from_elsewhere),
        WITH_FOLDER(test_doubtful_images),         WITH_FOLDER(test_bad_files),
        WITH_FOLDER(test_bytes_that_are_not_utf8), WITH_FOLDER(test_allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
