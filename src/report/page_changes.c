// SPDX-License-Identifier: MIT
// What each correction changed: how many pixels, and from which class to which.
#include "report/page.h"

#include "base/fail.h"
#include "base/memory.h"
#include "report/flows.h"
#include "report/html.h"
#include "report/settings.h"

#include <math.h>
#include <string.h>

#define MAX_MATRIX      12 // classes; more of them are shown as a list
#define MAX_FLOWS       20 // of a list
#define MAX_CORRECTIONS 60 // shown one by one; all are in the sum

// The share of the largest flow, and the pixels.
#define FLOW_CELL "<td class=\"flow\" style=\"--share:%.3f\">%'.0f</td>"

// ---- one table ----------------------------------------------------------------------------------

static adele_status add_class(struct page *page, const struct corrections *corrections,
                              int category) {
    char name[32];
    return html_class(&page->html, category, corrections_class(corrections, category, name));
}

static double pixels_of(const struct correction *correction, int from, int to) {
    for (int i = 0; i < correction->n; i++)
        if (correction->flows[i].from == from && correction->flows[i].to == to)
            return correction->flows[i].n_pixels;
    return 0.0;
}

static adele_status add_cell(struct page *page, const struct correction *correction, int from,
                             int to) {
    if (from == to)
        return buffer_text(&page->html, "<td class=\"same\">\xC2\xB7</td>");
    double n = pixels_of(correction, from, to);
    return html_printf(&page->html, FLOW_CELL, n / correction->flows[0].n_pixels, n);
}

static adele_status add_matrix(struct page *page, const struct corrections *corrections,
                               const struct correction *correction, int n, const int *classes) {
    struct buffer *html = &page->html;
    TRY(buffer_text(html, "<thead><tr><th scope=\"col\">from \\ to</th>"));
    for (int k = 0; k < n; k++) {
        TRY(buffer_text(html, "<th scope=\"col\">"));
        TRY(add_class(page, corrections, classes[k]));
        TRY(buffer_text(html, "</th>"));
    }
    TRY(buffer_text(html, "</tr></thead>\n<tbody>\n"));
    for (int i = 0; i < n; i++) {
        TRY(buffer_text(html, "<tr><th scope=\"row\">"));
        TRY(add_class(page, corrections, classes[i]));
        TRY(buffer_text(html, "</th>"));
        for (int k = 0; k < n; k++)
            TRY(add_cell(page, correction, classes[i], classes[k]));
        TRY(buffer_text(html, "</tr>\n"));
    }
    return buffer_text(html, PAGE_TABLE_END);
}

static adele_status add_list(struct page *page, const struct corrections *corrections,
                             const struct correction *correction) {
    struct buffer *html = &page->html;
    double rest = correction->n_changed;
    TRY(buffer_text(html, "<thead><tr><th scope=\"col\">from</th><th scope=\"col\" "
                          "class=\"text\">to</th><th scope=\"col\">pixels</th></tr></thead>\n"
                          "<tbody>\n"));
    for (int i = 0; i < correction->n && i < MAX_FLOWS; i++) {
        const struct flow *flow = &correction->flows[i];
        TRY(buffer_text(html, "<tr><th scope=\"row\">"));
        TRY(add_class(page, corrections, flow->from));
        TRY(buffer_text(html, "</th><td class=\"text\">"));
        TRY(add_class(page, corrections, flow->to));
        TRY(html_printf(html, "</td>" FLOW_CELL "</tr>\n",
                        flow->n_pixels / correction->flows[0].n_pixels, flow->n_pixels));
        rest -= flow->n_pixels;
    }
    if (correction->n > MAX_FLOWS)
        TRY(html_printf(html,
                        "<tr><th scope=\"row\">%d other pairs</th><td></td><td>%'.0f</td></tr>\n",
                        correction->n - MAX_FLOWS, rest));
    return buffer_text(html, PAGE_TABLE_END);
}

// A matrix of the classes that are in some flow, or a list where they are too many.
static adele_status add_table(struct page *page, const struct corrections *corrections,
                              const struct correction *correction) {
    bool is_there[256] = {false};
    int classes[256];
    int n = 0;
    if (correction->n == 0)
        return buffer_text(&page->html, "<p class=\"soft\">No pixel changed.</p>\n");
    for (int i = 0; i < correction->n; i++)
        is_there[correction->flows[i].from] = is_there[correction->flows[i].to] = true;
    for (int c = 0; c < 256; c++)
        if (is_there[c])
            classes[n++] = c;
    TRY(page_table_begin(page, "From which class to which"));
    return n <= MAX_MATRIX ? add_matrix(page, corrections, correction, n, classes)
                           : add_list(page, corrections, correction);
}

// ---- a run --------------------------------------------------------------------------------------

static adele_status add_bars(struct page *page, const struct report_run *run, const double *changed,
                             double *sum) {
    OWNED double *values = NULL;
    *sum = 0.0;
    TRY(ALLOCATE(&values, run->records.n));
    for (int i = 0; i < run->records.n; i++) {
        values[i] = changed[i] > 0.0 ? changed[i] : NAN;
        *sum += changed[i] > 0.0 ? changed[i] : 0.0;
    }
    const struct chart_line line = {"changed pixels", "s4",        CHART_BARS,
                                    run->records.n,   run->epochs, values};
    const struct chart chart = {.title = "Pixels that each correction changed",
                                .axis = "epoch",
                                .n_lines = 1,
                                .lines = &line,
                                .mark = NAN};
    TRY(buffer_text(&page->html, "<div class=\"cards\">\n"));
    TRY(html_chart(&page->html, &chart));
    return buffer_text(&page->html, "</div>\n");
}

static adele_status add_each(struct page *page, const struct corrections *corrections) {
    for (int i = 0; i < corrections->n && i < MAX_CORRECTIONS; i++) {
        const struct correction *correction = &corrections->items[i];
        TRY(html_printf(&page->html,
                        "<details><summary>After epoch %d: %'.0f pixel%s of the training masks "
                        "changed</summary>\n",
                        correction->epoch, correction->n_changed,
                        correction->n_changed == 1.0 ? "" : "s"));
        TRY(add_table(page, corrections, correction));
        TRY(buffer_text(&page->html, "</details>\n"));
    }
    if (corrections->n <= MAX_CORRECTIONS)
        return ADELE_OK;
    return buffer_printf(&page->html,
                         "<p class=\"absent\">The first %d of %d corrections; "
                         "labels/epoch_NNNN.json of the run folder has each.</p>\n",
                         MAX_CORRECTIONS, corrections->n);
}

static adele_status add_flows(struct page *page, const struct report_run *run) {
    CLEANUP(corrections_deinit) struct corrections corrections = {0};
    TRY(corrections_load(run, &corrections));
    if (corrections.n == 0)
        return html_absent(&page->html, run->name,
                           "from which class to which is not known: no labels/epoch_NNNN.json in "
                           "the run folder (earlier versions wrote none).");
    TRY(buffer_text(&page->html,
                    "<h4>All corrections together</h4>\n<p class=\"soft\">Pixels of the "
                    "training labels at the size of the training, by class before (rows) and "
                    "after; adele labels counts those of the label files. A pixel that two "
                    "corrections changed counts twice.</p>\n"));
    TRY(add_table(page, &corrections, &corrections.total));
    return add_each(page, &corrections);
}

static adele_status add_no_changes(struct page *page, const struct report_run *run) {
    CLEANUP(settings_deinit) struct settings settings = {0};
    TRY(settings_parse(run->config, &settings));
    const char *enabled = settings_find(&settings, "correction.enabled");
    bool is_off = enabled != NULL && strcmp(enabled, "false") == 0;
    if (is_off)
        return buffer_text(&page->html,
                           "<p>This run corrects no labels (correction.enabled: false).</p>\n");
    return html_absent(&page->html, run->name,
                       "metrics.jsonl does not say what corrections changed.");
}

static adele_status add_run(struct page *page, const struct report_run *run) {
    OWNED double *changed = NULL;
    double sum = 0.0;
    TRY(page_run_heading(page, run));
    TRY(report_run_series(run, &changed, "correction/changed_pixels"));
    if (changed == NULL)
        return add_no_changes(page, run);
    TRY(add_bars(page, run, changed, &sum));
    if (sum == 0.0)
        return buffer_text(&page->html, "<p>No label was changed.</p>\n");
    return add_flows(page, run);
}

adele_status page_changes(struct page *page) {
    TRY(buffer_text(&page->html, "<section id=\"changes\">\n<h2>What corrections changed</h2>\n"));
    for (int i = 0; i < page->n_runs; i++)
        TRY(add_run(page, &page->runs[i]));
    return buffer_text(&page->html, "</section>\n");
}
