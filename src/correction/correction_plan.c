// SPDX-License-Identifier: MIT
#include "correction/correction_plan.h"

#include "base/fail.h"
#include "base/log.h"
#include "correction/correction_ensemble.h"

#include <stdio.h>

// Fewer epochs before the ensemble's correction, or values of the curves, than in any measurement.
#define FEW_ENSEMBLE_EPOCHS 5
#define FEW_CURVE_VALUES    12

// ---- settings -----------------------------------------------------------------------------------

// The measurements of the method ensemble are all of this loss, and of rates and momenta that let
// the network learn within a third of the epochs.
static void warn_of_ensemble(const struct config *config) {
    bool is_plain = config->loss.form == ADELE_LOSS_PLAIN; // which has one scale
    bool is_adamw = config->train.optimizer == OPTIMIZER_ADAMW;
    bool is_other = is_adamw || config->train.momentum == 0.99; // the default of sgd
    char own[160] = "";
    size_t used = 0;
    if (!config_has_ensemble(config) || (is_plain && !is_other))
        return;
    if (!is_plain)
        used = (size_t)snprintf(own, sizeof own, "loss: {form: %s} at %d scale%s",
                                config->loss.form == ADELE_LOSS_PAPER ? "paper" : "official",
                                config->loss.n_scales, config->loss.n_scales == 1 ? "" : "s");
    if (is_other)
        (void)snprintf(own + used, sizeof own - used, "%strain.optimizer: {name: %s, lr: %g%s}",
                       is_plain ? "" : " and ", is_adamw ? "adamw" : "sgd", config->train.lr,
                       is_adamw ? "" : ", momentum: 0.99");
    log_line(LOG_WARNING,
             "this run has %s, but correction.method: ensemble was measured with loss: {form: "
             "plain, scales: [1.0]} and train.optimizer: {name: sgd, lr: 0.05, "
             "momentum: 0.9} (configs/jsrt_unet_ensemble.yaml)",
             own);
}

static void warn_without_gate(const struct config *config) {
    if (config_has_ensemble(config) && config->correction.gate == GATE_NONE)
        log_line(LOG_WARNING,
                 "correction.gate: false corrects also classes that the network has not learned, "
                 "whose labels become worse%s",
                 config->correction.decision == ADELE_AREA_THRESHOLDS
                     ? "; correction.gate: learned leaves these alone"
                     : "");
}

adele_status correction_plan_check(const struct config *config) {
    char keys[512];
    TRY(config_ignored_keys(config, keys, sizeof keys));
    if (keys[0] != '\0')
        log_line(LOG_WARNING, "correction.method: %s does not use %s",
                 config_has_ensemble(config) ? "ensemble" : "adele", keys);
    warn_of_ensemble(config);
    warn_without_gate(config);
    return ADELE_OK;
}

// ---- when ---------------------------------------------------------------------------------------

// The epoch after which the gate kept every class; 0: it has not decided yet, or let one pass.
static int kept_epoch(const struct corrector *corrector) {
    int epoch = 0;
    for (int c = 1; c < corrector->data->n_categories; c++) {
        const struct gate_record *record = &corrector->ensemble->gate.records[c];
        if (record->corrects != 0.0)
            return 0;
        if (record->epoch > 0.0)
            epoch = (int)record->epoch;
    }
    return epoch;
}

// METHOD section 9: what the network has not learned until then is left as it is.
static void describe_fixed(const struct corrector *corrector, struct correction_plan *out) {
    const struct ensemble *ensemble = &corrector->ensemble->ensemble;
    int kept = kept_epoch(corrector);
    if (kept > 0) {
        (void)snprintf(out->when, sizeof out->when,
                       "nothing: after epoch %d every class was kept by the gate", kept);
        (void)snprintf(out->warning, sizeof out->warning,
                       "no label will be corrected in the epochs that follow, since the ensemble "
                       "corrects once, after epoch %d; a new run of more epochs decides later",
                       kept);
        return;
    }
    int at = ensemble_epoch(ensemble), n_epochs = ensemble->epochs->n_epochs;
    bool is_over = !ensemble_is_open(ensemble);
    if (at > n_epochs && !is_over) {
        (void)snprintf(out->when, sizeof out->when,
                       "nothing: the run ends after epoch %d, and the ensemble corrects after %d",
                       n_epochs, at);
        (void)snprintf(out->warning, sizeof out->warning,
                       "no label will be corrected; raise train.epochs above %d", at);
        return;
    }
    (void)snprintf(out->when, sizeof out->when, "once, after epoch %d of %d, from the ensemble%s",
                   at, n_epochs, is_over ? " (done)" : "");
    if (is_over)
        return;
    if (at == n_epochs)
        (void)snprintf(out->warning, sizeof out->warning,
                       "nothing is trained on the corrected labels, since epoch %d is the last; "
                       "lower correction.at or raise train.epochs",
                       at);
    else if (at < FEW_ENSEMBLE_EPOCHS)
        (void)snprintf(
            out->warning, sizeof out->warning,
            "%d epoch%s before the correction are few: what the network has not learned "
            "until then is left as it is, and right labels may be taken for wrong ones; 24 "
            "epochs or more are usual (train.epochs)",
            at, at == 1 ? "" : "s");
}

// Of the curves: one value an epoch, or every correction.interval steps.
static void warn_of_few_values(const struct corrector *corrector, struct correction_plan *out) {
    const struct schedule_config schedule = corrector_schedule(corrector);
    const struct epoch_plan *epochs = corrector->epochs;
    bool is_voc = schedule.onset.pipeline == ONSET_VOC;
    long n = is_voc ? epochs->n_steps_total / schedule.onset.interval_iterations : epochs->n_epochs;
    if (n >= FEW_CURVE_VALUES)
        return;
    int used = snprintf(out->warning, sizeof out->warning,
                        "%ld value%s of the IoU curves (one every %s) are few to find the onset of "
                        "memorization in; 20 to 100 are usual (%s)",
                        n, n == 1 ? "" : "s", is_voc ? "correction.interval steps" : "epoch",
                        is_voc ? "train.iterations" : "train.epochs");
    if (n < schedule.onset.min_points && used > 0 && (size_t)used < sizeof out->warning)
        (void)snprintf(out->warning + used, sizeof out->warning - (size_t)used,
                       "; below %d nothing is corrected%s", schedule.onset.min_points,
                       schedule.onset.min_points > 3 ? " (correction.min_points)" : "");
}

void correction_plan_describe(const struct corrector *corrector, struct correction_plan *out) {
    const struct config *config = corrector->data->config;
    bool is_ensemble = config_has_ensemble(config);
    const char *when = "per class, when its training IoU flattens";
    *out = (struct correction_plan){0};
    if (is_ensemble && config->correction.timing == TIMING_FIXED) {
        describe_fixed(corrector, out);
        return;
    }
    if (!config->correction.enabled)
        when = "nothing (correction.enabled: false)";
    else if (is_ensemble)
        when = "each class once, when its training IoU flattens, from the ensemble";
    else if (!config->correction.per_category)
        when = config->correction.all_from == SCHEDULE_ALL_FROM_MEAN
                   ? "all classes, when their mean training IoU flattens"
                   : "all classes, when the training IoU of the first one flattens";
    (void)snprintf(out->when, sizeof out->when, "%s", when);
    if (config->correction.enabled)
        warn_of_few_values(corrector, out);
}
