// SPDX-License-Identifier: MIT
// report.html in Chromium: page_test.js presses the toggles, moves through a chart, and measures;
// and nothing is written to the console. CMake disables the test where there is no Chromium.
#include "base/file.h"
#include "base/memory.h"
#include "report/figures.h"
#include "support/made_up_run.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifndef CHROMIUM
#define CHROMIUM "chromium"
#endif

static void write_run(const char *run, double last) {
    const struct made_up_examples examples = {
        .n = 2, .h = 24, .w = 20, .with_truth = true, .class_name = "heart", .case_name = "case_"};
    made_up_metrics(run, "heart", last);
    made_up_onset(run, "heart");
    made_up_examples(run, &examples);
    made_up_file(run, "labels/epoch_0004.json",
                 "{\"epoch\": 4, \"classes\": [\"background\", \"heart\"], \"flow\": [{\"from\": "
                 "0, \"to\": 1, \"pixels\": 300}]}");
    made_up_file(run, "config.resolved.yaml", "name: \"a very long name that is not broken\"\n");
}

static char *write_page(void **state) {
    const char *paths[2] = {scratch_path(state, "baseline"), scratch_path(state, "adele")};
    struct report_run runs[2] = {0};
    struct report_summary summaries[2] = {0};
    static char *text;
    size_t n_bytes = 0;
    write_run(paths[0], 0.5);
    write_run(paths[1], 0.75);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(report_run_load(paths[i], &runs[i]), ADELE_OK);
        assert_int_equal(report_run_summarize(&runs[i], &summaries[i]), ADELE_OK);
    }
    assert_int_equal(page_write(2, runs, summaries, 1000000, *state), ADELE_OK);
    for (int i = 0; i < 2; i++) {
        report_run_deinit(&runs[i]);
        memory_free(summaries[i].name);
    }
    assert_int_equal(file_read(scratch_path(state, "report.html"), 0, &text, &n_bytes), ADELE_OK);
    return text;
}

// The page with a script at its end, as NAME.html; what Chromium makes of it is NAME.dom, and what
// it writes to its console is in NAME.log.
static void open_page(void **state, const char *name, const char *page, const char *script) {
    const char *folder = *state, *end = strstr(page, "</body>");
    char path[256];
    assert_non_null(end);
    char *text = memory_printf("%.*s<script>%s</script>%s", (int)(end - page), page, script, end);
    (void)snprintf(path, sizeof path, "%s.html", name);
    made_up_file(folder, path, text);
    memory_free(text);
    char *command = memory_printf(
        "HOME='%s' timeout 60 '%s' --headless --no-sandbox --disable-dev-shm-usage --disable-gpu "
        "--disable-extensions "
        "--no-first-run --disable-background-networking --user-data-dir='%s/profile' "
        "--window-size=1280,900 --virtual-time-budget=10000 --enable-logging=stderr --dump-dom "
        "'file://%s/%s.html' >'%s/%s.dom' 2>'%s/%s.log'",
        folder, CHROMIUM, folder, folder, name, folder, name, folder, name);
    int result = system(command);
    memory_free(command);
    if (result != 0)
        fail_msg("Chromium ends with %d", result);
}

static char *read_result(void **state, const char *name) {
    static char *text;
    size_t n_bytes = 0;
    assert_int_equal(file_read(scratch_path(state, name), 0, &text, &n_bytes), ADELE_OK);
    return text;
}

static void test_page_in_chromium(void **state) {
    char *page = write_page(state);
    char *script = NULL;
    size_t n_bytes = 0;
    assert_int_equal(file_read(PROJECT_DIR "/tests/report/page_test.js", 0, &script, &n_bytes),
                     ADELE_OK);
    open_page(state, "page", page, script);
    char *dom = read_result(state, "page.dom"), *log = read_result(state, "page.log");
    const char *result = strstr(dom, "<p>result: ");
    if (result == NULL || strstr(result, "result: passed ") == NULL)
        fail_msg("%.400s\n%.2000s", result != NULL ? result : "no result", log);
    if (strstr(log, "CONSOLE") != NULL)
        fail_msg("on the console: %s", log);
    memory_free(dom);
    memory_free(log);
    memory_free(script);
    memory_free(page);
}

// An error would be seen in the log.
static void test_errors_are_detected(void **state) {
    char *page = write_page(state);
    open_page(state, "planted", page, "fetch('https://localhost/x'); missing();");
    char *log = read_result(state, "planted.log");
    assert_non_null(strstr(log, "CONSOLE"));
    assert_non_null(strstr(log, "missing is not defined"));
    assert_non_null(strstr(log, "Content Security Policy"));
    memory_free(log);
    memory_free(page);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {WITH_FOLDER(test_page_in_chromium),
                                       WITH_FOLDER(test_errors_are_detected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
