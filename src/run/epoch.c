// SPDX-License-Identifier: MIT
// The host does not wait for the device before the totals are read at the epoch's end, unless it is
// many steps ahead (on_nan_check_step).
#include "run/epoch.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "ranks/image_owner.h"
#include "run/on_nan.h"
#include "run/trainer_state.h"
#include "step/learning_rate.h"

#include <string.h>

// METHOD section 2, VOC: one value of the curves after each interval of iterations, which need not
// be whole epochs.
static adele_status end_interval(struct trainer *trainer) {
    const struct config *config = trainer->config;
    if (config->correction.pipeline != ONSET_VOC ||
        trainer->progress.step % config->correction.interval != 0)
        return ADELE_OK;
    int64_t counts[ADELE_COUNT_KINDS * 256];
    _Static_assert(ADELE_COUNT_PREDICTION_NOISY == 0, "the first table of the counters");
    TRY(training_step_read_counts(&trainer->step, 1, counts));
    curves_end_interval(&trainer->corrector.curves, counts);
    return ADELE_OK;
}

// With correction.source training_pass, each rank has the predictions of the images that it trained
// on, in this epoch and the ones before.
static adele_status gather_predictions(struct trainer *trainer, int epoch, int n_done) {
    const struct prediction *prediction = trainer->step.prediction;
    OWNED int *owners = NULL;
    if (!prediction || ranks_count(trainer->data.ranks) == 1)
        return ADELE_OK;
    const struct epoch_batches batches = epoch_plan_batches(&trainer->step.epochs);
    TRY(ALLOCATE(&owners, prediction->n));
    TRY(image_owners_of_training(&batches, trainer->config->train.seed, epoch, n_done,
                                 prediction->n, ranks_count(trainer->data.ranks), owners));
    return prediction_gather(&trainer->data, prediction, owners);
}

// All steps so far are checked before they are saved.
static adele_status interrupt(struct trainer *trainer, int epoch, struct epoch_result *result) {
    int n_done = trainer->progress.step_in_epoch;
    TRY(trainer->device->iface->synchronize(trainer->device));
    TRY(on_nan_check_step(trainer, epoch, n_done - result->first_step, result));
    if (trainer->options.n_profile_steps == 0 && !result->is_rolled_back && n_done > 0) {
        TRY(training_step_gather(&trainer->step));
        TRY(gather_predictions(trainer, epoch, n_done));
    }
    if (trainer->options.n_profile_steps > 0)
        return FAIL(ADELE_INTERRUPTED, "Profile again: what a profile does is never saved.",
                    "interrupted in epoch %d after %d of %d steps; nothing of a profile is saved",
                    epoch, n_done, result->n_steps);
    if (!result->is_rolled_back) // else as in the checkpoint
        trainer->progress.skipped_in_epoch = result->n_skipped_before + result->n_skipped;
    return FAIL(ADELE_INTERRUPTED, "Continue with --resume.",
                "interrupted in epoch %d after %d of %d steps; all of it is saved in %s", epoch,
                result->is_rolled_back ? trainer->progress.step_in_epoch : n_done, result->n_steps,
                trainer->options.run_folder);
}

static adele_status run_step(struct trainer *trainer, int epoch, int i_step,
                             struct epoch_result *result) {
    result->rate = learning_rate(trainer->config, &trainer->step.epochs, trainer->progress.step);
    trainer->is_saved = false;
    TRY(training_step_next_batch(&trainer->step, epoch, i_step + 1));
    TRY(training_step_run(&trainer->step, epoch, i_step, result->rate));
    result->n_images += epoch_plan_images(&trainer->step.epochs, i_step);
    trainer->progress.step++;
    // Between the steps of an update the gradients must stay as they are.
    if (i_step + 1 == epoch_plan_update(&trainer->step.epochs, epoch, i_step).end)
        TRY(on_nan_check_step(trainer, epoch, i_step + 1 - result->first_step, result));
    return result->is_rolled_back ? ADELE_OK : end_interval(trainer);
}

// One process calls should_stop before each step; several ranks have agreed after the step before
// (on_nan.c).
static bool should_stop(const struct trainer *trainer) {
    const struct trainer_options *options = &trainer->options;
    if (ranks_count(options->ranks) > 1)
        return trainer->is_stopping;
    return options->should_stop && options->should_stop(options->context);
}

static adele_status run_steps(struct trainer *trainer, int epoch, struct epoch_result *result) {
    const struct trainer_options *options = &trainer->options;
    struct progress *progress = &trainer->progress;
    for (int i = result->first_step; i < result->n_steps; i++) {
        progress->step_in_epoch = i;
        if (options->n_profile_steps > 0 && progress->step == options->n_profile_steps)
            break;
        // A checkpoint has no gradients, so that a run stops between two updates.
        bool is_between = epoch_plan_update(&trainer->step.epochs, epoch, i).first == i;
        if (is_between && should_stop(trainer))
            return interrupt(trainer, epoch, result);
        TRY(run_step(trainer, epoch, i, result));
        if (result->is_rolled_back)
            return ADELE_OK;
        if (options->on_step)
            options->on_step(options->context, epoch, trainer->step.epochs.n_epochs, i + 1,
                             result->n_steps);
        TRY(step_progress_report(trainer, epoch, i, result->n_steps));
    }
    progress->step_in_epoch = 0;
    return ADELE_OK;
}

adele_status epoch_run(struct trainer *trainer, int epoch, struct epoch_result *out) {
    double started = clock_seconds();
    memset(out, 0, sizeof *out);
    out->first_step = trainer->progress.step_in_epoch;
    out->n_skipped_before = out->first_step > 0 ? trainer->progress.skipped_in_epoch : 0;
    out->n_steps = epoch_plan_steps(&trainer->step.epochs, epoch);
    if (out->first_step >= out->n_steps)
        return FAIL(ADELE_DATA, "Resume with the data and the batch of the run.",
                    "the checkpoint has done %d steps of an epoch, this run's epochs have %d",
                    out->first_step, out->n_steps);
    TRY(training_step_start_epoch(&trainer->step, epoch, out->first_step));
    step_progress_begin(&trainer->step_progress);
    TRY(run_steps(trainer, epoch, out));
    if (out->is_rolled_back)
        return ADELE_OK;
    TRY(training_step_read_totals(&trainer->step, &out->totals));
    TRY(on_nan_check_epoch(trainer, epoch, out));
    if (!out->is_rolled_back)
        curves_end_epoch(&trainer->corrector.curves,
                         &out->totals.counts[ADELE_COUNT_PREDICTION_NOISY][0][0]);
    out->seconds = clock_seconds() - started;
    return ADELE_OK;
}
