// SPDX-License-Identifier: MIT
// Which categories are corrected at the end of an epoch: METHOD sections 2 and 3.
#include "onset/onset.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

static int first_category(const struct schedule_config *config) {
    return config->has_background_onset ? 0 : 1;
}

// Value i of the mean foreground series: over the categories that have a finite value there.
static double mean_foreground(const struct schedule_config *config, int i,
                              const double *const *iou) {
    double sum = 0;
    int count = 0;
    for (int c = 1; c < config->n_categories; c++) {
        if (isfinite(iou[c][i])) {
            sum += iou[c][i];
            count++;
        }
    }
    return count > 0 ? sum / count : NAN;
}

// The onset of the mean foreground series, for every category.
static adele_status find_mean_onset(const struct schedule_config *config, int n,
                                    const double *const *iou, struct schedule_decision *out) {
    struct onset_result common;
    OWNED double *mean = NULL;
    TRY(ALLOCATE(&mean, n > 0 ? n : 1));
    for (int i = 0; i < n; i++)
        mean[i] = mean_foreground(config, i, iou);
    onset_find(&config->onset, n, mean, &common);
    for (int c = first_category(config); c < config->n_categories; c++)
        out->onset[c] = common;
    return ADELE_OK;
}

static bool has_begun(const struct onset_result *onset, int epoch) {
    return onset->known && epoch - 1 >= onset->epoch;
}

// Which categories are on from this epoch, by the onsets in `out`. The onset of the background does
// not switch the others on, because the background is learned first.
static void switch_on(const struct schedule_config *config, int epoch, struct schedule_state *state,
                      const struct schedule_decision *out) {
    bool any_begun = false;
    for (int c = 1; c < config->n_categories; c++)
        any_begun = any_begun || has_begun(&out->onset[c], epoch);
    bool all = any_begun && config->mode == SCHEDULE_ALL_FROM_FIRST;
    for (int c = first_category(config); c < config->n_categories; c++) {
        if (!state->is_on[c] && (all || has_begun(&out->onset[c], epoch))) {
            state->is_on[c] = 1;
            state->onset_epoch[c] = epoch;
        }
    }
}

adele_status schedule_decide(const struct schedule_config *config, int epoch, int n,
                             const double *const *iou, struct schedule_state *state,
                             struct schedule_decision *out) {
    int first = first_category(config);
    memset(out, 0, sizeof *out);
    if (config->mode == SCHEDULE_ALL_FROM_MEAN)
        TRY(find_mean_onset(config, n, iou, out));
    else
        for (int c = first; c < config->n_categories; c++)
            onset_find(&config->onset, n, iou[c], &out->onset[c]);
    switch_on(config, epoch, state, out);
    if (config->every > 0 && epoch % config->every == 0)
        memset(state->is_done, 0, sizeof state->is_done);
    for (int c = first; c < config->n_categories; c++) {
        if (!state->is_on[c] || state->is_done[c])
            continue;
        out->correct[c] = 1;
        out->any = true;
        state->is_done[c] = 1;
    }
    if (out->any)
        out->correct[0] = 1;
    return ADELE_OK;
}
