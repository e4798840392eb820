// SPDX-License-Identifier: MIT
#include "run/checkpoint.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/number.h"
#include "correction/correction_adele.h"
#include "correction/correction_ensemble.h"
#include "run_folder/checkpoint_model.h"

#include <string.h>

static adele_status add_number(struct safetensors_writer *writer, const char *key, double value) {
    char text[32];
    number_print(value, 17, text);
    return safetensors_writer_metadata(writer, key, text);
}

static adele_status add_model(struct trainer *trainer, struct safetensors_writer *writer,
                              float **keep) {
    const struct config *config = trainer->config;
    const struct adele_sample_set *set = &trainer->data.resident[SPLIT_TRAIN].set;
    TRY(network_export(trainer->network, CONTENT_WEIGHTS, "model.", NULL, writer, keep));
    TRY(safetensors_writer_metadata(writer, "adele.format", CHECKPOINT_FORMAT));
    TRY(run_origin_write(&trainer->origin, writer));
    TRY(safetensors_writer_metadata(writer, "model.name", config->model.name));
    TRY(safetensors_writer_metadata(writer, "model.backbone", config->model.backbone));
    TRY(add_number(writer, "model.width", config->model.width));
    TRY(add_number(writer, "model.rate", config->model.rate));
    TRY(add_number(writer, "model.channels", set->c));
    TRY(add_number(writer, "model.categories", trainer->data.n_categories));
    TRY(add_number(writer, "data.height", set->h));
    TRY(add_number(writer, "data.width", set->w));
    TRY(add_number(writer, "data.normalize", config->data.normalize));
    TRY(add_number(writer, "data.has_palette", trainer->data.dataset->has_palette));
    if (trainer->data.dataset->orientation.letters[0] != '\0')
        TRY(safetensors_writer_metadata(writer, "data.orientation",
                                        trainer->data.dataset->orientation.letters));
    TRY(add_number(writer, "epoch", trainer->progress.epoch));
    OWNED char *names = memory_join_lines(
        trainer->data.n_categories, (const char *const *)trainer->data.dataset->category_names);
    TRY(CHECK_MEMORY(names));
    return safetensors_writer_metadata(writer, "data.categories", names);
}

// Host copies that the writer borrows until it has saved.
struct state_copies {
    float *model, *momenta, *second_moments, *average;
    float scales[3 * ADELE_MAX_SCALES];
    uint8_t *labels;
    double *curves;
    int64_t interval_base[ADELE_COUNT_KINDS * 256];
    int32_t onset_epoch[256];
    unsigned char *progress;
    float scale_second[ADELE_MAX_SCALES];
    int64_t n_updates[2];
};

static void copies_deinit(struct state_copies *copies) {
    memory_free(copies->model);
    memory_free(copies->momenta);
    memory_free(copies->second_moments);
    memory_free(copies->average);
    memory_free(copies->labels);
    memory_free(copies->curves);
    memory_free(copies->progress);
}

void checkpoint_epoch_blocks(const struct trainer *trainer,
                             struct checkpoint_block out[CHECKPOINT_N_EPOCH_BLOCKS]) {
    const struct prediction none = {0};
    const struct prediction *prediction =
        trainer->step.prediction ? trainer->step.prediction : &none;
    size_t n_pixels = resident_map_bytes(&trainer->data.resident[SPLIT_TRAIN]);
    size_t n_sums = (size_t)trainer->step.parts.n * ADELE_SUM_COUNT;
    const struct checkpoint_block blocks[CHECKPOINT_N_EPOCH_BLOCKS] = {
        {"progress.counts", SAFETENSORS_I64, trainer->step.counts, ADELE_COUNT_SIZE,
         ADELE_COUNT_SIZE * sizeof(int64_t)},
        {"progress.sums", SAFETENSORS_F64, trainer->step.sums, n_sums, n_sums * sizeof(double)},
        {"progress.prediction", SAFETENSORS_U8, prediction->category, n_pixels, n_pixels},
        {"progress.confidence_foreground", SAFETENSORS_F32, prediction->confidence_foreground,
         n_pixels, n_pixels * sizeof(float)},
        {"progress.confidence_background", SAFETENSORS_F32, prediction->confidence_background,
         n_pixels, n_pixels * sizeof(float)}};
    memcpy(out, blocks, sizeof blocks);
}

static adele_status add_progress(struct trainer *trainer, struct safetensors_writer *writer,
                                 struct state_copies *copies) {
    const struct adele_device *device = trainer->device;
    struct checkpoint_block blocks[CHECKPOINT_N_EPOCH_BLOCKS];
    checkpoint_epoch_blocks(trainer, blocks);
    size_t bytes = 0;
    for (int i = 0; i < CHECKPOINT_N_EPOCH_BLOCKS; i++)
        bytes += blocks[i].bytes;
    copies->progress = memory_aligned(bytes);
    TRY(CHECK_MEMORY(copies->progress));
    unsigned char *to = copies->progress;
    for (int i = 0; i < CHECKPOINT_N_EPOCH_BLOCKS; i++) {
        if (!blocks[i].block)
            continue;
        int64_t shape[1] = {(int64_t)blocks[i].count};
        TRY(device->iface->download(device, to, blocks[i].block, blocks[i].bytes));
        TRY(safetensors_writer_add(writer, blocks[i].name, blocks[i].dtype, 1, shape, to));
        to += blocks[i].bytes;
    }
    TRY(add_number(writer, "skipped_in_epoch", trainer->progress.skipped_in_epoch));
    return add_number(writer, "step_in_epoch", trainer->progress.step_in_epoch);
}

// Records of the classes, n doubles each, of which the first is 0 where there is nothing.
static adele_status add_safeguard(struct safetensors_writer *writer, const char *name,
                                  const void *records, int n) {
    const int64_t shape[2] = {256, n};
    for (int c = 0; c < 256; c++)
        if (((const double *)records)[c * n] > 0.0)
            return safetensors_writer_add(writer, name, SAFETENSORS_F64, 2, shape, records);
    return ADELE_OK;
}

// What kept classes from a correction, once there is something.
static adele_status add_safeguards(const struct corrector *corrector,
                                   struct safetensors_writer *writer) {
    if (corrector->adele)
        TRY(add_safeguard(writer, "vetoes", corrector->adele->veto.records, VETO_RECORD_VALUES));
    return corrector->ensemble ? add_safeguard(writer, "gates", corrector->ensemble->gate.records,
                                               GATE_RECORD_VALUES)
                               : ADELE_OK;
}

static adele_status add_curves(struct trainer *trainer, struct safetensors_writer *writer,
                               struct state_copies *copies) {
    size_t n_values = (size_t)trainer->corrector.curves.n_values,
           n = (size_t)trainer->data.n_categories;
    TRY(ALLOCATE(&copies->curves, n_values * n + 1));
    for (size_t i = 0; i < n_values; i++)
        for (size_t c = 0; c < n; c++)
            copies->curves[i * n + c] = trainer->corrector.curves.iou[c][i];
    int64_t shape[2] = {trainer->corrector.curves.n_values, trainer->data.n_categories};
    TRY(safetensors_writer_add(writer, "curves", SAFETENSORS_F64, 2, shape, copies->curves));
    int64_t base_shape[2] = {ADELE_COUNT_KINDS, 256};
    memcpy(copies->interval_base, trainer->corrector.curves.interval_base,
           sizeof copies->interval_base);
    if (trainer->config->correction.pipeline == ONSET_VOC)
        TRY(safetensors_writer_add(writer, "interval_base", SAFETENSORS_I64, 2, base_shape,
                                   copies->interval_base));
    int64_t corrected_shape[2] = {trainer->progress.epoch + 1, 256};
    TRY(safetensors_writer_add(writer, "corrected", SAFETENSORS_U8, 2, corrected_shape,
                               trainer->corrector.corrected));
    int64_t flags[1] = {256};
    for (int c = 0; c < 256; c++)
        copies->onset_epoch[c] = trainer->corrector.schedule.onset_epoch[c];
    TRY(safetensors_writer_add(writer, "onset_epoch", SAFETENSORS_I32, 1, flags,
                               copies->onset_epoch));
    TRY(safetensors_writer_add(writer, "is_on", SAFETENSORS_U8, 1, flags,
                               trainer->corrector.schedule.is_on));
    TRY(safetensors_writer_add(writer, "is_done", SAFETENSORS_U8, 1, flags,
                               trainer->corrector.schedule.is_done));
    return add_safeguards(&trainer->corrector, writer);
}

static adele_status add_records(const struct trainer *trainer, struct safetensors_writer *writer) {
    const char *text = trainer->records;
    size_t bytes = trainer->records_bytes;
    if (trainer->metrics)
        text = metrics_text(trainer->metrics, &bytes);
    int64_t shape[1] = {(int64_t)bytes};
    return safetensors_writer_add(writer, "records", SAFETENSORS_U8, 1, shape, text);
}

static adele_status add_adamw(struct trainer *trainer, struct safetensors_writer *writer,
                              struct state_copies *copies) {
    const struct adele_device *device = trainer->device;
    const int64_t scale_shape[1] = {ADELE_MAX_SCALES}, update_shape[1] = {2};
    TRY(network_export(trainer->network, CONTENT_SECOND_MOMENTS, "second_moment.",
                       trainer->step.parts.divided.second_moments, writer,
                       &copies->second_moments));
    TRY(device->iface->download(device, copies->scale_second, trainer->step.scale_second,
                                sizeof copies->scale_second));
    TRY(safetensors_writer_add(writer, "adamw.scale_weights", SAFETENSORS_F32, 1, scale_shape,
                               copies->scale_second));
    TRY(device->iface->download(device, copies->n_updates, trainer->step.n_updates,
                                sizeof copies->n_updates));
    return safetensors_writer_add(writer, "adamw.updates", SAFETENSORS_I64, 1, update_shape,
                                  copies->n_updates);
}

// Whether the ensemble's maps are there or freed is written too: a resumed run must not begin anew
// with maps of zeros.
static adele_status add_ensemble(const struct trainer *trainer, struct safetensors_writer *writer) {
    if (!trainer->corrector.ensemble)
        return ADELE_OK;
    const struct ensemble *ensemble = &trainer->corrector.ensemble->ensemble;
    const struct adele_shape *shape = &ensemble->logits;
    const int64_t map_shape[4] = {trainer->data.resident[SPLIT_TRAIN].set.n_images, shape->c,
                                  shape->h, shape->w};
    TRY(add_number(writer, "ensemble.is_open", ensemble_is_open(ensemble)));
    TRY(add_number(writer, "ensemble.epoch", ensemble_epoch(ensemble)));
    return ensemble_is_open(ensemble) ? safetensors_writer_add(writer, "ensemble", SAFETENSORS_F16,
                                                               4, map_shape, ensemble->collected)
                                      : ADELE_OK;
}

static adele_status add_average(struct trainer *trainer, struct safetensors_writer *writer,
                                struct state_copies *copies) {
    TRY(network_export(trainer->network, CONTENT_AVERAGE, CHECKPOINT_AVERAGE, NULL, writer,
                       &copies->average));
    return add_number(writer, "model.averaged", trainer->config->train.evaluate_averaged);
}

static adele_status add_state(struct trainer *trainer, struct safetensors_writer *writer,
                              struct state_copies *copies) {
    const struct adele_device *device = trainer->device;
    const struct resident *train = &trainer->data.resident[SPLIT_TRAIN];
    TRY(network_export(trainer->network, CONTENT_MOMENTA, "momentum.",
                       trainer->step.parts.divided.momenta, writer, &copies->momenta));
    if (trainer->config->train.optimizer == OPTIMIZER_ADAMW)
        TRY(add_adamw(trainer, writer, copies));
    TRY(device->iface->download(device, copies->scales, trainer->step.scale_state,
                                sizeof copies->scales));
    int64_t scale_shape[2] = {3, ADELE_MAX_SCALES};
    TRY(safetensors_writer_add(writer, "scale_weights", SAFETENSORS_F32, 2, scale_shape,
                               copies->scales));
    if (trainer->config->train.average)
        TRY(add_average(trainer, writer, copies));
    TRY(add_ensemble(trainer, writer));
    TRY(ALLOCATE(&copies->labels, resident_map_bytes(train)));
    TRY(device->iface->download(device, copies->labels, train->labels, resident_map_bytes(train)));
    int64_t label_shape[3] = {train->set.n_images, train->set.h, train->set.w};
    TRY(safetensors_writer_add(writer, "labels", SAFETENSORS_U8, 3, label_shape, copies->labels));
    TRY(add_curves(trainer, writer, copies));
    TRY(add_records(trainer, writer));
    if (trainer->progress.step_in_epoch > 0)
        TRY(add_progress(trainer, writer, copies));
    TRY(add_number(writer, "step", (double)trainer->progress.step));
    TRY(add_number(writer, "best.miou", trainer->progress.best_miou));
    TRY(add_number(writer, "best.epoch", trainer->progress.best_epoch));
    return safetensors_writer_metadata(writer, "data.noisy_xxh3", trainer->data.noisy_hash);
}

static adele_status save(struct trainer *trainer, const char *path, const char *keep,
                         bool with_state) {
    CLEANUP(copies_deinit) struct state_copies copies = {0};
    OWNED_BY(safetensors_writer_destroy) struct safetensors_writer *writer = NULL;
    TRY(safetensors_writer_create(&writer));
    TRY(add_model(trainer, writer, &copies.model));
    if (with_state)
        TRY(add_state(trainer, writer, &copies));
    else if (trainer->config->train.evaluate_averaged) // the average is in the place of the weights
        TRY(add_number(writer, "model.is_average", 1.0));
    return safetensors_writer_save_keeping(writer, path, keep);
}

adele_status checkpoint_save(struct trainer *trainer, const char *path, const char *keep) {
    return save(trainer, path, keep, true);
}

adele_status checkpoint_save_model(struct trainer *trainer, const char *path) {
    return save(trainer, path, NULL, false);
}
