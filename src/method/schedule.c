// SPDX-License-Identifier: MIT
// Which categories are corrected at the end of an epoch: METHOD sections 2 and 3.
#include "method/onset.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

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

// One onset for all: that of the mean foreground series. Out of memory means "not yet".
static void find_common_onset(const struct schedule_config *config, int n, const double *const *iou,
                              struct schedule_decision *out) {
    struct onset_result common;
    double *mean = memory_calloc((size_t)(n > 0 ? n : 1), sizeof *mean);
    if (!mean)
        return;
    for (int i = 0; i < n; i++)
        mean[i] = mean_foreground(config, i, iou);
    onset_find(&config->onset, n, mean, &common);
    memory_free(mean);
    for (int c = 1; c < config->n_categories; c++)
        out->onset[c] = common;
    if (config->has_background_onset)
        out->onset[0] = common;
}

void schedule_decide(const struct schedule_config *config, int epoch, int n,
                     const double *const *iou, struct schedule_state *state,
                     struct schedule_decision *out) {
    int first = config->has_background_onset ? 0 : 1;
    memset(out, 0, sizeof *out);
    if (config->per_category) {
        for (int c = first; c < config->n_categories; c++)
            onset_find(&config->onset, n, iou[c], &out->onset[c]);
    } else {
        find_common_onset(config, n, iou, out);
    }
    for (int c = first; c < config->n_categories; c++) {
        if (!state->is_on[c] && out->onset[c].known && epoch - 1 >= out->onset[c].epoch) {
            state->is_on[c] = 1;
            state->onset_epoch[c] = epoch;
        }
    }
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
}
