// SPDX-License-Identifier: MIT
// A warning where validation fell after a correction. Everything it looks at is in a checkpoint
// already (the records, and which epoch corrected what), so that a resumed run warns as one that
// was left alone.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// So many evaluations decide: the score of a single epoch goes up and down by hundredths.
#define PATIENCE 3
#define FALL     0.01

// Validation scores by epoch, NaN where there is none: (n_epochs + 1).
static adele_status read_scores(const struct trainer *trainer, double **out) {
    size_t n = (size_t)trainer->n_epochs + 1, n_bytes = 0;
    double *scores = memory_calloc(n, sizeof *scores);
    if (!scores)
        return FAIL_NO_MEMORY(n * sizeof *scores);
    for (size_t i = 0; i < n; i++)
        scores[i] = NAN;
    const char *line = metrics_text(trainer->metrics, &n_bytes), *end = line + n_bytes;
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
    *out = scores;
    return ADELE_OK;
}

static bool was_corrected(const struct trainer *trainer, int epoch) {
    const unsigned char *corrected = trainer->corrected + (size_t)epoch * 256;
    for (int c = 1; c < trainer->n_categories; c++)
        if (corrected[c])
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

static void judge(const struct trainer *trainer, const double *scores, int corrected, int epoch) {
    int n_before, n_after;
    double before = best_of(scores, 1, corrected, &n_before);
    double after = best_of(scores, corrected + 1, epoch, &n_after);
    bool is_due =
        n_after == PATIENCE || (epoch == trainer->n_epochs && n_after > 0 && n_after < PATIENCE);
    if (is_due && before - after > FALL)
        log_line(LOG_WARNING,
                 "validation mIoU was %.4f before the labels were corrected at the end of epoch "
                 "%d, and is at most %.4f since then: unless the validation labels are as noisy, "
                 "the correction did harm; compare with correction.enabled: false",
                 before, corrected, after);
}

// Of corrections in a row, as pipeline voc has them, the first one is looked at.
adele_status trainer_warn_of_fall(const struct trainer *trainer, int epoch) {
    double *scores = NULL;
    if (!trainer->config->correction.enabled || !trainer->evaluation[SPLIT_VAL])
        return ADELE_OK;
    TRY(read_scores(trainer, &scores));
    for (int k = 1; isfinite(scores[epoch]) && k < epoch; k++)
        if (was_corrected(trainer, k) && !was_corrected(trainer, k - 1))
            judge(trainer, scores, k, epoch);
    memory_free(scores);
    return ADELE_OK;
}
