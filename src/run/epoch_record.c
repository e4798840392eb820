// SPDX-License-Identifier: MIT
#include "run/epoch_record.h"

#include "base/fail.h"
#include "base/log.h"

#include <math.h>
#include <stdio.h>

// Scores of one table of counts under "TABLE/iou/CLASS", and their means: "TABLE/miou" over all
// classes, "TABLE/miou_foreground" without the background.
static adele_status add_table(struct trainer *trainer, const char *table, const struct score *score,
                              bool with_dice) {
    struct metrics *metrics = trainer->metrics;
    for (int c = 0; c < score->n_categories; c++)
        TRY(metrics_add(metrics, score->iou[c], "%s/iou/%s", table,
                        trainer->data.dataset->category_names[c]));
    TRY(metrics_add(metrics, score->miou, "%s/miou", table));
    TRY(metrics_add(metrics, score->miou_foreground, "%s/miou_foreground", table));
    if (!with_dice)
        return ADELE_OK;
    for (int c = 0; c < score->n_categories; c++)
        TRY(metrics_add(metrics, score->dice[c], "%s/dice/%s", table,
                        trainer->data.dataset->category_names[c]));
    return metrics_add(metrics, score->dice_foreground, "%s/dice_foreground", table);
}

adele_status epoch_record_training(struct trainer *trainer, const struct epoch_result *result) {
    struct metrics *metrics = trainer->metrics;
    const double *sums = result->totals.sums;
    double n_steps = sums[ADELE_SUM_STEPS];
    TRY(metrics_add(metrics, sums[ADELE_SUM_TOTAL] / n_steps, "train/loss"));
    TRY(metrics_add(metrics, sums[ADELE_SUM_CROSS_ENTROPY] / n_steps, "train/cross_entropy"));
    TRY(metrics_add(metrics, sums[ADELE_SUM_CONSISTENCY] / n_steps, "train/consistency"));
    static const struct {
        enum adele_count_table table;
        const char *name;
        bool needs_truth;
    } tables[] = {{ADELE_COUNT_PREDICTION_NOISY, "train/pred_vs_noisy", false},
                  {ADELE_COUNT_PREDICTION_CURRENT, "train/pred_vs_current", false},
                  {ADELE_COUNT_PREDICTION_TRUE, "train/pred_vs_true", true},
                  {ADELE_COUNT_EARLY_LEARNING, "train/early_learning", true},
                  {ADELE_COUNT_MEMORIZATION, "train/memorization", true}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (tables[i].needs_truth && !trainer->data.resident[SPLIT_TRAIN].truth)
            continue;
        struct score score;
        score_compute(&result->totals.counts[tables[i].table][0][0], trainer->data.n_categories,
                      &score);
        TRY(add_table(trainer, tables[i].name, &score, false));
    }
    if (result->n_skipped > 0) // its name is that of earlier versions
        return metrics_add(metrics, result->n_skipped, "train/left_out_steps");
    return ADELE_OK;
}

adele_status epoch_record_labels(struct trainer *trainer, int epoch, int64_t n_changed) {
    struct score score;
    TRY(evaluator_score_labels(&trainer->evaluator, &score));
    if (score.n_categories > 0)
        TRY(add_table(trainer, "train/labels_vs_true", &score, false));
    if (!trainer->config->correction.enabled)
        return ADELE_OK;
    TRY(metrics_add(trainer->metrics, n_changed < 0 ? 0.0 : (double)n_changed,
                    "correction/changed_pixels"));
    for (int c = 1; c < trainer->data.n_categories; c++)
        TRY(metrics_add(trainer->metrics, corrector_has_corrected(&trainer->corrector, epoch, c),
                        "correction/on/%s", trainer->data.dataset->category_names[c]));
    return ADELE_OK;
}

adele_status epoch_record_evaluation(struct trainer *trainer, enum dataset_split split) {
    const char *table = split == SPLIT_TEST ? "test/pred_vs_true" : "val/pred_vs_true";
    return add_table(trainer, table, &trainer->evaluator.scores[split], true);
}

// What differs from run to run, or follows from the configuration, is in TensorBoard's events
// alone.
adele_status epoch_record_speed(struct trainer *trainer, const struct epoch_result *result) {
    struct metrics *metrics = trainer->metrics;
    TRY(metrics_add_event(metrics, result->rate, "train/learning_rate"));
    TRY(metrics_add_event(metrics, result->seconds, "time/epoch_seconds"));
    return metrics_add_event(metrics, result->n_images / fmax(result->seconds, 1e-9),
                             "time/images_per_second");
}

// A mean over nothing is a dash.
static const char *score_text(double value, char out[32]) {
    (void)snprintf(out, 32, isfinite(value) ? "%.4f" : "-", value);
    return out;
}

void epoch_record_log(const struct trainer *trainer, int epoch, const struct epoch_result *result) {
    const double *sums = result->totals.sums;
    char line[512], number[32];
    size_t used = (size_t)snprintf(line, sizeof line, "epoch %d: loss %.4f", epoch,
                                   sums[ADELE_SUM_TOTAL] / sums[ADELE_SUM_STEPS]);
    struct score score;
    score_compute(&result->totals.counts[ADELE_COUNT_PREDICTION_NOISY][0][0],
                  trainer->data.n_categories, &score);
    used += (size_t)snprintf(line + used, sizeof line - used, "  train foreground mIoU vs noisy %s",
                             score_text(score.miou_foreground, number));
    for (int split = SPLIT_VAL; split <= SPLIT_TEST; split++)
        if (trainer->evaluator.inference[split])
            used += (size_t)snprintf(
                line + used, sizeof line - used, "  %s foreground mIoU %s",
                dataset_split_name((enum dataset_split)split),
                score_text(trainer->evaluator.scores[split].miou_foreground, number));
    log_line(LOG_INFO, "%s", line);
}
