// SPDX-License-Identifier: MIT
#include "correction/curves.h"

#include "base/fail.h"
#include "base/memory.h"
#include "scores/score.h"

#include <math.h>
#include <string.h>

#define N_COUNTS (ADELE_COUNT_KINDS * 256)

adele_status curves_init(struct curves *out, int n_categories, size_t max_values) {
    memset(out, 0, sizeof *out);
    out->n_categories = n_categories;
    for (int c = 0; c < n_categories; c++)
        TRY(ALLOCATE(&out->iou[c], max_values + 1));
    return ADELE_OK;
}

void curves_deinit(struct curves *curves) {
    for (int c = 0; c < curves->n_categories; c++)
        memory_free(curves->iou[c]);
    memset(curves, 0, sizeof *curves);
}

// A class that was neither predicted nor labelled counts as 0, so that no NaN enters a fit.
void curves_append(struct curves *curves, const int64_t *counts) {
    struct score score;
    score_compute(counts, curves->n_categories, &score);
    for (int c = 0; c < curves->n_categories; c++)
        curves->iou[c][curves->n_values] = isfinite(score.iou[c]) ? score.iou[c] : 0.0;
    curves->n_values++;
}

void curves_end_interval(struct curves *curves, const int64_t *counts) {
    int64_t interval[N_COUNTS];
    for (int i = 0; i < N_COUNTS; i++)
        interval[i] = counts[i] - curves->interval_base[i];
    memcpy(curves->interval_base, counts, sizeof curves->interval_base);
    curves_append(curves, interval);
}

void curves_end_epoch(struct curves *curves, const int64_t *counts) {
    for (int i = 0; i < N_COUNTS; i++)
        curves->interval_base[i] -= counts[i];
}
