// SPDX-License-Identifier: MIT
// onset.json: what `adele report` draws, and `adele onset` fits anew.
#include "base/json.h"
#include "correction/correction_adele.h"
#include "correction/correction_ensemble.h"
#include "run_folder/run_folder.h"

static bool add_fit(cJSON *json, const struct onset_result *onset) {
    if (!onset->known || !onset->fit.converged)
        return cJSON_AddNullToObject(json, "fit") != NULL;
    cJSON *fit = cJSON_AddObjectToObject(json, "fit");
    return fit && cJSON_AddNumberToObject(fit, "a", onset->fit.a) &&
           cJSON_AddNumberToObject(fit, "b", onset->fit.b) &&
           cJSON_AddNumberToObject(fit, "c", onset->fit.c);
}

static bool add_corrected(cJSON *json, const struct corrector *corrector, int epoch, int c) {
    cJSON *corrected = cJSON_AddArrayToObject(json, "corrected_epochs");
    bool is_fine = corrected != NULL;
    for (int e = 1; is_fine && e <= epoch; e++)
        if (corrector_has_corrected(corrector, e, c))
            is_fine = json_append(corrected, cJSON_CreateNumber(e));
    return is_fine;
}

// The ensemble corrects all classes at an epoch that no curve changes.
static bool is_fixed(const struct corrector *corrector) {
    return corrector->ensemble != NULL &&
           corrector->data->config->correction.timing == TIMING_FIXED;
}

// From which epoch on the class was to be corrected, and the epochs at which it was not, because
// its labels look clean.
static bool add_schedule(cJSON *json, const struct corrector *corrector, int c) {
    const struct veto_record *record = corrector->adele ? &corrector->adele->veto.records[c] : NULL;
    int due = corrector->schedule.onset_epoch[c];
    if (!is_fixed(corrector) &&
        !json_add(json, "due_epoch", due > 0 ? cJSON_CreateNumber(due) : cJSON_CreateNull()))
        return false;
    if (!record || record->n_epochs == 0.0)
        return cJSON_AddNullToObject(json, "veto") != NULL;
    cJSON *veto = cJSON_AddObjectToObject(json, "veto");
    return veto && cJSON_AddNumberToObject(veto, "n_epochs", record->n_epochs) &&
           cJSON_AddNumberToObject(veto, "epoch", record->epoch) &&
           cJSON_AddNumberToObject(veto, "iou_with_itself", record->itself) &&
           cJSON_AddNumberToObject(veto, "iou_with_labels", record->labels) &&
           cJSON_AddNumberToObject(veto, "margin", record->margin) &&
           cJSON_AddBoolToObject(veto, "is_early", record->is_early != 0.0);
}

// What the ensemble's gate measured, and whether the class passed.
static bool add_gate(cJSON *json, const struct corrector *corrector, int c) {
    const struct gate_record *record =
        corrector->ensemble ? &corrector->ensemble->gate.records[c] : NULL;
    if (!record || record->epoch == 0.0)
        return cJSON_AddNullToObject(json, "gate") != NULL;
    cJSON *gate = cJSON_AddObjectToObject(json, "gate");
    return gate && cJSON_AddNumberToObject(gate, "epoch", record->epoch) &&
           cJSON_AddNumberToObject(gate, "known", record->known) &&
           cJSON_AddNumberToObject(gate, "area_deviation", record->deviation) &&
           cJSON_AddNumberToObject(gate, "one_sided", record->one_sided) &&
           cJSON_AddNumberToObject(gate, "iou_of_decisions", record->with_decided) &&
           cJSON_AddNumberToObject(gate, "iou_with_labels", record->with_labels) &&
           cJSON_AddBoolToObject(gate, "corrects", record->corrects != 0.0);
}

static bool add_category(cJSON *categories, const struct corrector *corrector, int epoch, int c) {
    const struct onset_result *onset = &corrector->onsets[c];
    cJSON *json = cJSON_CreateObject();
    return json_append(categories, json) &&
           cJSON_AddStringToObject(json, "name", corrector->data->dataset->category_names[c]) &&
           json_add(
               json, "iou",
               cJSON_CreateDoubleArray(corrector->curves.iou[c], corrector->curves.n_values)) &&
           add_fit(json, onset) && cJSON_AddNumberToObject(json, "t0", onset->t0) &&
           cJSON_AddNumberToObject(json, "dt", onset->dt) &&
           cJSON_AddNumberToObject(json, "n_dropped", onset->n_dropped) &&
           json_add(json, "onset_epoch",
                    onset->known ? cJSON_CreateNumber(onset->epoch) : cJSON_CreateNull()) &&
           add_schedule(json, corrector, c) && add_gate(json, corrector, c) &&
           add_corrected(json, corrector, epoch, c);
}

// The epoch at which the ensemble has corrected the classes, or kept them all; where it has not
// yet, the one at which it will: a resumed run may have more epochs than planned before.
static int correction_epoch(const struct corrector *corrector, int epoch) {
    for (int e = 1; e <= epoch; e++)
        for (int c = 1; c < corrector->data->n_categories; c++)
            if (corrector_has_corrected(corrector, e, c))
                return e;
    for (int c = 1; c < corrector->data->n_categories; c++)
        if (corrector->ensemble->gate.records[c].epoch > 0.0)
            return (int)corrector->ensemble->gate.records[c].epoch;
    return ensemble_epoch(&corrector->ensemble->ensemble);
}

// All that the onsets depend on, so that `adele onset` computes the same ones from the curves, and
// whether the run corrects at all.
static bool add_rule(cJSON *json, const struct corrector *corrector, int epoch, bool is_last) {
    const struct onset_config onset = corrector_schedule(corrector).onset;
    bool is_voc = onset.pipeline == ONSET_VOC;
    bool is_fine =
        cJSON_AddStringToObject(json, "pipeline", is_voc ? "voc" : "segthor") &&
        cJSON_AddNumberToObject(json, "r", onset.r) &&
        cJSON_AddNumberToObject(json, "smooth", onset.smooth) &&
        cJSON_AddNumberToObject(json, "min_points", onset.min_points) &&
        cJSON_AddBoolToObject(json, "while_rising", onset.while_rising) &&
        cJSON_AddBoolToObject(json, "corrects", corrector->data->config->correction.enabled);
    if (is_fine && is_fixed(corrector))
        is_fine = cJSON_AddNumberToObject(json, "ensemble_epoch",
                                          correction_epoch(corrector, epoch)) != NULL &&
                  cJSON_AddBoolToObject(json, "has_ended", is_last) != NULL;
    if (!is_voc)
        return is_fine && cJSON_AddNumberToObject(json, "n_epochs", onset.n_epochs);
    return is_fine &&
           cJSON_AddNumberToObject(json, "interval_iterations", onset.interval_iterations) &&
           cJSON_AddNumberToObject(json, "iterations_per_epoch", onset.iterations_per_epoch);
}

adele_status corrector_save_onsets(const struct corrector *corrector, int epoch, bool is_last,
                                   const char *run_folder) {
    cJSON *json = cJSON_CreateObject();
    bool is_fine = add_rule(json, corrector, epoch, is_last);
    cJSON *categories = is_fine ? cJSON_AddArrayToObject(json, "categories") : NULL;
    is_fine = categories != NULL;
    for (int c = 1; is_fine && c < corrector->data->n_categories; c++)
        is_fine = add_category(categories, corrector, epoch, c);
    return run_folder_write_json(run_folder, "onset.json", json, is_fine);
}
