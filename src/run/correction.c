// SPDX-License-Identifier: MIT
// The epoch's end: curves, onsets, and the labels rewritten in device memory (METHOD sections 2 and
// 3).
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void log_decision(const struct trainer *trainer, int epoch,
                         const struct schedule_decision *decision) {
    char line[512] = "";
    size_t used = 0;
    for (int c = 1; c < trainer->n_categories && used < sizeof line - 1; c++)
        if (decision->correct[c])
            used += (size_t)snprintf(line + used, sizeof line - used, "%s%s", used ? ", " : "",
                                     trainer->dataset->category_names[c]);
    log_line(LOG_INFO, "epoch %d: correcting %s", epoch, line);
}

// What the correction of one batch has to know.
struct rewriting {
    struct trainer *trainer;
    const struct schedule_decision *decision;
};

// Rewrites the labels of images first .. first + n - 1, whose prediction is there.
static adele_status correct_images(void *context, int first, int n) {
    const struct rewriting *rewriting = context;
    struct trainer *trainer = rewriting->trainer;
    const struct resident *train = &trainer->resident[SPLIT_TRAIN];
    size_t offset = (size_t)first * (size_t)train->set.h * (size_t)train->set.w;
    bool is_original = trainer->config->correction.base == BASE_ORIGINAL;
    struct adele_correct_args args = {
        .base = (is_original ? train->noisy : train->labels) + offset,
        .labels = train->labels + offset,
        .prediction = trainer->prediction.category,
        .confidence_foreground = trainer->prediction.confidence_foreground,
        .confidence_background = trainer->prediction.confidence_background,
        .n_changed = trainer->evaluation_counts};
    memcpy(args.correct, rewriting->decision->correct, sizeof args.correct);
    struct adele_op *op = n == trainer->prediction.n ? trainer->correct : trainer->correct_rest;
    return trainer->device->iface->correct_forward(op, &args);
}

// An image's labels depend on its own prediction alone, so that they can be rewritten while the
// others are yet to be predicted.
static adele_status rewrite_labels(struct trainer *trainer, int epoch,
                                   const struct schedule_decision *decision, int64_t *out_changed) {
    const struct adele_device *device = trainer->device;
    struct resident *train = &trainer->resident[SPLIT_TRAIN];
    struct rewriting rewriting = {trainer, decision};
    TRY(device->iface->fill(device, trainer->evaluation_counts, 0, sizeof(int64_t)));
    if (trainer->correction_inference) {
        struct inference_output output = {
            .prediction = trainer->prediction.category,
            .confidence_foreground = trainer->prediction.confidence_foreground,
            .confidence_background = trainer->prediction.confidence_background,
            .on_prediction = correct_images,
            .context = &rewriting,
            .without_crf = epoch < trainer->config->correction.crf_from_epoch};
        // A run stops between steps, where all of it can be saved.
        TRY(inference_run(trainer->correction_inference, train, &output, NULL, NULL));
    } else {
        TRY(correct_images(&rewriting, 0, train->set.n_images)); // the training pass stored it
    }
    TRY(device->iface->synchronize(device));
    return device->iface->download(device, out_changed, trainer->evaluation_counts,
                                   sizeof *out_changed);
}

static adele_status correct(struct trainer *trainer, int epoch,
                            const struct schedule_decision *decision, int64_t *out_changed) {
    log_decision(trainer, epoch, decision);
    TRY(trainer_keep_labels(trainer));
    TRY(rewrite_labels(trainer, epoch, decision, out_changed));
    return trainer_log_changes(trainer, epoch);
}

adele_status trainer_correct_labels(struct trainer *trainer, int epoch, int64_t *out_changed) {
    *out_changed = -1;
    if (!trainer->config->correction.enabled)
        return ADELE_OK;
    struct schedule_config schedule = trainer_schedule(trainer);
    struct schedule_decision *decision = memory_calloc(1, sizeof *decision);
    if (!decision)
        return FAIL_NO_MEMORY(sizeof *decision);
    adele_status status =
        schedule_decide(&schedule, epoch, trainer->n_values, (const double *const *)trainer->series,
                        &trainer->schedule, decision);
    if (status == ADELE_OK)
        status = trainer_veto(trainer, epoch, decision);
    memcpy(trainer->onsets, decision->onset, sizeof trainer->onsets);
    memcpy(trainer->corrected + (size_t)epoch * 256, decision->correct, 256);
    if (status == ADELE_OK && decision->any)
        status = correct(trainer, epoch, decision, out_changed);
    memory_free(decision);
    return status;
}

// ---- onset.json: what `adele report` draws ------------------------------------------------------

static bool add_fit(cJSON *json, const struct onset_result *onset) {
    if (!onset->known || !onset->fit.converged)
        return cJSON_AddNullToObject(json, "fit") != NULL;
    cJSON *fit = cJSON_AddObjectToObject(json, "fit");
    return fit && cJSON_AddNumberToObject(fit, "a", onset->fit.a) &&
           cJSON_AddNumberToObject(fit, "b", onset->fit.b) &&
           cJSON_AddNumberToObject(fit, "c", onset->fit.c);
}

static bool add_corrected(cJSON *json, const struct trainer *trainer, int c) {
    cJSON *corrected = cJSON_AddArrayToObject(json, "corrected_epochs");
    bool is_fine = corrected != NULL;
    for (int epoch = 1; is_fine && epoch <= trainer->epoch; epoch++)
        if (trainer->corrected[(size_t)epoch * 256 + (size_t)c])
            is_fine = json_append(corrected, cJSON_CreateNumber(epoch));
    return is_fine;
}

static bool add_category(cJSON *categories, const struct trainer *trainer, int c) {
    const struct onset_result *onset = &trainer->onsets[c];
    cJSON *json = cJSON_CreateObject();
    return json_append(categories, json) &&
           cJSON_AddStringToObject(json, "name", trainer->dataset->category_names[c]) &&
           json_add(json, "iou", cJSON_CreateDoubleArray(trainer->series[c], trainer->n_values)) &&
           add_fit(json, onset) && cJSON_AddNumberToObject(json, "t0", onset->t0) &&
           cJSON_AddNumberToObject(json, "dt", onset->dt) &&
           cJSON_AddNumberToObject(json, "n_dropped", onset->n_dropped) &&
           json_add(json, "onset_epoch",
                    onset->known ? cJSON_CreateNumber(onset->epoch) : cJSON_CreateNull()) &&
           add_corrected(json, trainer, c);
}

// All that decides the onsets, so that `adele onset` finds the same from the series.
static bool add_rule(cJSON *json, const struct trainer *trainer) {
    const struct onset_config onset = trainer_schedule(trainer).onset;
    bool is_voc = onset.pipeline == ONSET_VOC;
    bool is_fine = cJSON_AddStringToObject(json, "pipeline", is_voc ? "voc" : "segthor") &&
                   cJSON_AddNumberToObject(json, "r", onset.r) &&
                   cJSON_AddNumberToObject(json, "smooth", onset.smooth) &&
                   cJSON_AddNumberToObject(json, "min_points", onset.min_points) &&
                   cJSON_AddBoolToObject(json, "while_rising", onset.while_rising);
    if (!is_voc)
        return is_fine && cJSON_AddNumberToObject(json, "n_epochs", onset.n_epochs);
    return is_fine &&
           cJSON_AddNumberToObject(json, "interval_iterations", onset.interval_iterations) &&
           cJSON_AddNumberToObject(json, "iterations_per_epoch", onset.iterations_per_epoch);
}

adele_status trainer_save_onsets(const struct trainer *trainer) {
    cJSON *json = cJSON_CreateObject();
    bool is_fine = add_rule(json, trainer);
    cJSON *categories = is_fine ? cJSON_AddArrayToObject(json, "categories") : NULL;
    is_fine = categories != NULL;
    for (int c = 1; is_fine && c < trainer->n_categories; c++)
        is_fine = add_category(categories, trainer, c);
    return trainer_write_json(trainer, "onset.json", json, is_fine);
}
