// SPDX-License-Identifier: MIT
// Curves over the epochs: one chart for each metric, one line for each run.
#include "report/page.h"

#include "base/fail.h"
#include "base/memory.h"
#include "report/html.h"

#include <math.h>
#include <string.h>

static const struct metric {
    const char *title, *detail;
    const char *name; // of the metric; "%s" is the run's held-out split
    bool is_table;    // the name of a table, whose foreground mean is meant
    bool needs_truth; // of the training images: data.true_labels, or noise that was made
} metrics[] = {
    {"Held-out images", "foreground mIoU of the predictions against the masks of the split",
     "%s/pred_vs_true/miou_foreground", false, false},
    {"Validation images", "foreground mIoU of the predictions against the masks of the split",
     "val/pred_vs_true/miou_foreground", false, false},
    {"Training labels against the truth", "foreground mIoU; it rises where labels are corrected",
     "train/labels_vs_true/miou_foreground", false, true},
    {"Agrees with the truth", "predictions on wrong pixels of the training labels, IoU",
     "train/early_learning", true, true},
    {"Agrees with the error", "predictions on wrong pixels, IoU; high: the errors are memorized",
     "train/memorization", true, true},
    {"Training images against their given labels", "foreground mIoU of the predictions",
     "train/pred_vs_noisy", true, false},
    {"Training loss", NULL, "train/loss", false, false},
};
#define N_METRICS ((int)(sizeof metrics / sizeof metrics[0]))

static const char *run_style(int i_run) {
    static const char *const styles[] = {
        "s1",      "s2",      "s3",      "s4",      "s5",      "s6",      "s7",      "s8",
        "s1 dash", "s2 dash", "s3 dash", "s4 dash", "s5 long", "s6 long", "s7 long", "s8 long"};
    return styles[i_run % (int)(sizeof styles / sizeof styles[0])];
}

static adele_status load_line(const struct page *page, const struct metric *metric, int i_run,
                              double **out) {
    const struct report_run *run = &page->runs[i_run];
    const char *split = page->summaries[i_run].split;
    if (metric->is_table)
        return report_run_foreground(run, out, metric->name);
    if (strncmp(metric->name, "%s", 2) == 0)
        return report_run_series(run, out, "%s%s", split, metric->name + 2);
    // Not the same curve a second time.
    if (strncmp(metric->name, "val/", 4) == 0 && strcmp(split, "val") == 0)
        return ADELE_OK;
    return report_run_series(run, out, "%s", metric->name);
}

// `lines` has room for each run; their values are freed by the caller.
static adele_status load_lines(const struct page *page, const struct metric *metric,
                               struct chart_line *lines, int *n_lines) {
    for (int i = 0; i < page->n_runs; i++) {
        double *values = NULL;
        TRY(load_line(page, metric, i, &values));
        if (values != NULL)
            lines[(*n_lines)++] = (struct chart_line){.name = page->runs[i].name,
                                                      .style = run_style(i),
                                                      .n = page->runs[i].records.n,
                                                      .x = page->runs[i].epochs,
                                                      .y = values};
    }
    return ADELE_OK;
}

static adele_status add_chart(struct page *page, const struct metric *metric, bool *is_there) {
    OWNED struct chart_line *lines = NULL;
    int n_lines = 0;
    TRY(ALLOCATE(&lines, page->n_runs));
    adele_status status = load_lines(page, metric, lines, &n_lines);
    const struct chart chart = {.title = metric->title,
                                .detail = metric->detail,
                                .axis = "epoch",
                                .n_lines = n_lines,
                                .lines = lines,
                                .mark = NAN};
    if (status == ADELE_OK)
        status = html_chart(&page->html, &chart);
    *is_there = n_lines > 0;
    for (int i = 0; i < n_lines; i++)
        memory_free((double *)lines[i].y);
    return status;
}

adele_status page_curves(struct page *page) {
    bool is_there[N_METRICS] = {false};
    TRY(buffer_text(&page->html,
                    "<section id=\"curves\">\n<h2>Curves</h2>\n<p class=\"soft\">Point at a chart, "
                    "or move to it with Tab and press the arrow keys, to read its values.</p>\n"
                    "<div class=\"cards\">\n"));
    for (int i = 0; i < N_METRICS; i++)
        TRY(add_chart(page, &metrics[i], &is_there[i]));
    TRY(buffer_text(&page->html, "</div>\n"));
    bool lacks_truth = false;
    for (int i = 0; i < N_METRICS; i++) {
        if (is_there[i] || strncmp(metrics[i].name, "val/", 4) == 0)
            continue;
        if (metrics[i].needs_truth)
            lacks_truth = true;
        else
            TRY(buffer_printf(&page->html, "<p class=\"absent\">No run has recorded: %s.</p>\n",
                              metrics[i].title));
    }
    if (lacks_truth)
        TRY(buffer_text(&page->html,
                        "<p class=\"soft\">Charts that compare with the truth need true masks of "
                        "the training images beside the noisy ones (data.true_labels).</p>\n"));
    return buffer_text(&page->html, "</section>\n");
}
