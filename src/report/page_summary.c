// SPDX-License-Identifier: MIT
// The summary: a table with a column for each run, and the last values of each class.
#include "report/page.h"

#include "base/fail.h"
#include "base/memory.h"
#include "report/class_correction.h"
#include "report/html.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

// ---- one table row ------------------------------------------------------------------------------

static adele_status begin_row(struct page *page, const char *name, const char *detail) {
    TRY(buffer_printf(&page->html, "<tr><th scope=\"row\">%s", name));
    if (detail != NULL)
        TRY(buffer_printf(&page->html, "<span class=\"small\">%s</span>", detail));
    return buffer_text(&page->html, "</th>");
}

static double member_of(const struct report_summary *summary, size_t offset) {
    double value;
    memcpy(&value, (const char *)summary + offset, sizeof value);
    return value;
}

// A row that no run has a value for is left out: the true labels may be unknown to all.
static bool has_any(const struct page *page, size_t offset) {
    for (int i = 0; i < page->n_runs; i++)
        if (isfinite(member_of(&page->summaries[i], offset)))
            return true;
    return false;
}

// Of each run the member of the summary at this offset.
static adele_status add_numbers(struct page *page, const char *name, const char *detail,
                                size_t offset, int n_decimals) {
    if (!has_any(page, offset))
        return ADELE_OK;
    TRY(begin_row(page, name, detail));
    for (int i = 0; i < page->n_runs; i++) {
        TRY(buffer_text(&page->html, "<td>"));
        TRY(html_number(&page->html, member_of(&page->summaries[i], offset), n_decimals, false));
        TRY(buffer_text(&page->html, "</td>"));
    }
    return buffer_text(&page->html, "</tr>\n");
}

static adele_status add_change(struct page *page) {
    if (!has_any(page, offsetof(struct report_summary, last)))
        return ADELE_OK;
    TRY(begin_row(page, "Last minus best", NULL));
    for (int i = 0; i < page->n_runs; i++) {
        const struct report_summary *summary = &page->summaries[i];
        TRY(buffer_text(&page->html, "<td>"));
        TRY(html_number(&page->html, summary->last - summary->best, 3, true));
        TRY(buffer_text(&page->html, "</td>"));
    }
    return buffer_text(&page->html, "</tr>\n");
}

static adele_status add_labels(struct page *page) {
    if (!has_any(page, offsetof(struct report_summary, labels_first)) &&
        !has_any(page, offsetof(struct report_summary, labels_last)))
        return ADELE_OK;
    TRY(begin_row(page, "Training labels against the truth",
                  "foreground mIoU, first and last epoch"));
    for (int i = 0; i < page->n_runs; i++) {
        TRY(buffer_text(&page->html, "<td>"));
        TRY(html_number(&page->html, page->summaries[i].labels_first, 3, false));
        TRY(buffer_text(&page->html, " \xE2\x86\x92 "));
        TRY(html_number(&page->html, page->summaries[i].labels_last, 3, false));
        TRY(buffer_text(&page->html, "</td>"));
    }
    return buffer_text(&page->html, "</tr>\n");
}

// NaN where the records have no correction.
static adele_status sum_corrected(const struct report_run *run, double *out) {
    double *changed = NULL;
    *out = NAN;
    TRY(report_run_series(run, &changed, "correction/changed_pixels"));
    for (int k = 0; changed != NULL && k < run->records.n; k++)
        if (isfinite(changed[k]))
            *out = (isfinite(*out) ? *out : 0.0) + changed[k];
    memory_free(changed);
    return ADELE_OK;
}

static adele_status add_corrected(struct page *page) {
    double sum = NAN;
    bool has_sum = false;
    for (int i = 0; i < page->n_runs; i++) {
        TRY(sum_corrected(&page->runs[i], &sum));
        has_sum = has_sum || isfinite(sum);
    }
    if (!has_sum)
        return ADELE_OK;
    TRY(begin_row(page, "Pixels that corrections changed",
                  "summed over all corrections, at the size of the training"));
    for (int i = 0; i < page->n_runs; i++) {
        TRY(sum_corrected(&page->runs[i], &sum));
        TRY(buffer_text(&page->html, "<td>"));
        TRY(html_count(&page->html, sum));
        TRY(buffer_text(&page->html, "</td>"));
    }
    return buffer_text(&page->html, "</tr>\n");
}

// ---- classes that were not learned --------------------------------------------------------------

// The next of a run's classes whose curve ends with values of almost 0, from `node` on.
static const cJSON *find_not_learned(const struct report_run *run, const cJSON *node,
                                     struct class_correction *out) {
    for (; node != NULL; node = node->next) {
        (void)class_correction_read(run->onset, node, out);
        if (out->name != NULL && out->n_not_learned > 0)
            return node;
    }
    return NULL;
}

static const cJSON *first_class(const struct report_run *run) {
    const cJSON *categories = cJSON_GetObjectItemCaseSensitive(run->onset, "categories");
    return cJSON_IsArray(categories) ? categories->child : NULL;
}

static adele_status add_names_not_learned(struct page *page, const struct report_run *run) {
    struct class_correction class;
    const cJSON *node = find_not_learned(run, first_class(run), &class);
    TRY(buffer_text(&page->html, node != NULL ? "<td class=\"text\">" : "<td>none"));
    for (int n = 0; node != NULL; node = find_not_learned(run, node->next, &class)) {
        TRY(buffer_text(&page->html, n++ == 0 ? "" : ", "));
        TRY(html_text(&page->html, class.name));
    }
    return buffer_text(&page->html, "</td>");
}

static adele_status add_not_learned(struct page *page) {
    struct class_correction class;
    bool has_any_class = false;
    for (int i = 0; i < page->n_runs; i++)
        has_any_class =
            has_any_class || find_not_learned(&page->runs[i], first_class(&page->runs[i]), &class);
    if (!has_any_class)
        return ADELE_OK;
    TRY(begin_row(page, "Classes not learned",
                  "predicted almost nowhere in the training images at the end"));
    for (int i = 0; i < page->n_runs; i++)
        TRY(add_names_not_learned(page, &page->runs[i]));
    return buffer_text(&page->html, "</tr>\n");
}

// ---- the table ----------------------------------------------------------------------------------

static adele_status add_header(struct page *page, const char *first) {
    TRY(buffer_printf(&page->html, "<thead><tr><th scope=\"col\">%s</th>", first));
    for (int i = 0; i < page->n_runs; i++) {
        TRY(buffer_text(&page->html, "<th scope=\"col\">"));
        TRY(html_text(&page->html, page->runs[i].name));
        TRY(buffer_text(&page->html, "</th>"));
    }
    return buffer_text(&page->html, "</tr></thead>\n<tbody>\n");
}

static adele_status add_splits(struct page *page) {
    TRY(begin_row(page, "Scores are of split", NULL));
    for (int i = 0; i < page->n_runs; i++)
        TRY(buffer_printf(&page->html, "<td>%s</td>", page->summaries[i].split));
    TRY(buffer_text(&page->html, "</tr>\n"));
    TRY(begin_row(page, "Epochs", NULL));
    for (int i = 0; i < page->n_runs; i++)
        TRY(buffer_printf(&page->html, "<td>%d</td>", page->summaries[i].n_epochs));
    return buffer_text(&page->html, "</tr>\n");
}

static adele_status add_table(struct page *page) {
#define OF(member) offsetof(struct report_summary, member)
    TRY(buffer_text(&page->html, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                                 "aria-label=\"Summary\">\n<table>\n"));
    TRY(add_header(page, "Run"));
    TRY(add_splits(page));
    TRY(add_numbers(page, "Best mIoU", "foreground", OF(best), 3));
    TRY(add_numbers(page, "at epoch", NULL, OF(best_epoch), 0));
    TRY(add_numbers(page, "Last mIoU", "foreground", OF(last), 3));
    TRY(add_change(page));
    TRY(add_labels(page));
    TRY(add_numbers(page, "Agrees with the truth", "predictions on wrong pixels, IoU, last epoch",
                    OF(early_learning_last), 3));
    TRY(add_numbers(page, "Agrees with the error", "predictions on wrong pixels, IoU, last epoch",
                    OF(memorization_last), 3));
    TRY(add_corrected(page));
    TRY(add_not_learned(page));
    return buffer_text(&page->html, "</tbody>\n</table>\n</div>\n");
#undef OF
}

// ---- classes ------------------------------------------------------------------------------------

// The last record of a run that has held-out scores of classes.
static const cJSON *last_scores(const struct report_run *run, const char *prefix) {
    for (int i = run->records.n - 1; i >= 0; i--)
        for (const cJSON *node = run->records.items[i].values->child; node != NULL;
             node = node->next)
            if (strncmp(node->string, prefix, strlen(prefix)) == 0)
                return run->records.items[i].values;
    return NULL;
}

static double last_score(const struct report_run *run, const char *prefix, const char *name) {
    size_t n = strlen(prefix);
    const cJSON *scores = last_scores(run, prefix);
    for (const cJSON *node = scores != NULL ? scores->child : NULL; node != NULL; node = node->next)
        if (strncmp(node->string, prefix, n) == 0 && strcmp(node->string + n, name) == 0)
            return cJSON_IsNumber(node) ? node->valuedouble : NAN;
    return NAN;
}

static adele_status add_class(struct page *page, const char *name) {
    TRY(buffer_text(&page->html, "<tr><th scope=\"row\">"));
    TRY(html_text(&page->html, name));
    TRY(buffer_text(&page->html, "</th>"));
    for (int i = 0; i < page->n_runs; i++) {
        char prefix[64];
        (void)snprintf(prefix, sizeof prefix, "%s/pred_vs_true/iou/", page->summaries[i].split);
        TRY(buffer_text(&page->html, "<td>"));
        TRY(html_number(&page->html, last_score(&page->runs[i], prefix, name), 3, false));
        TRY(buffer_text(&page->html, "</td>"));
    }
    return buffer_text(&page->html, "</tr>\n");
}

static adele_status add_classes(struct page *page) {
    char prefix[64];
    const cJSON *scores = NULL;
    (void)snprintf(prefix, sizeof prefix, "%s/pred_vs_true/iou/", page->summaries[0].split);
    scores = last_scores(&page->runs[0], prefix);
    if (scores == NULL)
        return html_absent(&page->html, page->runs[0].name,
                           "metrics.jsonl has no scores of single classes on held-out images.");
    TRY(buffer_text(&page->html,
                    "<h3>IoU of each class, last epoch</h3>\n<div class=\"scroll\" "
                    "tabindex=\"0\" role=\"region\" aria-label=\"IoU of each class\">\n<table>\n"));
    TRY(add_header(page, "Class"));
    for (const cJSON *node = scores->child; node != NULL; node = node->next)
        if (strncmp(node->string, prefix, strlen(prefix)) == 0)
            TRY(add_class(page, node->string + strlen(prefix)));
    return buffer_text(&page->html, "</tbody>\n</table>\n</div>\n");
}

adele_status page_summary(struct page *page) {
    TRY(buffer_text(&page->html, "<section id=\"summary\">\n<h2>Summary</h2>\n"));
    TRY(add_table(page));
    TRY(add_classes(page));
    return buffer_text(&page->html, "</section>\n");
}
