// SPDX-License-Identifier: MIT
// The epoch's end: curves, onsets, and the labels rewritten in device memory (METHOD sections 2 and
// 3).
#include "train/trainer_state.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
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

static adele_status predict_training_set(struct trainer *trainer) {
    if (!trainer->correction_inference)
        return ADELE_OK; // the training pass stored it
    struct inference_output output = {
        .prediction = trainer->prediction.category,
        .confidence_foreground = trainer->prediction.confidence_foreground,
        .confidence_background = trainer->prediction.confidence_background};
    return inference_run(trainer->correction_inference, &trainer->resident[SPLIT_TRAIN], &output,
                         NULL, NULL); // a run stops between steps, where all of it can be saved
}

static adele_status rewrite_labels(struct trainer *trainer,
                                   const struct schedule_decision *decision, int64_t *out_changed) {
    const struct adele_device *device = trainer->device;
    struct resident *train = &trainer->resident[SPLIT_TRAIN];
    TRY(predict_training_set(trainer));
    struct adele_correct_args args = {
        .base = trainer->config->correction.base == BASE_ORIGINAL ? train->noisy : train->labels,
        .labels = train->labels,
        .prediction = trainer->prediction.category,
        .confidence_foreground = trainer->prediction.confidence_foreground,
        .confidence_background = trainer->prediction.confidence_background,
        .n_changed = trainer->evaluation_counts};
    memcpy(args.correct, decision->correct, sizeof args.correct);
    TRY(device->iface->fill(device, trainer->evaluation_counts, 0, sizeof(int64_t)));
    TRY(device->iface->correct_forward(trainer->correct, &args));
    TRY(device->iface->synchronize(device));
    return device->iface->download(device, out_changed, trainer->evaluation_counts,
                                   sizeof *out_changed);
}

adele_status trainer_correct_labels(struct trainer *trainer, int epoch, int64_t *out_changed) {
    *out_changed = -1;
    if (!trainer->config->correction.enabled)
        return ADELE_OK;
    struct schedule_config schedule = trainer_schedule(trainer);
    struct schedule_decision *decision = memory_calloc(1, sizeof *decision);
    if (!decision)
        return FAIL_NO_MEMORY(sizeof *decision);
    schedule_decide(&schedule, epoch, trainer->n_values, (const double *const *)trainer->series,
                    &trainer->schedule, decision);
    memcpy(trainer->onsets, decision->onset, sizeof trainer->onsets);
    memcpy(trainer->corrected + (size_t)epoch * 256, decision->correct, 256);
    adele_status status = ADELE_OK;
    if (decision->any) {
        log_decision(trainer, epoch, decision);
        status = rewrite_labels(trainer, decision, out_changed);
    }
    memory_free(decision);
    return status;
}

// ---- generations of labels ----------------------------------------------------------------------

static adele_status read_manifest(const struct trainer *trainer, char **out_path, cJSON **out) {
    *out = NULL;
    TRY(trainer_path(trainer, "labels/manifest.json", out_path));
    if (file_exists(*out_path)) {
        TRY(json_read(*out_path, out));
        if (!cJSON_IsArray(*out))
            return FAIL(ADELE_FORMAT, "Remove the file; it is made again.", "%s: not a list",
                        *out_path);
    } else {
        *out = cJSON_CreateArray();
    }
    return *out ? ADELE_OK : FAIL_NO_MEMORY(64);
}

static adele_status write_generation(struct trainer *trainer, const char *path, char hash[17]) {
    const struct resident *train = &trainer->resident[SPLIT_TRAIN];
    size_t bytes = resident_map_bytes(train);
    uint8_t *labels = memory_calloc(bytes, 1);
    if (!labels)
        return FAIL_NO_MEMORY(bytes);
    struct safetensors_writer *writer = NULL;
    int64_t shape[3] = {train->set.n_images, train->set.h, train->set.w};
    adele_status status =
        trainer->device->iface->download(trainer->device, labels, train->labels, bytes);
    if (status == ADELE_OK) {
        hash_xxh3_hex(labels, bytes, hash);
        status = safetensors_writer_create(&writer);
    }
    if (status == ADELE_OK)
        status = safetensors_writer_add(writer, "labels", SAFETENSORS_U8, 3, shape, labels);
    if (status == ADELE_OK)
        status = safetensors_writer_save(writer, path);
    safetensors_writer_destroy(writer);
    memory_free(labels);
    return status;
}

adele_status trainer_save_generation(struct trainer *trainer, int epoch, int64_t n_changed) {
    char name[64], hash[17] = "";
    snprintf(name, sizeof name, "labels/epoch_%04d.safetensors", epoch);
    char *folder = NULL, *path = NULL, *manifest_path = NULL;
    cJSON *manifest = NULL;
    adele_status status = trainer_path(trainer, "labels", &folder);
    if (status == ADELE_OK)
        status = file_make_directory(folder);
    if (status == ADELE_OK)
        status = trainer_path(trainer, name, &path);
    if (status == ADELE_OK)
        status = write_generation(trainer, path, hash);
    if (status == ADELE_OK)
        status = read_manifest(trainer, &manifest_path, &manifest);
    if (status == ADELE_OK) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "epoch", epoch);
        cJSON_AddStringToObject(entry, "file", file_base_name(name));
        cJSON_AddStringToObject(entry, "xxh3", hash);
        cJSON_AddNumberToObject(entry, "changed_pixels", (double)n_changed);
        cJSON_AddItemToArray(manifest, entry);
        status = json_write(manifest_path, manifest);
    }
    cJSON_Delete(manifest);
    memory_free(manifest_path);
    memory_free(path);
    memory_free(folder);
    return status;
}

adele_status trainer_trim_generations(const struct trainer *trainer, int epoch) {
    char *folder = NULL, *manifest_path = NULL;
    cJSON *manifest = NULL;
    struct file_list list = {0};
    adele_status status;
    TRY_GOTO(trainer_path(trainer, "labels", &folder), done);
    if (!file_is_directory(folder))
        goto done;
    TRY_GOTO(file_list_directory(folder, &list), done);
    for (int i = 0; i < list.n; i++) {
        int file_epoch = 0;
        if (sscanf(list.names[i], "epoch_%d.safetensors", &file_epoch) != 1 || file_epoch <= epoch)
            continue;
        char *path = file_join(folder, list.names[i]);
        status = path ? file_remove_tree(path) : FAIL_NO_MEMORY(strlen(list.names[i]));
        memory_free(path);
        if (status != ADELE_OK)
            goto done;
    }
    TRY_GOTO(read_manifest(trainer, &manifest_path, &manifest), done);
    for (int i = cJSON_GetArraySize(manifest) - 1; i >= 0; i--) {
        const cJSON *entry = cJSON_GetArrayItem(manifest, i);
        const cJSON *at = cJSON_GetObjectItemCaseSensitive(entry, "epoch");
        if (!cJSON_IsNumber(at) || at->valueint > epoch)
            cJSON_DeleteItemFromArray(manifest, i);
    }
    TRY_GOTO(json_write(manifest_path, manifest), done);
done:
    cJSON_Delete(manifest);
    file_list_deinit(&list);
    memory_free(manifest_path);
    memory_free(folder);
    return status;
}

// ---- onset.json: what `adele report` draws ------------------------------------------------------

static cJSON *category_onset(const struct trainer *trainer, int c) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "name", trainer->dataset->category_names[c]);
    cJSON_AddItemToObject(json, "iou",
                          cJSON_CreateDoubleArray(trainer->series[c], trainer->n_values));
    const struct onset_result *onset = &trainer->onsets[c];
    if (onset->known && onset->fit.converged) {
        cJSON *fit = cJSON_AddObjectToObject(json, "fit");
        cJSON_AddNumberToObject(fit, "a", onset->fit.a);
        cJSON_AddNumberToObject(fit, "b", onset->fit.b);
        cJSON_AddNumberToObject(fit, "c", onset->fit.c);
    } else {
        cJSON_AddNullToObject(json, "fit");
    }
    cJSON_AddNumberToObject(json, "t0", onset->t0);
    cJSON_AddNumberToObject(json, "dt", onset->dt);
    cJSON_AddNumberToObject(json, "n_dropped", onset->n_dropped);
    if (onset->known)
        cJSON_AddNumberToObject(json, "onset_epoch", onset->epoch);
    else
        cJSON_AddNullToObject(json, "onset_epoch");
    if (trainer->schedule.onset_epoch[c] > 0)
        cJSON_AddNumberToObject(json, "on_epoch", trainer->schedule.onset_epoch[c]);
    else
        cJSON_AddNullToObject(json, "on_epoch");
    cJSON *corrected = cJSON_AddArrayToObject(json, "corrected_epochs");
    for (int epoch = 1; epoch <= trainer->epoch; epoch++)
        if (trainer->corrected[(size_t)epoch * 256 + (size_t)c])
            cJSON_AddItemToArray(corrected, cJSON_CreateNumber(epoch));
    return json;
}

adele_status trainer_save_onsets(const struct trainer *trainer) {
    cJSON *json = cJSON_CreateObject();
    if (!json)
        return FAIL_NO_MEMORY(64);
    bool is_voc = trainer->config->correction.pipeline == ONSET_VOC;
    cJSON_AddStringToObject(json, "pipeline", is_voc ? "voc" : "segthor");
    cJSON_AddNumberToObject(json, "r", trainer->config->correction.r);
    cJSON *categories = cJSON_AddArrayToObject(json, "categories");
    for (int c = 1; c < trainer->n_categories; c++)
        cJSON_AddItemToArray(categories, category_onset(trainer, c));
    char *path = NULL;
    adele_status status = trainer_path(trainer, "onset.json", &path);
    if (status == ADELE_OK)
        status = json_write(path, json);
    memory_free(path);
    cJSON_Delete(json);
    return status;
}
