// SPDX-License-Identifier: MIT
// All of a run's state in one safetensors file, written atomically, every tensor with its XXH3.
//
//   model.NAME       weights and running statistics, PyTorch names, OIHW
//   momentum.NAME    SGD momenta
//   scale_weights    f32 (3, ADELE_MAX_SCALES): raw weights, gradient, momentum
//   labels           u8 (N, H, W): the current labels
//   curves           f64 (values, C): IoU of prediction against original noisy labels
//   interval_base    i64 (3, 256): pipeline voc, where the counters stood at the last value
//   onset_epoch, is_on, is_done, corrected: the schedule
//   records          u8: metrics.jsonl up to this epoch, so that a damaged one is found and mended
//   progress.*       of an epoch that was interrupted: its counters, and the predictions that the
//                    correction at its end would read
//   __metadata__     adele.format, epoch, step, best, network, categories, hash of the original
//                    labels, adele.version and made.*: what it was made by (provenance.h)
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "infer/checkpoint_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static adele_status add_number(struct safetensors_writer *writer, const char *key, double value) {
    char text[64];
    snprintf(text, sizeof text, "%.17g", value);
    return safetensors_writer_metadata(writer, key, text);
}

static adele_status add_model(struct trainer *trainer, struct safetensors_writer *writer,
                              float **keep) {
    const struct config *config = trainer->config;
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    TRY(network_export(trainer->network, "model.", writer, keep));
    TRY(safetensors_writer_metadata(writer, "adele.format", CHECKPOINT_FORMAT));
    TRY(trainer_add_provenance(trainer, writer));
    TRY(safetensors_writer_metadata(writer, "model.name", config->model.name));
    TRY(safetensors_writer_metadata(writer, "model.backbone", config->model.backbone));
    TRY(add_number(writer, "model.width", config->model.width));
    TRY(add_number(writer, "model.rate", config->model.rate));
    TRY(add_number(writer, "model.channels", set->c));
    TRY(add_number(writer, "model.categories", trainer->n_categories));
    TRY(add_number(writer, "data.height", set->h));
    TRY(add_number(writer, "data.width", set->w));
    TRY(add_number(writer, "data.normalize", config->data.normalize));
    TRY(add_number(writer, "data.has_palette", trainer->dataset->has_palette));
    if (trainer->dataset->orientation.letters[0] != '\0')
        TRY(safetensors_writer_metadata(writer, "data.orientation",
                                        trainer->dataset->orientation.letters));
    TRY(add_number(writer, "epoch", trainer->epoch));
    char *names = memory_join_lines(trainer->n_categories,
                                    (const char *const *)trainer->dataset->category_names);
    if (!names)
        return FAIL_NO_MEMORY(64);
    adele_status status = safetensors_writer_metadata(writer, "data.categories", names);
    memory_free(names);
    return status;
}

// Host copies that the writer borrows until it has saved.
struct state_copies {
    float *model, *momenta;
    float scales[3 * ADELE_MAX_SCALES];
    uint8_t *labels;
    double *curves;
    int64_t interval_base[ADELE_COUNT_KINDS * 256];
    int32_t onset_epoch[256];
    unsigned char *progress;
};

// The parts of an interrupted epoch, all in device memory.
#define N_PROGRESS 5
struct progress_block {
    const char *name;
    enum safetensors_dtype dtype;
    void *block; // NULL: this run has none
    size_t count, bytes;
};

static void progress_blocks(const struct trainer *trainer, struct progress_block out[N_PROGRESS]) {
    const struct prediction *prediction = &trainer->prediction;
    bool is_kept = trainer->config->correction.source == SOURCE_TRAINING_PASS;
    size_t n_pixels = resident_map_bytes(&trainer->resident[SPLIT_TRAIN]);
    const struct progress_block blocks[N_PROGRESS] = {
        {"progress.counts", SAFETENSORS_I64, trainer->buffers.counts, ADELE_COUNT_SIZE,
         ADELE_COUNT_SIZE * sizeof(int64_t)},
        {"progress.sums", SAFETENSORS_F64, trainer->buffers.sums, ADELE_SUM_COUNT,
         ADELE_SUM_COUNT * sizeof(double)},
        {"progress.prediction", SAFETENSORS_U8, is_kept ? prediction->category : NULL, n_pixels,
         n_pixels},
        {"progress.confidence_foreground", SAFETENSORS_F32,
         is_kept ? prediction->confidence_foreground : NULL, n_pixels, n_pixels * sizeof(float)},
        {"progress.confidence_background", SAFETENSORS_F32,
         is_kept ? prediction->confidence_background : NULL, n_pixels, n_pixels * sizeof(float)}};
    memcpy(out, blocks, sizeof blocks);
}

static adele_status add_progress(struct trainer *trainer, struct safetensors_writer *writer,
                                 struct state_copies *copies) {
    const struct adele_device *device = trainer->device;
    struct progress_block blocks[N_PROGRESS];
    progress_blocks(trainer, blocks);
    size_t bytes = 0;
    for (int i = 0; i < N_PROGRESS; i++)
        bytes += blocks[i].bytes;
    copies->progress = memory_aligned(bytes);
    if (!copies->progress)
        return FAIL_NO_MEMORY(bytes);
    unsigned char *to = copies->progress;
    for (int i = 0; i < N_PROGRESS; i++) {
        if (!blocks[i].block)
            continue;
        int64_t shape[1] = {(int64_t)blocks[i].count};
        TRY(device->iface->download(device, to, blocks[i].block, blocks[i].bytes));
        TRY(safetensors_writer_add(writer, blocks[i].name, blocks[i].dtype, 1, shape, to));
        to += blocks[i].bytes;
    }
    return add_number(writer, "step_in_epoch", trainer->step_in_epoch);
}

static adele_status add_curves(struct trainer *trainer, struct safetensors_writer *writer,
                               struct state_copies *copies) {
    size_t n_values = (size_t)trainer->n_values, n = (size_t)trainer->n_categories;
    copies->curves = memory_calloc(n_values * n + 1, sizeof(double));
    if (!copies->curves)
        return FAIL_NO_MEMORY(n_values * n * sizeof(double));
    for (size_t i = 0; i < n_values; i++)
        for (size_t c = 0; c < n; c++)
            copies->curves[i * n + c] = trainer->series[c][i];
    int64_t shape[2] = {trainer->n_values, trainer->n_categories};
    TRY(safetensors_writer_add(writer, "curves", SAFETENSORS_F64, 2, shape, copies->curves));
    int64_t base_shape[2] = {ADELE_COUNT_KINDS, 256};
    memcpy(copies->interval_base, trainer->interval_base, sizeof copies->interval_base);
    if (trainer->config->correction.pipeline == ONSET_VOC)
        TRY(safetensors_writer_add(writer, "interval_base", SAFETENSORS_I64, 2, base_shape,
                                   copies->interval_base));
    int64_t corrected_shape[2] = {trainer->epoch + 1, 256};
    TRY(safetensors_writer_add(writer, "corrected", SAFETENSORS_U8, 2, corrected_shape,
                               trainer->corrected));
    int64_t flags[1] = {256};
    for (int c = 0; c < 256; c++)
        copies->onset_epoch[c] = trainer->schedule.onset_epoch[c];
    TRY(safetensors_writer_add(writer, "onset_epoch", SAFETENSORS_I32, 1, flags,
                               copies->onset_epoch));
    TRY(safetensors_writer_add(writer, "is_on", SAFETENSORS_U8, 1, flags, trainer->schedule.is_on));
    return safetensors_writer_add(writer, "is_done", SAFETENSORS_U8, 1, flags,
                                  trainer->schedule.is_done);
}

static adele_status add_records(const struct trainer *trainer, struct safetensors_writer *writer) {
    const char *text = trainer->records;
    size_t bytes = trainer->records_bytes;
    if (trainer->metrics)
        text = metrics_text(trainer->metrics, &bytes);
    int64_t shape[1] = {(int64_t)bytes};
    return safetensors_writer_add(writer, "records", SAFETENSORS_U8, 1, shape, text);
}

static adele_status add_state(struct trainer *trainer, struct safetensors_writer *writer,
                              struct state_copies *copies) {
    const struct adele_device *device = trainer->device;
    const struct resident *train = &trainer->resident[SPLIT_TRAIN];
    TRY(network_export_momenta(trainer->network, "momentum.", writer, &copies->momenta));
    TRY(device->iface->download(device, copies->scales, trainer->scale_state,
                                sizeof copies->scales));
    int64_t scale_shape[2] = {3, ADELE_MAX_SCALES};
    TRY(safetensors_writer_add(writer, "scale_weights", SAFETENSORS_F32, 2, scale_shape,
                               copies->scales));
    copies->labels = memory_calloc(resident_map_bytes(train), 1);
    if (!copies->labels)
        return FAIL_NO_MEMORY(resident_map_bytes(train));
    TRY(device->iface->download(device, copies->labels, train->labels, resident_map_bytes(train)));
    int64_t label_shape[3] = {train->set.n_images, train->set.h, train->set.w};
    TRY(safetensors_writer_add(writer, "labels", SAFETENSORS_U8, 3, label_shape, copies->labels));
    TRY(add_curves(trainer, writer, copies));
    TRY(add_records(trainer, writer));
    if (trainer->step_in_epoch > 0)
        TRY(add_progress(trainer, writer, copies));
    TRY(add_number(writer, "step", (double)trainer->step));
    TRY(add_number(writer, "best.miou", trainer->best_miou));
    TRY(add_number(writer, "best.epoch", trainer->best_epoch));
    return safetensors_writer_metadata(writer, "data.noisy_xxh3", trainer->noisy_hash);
}

static adele_status save(struct trainer *trainer, const char *path, const char *keep,
                         bool with_state) {
    struct state_copies copies = {0};
    struct safetensors_writer *writer = NULL;
    adele_status status;
    TRY_GOTO(safetensors_writer_create(&writer), done);
    TRY_GOTO(add_model(trainer, writer, &copies.model), done);
    if (with_state)
        TRY_GOTO(add_state(trainer, writer, &copies), done);
    TRY_GOTO(safetensors_writer_save_keeping(writer, path, keep), done);
done:
    safetensors_writer_destroy(writer);
    memory_free(copies.model);
    memory_free(copies.momenta);
    memory_free(copies.labels);
    memory_free(copies.curves);
    memory_free(copies.progress);
    return status;
}

adele_status checkpoint_save(struct trainer *trainer, const char *path, const char *keep) {
    return save(trainer, path, keep, true);
}

adele_status checkpoint_save_model(struct trainer *trainer, const char *path) {
    return save(trainer, path, NULL, false);
}

// ---- reading ------------------------------------------------------------------------------------

// The entry of that name with exactly `bytes` bytes, copied to out.
static adele_status read_block(const struct safetensors *file, const char *name,
                               enum safetensors_dtype dtype, size_t bytes, void *out) {
    const struct safetensors_entry *entry = safetensors_find(file, name);
    if (!entry)
        return FAIL(ADELE_FORMAT, "Use a checkpoint that `adele train` wrote as last.safetensors.",
                    "tensor '%s' is missing", name);
    if (entry->dtype != dtype || entry->bytes != bytes)
        return FAIL(ADELE_DATA, "Resume with the data, the model and the settings of the run.",
                    "tensor '%s' has %zu bytes, this run needs %zu", name, entry->bytes, bytes);
    memcpy(out, entry->data, bytes);
    return ADELE_OK;
}

static adele_status read_labels(struct trainer *trainer, const struct safetensors *file) {
    const char *hash = safetensors_metadata(file, "data.noisy_xxh3");
    if (!hash || strcmp(hash, trainer->noisy_hash) != 0)
        return FAIL(ADELE_DATA,
                    "Resume with the data and the noise settings that the run started with.",
                    "the original labels have XXH3 %s, the checkpoint was made with %s",
                    trainer->noisy_hash, hash ? hash : "none");
    const struct resident *train = &trainer->resident[SPLIT_TRAIN];
    size_t bytes = resident_map_bytes(train);
    uint8_t *labels = memory_calloc(bytes, 1);
    if (!labels)
        return FAIL_NO_MEMORY(bytes);
    adele_status status = read_block(file, "labels", SAFETENSORS_U8, bytes, labels);
    if (status == ADELE_OK)
        status = trainer->device->iface->upload(trainer->device, train->labels, labels, bytes);
    memory_free(labels);
    return status;
}

static adele_status read_curves(struct trainer *trainer, const struct safetensors *file) {
    bool is_voc = trainer->config->correction.pipeline == ONSET_VOC;
    trainer->n_values =
        is_voc ? (int)(trainer->step / trainer->config->correction.interval) : trainer->epoch;
    size_t n_values = (size_t)trainer->n_values, n = (size_t)trainer->n_categories;
    double *curves = memory_calloc(n_values * n + 1, sizeof(double));
    if (!curves)
        return FAIL_NO_MEMORY(n_values * n * sizeof(double));
    adele_status status =
        read_block(file, "curves", SAFETENSORS_F64, n_values * n * sizeof(double), curves);
    for (size_t i = 0; status == ADELE_OK && i < n_values; i++)
        for (size_t c = 0; c < n; c++)
            trainer->series[c][i] = curves[i * n + c];
    memory_free(curves);
    TRY(status);
    if (is_voc)
        TRY(read_block(file, "interval_base", SAFETENSORS_I64, sizeof trainer->interval_base,
                       trainer->interval_base));
    int32_t onset_epoch[256];
    TRY(read_block(file, "onset_epoch", SAFETENSORS_I32, sizeof onset_epoch, onset_epoch));
    for (int c = 0; c < 256; c++)
        trainer->schedule.onset_epoch[c] = onset_epoch[c];
    TRY(read_block(file, "is_on", SAFETENSORS_U8, 256, trainer->schedule.is_on));
    TRY(read_block(file, "is_done", SAFETENSORS_U8, 256, trainer->schedule.is_done));
    return read_block(file, "corrected", SAFETENSORS_U8, ((size_t)trainer->epoch + 1) * 256,
                      trainer->corrected);
}

// Checkpoints of adele 0.1 have none; the header's hash says that it is not lost.
static adele_status read_records(struct trainer *trainer, const struct safetensors *file) {
    const struct safetensors_entry *entry = safetensors_find(file, "records");
    memory_free(trainer->records);
    trainer->records = NULL;
    trainer->records_bytes = 0;
    if (!entry)
        return ADELE_OK;
    trainer->records = memory_calloc(entry->bytes + 1, 1);
    if (!trainer->records)
        return FAIL_NO_MEMORY(entry->bytes + 1);
    trainer->records_bytes = entry->bytes;
    return read_block(file, "records", SAFETENSORS_U8, entry->bytes, trainer->records);
}

// Into the blocks that the interrupted epoch was filling.
static adele_status read_progress(struct trainer *trainer, const struct safetensors *file) {
    const struct adele_device *device = trainer->device;
    struct progress_block blocks[N_PROGRESS];
    progress_blocks(trainer, blocks);
    for (int i = 0; i < N_PROGRESS; i++) {
        if (!blocks[i].block)
            continue;
        void *host = memory_aligned(blocks[i].bytes);
        if (!host)
            return FAIL_NO_MEMORY(blocks[i].bytes);
        adele_status status =
            read_block(file, blocks[i].name, blocks[i].dtype, blocks[i].bytes, host);
        if (status == ADELE_OK)
            status = device->iface->upload(device, blocks[i].block, host, blocks[i].bytes);
        memory_free(host);
        TRY(status);
    }
    return ADELE_OK;
}

static adele_status read_state(struct trainer *trainer, const struct safetensors *file) {
    TRY(checkpoint_check(file));
    double epoch = checkpoint_number(file, "epoch", -1.0);
    double step = checkpoint_number(file, "step", 0.0);
    if (!(epoch >= 0.0 && epoch <= trainer->n_epochs && step >= 0.0 &&
          step <= (double)trainer->n_steps_total))
        return FAIL(
            ADELE_CONFIG, "Raise train.epochs (or train.iterations), or start a new run.",
            "the checkpoint is of epoch %g and step %g, this run has train.epochs %d of %ld "
            "steps in all",
            epoch, step, trainer->n_epochs, trainer->n_steps_total);
    trainer->epoch = (int)epoch;
    trainer->step = (long)step;
    double step_in_epoch = checkpoint_number(file, "step_in_epoch", 0.0);
    if (!(step_in_epoch >= 0.0 && step_in_epoch < INT32_MAX))
        return FAIL(ADELE_FORMAT, "Take another checkpoint of the run, or start the run anew.",
                    "step_in_epoch is %g", step_in_epoch);
    trainer->step_in_epoch = (int)step_in_epoch;
    trainer->best_miou = checkpoint_number(file, "best.miou", -1.0);
    trainer->best_epoch = (int)checkpoint_number(file, "best.epoch", 0.0);
    TRY(read_labels(trainer, file));
    TRY(read_curves(trainer, file));
    TRY(read_records(trainer, file));
    float scales[3 * ADELE_MAX_SCALES];
    TRY(read_block(file, "scale_weights", SAFETENSORS_F32, sizeof scales, scales));
    TRY(trainer->device->iface->upload(trainer->device, trainer->scale_state, scales,
                                       sizeof scales));
    if (trainer->step_in_epoch > 0)
        TRY(read_progress(trainer, file));
    TRY(trainer_read_provenance(trainer, file));
    TRY(network_import(trainer->network, "model.", file));
    return network_import_momenta(trainer->network, "momentum.", file);
}

adele_status checkpoint_load(struct trainer *trainer, const char *path) {
    struct safetensors *file = NULL;
    TRY(safetensors_open(path, &file));
    adele_status status = read_state(trainer, file);
    safetensors_close(file);
    return status == ADELE_OK ? status : fail_context(status, "%s", path);
}

bool checkpoint_is_damaged(const char *path) {
    struct safetensors *file = NULL;
    adele_status status = safetensors_open(path, &file);
    bool is_damaged = status == ADELE_FORMAT ||
                      (status == ADELE_OK && !safetensors_is_hashed(file)) ||
                      (status == ADELE_IO && file_opens(path)); // it is the reading that fails
    safetensors_close(file);
    return is_damaged;
}
