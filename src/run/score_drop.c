// SPDX-License-Identifier: MIT
#include "run/score_drop.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Evaluations that decide, because the score of a single epoch varies by hundredths.
#define PATIENCE 3
#define DROP     0.01

// Validation scores of epochs 0 .. n - 1; NaN where there is none.
static adele_status read_scores(const struct metrics *metrics, size_t n, double **out) {
    size_t n_bytes = 0;
    TRY(ALLOCATE(out, n));
    double *scores = *out;
    for (size_t i = 0; i < n; i++)
        scores[i] = NAN;
    const char *line = metrics_text(metrics, &n_bytes), *end = line + n_bytes;
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        cJSON *record = next ? cJSON_ParseWithLength(line, (size_t)(next - line)) : NULL;
        const cJSON *epoch = cJSON_GetObjectItemCaseSensitive(record, "epoch");
        const cJSON *score =
            cJSON_GetObjectItemCaseSensitive(record, "val/pred_vs_true/miou_foreground");
        if (cJSON_IsNumber(epoch) && cJSON_IsNumber(score) && epoch->valuedouble >= 0 &&
            epoch->valuedouble < (double)n)
            scores[(size_t)epoch->valuedouble] = score->valuedouble;
        cJSON_Delete(record);
        line = next ? next + 1 : end;
    }
    return ADELE_OK;
}

static bool was_corrected(const struct corrector *corrector, int epoch) {
    for (int c = 1; c < corrector->data->n_categories; c++)
        if (corrector_has_corrected(corrector, epoch, c))
            return true;
    return false;
}

// The best score of epochs first..last, and how many there are.
static double best_of(const double *scores, int first, int last, int *n) {
    double best = NAN;
    *n = 0;
    for (int epoch = first; epoch <= last; epoch++) {
        best = fmax(best, scores[epoch]); // a NaN counts as absent
        *n += isfinite(scores[epoch]);
    }
    return best;
}

// `corrected`: the epoch at whose end the labels were corrected.
static void compare_scores(const double *scores, int corrected, int epoch, bool is_last) {
    int n_before, n_after;
    double before = best_of(scores, 1, corrected, &n_before);
    double after = best_of(scores, corrected + 1, epoch, &n_after);
    bool is_due = n_after == PATIENCE || (is_last && n_after > 0 && n_after < PATIENCE);
    if (is_due && before - after > DROP)
        log_line(LOG_WARNING,
                 "validation mIoU was %.4f before the labels were corrected at the end of epoch "
                 "%d, and is at most %.4f since then: unless the validation labels are as noisy, "
                 "the correction did harm; compare with correction.enabled: false",
                 before, corrected, after);
}

// Of corrections in a row, as pipeline voc makes them, only the first one is checked.
adele_status score_drop_warn(const struct corrector *corrector, const struct metrics *metrics,
                             int epoch) {
    double *scores = NULL;
    int n_epochs = corrector->epochs->n_epochs;
    TRY(read_scores(metrics, (size_t)n_epochs + 1, &scores));
    for (int k = 1; isfinite(scores[epoch]) && k < epoch; k++)
        if (was_corrected(corrector, k) && !was_corrected(corrector, k - 1))
            compare_scores(scores, k, epoch, epoch == n_epochs);
    memory_free(scores);
    return ADELE_OK;
}
