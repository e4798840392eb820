// SPDX-License-Identifier: MIT
#include "run/resume.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "correction/correction_ensemble.h"
#include "run/checkpoint.h"
#include "run/rank_check.h"
#include "run_folder/run_folder.h"

#include <stdio.h>
#include <string.h>

#define MAX_MESSAGE 1024

static adele_status fall_back(struct trainer *trainer, const char *previous, const char *why) {
    adele_status status = checkpoint_load(trainer, previous);
    if (status != ADELE_OK)
        return fail_context(status, "%s; the one before cannot be used either", why);
    log_line(LOG_WARNING, "%s; resuming from " CHECKPOINT_PREVIOUS " instead, after epoch %d", why,
             trainer->progress.epoch);
    return ADELE_OK;
}

static adele_status load_newest(struct trainer *trainer, bool *out_found, bool *is_damaged) {
    const char *run_folder = trainer->options.run_folder;
    OWNED char *last = NULL, *previous = NULL;
    char why[MAX_MESSAGE];
    TRY(run_folder_has_checkpoint(run_folder, out_found));
    TRY(run_folder_path(run_folder, CHECKPOINT_LAST, &last));
    TRY(run_folder_path(run_folder, CHECKPOINT_PREVIOUS, &previous));
    if (!*out_found)
        return ADELE_OK;
    if (file_exists(last)) {
        adele_status status = checkpoint_load(trainer, last);
        trainer->is_saved = status == ADELE_OK;
        if ((status != ADELE_FORMAT && status != ADELE_IO) || !file_exists(previous))
            return status;
        // Only a damaged checkpoint is skipped: one of other data must end with an error.
        (void)snprintf(why, sizeof why, "%s", adele_error_message());
        *is_damaged = checkpoint_is_damaged(last);
        if (!*is_damaged)
            return status;
    } else {
        (void)snprintf(why, sizeof why, "%s is missing", last);
    }
    return fall_back(trainer, previous, why);
}

// A damaged file is renamed, so that it never becomes the previous checkpoint.
static adele_status set_aside(const char *run_folder) {
    OWNED char *last = NULL, *damaged = NULL;
    TRY(run_folder_path(run_folder, CHECKPOINT_LAST, &last));
    TRY(run_folder_path(run_folder, CHECKPOINT_DAMAGED, &damaged));
    return file_rename(last, damaged);
}

// No file changes before all ranks have loaded the same checkpoint.
adele_status resume_load_newest(struct trainer *trainer, bool *out_found) {
    bool is_damaged = false;
    TRY(ranks_agree(trainer->options.ranks, load_newest(trainer, out_found, &is_damaged)));
    TRY(rank_check_checkpoint(trainer, *out_found));
    return is_damaged && trainer_writes(trainer) ? set_aside(trainer->options.run_folder)
                                                 : ADELE_OK;
}

// A run that is resumed with another train.epochs corrects its labels at the epoch that it had
// planned when it began.
static void log_kept_epoch(const struct trainer *trainer) {
    if (!correction_ensemble_is_open(trainer->corrector.ensemble) ||
        trainer->config->correction.timing != TIMING_FIXED)
        return;
    const struct ensemble *ensemble = &trainer->corrector.ensemble->ensemble;
    if (ensemble_epoch(ensemble) == ensemble_epoch_by_config(ensemble))
        return;
    log_line(LOG_INFO,
             "labels are corrected after epoch %d, as planned when the run began; a new run of %d "
             "epochs would correct them after epoch %d",
             ensemble_epoch(ensemble), ensemble->epochs->n_epochs,
             ensemble_epoch_by_config(ensemble));
}

adele_status resume_load(struct trainer *trainer) {
    bool is_found = false;
    TRY(resume_load_newest(trainer, &is_found));
    if (!is_found) {
        if (trainer->options.resume)
            log_line(LOG_WARNING, "no checkpoint in %s: the run begins at its first epoch",
                     trainer->options.run_folder);
        return ADELE_OK;
    }
    int n_steps = trainer->progress.step_in_epoch;
    char steps[40] = "";
    if (n_steps > 0)
        (void)snprintf(steps, sizeof steps, " and %d step%s", n_steps, n_steps == 1 ? "" : "s");
    log_line(LOG_INFO, "resuming after epoch %d%s", trainer->progress.epoch, steps);
    log_kept_epoch(trainer);
    run_origin_warn(&trainer->origin);
    return ADELE_OK;
}

adele_status resume_open_metrics(struct trainer *trainer) {
    const char *folder = trainer->options.run_folder;
    if (!trainer->records)
        return metrics_open(folder, trainer->progress.epoch, &trainer->metrics);
    long damage = -1;
    TRY(metrics_reopen(folder, trainer->records, trainer->records_bytes, &trainer->metrics,
                       &damage));
    if (damage >= 0)
        log_line(LOG_WARNING,
                 "%s/metrics.jsonl is damaged at byte %ld; written again from the checkpoint",
                 folder, damage);
    return ADELE_OK;
}
