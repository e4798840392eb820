// SPDX-License-Identifier: MIT
#include "audit/audit_bias.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

// `ratios` has room for each row.
static double find_bias(const struct audit_table *table, int category, double *ratios) {
    const struct doubt_overlap *overlap = table->overlaps + category;
    size_t n = 0;
    for (int i = 0; i < table->n_rows; i++, overlap += table->n_categories)
        if (overlap->n_labelled > 0 && overlap->n_predicted > 0)
            ratios[n++] = (overlap->inside + overlap->outside) / (double)overlap->n_labelled;
    if (n < AUDIT_BIAS_IMAGES)
        return 1.0;
    qsort(ratios, n, sizeof *ratios, compare_doubles);
    double median = 0.5 * (ratios[(n - 1) / 2] + ratios[n / 2]);
    return median >= 0.5 && median <= 2.0 ? median : 1.0;
}

static void score_row(struct audit_table *table, int i) {
    struct audit_row *row = &table->rows[i];
    struct doubt_score score = {.n_pixels = row->n_pixels};
    size_t n = (size_t)table->n_categories;
    memcpy(score.overlap, table->overlaps + (size_t)i * n, n * sizeof *score.overlap);
    doubt_pool(&score, table->n_categories, table->bias);
    row->score = score.score;
    row->worst_class = score.worst_class;
    row->worst_score = score.worst_score;
    audit_table_add_scores(table, &score);
}

adele_status audit_bias_remove(struct audit_table *table) {
    double *ratios = NULL;
    bool is_biased = false;
    TRY(ALLOCATE(&ratios, table->n_rows + 1));
    table->bias[0] = 1.0;
    for (int c = 1; c < table->n_categories; c++) {
        table->bias[c] = find_bias(table, c, ratios);
        is_biased = is_biased || table->bias[c] < 1.0 || table->bias[c] > 1.0;
    }
    memory_free(ratios);
    if (!is_biased)
        return ADELE_OK;
    for (int c = 0; c < table->n_categories; c++)
        table->classes[c].score_sum = 0;
    for (int i = 0; i < table->n_rows; i++)
        score_row(table, i);
    return ADELE_OK;
}

void audit_bias_log(const struct audit_table *table, char *const *names) {
    for (int c = 1; c < table->n_categories; c++) {
        long percent = lrint(100.0 * (table->bias[c] - 1.0));
        if (percent != 0)
            log_line(LOG_INFO,
                     "%s: predictions are %ld %% %s than the labels in the median; scores allow "
                     "for it",
                     names[c], labs(percent), percent > 0 ? "larger" : "smaller");
    }
}
