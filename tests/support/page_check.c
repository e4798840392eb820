// SPDX-License-Identifier: MIT
#include "support/page_check.h"

#include "base/file.h"
#include "base/memory.h"
#include "report/figures.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const struct made_up_examples page_examples = {.n = 6,
                                               .n_spread = 2,
                                               .h = 24,
                                               .w = 20,
                                               .with_truth = true,
                                               .class_name = "heart",
                                               .case_name = "case_"};

void page_write_flow(const char *run, int epoch, const char *class_name, const char *flow) {
    char name[64], text[1024];
    (void)snprintf(name, sizeof name, "labels/epoch_%04d.json", epoch);
    (void)snprintf(text, sizeof text,
                   "{\"epoch\": %d, \"changed_pixels\": 1, \"classes\": [\"background\", \"%s\"], "
                   "\"flow\": [%s]}",
                   epoch, class_name, flow);
    made_up_file(run, name, text);
}

void page_write_run(const char *run, double last) {
    made_up_metrics(run, "heart", last);
    made_up_onset(run, "heart");
    made_up_examples(run, &page_examples);
    page_write_flow(
        run, 4, "heart",
        "{\"from\": 0, \"to\": 1, \"pixels\": 1250}, {\"from\": 1, \"to\": 0, \"pixels\": "
        "50}");
    page_write_flow(run, 5, "heart", "{\"from\": 1, \"to\": 0, \"pixels\": 40}");
    made_up_file(run, "config.resolved.yaml",
                 "# made by adele 9.8.7 / compiler tcc 1 / device cpu / engine auto / instruction "
                 "set avx2 / libraries oneDNN 2.6.3, glibc 2.36\n"
                 "name: \"x\"\ntrain:\n  epochs: 5\n  optimizer:\n    lr: 0.01\n");
}

adele_status page_write_runs(void **state, int n, const char *const *paths, size_t max_bytes) {
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

// (GCC 12 warns of a dangling pointer where `text` is not static.)
char *page_of(void **state, int n, const char *const *runs) {
    static char *text;
    size_t n_bytes = 0;
    assert_int_equal(page_write_runs(state, n, runs, PAGE_MAX_BYTES), ADELE_OK);
    assert_int_equal(file_read(scratch_path(state, "report.html"), 0, &text, &n_bytes), ADELE_OK);
    return text;
}

int page_count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        n++;
    return n;
}

void page_assert_has(const char *page, const char *part) {
    if (strstr(page, part) == NULL)
        fail_msg("the page lacks: %s", part);
}

char *page_section(const char *page, const char *id) {
    char *start = memory_printf("<section id=\"%s\">", id);
    const char *from = strstr(page, start);
    memory_free(start);
    assert_non_null(from);
    return memory_printf("%.*s", (int)(strstr(from, "</section>") - from), from);
}

void page_assert_section_has(const char *page, const char *id, const char *part) {
    char *text = page_section(page, id);
    if (strstr(text, part) == NULL)
        fail_msg("section %s lacks: %s", id, part);
    memory_free(text);
}

void page_assert_well_formed(const char *page) {
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
