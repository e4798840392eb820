// SPDX-License-Identifier: MIT
#include "run/checkpoint.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "correction/correction_adele.h"
#include "correction/correction_ensemble.h"
#include "run_folder/checkpoint_model.h"

#include <string.h>

// The entry of that name, which must have exactly `bytes` bytes.
static adele_status find_block(const struct safetensors *file, const char *name,
                               enum safetensors_dtype dtype, size_t bytes,
                               const struct safetensors_entry **out) {
    const struct safetensors_entry *entry = safetensors_find(file, name);
    if (!entry)
        return FAIL(ADELE_FORMAT, "Use a checkpoint that `adele train` wrote as last.safetensors.",
                    "tensor '%s' is missing", name);
    if (entry->dtype != dtype || entry->bytes != bytes)
        return FAIL(ADELE_DATA, "Resume with the data, the model and the settings of the run.",
                    "tensor '%s' has %zu bytes, this run needs %zu", name, entry->bytes, bytes);
    *out = entry;
    return ADELE_OK;
}

static adele_status read_block(const struct safetensors *file, const char *name,
                               enum safetensors_dtype dtype, size_t bytes, void *out) {
    const struct safetensors_entry *entry = NULL;
    TRY(find_block(file, name, dtype, bytes, &entry));
    memcpy(out, entry->data, bytes);
    return ADELE_OK;
}

static adele_status read_labels(struct trainer *trainer, const struct safetensors *file) {
    const char *hash = safetensors_metadata(file, "data.noisy_xxh3");
    if (!hash || strcmp(hash, trainer->data.noisy_hash) != 0)
        return FAIL(ADELE_DATA,
                    "Resume with the data and the noise settings that the run started with.",
                    "the original labels have XXH3 %s, the checkpoint was made with %s",
                    trainer->data.noisy_hash, hash ? hash : "none");
    const struct resident *train = &trainer->data.resident[SPLIT_TRAIN];
    size_t bytes = resident_map_bytes(train);
    OWNED uint8_t *labels = NULL;
    TRY(ALLOCATE(&labels, bytes));
    TRY(read_block(file, "labels", SAFETENSORS_U8, bytes, labels));
    return trainer->device->iface->upload(trainer->device, train->labels, labels, bytes);
}

// A checkpoint has none before a class was kept from a correction.
static adele_status read_safeguard(const struct safetensors *file, const char *name, size_t bytes,
                                   void *records) {
    memset(records, 0, bytes); // after a rollback
    return safetensors_find(file, name) != NULL
               ? read_block(file, name, SAFETENSORS_F64, bytes, records)
               : ADELE_OK;
}

static adele_status read_safeguards(struct corrector *corrector, const struct safetensors *file) {
    if (corrector->adele)
        TRY(read_safeguard(file, "vetoes", sizeof corrector->adele->veto.records,
                           corrector->adele->veto.records));
    return corrector->ensemble
               ? read_safeguard(file, "gates", sizeof corrector->ensemble->gate.records,
                                corrector->ensemble->gate.records)
               : ADELE_OK;
}

static adele_status read_curves(struct trainer *trainer, const struct safetensors *file) {
    bool is_voc = trainer->config->correction.pipeline == ONSET_VOC;
    trainer->corrector.curves.n_values =
        is_voc ? (int)(trainer->progress.step / trainer->config->correction.interval)
               : trainer->progress.epoch;
    size_t n_values = (size_t)trainer->corrector.curves.n_values,
           n = (size_t)trainer->data.n_categories;
    OWNED double *curves = NULL;
    TRY(ALLOCATE(&curves, n_values * n + 1));
    TRY(read_block(file, "curves", SAFETENSORS_F64, n_values * n * sizeof *curves, curves));
    for (size_t i = 0; i < n_values; i++)
        for (size_t c = 0; c < n; c++)
            trainer->corrector.curves.iou[c][i] = curves[i * n + c];
    if (is_voc)
        TRY(read_block(file, "interval_base", SAFETENSORS_I64,
                       sizeof trainer->corrector.curves.interval_base,
                       trainer->corrector.curves.interval_base));
    int32_t onset_epoch[256];
    TRY(read_block(file, "onset_epoch", SAFETENSORS_I32, sizeof onset_epoch, onset_epoch));
    for (int c = 0; c < 256; c++)
        trainer->corrector.schedule.onset_epoch[c] = onset_epoch[c];
    TRY(read_block(file, "is_on", SAFETENSORS_U8, 256, trainer->corrector.schedule.is_on));
    TRY(read_block(file, "is_done", SAFETENSORS_U8, 256, trainer->corrector.schedule.is_done));
    TRY(read_safeguards(&trainer->corrector, file));
    return read_block(file, "corrected", SAFETENSORS_U8,
                      ((size_t)trainer->progress.epoch + 1) * 256, trainer->corrector.corrected);
}

// Early checkpoints have none. That it was not lost follows from the header, which is hashed.
static adele_status read_records(struct trainer *trainer, const struct safetensors *file) {
    const struct safetensors_entry *entry = safetensors_find(file, "records");
    memory_free(trainer->records);
    trainer->records = NULL;
    trainer->records_bytes = 0;
    if (!entry)
        return ADELE_OK;
    TRY(ALLOCATE(&trainer->records, entry->bytes + 1));
    trainer->records_bytes = entry->bytes;
    return read_block(file, "records", SAFETENSORS_U8, entry->bytes, trainer->records);
}

// Into the blocks that the interrupted epoch was filling.
static adele_status read_progress(struct trainer *trainer, const struct safetensors *file) {
    const struct adele_device *device = trainer->device;
    struct checkpoint_block blocks[CHECKPOINT_N_EPOCH_BLOCKS];
    checkpoint_epoch_blocks(trainer, blocks);
    for (int i = 0; i < CHECKPOINT_N_EPOCH_BLOCKS; i++) {
        if (!blocks[i].block)
            continue;
        OWNED void *host = memory_aligned(blocks[i].bytes);
        TRY(CHECK_MEMORY(host));
        TRY(read_block(file, blocks[i].name, blocks[i].dtype, blocks[i].bytes, host));
        TRY(device->iface->upload(device, blocks[i].block, host, blocks[i].bytes));
    }
    return training_step_scatter(&trainer->step);
}

static adele_status read_adamw(struct trainer *trainer, const struct safetensors *file) {
    const struct adele_device *device = trainer->device;
    float scales[ADELE_MAX_SCALES];
    int64_t n_updates[2];
    TRY(read_block(file, "adamw.scale_weights", SAFETENSORS_F32, sizeof scales, scales));
    TRY(read_block(file, "adamw.updates", SAFETENSORS_I64, sizeof n_updates, n_updates));
    if (n_updates[0] < 0 || n_updates[1] < 0)
        return FAIL(ADELE_FORMAT, "Take another checkpoint of the run, or start the run anew.",
                    "adamw.updates is [%lld, %lld]", (long long)n_updates[0],
                    (long long)n_updates[1]);
    TRY(device->iface->upload(device, trainer->step.scale_second, scales, sizeof scales));
    TRY(device->iface->upload(device, trainer->step.n_updates, n_updates, sizeof n_updates));
    return network_import(trainer->network, CONTENT_SECOND_MOMENTS, "second_moment.", file, false);
}

static adele_status read_ensemble(struct trainer *trainer, const struct safetensors *file) {
    struct correction_ensemble *correction = trainer->corrector.ensemble;
    double is_open = checkpoint_number(file, "ensemble.is_open", -1.0);
    if ((is_open >= 0.0) != (correction != NULL))
        return FAIL(ADELE_CONFIG, "Resume with the correction.method of the run.",
                    "the checkpoint is of a run %s correction.method: ensemble, this one is %s",
                    is_open >= 0.0 ? "with" : "without", correction ? "with it" : "without");
    if (!correction)
        return ADELE_OK;
    // Earlier versions did not write it.
    double epoch = checkpoint_number(file, "ensemble.epoch", 0.0);
    if (!(epoch >= 0.0 && epoch <= INT32_MAX))
        return FAIL(ADELE_FORMAT, "Take another checkpoint of the run, or start the run anew.",
                    "ensemble.epoch is %g", epoch);
    struct ensemble *ensemble = &correction->ensemble;
    ensemble->kept_epoch = (int)epoch;
    if (is_open == 0.0)
        return ensemble_restore(ensemble, NULL);
    const struct safetensors_entry *entry = NULL;
    TRY(find_block(file, "ensemble", SAFETENSORS_F16, ensemble_bytes(ensemble), &entry));
    return ensemble_restore(ensemble, entry->data);
}

static adele_status read_state(struct trainer *trainer, const struct safetensors *file) {
    TRY(checkpoint_check(file));
    double epoch = checkpoint_number(file, "epoch", -1.0);
    double step = checkpoint_number(file, "step", 0.0);
    if (!(epoch >= 0.0 && epoch <= trainer->step.epochs.n_epochs && step >= 0.0 &&
          step <= (double)trainer->step.epochs.n_steps_total))
        return FAIL(
            ADELE_CONFIG, "Raise train.epochs (or train.iterations), or start a new run.",
            "the checkpoint is of epoch %g and step %g, this run has train.epochs %d of %ld "
            "steps in all",
            epoch, step, trainer->step.epochs.n_epochs, trainer->step.epochs.n_steps_total);
    trainer->progress.epoch = (int)epoch;
    trainer->progress.step = (long)step;
    double step_in_epoch = checkpoint_number(file, "step_in_epoch", 0.0);
    if (!(step_in_epoch >= 0.0 && step_in_epoch < INT32_MAX))
        return FAIL(ADELE_FORMAT, "Take another checkpoint of the run, or start the run anew.",
                    "step_in_epoch is %g", step_in_epoch);
    trainer->progress.step_in_epoch = (int)step_in_epoch;
    // Earlier versions did not write it; its steps are then counted by their losses (on_nan.c).
    double skipped_in_epoch = checkpoint_number(file, "skipped_in_epoch", 0.0);
    trainer->progress.skipped_in_epoch =
        skipped_in_epoch >= 0.0 && skipped_in_epoch <= step_in_epoch ? (int)skipped_in_epoch : 0;
    trainer->progress.best_miou = checkpoint_number(file, "best.miou", -1.0);
    trainer->progress.best_epoch = (int)checkpoint_number(file, "best.epoch", 0.0);
    // First: its message is the clear one where the run's method is another one.
    TRY(read_ensemble(trainer, file));
    TRY(read_labels(trainer, file));
    TRY(read_curves(trainer, file));
    TRY(read_records(trainer, file));
    float scales[3 * ADELE_MAX_SCALES];
    TRY(read_block(file, "scale_weights", SAFETENSORS_F32, sizeof scales, scales));
    TRY(trainer->device->iface->upload(trainer->device, trainer->step.scale_state, scales,
                                       sizeof scales));
    if (trainer->progress.step_in_epoch > 0)
        TRY(read_progress(trainer, file));
    TRY(run_origin_read(&trainer->origin, file, trainer->progress.step));
    if (trainer->config->train.optimizer == OPTIMIZER_ADAMW)
        TRY(read_adamw(trainer, file));
    if (trainer->config->train.average)
        TRY(network_import(trainer->network, CONTENT_AVERAGE, CHECKPOINT_AVERAGE, file, false));
    TRY(network_import(trainer->network, CONTENT_WEIGHTS, "model.", file, false));
    return network_import(trainer->network, CONTENT_MOMENTA, "momentum.", file, false);
}

adele_status checkpoint_load(struct trainer *trainer, const char *path) {
    OWNED_BY(safetensors_close) struct safetensors *file = NULL;
    TRY(safetensors_open(path, &file));
    adele_status status = read_state(trainer, file);
    return status == ADELE_OK ? status : fail_context(status, "%s", path);
}

bool checkpoint_is_damaged(const char *path) {
    OWNED_BY(safetensors_close) struct safetensors *file = NULL;
    adele_status status = safetensors_open(path, &file);
    return status == ADELE_FORMAT || (status == ADELE_OK && !safetensors_is_hashed(file)) ||
           (status == ADELE_IO && file_opens(path)); // the file is there but cannot be read
}
