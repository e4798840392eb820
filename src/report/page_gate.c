// SPDX-License-Identifier: MIT
// What the gate of the method ensemble measured of each class (correction/gate.h), as a table.
#include "report/page.h"

#include "base/fail.h"
#include "base/json.h"
#include "correction/gate.h"
#include "report/html.h"

#include <math.h>

static const cJSON *gate_of(const cJSON *category) {
    const cJSON *gate = cJSON_GetObjectItemCaseSensitive(category, "gate");
    return cJSON_IsObject(gate) ? gate : NULL;
}

// A share, bold where it is at least the threshold.
static adele_status add_share(struct buffer *html, double value, double threshold) {
    bool passes = value >= threshold;
    return html_printf(html, passes ? "<td><b>%.3f</b></td>" : "<td>%.3f</td>", value);
}

static adele_status add_row(struct buffer *html, const char *name, const cJSON *gate) {
    double labels = json_number(gate, "iou_with_labels"),
           decisions = json_number(gate, "iou_of_decisions");
    bool corrects = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(gate, "corrects"));
    TRY(html_printf(html, "<tr><th scope=\"row\">%s</th><td>%.0f</td>", name,
                    json_number(gate, "epoch")));
    TRY(add_share(html, json_number(gate, "known"), GATE_KNOWN));
    TRY(add_share(html, json_number(gate, "area_deviation"), GATE_DEVIATION));
    TRY(add_share(html, json_number(gate, "one_sided"), GATE_ONE_SIDED));
    TRY(add_share(html, labels, HUGE_VAL));
    TRY(add_share(html, decisions, HUGE_VAL));
    TRY(add_share(html, decisions - labels, GATE_MARGIN));
    return buffer_printf(html, "<td>%s</td></tr>\n", corrects ? "corrected" : "kept");
}

static adele_status add_head(struct buffer *html) {
    return buffer_printf(
        html,
        "<p class=\"soft\">Which labels the ensemble may rewrite: it must know the class (%.2f), "
        "and, unless correction.gate is learned, the labels must be clearly wrong: either the "
        "areas deviate (%.2f) with nearly all differing pixels on one side within an image "
        "(%.2f), or the labels agree with the ensemble by %.2f less than its two decisions agree "
        "with each other. Known: the share of the class's probability at pixels where it is above "
        "one half. Area deviation: the differences of the areas in the images, divided by the "
        "labels' area. One-sided: the same differences, divided by the pixels in which ensemble "
        "and labels differ about the class. Bold: reached.</p>\n"
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
        "aria-label=\"The gate of the ensemble\">\n<table>\n<thead><tr>"
        "<th scope=\"col\">Class</th><th scope=\"col\">Epoch</th><th scope=\"col\">Known</th><th "
        "scope=\"col\">Area deviation</th><th scope=\"col\">One-sided</th><th scope=\"col\">IoU "
        "with the labels</th><th scope=\"col\">IoU of the decisions</th><th scope=\"col\">"
        "Difference</th><th scope=\"col\">Labels</th></tr></thead>\n<tbody>\n",
        GATE_KNOWN, GATE_DEVIATION, GATE_ONE_SIDED, GATE_MARGIN);
}

// Every class that the gate measured was kept.
static bool are_all_kept(const cJSON *categories) {
    bool is_any_kept = false;
    for (const cJSON *node = categories->child; node != NULL; node = node->next) {
        if (gate_of(node) == NULL)
            continue;
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(gate_of(node), "corrects")))
            return false;
        is_any_kept = true;
    }
    return is_any_kept;
}

static adele_status add_epoch(struct buffer *html, const cJSON *categories, double epoch) {
    if (are_all_kept(categories))
        return buffer_printf(html,
                             "<p class=\"soft\">The ensemble of this run corrected nothing: after "
                             "epoch %.0f every class was kept by the gate; the onsets are only "
                             "shown.</p>\n",
                             epoch);
    return buffer_printf(html,
                         "<p class=\"soft\">The labels of this run are corrected once, from an "
                         "ensemble, after epoch %.0f; the onsets are only shown.</p>\n",
                         epoch);
}

adele_status page_gate(struct page *page, const struct report_run *run) {
    const cJSON *categories = cJSON_GetObjectItemCaseSensitive(run->onset, "categories");
    struct buffer *html = &page->html;
    double epoch = json_number(run->onset, "ensemble_epoch");
    int n = 0;
    if (isfinite(epoch))
        TRY(add_epoch(html, categories, epoch));
    for (const cJSON *node = categories->child; node != NULL; node = node->next) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(node, "name"));
        if (gate_of(node) == NULL || name == NULL)
            continue;
        if (n++ == 0)
            TRY(add_head(html));
        TRY(add_row(html, name, gate_of(node)));
    }
    return buffer_text(html, n > 0 ? PAGE_TABLE_END : "");
}
