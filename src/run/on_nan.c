// SPDX-License-Identifier: MIT
// The device writes its record of skipped updates to pinned memory, which the host reads after
// every step. The host may run ahead of the device and read it some steps later; unless
// train.on_nan is skip, the device skips all updates after the first bad one, so nothing has
// changed by then.
#include "run/on_nan.h"

#include "base/fail.h"
#include "base/log.h"
#include "correction/label_history.h"
#include "ranks/agreement.h"
#include "run/resume.h"
#include "run/trainer_state.h"
#include "step/nonfinite.h"

#define MAX_ROLLBACKS 3  // in one epoch, because the same step is likely to fail again
#define MAX_BEHIND    16 // steps that the device may be behind the host

static adele_status fail_numeric(const char *what) {
    return FAIL(
        ADELE_NUMERIC,
        "Train anew with a lower train.optimizer.lr, or see train.on_nan; the last checkpoint is "
        "from before it.",
        "%s", what);
}

// As --resume does, in the running process.
static adele_status roll_back(struct trainer *trainer, const char *what) {
    bool is_found = false;
    trainer->progress.step_in_epoch = 0;
    TRY(resume_load_newest(trainer, &is_found));
    if (!is_found)
        return fail_numeric(what); // no checkpoint to roll back to
    if (trainer_writes(trainer)) {
        TRY(label_history_trim(&trainer->data, trainer->options.run_folder,
                               trainer->progress.epoch));
        metrics_close(trainer->metrics);
        trainer->metrics = NULL;
        TRY(resume_open_metrics(trainer));
    }
    log_line(LOG_WARNING, "%s; rolled back to the checkpoint of epoch %d and %d steps", what,
             trainer->progress.epoch, trainer->progress.step_in_epoch);
    return ADELE_OK;
}

static adele_status apply_on_nan(struct trainer *trainer, int epoch, struct epoch_result *result) {
    enum nan_handling handling = trainer->config->train.on_nan;
    if (handling == ON_NAN_STOP)
        return fail_numeric(result->what);
    if (handling == ON_NAN_SKIP) {
        log_line(LOG_WARNING, "%s; the step is skipped", result->what);
        return ADELE_OK;
    }
    trainer->n_rollbacks = trainer->rollback_epoch == epoch ? trainer->n_rollbacks + 1 : 1;
    trainer->rollback_epoch = epoch;
    if (trainer->n_rollbacks > MAX_ROLLBACKS)
        return fail_context(fail_numeric(result->what), "after %d rollbacks in one epoch",
                            MAX_ROLLBACKS);
    result->is_rolled_back = true;
    return roll_back(trainer, result->what);
}

// Ranks notice a skipped update, and receive the request to stop, at different times: what one of
// them has noticed counts for all, so that they do the same after the same step.
static adele_status agree(struct trainer *trainer, int *n_noticed) {
    const struct trainer_options *options = &trainer->options;
    if (ranks_count(options->ranks) == 1)
        return ADELE_OK;
    if (options->should_stop && options->should_stop(options->context))
        trainer->is_stopping = true;
    return agreement_reach(options->ranks, &trainer->is_stopping, n_noticed);
}

adele_status on_nan_check_step(struct trainer *trainer, int epoch, int n_issued,
                               struct epoch_result *result) {
    const struct adele_device *device = trainer->device;
    const volatile int64_t *health = trainer->step.health;
    const struct epoch_plan *plan = &trainer->step.epochs;
    int n_updates = epoch_plan_updates(plan, epoch, result->first_step + n_issued) -
                    epoch_plan_updates(plan, epoch, result->first_step);
    if (n_updates - health[ADELE_HEALTH_UPDATES] > MAX_BEHIND)
        TRY(device->iface->synchronize(device));
    int n_noticed = nonfinite_count_skipped(&trainer->step);
    TRY(agree(trainer, &n_noticed));
    if (n_noticed <= result->n_skipped)
        return ADELE_OK;
    TRY(device->iface->synchronize(device)); // now every rank has the same record
    bool is_first = result->n_skipped == 0;
    result->n_skipped = nonfinite_count_skipped(&trainer->step);
    if (!is_first)
        return ADELE_OK; // on_nan: skip names the first step of an epoch and counts the others
    const struct nonfinite_epoch steps = {epoch, result->first_step, result->n_steps};
    TRY(nonfinite_describe(&trainer->step, &steps, trainer->progress.step_in_epoch + 1,
                           result->what, sizeof result->what));
    return apply_on_nan(trainer, epoch, result);
}

adele_status on_nan_check_epoch(struct trainer *trainer, int epoch, struct epoch_result *result) {
    int n_summed = (int)result->totals.sums[ADELE_SUM_STEPS];
    TRY(on_nan_check_step(trainer, epoch, result->n_steps - result->first_step, result));
    if (result->is_rolled_back || trainer->options.n_profile_steps > 0)
        return ADELE_OK;
    // A checkpoint of an earlier version does not say how many updates were skipped before the
    // epoch was interrupted; the totals lack the steps of those whose loss was not finite.
    result->n_skipped += result->n_skipped_before;
    const struct epoch_plan *plan = &trainer->step.epochs;
    int n_updates = epoch_plan_updates(plan, epoch, result->n_steps);
    int n_of_update = plan->accumulate * plan->n_parts; // sums count each part
    int n_bad = (result->n_steps * plan->n_parts - n_summed + n_of_update - 1) / n_of_update;
    if (result->n_skipped < n_bad)
        result->n_skipped = n_bad;
    if (result->n_skipped >= n_updates)
        return fail_context(fail_numeric(result->what), "all steps of the epoch were skipped");
    if (result->n_skipped > 1)
        log_line(LOG_WARNING, "epoch %d: %d of %d %s skipped", epoch, result->n_skipped, n_updates,
                 plan->accumulate > 1 ? "updates" : "steps");
    return ADELE_OK;
}
