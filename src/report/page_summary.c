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

// Of each run the member of the summary at this offset: an epoch or a share.
static adele_status add_numbers(struct page *page, const char *name, const char *detail,
                                size_t offset, bool is_epoch) {
    if (!has_any(page, offset))
        return ADELE_OK;
    TRY(begin_row(page, name, detail));
    for (int i = 0; i < page->n_runs; i++) {
        double value = member_of(&page->summaries[i], offset);
        TRY(html_printf(&page->html, is_epoch ? "<td>%.0f</td>" : "<td>%.3f</td>", value));
    }
    return buffer_text(&page->html, "</tr>\n");
}

static adele_status add_change(struct page *page) {
    if (!has_any(page, offsetof(struct report_summary, last)))
        return ADELE_OK;
    TRY(begin_row(page, "Last minus best", NULL));
    for (int i = 0; i < page->n_runs; i++) {
        const struct report_summary *summary = &page->summaries[i];
        TRY(html_printf(&page->html, "<td>%+.3f</td>", summary->last - summary->best));
    }
    return buffer_text(&page->html, "</tr>\n");
}

static adele_status add_labels(struct page *page) {
    if (!has_any(page, offsetof(struct report_summary, labels_first)) &&
        !has_any(page, offsetof(struct report_summary, labels_last)))
        return ADELE_OK;
    TRY(begin_row(page, "Training labels against the truth",
                  "foreground mIoU, first and last epoch"));
    for (int i = 0; i < page->n_runs; i++)
        TRY(html_printf(&page->html, "<td>%.3f \xE2\x86\x92 %.3f</td>",
                        page->summaries[i].labels_first, page->summaries[i].labels_last));
    return buffer_text(&page->html, "</tr>\n");
}

// NaN where the records have no correction.
static adele_status sum_corrected(const struct report_run *run, double *out) {
    OWNED double *changed = NULL;
    *out = NAN;
    TRY(report_run_series(run, &changed, "correction/changed_pixels"));
    for (int k = 0; changed != NULL && k < run->records.n; k++)
        if (isfinite(changed[k]))
            *out = (isfinite(*out) ? *out : 0.0) + changed[k];
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
        TRY(html_printf(&page->html, "<td>%'.0f</td>", sum));
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
    for (int n = 0; node != NULL; node = find_not_learned(run, node->next, &class))
        TRY(html_printf(&page->html, "%s%s", n++ == 0 ? "" : ", ", class.name));
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
    TRY(page_table_begin(page, "Summary"));
    TRY(page_run_names(page, "Run", ""));
    TRY(add_splits(page));
    TRY(add_numbers(page, "Best mIoU", "foreground", OF(best), false));
    TRY(add_numbers(page, "at epoch", NULL, OF(best_epoch), true));
    TRY(add_numbers(page, "Last mIoU", "foreground", OF(last), false));
    TRY(add_change(page));
    TRY(add_labels(page));
    TRY(add_numbers(page, "Agrees with the truth", "predictions on wrong pixels, IoU, last epoch",
                    OF(early_learning_last), false));
    TRY(add_numbers(page, "Agrees with the error", "predictions on wrong pixels, IoU, last epoch",
                    OF(memorization_last), false));
    TRY(add_corrected(page));
    TRY(add_not_learned(page));
    return buffer_text(&page->html, PAGE_TABLE_END);
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
    TRY(html_printf(&page->html, "<tr><th scope=\"row\">%s</th>", name));
    for (int i = 0; i < page->n_runs; i++) {
        char prefix[64];
        (void)snprintf(prefix, sizeof prefix, "%s/pred_vs_true/iou/", page->summaries[i].split);
        TRY(html_printf(&page->html, "<td>%.3f</td>", last_score(&page->runs[i], prefix, name)));
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
    TRY(buffer_text(&page->html, "<h3>IoU of each class, last epoch</h3>\n"));
    TRY(page_table_begin(page, "IoU of each class"));
    TRY(page_run_names(page, "Class", ""));
    for (const cJSON *node = scores->child; node != NULL; node = node->next)
        if (strncmp(node->string, prefix, strlen(prefix)) == 0)
            TRY(add_class(page, node->string + strlen(prefix)));
    return buffer_text(&page->html, PAGE_TABLE_END);
}

adele_status page_summary(struct page *page) {
    TRY(buffer_text(&page->html, "<section id=\"summary\">\n<h2>Summary</h2>\n"));
    TRY(add_table(page));
    TRY(add_classes(page));
    return buffer_text(&page->html, "</section>\n");
}
