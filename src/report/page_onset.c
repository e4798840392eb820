// SPDX-License-Identifier: MIT
// For each class of each run: the curve of its IoU with the given labels, the fit, and when the
// memorization of errors begins by it.
#include "report/page.h"

#include "base/fail.h"
#include "base/memory.h"
#include "report/class_correction.h"
#include "report/curves.h"
#include "report/html.h"

#include <math.h>

#define MAX_CHARTS 24 // of a run; the table has all classes

static adele_status add_chart(struct page *page, const struct report_run *run,
                              const struct category_curve *curve) {
    const struct chart_line lines[] = {
        {"IoU with the given labels", "s1", CHART_POINTS, curve->n, curve->epochs, curve->iou},
        {"its fit", "s1", CHART_LINE, curve->has_fit ? curve->n_fit : 0, curve->fit_epochs,
         curve->fit_iou},
        {"agrees with the truth", "s3", CHART_LINE,
         curve->early_learning != NULL ? run->records.n : 0, run->epochs, curve->early_learning},
        {"agrees with the error", "s2 dash", CHART_LINE,
         curve->memorization != NULL ? run->records.n : 0, run->epochs, curve->memorization},
        {"corrected after this epoch", "s4", CHART_TICKS, curve->n_corrected, curve->corrected,
         NULL}};
    const struct chart chart = {.title = curve->name,
                                .axis = "epoch",
                                .n_lines = sizeof lines / sizeof lines[0],
                                .lines = lines,
                                .mark = curve->fitted_onset,
                                .mark_name = "onset by the fit"};
    return html_chart(&page->html, &chart);
}

static adele_status add_row(struct page *page, const struct category_curve *curve) {
    const double first = curve->n_corrected > 0 ? curve->corrected[0] : NAN;
    const double a = curve->has_fit ? curve->fit.a : NAN, b = curve->has_fit ? curve->fit.b : NAN;
    return html_printf(&page->html,
                       "<tr><th scope=\"row\">%s</th><td>%.0f</td><td>%.0f</td><td>%d</td>"
                       "<td>%.3f</td><td>%.3f</td><td>%.3f</td></tr>\n",
                       curve->name, curve->fitted_onset, first, curve->n_corrected, a, b,
                       curve->has_fit ? curve->fit.c : NAN);
}

static adele_status add_table(struct page *page, const struct category_curves *curves) {
    TRY(page_table_begin(page, "Onsets and fits"));
    TRY(buffer_text(&page->html,
                    "<caption>Fit: IoU(t) = a (1 - exp(-t<sup>b</sup> / c))"
                    "</caption>\n<thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Onset by "
                    "the fit</th><th scope=\"col\">First correction</th><th scope=\"col\">"
                    "Corrections</th><th scope=\"col\">a</th><th scope=\"col\">b</th><th "
                    "scope=\"col\">c</th></tr></thead>\n<tbody>\n"));
    for (int i = 0; i < curves->n; i++)
        TRY(add_row(page, &curves->items[i]));
    return buffer_text(&page->html, PAGE_TABLE_END);
}

// Classes that were corrected later than the fit says, or never, and why.
static adele_status add_explanations(struct page *page, const struct report_run *run) {
    const cJSON *categories = cJSON_GetObjectItemCaseSensitive(run->onset, "categories");
    struct buffer *html = &page->html;
    int n = 0;
    for (const cJSON *node = categories->child; node != NULL; node = node->next) {
        struct class_correction correction;
        if (!class_correction_read(run->onset, node, &correction) ||
            correction.explanation[0] == '\0')
            continue;
        TRY(buffer_text(html, n++ == 0 ? "<ul class=\"soft\">\n" : ""));
        TRY(html_printf(html, "<li>%s: %s</li>\n", correction.name, correction.explanation));
    }
    return buffer_text(html, n > 0 ? "</ul>\n" : "");
}

static adele_status add_curves(struct page *page, const struct report_run *run,
                               const struct category_curves *curves) {
    if (curves->n == 0)
        return html_absent(&page->html, run->name, "onset.json has no class with values yet.");
    TRY(add_table(page, curves));
    TRY(add_explanations(page, run));
    TRY(page_gate(page, run));
    TRY(buffer_text(&page->html, "<div class=\"cards\">\n"));
    for (int i = 0; i < curves->n && i < MAX_CHARTS; i++)
        TRY(add_chart(page, run, &curves->items[i]));
    TRY(buffer_text(&page->html, "</div>\n"));
    if (curves->n > MAX_CHARTS)
        TRY(buffer_printf(&page->html,
                          "<p class=\"absent\">Charts of the first %d of %d classes; the table has "
                          "all.</p>\n",
                          MAX_CHARTS, curves->n));
    return ADELE_OK;
}

static adele_status add_run(struct page *page, const struct report_run *run) {
    CLEANUP(category_curves_deinit) struct category_curves curves = {0};
    if (run->onset == NULL)
        return html_absent(&page->html, run->name, "no onset.json in the run folder.");
    TRY(category_curves_load(run, &curves));
    TRY(page_run_heading(page, run));
    return add_curves(page, run, &curves);
}

adele_status page_onset(struct page *page) {
    TRY(buffer_text(
        &page->html,
        "<section id=\"onset\">\n<h2>Onset and fit of each class</h2>\n<p "
        "class=\"soft\">A class is learned first, and its wrong labels are memorized "
        "later. The onset is where the fitted curve has flattened. The first correction comes "
        "at the end of a later epoch: the onset is computed after each epoch from the "
        "values so far, and a class is corrected when that has passed.</p>\n"));
    for (int i = 0; i < page->n_runs; i++)
        TRY(add_run(page, &page->runs[i]));
    return buffer_text(&page->html, "</section>\n");
}
