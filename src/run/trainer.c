// SPDX-License-Identifier: MIT
// The run: epoch after epoch, with metrics and a checkpoint after each.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "infer/run_folder.h"
#include "run/claim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BEST "checkpoints/best.safetensors"

// Scores of one table of counts under "TABLE/iou/CATEGORY", and their means: "TABLE/miou" is that
// over all categories, in every table, and "TABLE/miou_foreground" that without the background.
static adele_status add_table(struct trainer *trainer, const char *table, const struct score *score,
                              bool with_dice) {
    struct metrics *metrics = trainer->metrics;
    for (int c = 0; c < score->n_categories; c++)
        TRY(metrics_add(metrics, score->iou[c], "%s/iou/%s", table,
                        trainer->dataset->category_names[c]));
    TRY(metrics_add(metrics, score->miou, "%s/miou", table));
    TRY(metrics_add(metrics, score->miou_foreground, "%s/miou_foreground", table));
    if (!with_dice)
        return ADELE_OK;
    for (int c = 0; c < score->n_categories; c++)
        TRY(metrics_add(metrics, score->dice[c], "%s/dice/%s", table,
                        trainer->dataset->category_names[c]));
    return metrics_add(metrics, score->dice_foreground, "%s/dice_foreground", table);
}

static adele_status add_training(struct trainer *trainer, const struct epoch_numbers *numbers) {
    struct metrics *metrics = trainer->metrics;
    double n_steps = numbers->sums[ADELE_SUM_STEPS];
    TRY(metrics_add(metrics, numbers->sums[ADELE_SUM_TOTAL] / n_steps, "train/loss"));
    TRY(metrics_add(metrics, numbers->sums[ADELE_SUM_CROSS_ENTROPY] / n_steps,
                    "train/cross_entropy"));
    TRY(metrics_add(metrics, numbers->sums[ADELE_SUM_CONSISTENCY] / n_steps, "train/consistency"));
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
        if (tables[i].needs_truth && !trainer->resident[SPLIT_TRAIN].truth)
            continue;
        struct score score;
        score_compute(&numbers->counts[tables[i].table][0][0], trainer->n_categories, &score);
        TRY(add_table(trainer, tables[i].name, &score, false));
    }
    return ADELE_OK;
}

static adele_status add_labels(struct trainer *trainer, int epoch, int64_t n_changed) {
    struct score score;
    TRY(trainer_score_labels(trainer, &score));
    if (score.n_categories > 0) {
        for (int c = 0; c < score.n_categories; c++)
            TRY(metrics_add(trainer->metrics, score.iou[c], "train/labels_vs_true/iou/%s",
                            trainer->dataset->category_names[c]));
        TRY(metrics_add(trainer->metrics, score.miou, "train/labels_vs_true/miou"));
        TRY(metrics_add(trainer->metrics, score.miou_foreground,
                        "train/labels_vs_true/miou_foreground"));
    }
    if (!trainer->config->correction.enabled)
        return ADELE_OK;
    TRY(metrics_add(trainer->metrics, n_changed < 0 ? 0.0 : (double)n_changed,
                    "correction/changed_pixels"));
    for (int c = 1; c < trainer->n_categories; c++)
        TRY(metrics_add(trainer->metrics, trainer->corrected[(size_t)epoch * 256 + (size_t)c],
                        "correction/on/%s", trainer->dataset->category_names[c]));
    return ADELE_OK;
}

static adele_status save_best(struct trainer *trainer, int epoch) {
    double miou = trainer->last_score[SPLIT_VAL].miou_foreground;
    bool is_best = trainer->config->train.select == SELECT_LAST ||
                   !trainer->evaluation[SPLIT_VAL] || (isfinite(miou) && miou > trainer->best_miou);
    if (!is_best)
        return ADELE_OK;
    trainer->best_miou = isfinite(miou) ? miou : -1.0;
    trainer->best_epoch = epoch;
    char *path = NULL;
    TRY(trainer_path(trainer, BEST, &path));
    adele_status status = checkpoint_save_model(trainer, path);
    memory_free(path);
    return status;
}

static adele_status evaluate_splits(struct trainer *trainer, int epoch) {
    const struct config *config = trainer->config;
    bool is_due = epoch % config->train.evaluate_every == 0 || epoch == trainer->n_epochs;
    for (int split = SPLIT_VAL; is_due && split <= SPLIT_TEST; split++) {
        if (!trainer->evaluation[split])
            continue;
        char table[64] = "val/pred_vs_true";
        if (split == SPLIT_TEST)
            memcpy(table, "test/pred_vs_true", sizeof "test/pred_vs_true");
        TRY(trainer_evaluate(trainer, (enum dataset_split)split, &trainer->last_score[split]));
        TRY(add_table(trainer, table, &trainer->last_score[split], true));
    }
    return is_due ? save_best(trainer, epoch) : ADELE_OK;
}

// A mean over nothing is a dash.
static const char *score_text(double value, char out[32]) {
    (void)snprintf(out, 32, isfinite(value) ? "%.4f" : "-", value);
    return out;
}

static void log_epoch(const struct trainer *trainer, int epoch,
                      const struct epoch_numbers *numbers) {
    char line[512], number[32];
    size_t used = (size_t)snprintf(line, sizeof line, "epoch %d: loss %.4f", epoch,
                                   numbers->sums[ADELE_SUM_TOTAL] / numbers->sums[ADELE_SUM_STEPS]);
    struct score score;
    score_compute(&numbers->counts[ADELE_COUNT_PREDICTION_NOISY][0][0], trainer->n_categories,
                  &score);
    used += (size_t)snprintf(line + used, sizeof line - used, "  train mIoU vs noisy %s",
                             score_text(score.miou_foreground, number));
    static const char *const names[SPLIT_COUNT] = {"", "val", "test"};
    for (int split = SPLIT_VAL; split <= SPLIT_TEST; split++)
        if (trainer->evaluation[split])
            used +=
                (size_t)snprintf(line + used, sizeof line - used, "  %s mIoU %s", names[split],
                                 score_text(trainer->last_score[split].miou_foreground, number));
    log_line(LOG_INFO, "%s", line);
}

static adele_status save_last(struct trainer *trainer) {
    char *path = NULL, *previous = NULL;
    adele_status status;
    TRY_GOTO(trainer_path(trainer, CHECKPOINT_LAST, &path), done);
    TRY_GOTO(trainer_path(trainer, CHECKPOINT_PREVIOUS, &previous), done);
    TRY_GOTO(checkpoint_save(trainer, path, previous), done);
done:
    memory_free(path);
    memory_free(previous);
    return status;
}

static adele_status save_checkpoint(struct trainer *trainer, int epoch) {
    const struct config *config = trainer->config;
    bool is_due = epoch % config->train.checkpoint_every == 0 || epoch == trainer->n_epochs;
    return is_due ? save_last(trainer) : ADELE_OK;
}

// What differs from run to run, or follows from the configuration: TensorBoard alone shows it.
static adele_status add_speed(struct trainer *trainer, const struct epoch_numbers *numbers) {
    struct metrics *metrics = trainer->metrics;
    TRY(metrics_add_event(metrics, numbers->rate, "train/learning_rate"));
    TRY(metrics_add_event(metrics, numbers->seconds, "time/epoch_seconds"));
    return metrics_add_event(metrics, numbers->n_images / fmax(numbers->seconds, 1e-9),
                             "time/images_per_second");
}

static double now_seconds(void) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static adele_status run_epoch(struct trainer *trainer, int epoch, struct epoch_numbers *numbers) {
    double started = now_seconds();
    TRY(trainer_run_epoch(trainer, epoch, numbers));
    if (numbers->is_back)
        return ADELE_OK;
    numbers->seconds = now_seconds() - started;
    TRY(metrics_begin(trainer->metrics, epoch, trainer->step));
    TRY(add_training(trainer, numbers));
    if (numbers->n_left_out > 0)
        TRY(metrics_add(trainer->metrics, numbers->n_left_out, "train/left_out_steps"));
    if (trainer->config->correction.pipeline == ONSET_SEGTHOR)
        trainer_append_series(trainer, &numbers->counts[ADELE_COUNT_PREDICTION_NOISY][0][0]);
    int64_t n_changed = -1;
    TRY(trainer_correct_labels(trainer, epoch, &n_changed));
    trainer->epoch = epoch;
    if (n_changed >= 0)
        TRY(trainer_save_generation(trainer, epoch, n_changed));
    TRY(add_labels(trainer, epoch, n_changed));
    TRY(evaluate_splits(trainer, epoch));
    TRY(trainer_save_onsets(trainer));
    TRY(add_speed(trainer, numbers));
    TRY(metrics_end(trainer->metrics));
    log_epoch(trainer, epoch, numbers);
    TRY(trainer_warn_of_fall(trainer, epoch));
    return save_checkpoint(trainer, epoch);
}

// ---- start and end ------------------------------------------------------------------------------

// What a run that was killed was writing at that moment.
static adele_status clean_folders(const struct trainer *trainer) {
    static const char *const names[] = {"", "checkpoints", "labels"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *folder = NULL;
        TRY(trainer_path(trainer, names[i], &folder));
        adele_status status = file_remove_temporaries(folder);
        memory_free(folder);
        TRY(status);
    }
    return ADELE_OK;
}

// Before anything is read or written: a run that is there already stays as it is, and goes on as
// what it is.
static adele_status take_folder(const struct trainer_options *options) {
    bool has_run = false;
    TRY(run_folder_claim(options->config, options->run_folder, options->resume));
    TRY(run_folder_has_checkpoint(options->run_folder, &has_run));
    return has_run ? run_settings_compare(options->run_folder, options->config) : ADELE_OK;
}

// Nothing of a run that is continued changes before its checkpoint has been taken over.
static adele_status start(struct trainer *trainer) {
    char *folder = NULL;
    adele_status status;
    TRY_GOTO(trainer_path(trainer, "checkpoints", &folder), done);
    TRY_GOTO(file_make_directory(folder), done);
    TRY_GOTO(trainer_take_over(trainer), done);
    TRY_GOTO(clean_folders(trainer), done);
    TRY_GOTO(trainer_trim_generations(trainer, trainer->epoch), done);
    TRY_GOTO(trainer_save_config(trainer), done);
    TRY_GOTO(run_paths_write(trainer->options.run_folder, trainer->config), done);
    TRY_GOTO(trainer_save_noise(trainer), done);
    TRY_GOTO(trainer_open_metrics(trainer), done);
done:
    memory_free(folder);
    return status;
}

// Steps of epoch after epoch, without what follows an epoch.
static adele_status profile(struct trainer *trainer, struct epoch_numbers *numbers) {
    int epoch = trainer->epoch + 1;
    trainer->options.n_profile_steps += trainer->step;
    while (trainer->step < trainer->options.n_profile_steps && epoch <= trainer->n_epochs)
        TRY(trainer_run_epoch(trainer, epoch++, numbers));
    return ADELE_OK;
}

static adele_status run(struct trainer *trainer) {
    struct epoch_numbers *numbers = memory_calloc(1, sizeof *numbers);
    if (!numbers)
        return FAIL_NO_MEMORY(sizeof *numbers);
    bool is_profile = trainer->options.n_profile_steps > 0;
    adele_status status = start(trainer);
    if (status == ADELE_OK && is_profile)
        status = profile(trainer, numbers);
    while (status == ADELE_OK && !is_profile && trainer->epoch < trainer->n_epochs)
        status = run_epoch(trainer, trainer->epoch + 1, numbers);
    if (status == ADELE_INTERRUPTED && !is_profile) {
        adele_status saved = save_last(trainer);
        status = saved == ADELE_OK ? status : saved;
    }
    if (status == ADELE_OK && !is_profile)
        status = trainer_save_examples(trainer);
    memory_free(numbers);
    return status;
}

adele_status trainer_run(const struct trainer_options *options, struct trainer_result *out) {
    struct trainer *trainer = NULL;
    TRY(take_folder(options));
    TRY(trainer_create(options, &trainer));
    for (int split = 0; split < SPLIT_COUNT; split++)
        trainer->last_score[split].miou_foreground = NAN;
    adele_status status = run(trainer);
    out->n_epochs = trainer->epoch;
    out->val_miou = trainer->last_score[SPLIT_VAL].miou_foreground;
    out->test_miou = trainer->last_score[SPLIT_TEST].miou_foreground;
    out->best_miou = trainer->best_miou;
    out->best_epoch = trainer->best_epoch;
    trainer_destroy(trainer);
    return status;
}
