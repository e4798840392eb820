// SPDX-License-Identifier: MIT
// The run: epoch after epoch, with metrics and a checkpoint after each.
#include "run/trainer.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "correction/correction_ensemble.h"
#include "correction/label_flow.h"
#include "correction/label_history.h"
#include "correction/score_drop.h"
#include "ranks/agreement.h"
#include "run/checkpoint.h"
#include "run/epoch.h"
#include "run/epoch_record.h"
#include "run/examples.h"
#include "run/rank_check.h"
#include "run/resume.h"
#include "run/settings.h"
#include "run/start_report.h"
#include "run/unpredicted.h"
#include "run_folder/claim.h"
#include "run_folder/run_folder.h"

#include <math.h>
#include <stdio.h>

// ---- an epoch -----------------------------------------------------------------------------------

static bool is_evaluation_due(const struct trainer *trainer, int epoch) {
    return epoch % trainer->config->train.evaluate_every == 0 ||
           epoch == trainer->step.epochs.n_epochs;
}

// train.patience: whether the run ends with this epoch. A function of what a checkpoint holds, so
// that a resumed run ends at the same epoch.
static bool is_patience_over(const struct trainer *trainer, int epoch) {
    int patience = trainer->config->train.patience;
    return patience > 0 && epoch > 0 && is_evaluation_due(trainer, epoch) &&
           epoch - trainer->progress.best_epoch >= patience;
}

static bool is_last(const struct trainer *trainer, int epoch) {
    return epoch >= trainer->step.epochs.n_epochs || is_patience_over(trainer, epoch);
}

static adele_status save_best(struct trainer *trainer, int epoch) {
    struct progress *progress = &trainer->progress;
    const struct evaluator *evaluator = &trainer->evaluator;
    double miou = evaluator->scores[SPLIT_VAL].miou_foreground;
    bool is_best = trainer->config->train.select == SELECT_LAST ||
                   !evaluator->inference[SPLIT_VAL] ||
                   (isfinite(miou) && miou > progress->best_miou);
    if (!is_best)
        return ADELE_OK;
    progress->best_miou = isfinite(miou) ? miou : -1.0;
    progress->best_epoch = epoch;
    OWNED char *path = NULL;
    if (!trainer_writes(trainer))
        return ADELE_OK;
    TRY(run_folder_path(trainer->options.run_folder, CHECKPOINT_BEST, &path));
    return checkpoint_save_model(trainer, path);
}

static adele_status evaluate_and_save_best(struct trainer *trainer, int epoch) {
    for (int split = SPLIT_VAL; split <= SPLIT_TEST; split++)
        if (trainer->evaluator.inference[split]) {
            TRY(evaluator_score_split(&trainer->evaluator, (enum dataset_split)split));
            TRY(epoch_record_evaluation(trainer, (enum dataset_split)split));
        }
    return save_best(trainer, epoch);
}

// The averaged weights come in the place of the weights, or back.
static adele_status exchange_average(const struct trainer *trainer) {
    return trainer->config->train.evaluate_averaged ? network_exchange_average(trainer->network)
                                                    : ADELE_OK;
}

static adele_status evaluate(struct trainer *trainer, int epoch) {
    if (!is_evaluation_due(trainer, epoch))
        return ADELE_OK;
    TRY(exchange_average(trainer));
    TRY(evaluate_and_save_best(trainer, epoch));
    return exchange_average(trainer);
}

static adele_status write_last(struct trainer *trainer) {
    const char *run_folder = trainer->options.run_folder;
    OWNED char *path = NULL, *previous = NULL;
    TRY(run_folder_path(run_folder, CHECKPOINT_LAST, &path));
    TRY(run_folder_path(run_folder, CHECKPOINT_PREVIOUS, &previous));
    return checkpoint_save(trainer, path, previous);
}

// A state that is saved already is not saved again: it would take the place of the older
// checkpoint, which a damaged one falls back to.
static adele_status save_last(struct trainer *trainer) {
    struct correction_ensemble *ensemble = trainer->corrector.ensemble;
    if (trainer->is_saved)
        return ADELE_OK;
    if (ensemble)
        TRY(ensemble_collect(&ensemble->ensemble));
    TRY(divided_update_collect(&trainer->step.parts.divided));
    adele_status status = trainer_writes(trainer) ? write_last(trainer) : ADELE_OK;
    trainer->is_saved = status == ADELE_OK;
    divided_update_drop_collected(&trainer->step.parts.divided);
    if (ensemble)
        ensemble_drop_collected(&ensemble->ensemble);
    return status;
}

static adele_status save_checkpoint(struct trainer *trainer, int epoch) {
    bool is_due = epoch % trainer->config->train.checkpoint_every == 0 || is_last(trainer, epoch);
    return is_due ? save_last(trainer) : ADELE_OK;
}

// Corrects the labels, and evaluates; into the open record.
static adele_status end_epoch(struct trainer *trainer, int epoch, const struct epoch_result *result,
                              int64_t *n_changed) {
    struct corrector *corrector = &trainer->corrector;
    const char *run_folder = trainer->options.run_folder;
    if (trainer->config->correction.pipeline == ONSET_SEGTHOR)
        curves_append(&corrector->curves,
                      &result->totals.counts[ADELE_COUNT_PREDICTION_NOISY][0][0]);
    TRY(corrector_run(corrector, epoch, n_changed));
    trainer->progress.epoch = epoch;
    bool writes = trainer_writes(trainer);
    if (*n_changed >= 0 && writes) {
        TRY(label_history_add(&trainer->data, run_folder, epoch, *n_changed));
        TRY(label_flow_save(&trainer->data, corrector->scratch_map, run_folder, epoch));
    }
    TRY(epoch_record_labels(trainer, epoch, *n_changed));
    TRY(evaluate(trainer, epoch));
    return writes ? corrector_save_onsets(corrector, epoch, is_last(trainer, epoch), run_folder)
                  : ADELE_OK;
}

static const struct score *epoch_score(const struct trainer *trainer, int epoch, int split) {
    bool is_there = trainer->evaluator.inference[split] && is_evaluation_due(trainer, epoch);
    return is_there ? &trainer->evaluator.scores[split] : NULL;
}

// Whether on_epoch wants the run to stop.
static bool report_epoch(const struct trainer *trainer, int epoch,
                         const struct epoch_result *result, int64_t n_changed) {
    const struct trainer_options *options = &trainer->options;
    const struct step_totals *totals = &result->totals;
    if (!options->on_epoch || !trainer_writes(trainer))
        return false;
    struct score train;
    score_compute(&totals->counts[ADELE_COUNT_PREDICTION_NOISY][0][0], trainer->data.n_categories,
                  &train);
    const struct trainer_epoch finished = {.epoch = epoch,
                                           .n_epochs = trainer->step.epochs.n_epochs,
                                           .n_categories = trainer->data.n_categories,
                                           .category_names = trainer->data.dataset->category_names,
                                           .seconds = result->seconds,
                                           .loss = totals->sums[ADELE_SUM_TOTAL] /
                                                   totals->sums[ADELE_SUM_STEPS],
                                           .train = &train,
                                           .val = epoch_score(trainer, epoch, SPLIT_VAL),
                                           .test = epoch_score(trainer, epoch, SPLIT_TEST),
                                           .n_corrected = n_changed < 0 ? 0 : n_changed};
    return options->on_epoch(options->context, &finished);
}

// A request to stop may reach any rank; all of them end after the same epoch.
static adele_status stop_if_requested(struct trainer *trainer, int epoch, bool stop) {
    int none = 0;
    TRY(agreement_reach(trainer->options.ranks, &stop, &none));
    if (!stop || is_last(trainer, epoch))
        return ADELE_OK;
    return FAIL(ADELE_INTERRUPTED, "Continue with --resume.",
                "interrupted after epoch %d of %d; all of it is saved in %s", epoch,
                trainer->step.epochs.n_epochs, trainer->options.run_folder);
}

static adele_status warn_of_unpredicted(const struct trainer *trainer, int epoch,
                                        const struct epoch_result *result) {
    if (!trainer_writes(trainer))
        return ADELE_OK;
    return unpredicted_warn(&(struct unpredicted_classes){
        .config = trainer->config,
        .metrics = trainer->metrics,
        .epoch = epoch,
        .n_categories = trainer->data.n_categories,
        .names = trainer->data.dataset->category_names,
        .counts = &result->totals.counts[ADELE_COUNT_PREDICTION_NOISY][0][0]});
}

static adele_status train_epoch(struct trainer *trainer, int epoch, struct epoch_result *result) {
    int64_t n_changed = -1;
    TRY(epoch_run(trainer, epoch, result));
    if (result->is_rolled_back)
        return ADELE_OK;
    TRY(metrics_begin(trainer->metrics, epoch, trainer->progress.step));
    TRY(epoch_record_training(trainer, result));
    TRY(end_epoch(trainer, epoch, result, &n_changed));
    TRY(epoch_record_speed(trainer, result));
    TRY(metrics_end(trainer->metrics));
    epoch_record_log(trainer, epoch, result);
    TRY(warn_of_unpredicted(trainer, epoch, result));
    if (trainer->config->correction.enabled && trainer->evaluator.inference[SPLIT_VAL] &&
        trainer_writes(trainer))
        TRY(score_drop_warn(&trainer->corrector, trainer->metrics, epoch));
    TRY(save_checkpoint(trainer, epoch));
    return stop_if_requested(trainer, epoch, report_epoch(trainer, epoch, result, n_changed));
}

// ---- a run --------------------------------------------------------------------------------------

// Removes what an earlier process was writing when it was killed.
static adele_status remove_temporaries(const char *run_folder) {
    static const char *const names[] = {"", "checkpoints", "labels"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        OWNED char *folder = NULL;
        TRY(run_folder_path(run_folder, names[i], &folder));
        TRY(file_remove_temporaries(folder));
    }
    return ADELE_OK;
}

static adele_status write_first_files(struct trainer *trainer) {
    const char *run_folder = trainer->options.run_folder;
    OWNED char *checkpoints = NULL;
    TRY(run_folder_path(run_folder, "checkpoints", &checkpoints));
    TRY(file_make_directory(checkpoints));
    TRY(remove_temporaries(run_folder));
    TRY(label_history_trim(&trainer->data, run_folder, trainer->progress.epoch));
    TRY(run_origin_save_config(&trainer->origin, trainer->config, run_folder));
    TRY(run_paths_write(run_folder, trainer->config));
    TRY(run_data_save_noise(&trainer->data, run_folder));
    return resume_open_metrics(trainer);
}

// Nothing of a run that is resumed changes before its checkpoint has been loaded, by all ranks.
static adele_status start_run(struct trainer *trainer) {
    TRY(resume_load(trainer));
    return trainer_writes(trainer) ? write_first_files(trainer) : ADELE_OK;
}

// Steps of epoch after epoch, without what follows an epoch.
static adele_status profile(struct trainer *trainer, struct epoch_result *result) {
    const struct progress *progress = &trainer->progress;
    int epoch = progress->epoch + 1;
    trainer->options.n_profile_steps += progress->step;
    while (progress->step < trainer->options.n_profile_steps &&
           epoch <= trainer->step.epochs.n_epochs)
        TRY(epoch_run(trainer, epoch++, result));
    return ADELE_OK;
}

// Of a run that train.patience has ended.
static void log_early_end(const struct trainer *trainer) {
    const struct progress *progress = &trainer->progress;
    const struct config *config = trainer->config;
    log_line(LOG_INFO,
             "ended after epoch %d of %d: no better validation score since epoch %d "
             "(train.patience: %d)",
             progress->epoch, trainer->step.epochs.n_epochs, progress->best_epoch,
             config->train.patience);
    if (!correction_ensemble_is_open(trainer->corrector.ensemble))
        return;
    if (config->correction.timing == TIMING_FIXED)
        log_line(LOG_WARNING,
                 "no labels were corrected, because the run ended before epoch %d (correction.at: "
                 "%g); a lower correction.at corrects earlier, a larger train.patience ends later",
                 ensemble_epoch(&trainer->corrector.ensemble->ensemble), config->correction.at);
    else
        log_line(LOG_WARNING, "the run ended before the labels of all classes were corrected; a "
                              "larger train.patience ends later");
}

static adele_status train(struct trainer *trainer, struct epoch_result *result) {
    const struct progress *progress = &trainer->progress;
    adele_status status = ADELE_OK;
    while (status == ADELE_OK && !is_last(trainer, progress->epoch))
        status = train_epoch(trainer, progress->epoch + 1, result);
    if (status == ADELE_INTERRUPTED) {
        adele_status saved = save_last(trainer);
        return saved == ADELE_OK ? status : saved;
    }
    TRY(status);
    if (progress->epoch < trainer->step.epochs.n_epochs)
        log_early_end(trainer);
    if (!trainer_writes(trainer))
        return ADELE_OK;
    TRY(exchange_average(trainer));
    TRY(examples_save(&trainer->data, trainer->network, trainer->step.epochs.part_images,
                      trainer->options.run_folder));
    return exchange_average(trainer);
}

// All ranks come here where none has failed. What they have computed is saved already.
static void end_exchange(struct trainer *trainer, adele_status status) {
    char message[512], hint[256];
    (void)snprintf(message, sizeof message, "%s", adele_error_message());
    (void)snprintf(hint, sizeof hint, "%s", adele_error_hint());
    if (step_parts_disconnect(&trainer->step.parts) == ADELE_OK)
        return;
    log_line(LOG_WARNING, "%s", adele_error_message());
    if (status != ADELE_OK)
        (void)FAIL(status, hint, "%s", message);
}

static adele_status run_trainer(struct trainer *trainer) {
    OWNED struct epoch_result *result = NULL;
    TRY(ALLOCATE(&result, 1));
    adele_status status = ranks_agree(trainer->options.ranks, start_run(trainer));
    if (status == ADELE_OK && trainer_writes(trainer))
        status = start_report(trainer);
    if (status == ADELE_OK)
        status = trainer->options.n_profile_steps > 0 ? profile(trainer, result)
                                                      : train(trainer, result);
    if (status == ADELE_NUMERIC) // on all ranks at the same step: rank 0 reports it
        status = ranks_agree(trainer->options.ranks, status);
    if (status == ADELE_OK || status == ADELE_INTERRUPTED)
        end_exchange(trainer, status);
    return status;
}

// A folder that holds a run already is resumed with the settings that it has.
static adele_status begin_in_folder(const struct trainer_options *options) {
    bool has_run = false;
    if (options->on_claimed)
        TRY(options->on_claimed(options->context));
    TRY(run_folder_has_checkpoint(options->run_folder, &has_run));
    return has_run ? run_settings_compare(options->run_folder, options->config) : ADELE_OK;
}

// Before anything is read or written. Rank 0 claims the folder for all.
static adele_status claim_folder(const struct trainer_options *options) {
    adele_status status = ADELE_OK;
    TRY(rank_check_start(options));
    if (ranks_index(options->ranks) == 0)
        status = run_folder_claim(options->config, options->run_folder, options->resume);
    TRY(ranks_agree(options->ranks, status));
    return ranks_agree(options->ranks, begin_in_folder(options));
}

adele_status trainer_run(const struct trainer_options *options, struct trainer_result *out) {
    OWNED_BY(trainer_destroy) struct trainer *trainer = NULL;
    TRY(claim_folder(options));
    TRY(ranks_agree(options->ranks, trainer_create(options, &trainer)));
    TRY(step_parts_connect(&trainer->step.parts));
    adele_status status = run_trainer(trainer);
    *out =
        (struct trainer_result){.n_epochs = trainer->progress.epoch,
                                .val_miou = trainer->evaluator.scores[SPLIT_VAL].miou_foreground,
                                .test_miou = trainer->evaluator.scores[SPLIT_TEST].miou_foreground,
                                .best_miou = trainer->progress.best_miou,
                                .best_epoch = trainer->progress.best_epoch};
    return status;
}
