// SPDX-License-Identifier: MIT
// Makes the parts of a run, and frees them.
#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "correction/correction_plan.h"
#include "run/memory_need.h"
#include "run/rank_check.h"
#include "run/trainer_state.h"
#include "run_folder/checkpoint_model.h"
#include "run_folder/run_folder.h"
#include "step/learning_rate.h"

#include <stdint.h>
#include <string.h>

static adele_status check_config(const struct config *config) {
    if (config_has_adele(config) && config->correction.source == SOURCE_TRAINING_PASS &&
        config->data.augment.enabled)
        return FAIL(ADELE_CONFIG,
                    "Set correction.source: inference, or data.augment.enabled: false.",
                    "correction.source: training_pass cannot be used with data.augment: "
                    "augmented predictions do not match the labels' pixels");
    return ADELE_OK;
}

// Weights from a file: a checkpoint of adele, or tensors under their plain names.
static adele_status load_weights(struct network *network, const char *path, bool is_strict) {
    OWNED_BY(safetensors_close) struct safetensors *file = NULL;
    TRY(safetensors_open(path, &file));
    bool is_checkpoint = safetensors_metadata(file, "adele.format") != NULL;
    const char *prefix = is_checkpoint ? checkpoint_model_prefix(file) : "";
    adele_status status = network_import(network, CONTENT_WEIGHTS, prefix, file, !is_strict);
    if (status == ADELE_FORMAT)
        return FAIL(status,
                    "tools/convert_weights.py --list shows names and shapes, --rename and --drop "
                    "change them; model.init_strict: false takes what is there.",
                    "%s: %s", path, adele_error_message());
    return status;
}

static adele_status network_init(struct trainer *trainer) {
    struct network_config network;
    config_network(trainer->config, &network);
    network.n_channels = trainer->data.resident[SPLIT_TRAIN].set.c;
    network.n_categories = trainer->data.n_categories;
    return network_create_unallocated(trainer->device, &network, &trainer->network);
}

static adele_status weights_init(struct trainer *trainer) {
    const struct config *config = trainer->config;
    // The weights of a run that is resumed come from its checkpoint, and model.init may be gone.
    bool is_resumed = false;
    if (trainer->options.run_folder != NULL)
        TRY(run_folder_has_checkpoint(trainer->options.run_folder, &is_resumed));
    if (is_resumed || strcmp(config->model.init, "default") == 0)
        return ADELE_OK;
    return load_weights(trainer->network, config->model.init, config->model.init_strict);
}

static adele_status plan_parts(struct trainer *trainer) {
    const struct config *config = trainer->config;
    TRY(network_init(trainer));
    TRY(training_step_init(&trainer->step, &trainer->data, trainer->network));
    const struct corrector_options options = {.network = trainer->network,
                                              .epochs = &trainer->step.epochs,
                                              .n_loss_scales = trainer->step.n_scales};
    TRY(corrector_init(&trainer->corrector, &trainer->data, &options));
    if (config_has_adele(config) && config->correction.source == SOURCE_TRAINING_PASS)
        trainer->step.prediction = &trainer->corrector.rewriter.prediction;
    TRY(evaluator_init(&trainer->evaluator, &trainer->data, trainer->network,
                       trainer->step.epochs.part_images));
    trainer->progress.best_miou = -1.0;
    return ADELE_OK;
}

// Where a part had no memory, what was planned until then may be less than is available, because
// the buffers of correction and evaluation are not counted.
static void measure_need(struct trainer *trainer, adele_status status) {
    struct memory_need *memory = &trainer->memory;
    *memory = (struct memory_need){0};
    if (trainer->network != NULL && trainer->step.data != NULL)
        *memory = memory_need_of(&trainer->step);
    if (status == ADELE_NO_MEMORY && memory->planned <= memory->available &&
        memory->available < SIZE_MAX)
        memory->planned = memory->available + 1;
}

// Where the buffers of a step could not be allocated, the message is about all that is needed, as
// where the network does not fit.
adele_status trainer_plan(struct trainer *trainer) {
    adele_status status = plan_parts(trainer);
    // Of several ranks, others may have come further.
    bool is_alone = trainer->step.planned_buffer_bytes > 0 && trainer->options.ranks == NULL;
    adele_status check =
        status == ADELE_NO_MEMORY && is_alone ? memory_need_check(&trainer->step) : ADELE_OK;
    measure_need(trainer, status);
    return check != ADELE_OK ? check : status;
}

adele_status trainer_allocate(struct trainer *trainer) {
    TRY(network_allocate(trainer->network));
    TRY(weights_init(trainer));
    return network_average(trainer->network) ? network_restart_average(trainer->network) : ADELE_OK;
}

static adele_status parts_init(struct trainer *trainer) {
    adele_status status = trainer_plan(trainer);
    if (status == ADELE_OK)
        status = learning_rate_check(trainer->config, &trainer->step.epochs);
    // Ranks of a host share its memory: none measures it before all have planned.
    if (resident_is_host_memory(trainer->device))
        status = ranks_agree(trainer->options.ranks, status);
    TRY(status);
    plan_describe(trainer->step.full.plans[0]);
    TRY(memory_need_check(&trainer->step));
    return trainer_allocate(trainer);
}

void trainer_drop_plan(struct trainer *trainer) {
    training_step_deinit(&trainer->step);
    corrector_deinit(&trainer->corrector);
    evaluator_deinit(&trainer->evaluator);
    network_destroy(trainer->network);
    trainer->network = NULL;
}

static adele_status open_device(struct trainer *trainer) {
    char line[PROVENANCE_LINE_BYTES];
    TRY(adele_device_open(trainer->options.device, trainer->config->train.precision,
                          &trainer->device));
    provenance_of(trainer->device, &trainer->origin.made_by);
    provenance_print(&trainer->origin.made_by, line, sizeof line);
    log_line(LOG_DETAIL, "device: %s", trainer->device->description);
    log_line(LOG_DETAIL, "made by %s", line);
    return ADELE_OK;
}

static adele_status check_data(const struct run_data *data) {
    int patience = data->config->train.patience;
    if (patience > 0 && data->resident[SPLIT_VAL].set.n_images == 0)
        return FAIL(ADELE_CONFIG, "Name validation cases in data.split.val, or leave it out.",
                    "train.patience is %d, but the data set has no validation split", patience);
    return ADELE_OK;
}

static adele_status load(struct trainer *trainer) {
    const char *run_folder = trainer->options.run_folder;
    TRY(check_config(trainer->config));
    TRY(correction_plan_check(trainer->config));
    if (run_folder != NULL && trainer_writes(trainer)) {
        TRY(file_make_directory(run_folder));
        TRY(file_lock_folder(run_folder, &trainer->folder_lock));
    }
    TRY(open_device(trainer));
    TRY(run_data_load(&trainer->data, trainer->config, trainer->device, trainer->options.ranks));
    return check_data(&trainer->data);
}

static adele_status all_parts_init(struct trainer *trainer) {
    adele_status status = parts_init(trainer);
    if (resident_is_host_memory(trainer->device)) // images have no other place
        return status;
    int64_t is_short = status == ADELE_NO_MEMORY;
    TRY(ranks_max(trainer->options.ranks, &is_short, 1)); // all ranks keep their images alike
    if (!is_short || (status != ADELE_OK && status != ADELE_NO_MEMORY))
        return status;
    // Images that may stay in host memory make room on the device for the other parts.
    bool has_moved = false;
    trainer_drop_plan(trainer);
    TRY(run_data_move_images(&trainer->data, &has_moved));
    return has_moved || status == ADELE_OK ? parts_init(trainer) : status;
}

adele_status trainer_load(const struct trainer_options *options, struct trainer **out) {
    OWNED_BY(trainer_destroy) struct trainer *trainer = NULL;
    TRY(ALLOCATE(&trainer, 1));
    trainer->options = *options;
    trainer->config = options->config;
    trainer->folder_lock = -1;
    TRY(load(trainer));
    *out = trainer;
    trainer = NULL;
    return ADELE_OK;
}

adele_status trainer_create(const struct trainer_options *options, struct trainer **out) {
    OWNED_BY(trainer_destroy) struct trainer *trainer = NULL;
    TRY(ranks_agree(options->ranks, trainer_load(options, &trainer)));
    TRY(rank_check_data(trainer));
    TRY(all_parts_init(trainer));
    *out = trainer;
    trainer = NULL;
    return ADELE_OK;
}

void trainer_destroy(struct trainer *trainer) {
    if (!trainer)
        return;
    metrics_close(trainer->metrics);
    // A GPU that waits for a rank that is gone is stopped first: to release its memory would wait
    // too.
    exchange_destroy(trainer->step.parts.exchange);
    trainer->step.parts.exchange = NULL;
    trainer_drop_plan(trainer);
    run_data_deinit(&trainer->data);
    adele_device_close(trainer->device);
    memory_free(trainer->records);
    memory_free(trainer->origin.earlier);
    file_unlock(trainer->folder_lock);
    memory_free(trainer);
}
