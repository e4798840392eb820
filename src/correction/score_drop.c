// SPDX-License-Identifier: MIT
#include "correction/score_drop.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "run_folder/metric_values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Evaluations that decide, because the score of a single epoch varies by hundredths.
#define PATIENCE 3
#define DROP     0.01
// From one evaluation to the next.
#define DROP_AT_ONCE 0.02

static bool was_corrected(const struct corrector *corrector, int epoch) {
    for (int c = 1; c < corrector->data->n_categories; c++)
        if (corrector_has_corrected(corrector, epoch, c))
            return true;
    return false;
}

// ---- which classes fell -------------------------------------------------------------------------

#define MORE_BYTES 24 // " and 250 more"

struct fallen {
    char names[400]; // "lung (corrected), heart (left as it was)"
    int n_more;      // that found no room there
    bool any_corrected, any_kept;
};

static void add_class(struct fallen *fallen, const char *name, bool is_corrected) {
    const size_t used = strlen(fallen->names), room = sizeof fallen->names - MORE_BYTES - used;
    const int n = fallen->n_more > 0
                      ? -1
                      : snprintf(fallen->names + used, room, "%s%s (%s)", used > 0 ? ", " : "",
                                 name, is_corrected ? "corrected" : "left as it was");
    if (n < 0 || (size_t)n >= room) {
        fallen->names[used] = '\0';
        fallen->n_more++;
    }
    fallen->any_corrected = fallen->any_corrected || is_corrected;
    fallen->any_kept = fallen->any_kept || !is_corrected;
}

// The classes whose score is lower at epoch `after` than at epoch `before`.
static adele_status find_fallen(const struct corrector *corrector, const struct metrics *metrics,
                                int before, int after, struct fallen *out) {
    for (int c = 1; c < corrector->data->n_categories; c++) {
        const char *class = corrector->data->dataset->category_names[c];
        OWNED double *iou = NULL;
        OWNED char *name = memory_printf("val/pred_vs_true/iou/%s", class);
        TRY(CHECK_MEMORY(name));
        TRY(metric_values_read(metrics, name, (size_t)corrector->epochs->n_epochs + 1, &iou));
        if (iou[before] - iou[after] > DROP)
            add_class(out, class, corrector_has_corrected_until(corrector, after, c));
    }
    return ADELE_OK;
}

// ---- the warning --------------------------------------------------------------------------------

// The epoch with the best score of first..last, 0 where there is none, and how many there are.
static int best_of(const double *scores, int first, int last, int *n) {
    int best = 0;
    *n = 0;
    for (int epoch = first; epoch <= last; epoch++) {
        *n += isfinite(scores[epoch]);
        if (isfinite(scores[epoch]) && (best == 0 || scores[epoch] > scores[best]))
            best = epoch;
    }
    return best;
}

// A network memorizes the errors of classes that were left as they were, whatever was corrected.
static adele_status warn(const struct corrector *corrector, const struct metrics *metrics,
                         const double *scores, int corrected, int before, int after) {
    struct fallen fallen = {0};
    TRY(find_fallen(corrector, metrics, before, after, &fallen));
    const size_t used = strlen(fallen.names);
    if (fallen.n_more > 0)
        (void)snprintf(fallen.names + used, sizeof fallen.names - used, "%s%d more",
                       used > 0 ? " and " : "", fallen.n_more);
    bool is_memorized = fallen.any_kept && !fallen.any_corrected;
    log_line(LOG_WARNING,
             "validation mIoU was %.4f before the labels were corrected at the end of epoch %d, "
             "and is at most %.4f since then%s%s. Unless the validation labels are as noisy, %s; "
             "compare with correction.enabled: false",
             scores[before], corrected, scores[after], fallen.names[0] != '\0' ? "; lower: " : "",
             fallen.names,
             is_memorized ? "the network memorizes the errors in labels that were not corrected"
                          : "the correction did harm, or the network memorizes the errors that are "
                            "left");
    return ADELE_OK;
}

// `corrected`: the epoch at whose end the labels were corrected.
static adele_status compare_scores(const struct corrector *corrector, const struct metrics *metrics,
                                   const double *scores, int corrected, int epoch,
                                   bool *has_warned) {
    int n_before, n_after, n_epochs = corrector->epochs->n_epochs;
    int before = best_of(scores, 1, corrected, &n_before);
    int after = best_of(scores, corrected + 1, epoch, &n_after);
    bool is_due = n_after == PATIENCE || (epoch == n_epochs && n_after > 0 && n_after < PATIENCE);
    if (!is_due || n_before == 0 || !(scores[before] - scores[after] > DROP))
        return ADELE_OK;
    *has_warned = true;
    return warn(corrector, metrics, scores, corrected, before, after);
}

// ---- at once ------------------------------------------------------------------------------------

static bool corrects_new_class(const struct corrector *corrector, int epoch) {
    for (int c = 1; c < corrector->data->n_categories; c++)
        if (corrector_has_corrected(corrector, epoch, c) &&
            !corrector_has_corrected_until(corrector, epoch - 1, c))
            return true;
    return false;
}

// A correction that repeats an earlier one says nothing new: pipeline voc makes one after each
// epoch.
static void warn_at_once(const struct corrector *corrector, const double *scores, int epoch) {
    int before = epoch - 1, corrected = 0;
    while (before > 0 && !isfinite(scores[before]))
        before--;
    for (int k = before; k > 0 && k < epoch; k++)
        if (corrects_new_class(corrector, k))
            corrected = k;
    if (corrected > 0 && scores[before] - scores[epoch] > DROP_AT_ONCE)
        log_line(LOG_WARNING,
                 "validation mIoU fell from %.4f after epoch %d to %.4f after epoch %d, the first "
                 "evaluation since the labels were corrected at the end of epoch %d; whether it "
                 "stays lower is reported after %d evaluations",
                 scores[before], before, scores[epoch], epoch, corrected, PATIENCE);
}

// Of corrections in a row, as pipeline voc makes them, only the first one is checked for a fall
// that stays.
adele_status score_drop_warn(const struct corrector *corrector, const struct metrics *metrics,
                             int epoch) {
    OWNED double *scores = NULL;
    bool has_warned = false;
    size_t n = (size_t)corrector->epochs->n_epochs + 1;
    TRY(metric_values_read(metrics, "val/pred_vs_true/miou_foreground", n, &scores));
    if (!isfinite(scores[epoch]))
        return ADELE_OK;
    for (int k = 1; k < epoch; k++)
        if (was_corrected(corrector, k) && !was_corrected(corrector, k - 1))
            TRY(compare_scores(corrector, metrics, scores, k, epoch, &has_warned));
    if (!has_warned)
        warn_at_once(corrector, scores, epoch);
    return ADELE_OK;
}
