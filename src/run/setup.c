// SPDX-License-Identifier: MIT
// Everything a run needs before its first step: device memory, plans, ops (its data:
// trainer_data.c).
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "infer/run_folder.h"

#include <math.h>
#include <string.h>

adele_status trainer_path(const struct trainer *trainer, const char *name, char **out) {
    *out = file_join(trainer->options.run_folder, name);
    return *out ? ADELE_OK : FAIL_NO_MEMORY(strlen(name));
}

adele_status trainer_write_json(const struct trainer *trainer, const char *name, cJSON *json,
                                bool is_complete) {
    char *path = NULL;
    adele_status status = is_complete ? ADELE_OK : FAIL_NO_MEMORY(sizeof *json);
    if (status == ADELE_OK)
        status = trainer_path(trainer, name, &path);
    if (status == ADELE_OK)
        status = json_write(path, json);
    memory_free(path);
    cJSON_Delete(json);
    return status;
}

struct schedule_config trainer_schedule(const struct trainer *trainer) {
    const struct config *config = trainer->config;
    struct schedule_config schedule = {.mode = config->correction.per_category
                                                   ? SCHEDULE_PER_CATEGORY
                                                   : config->correction.all_from,
                                       .every = config->correction.every,
                                       .n_categories = trainer->n_categories};
    onset_config_init(&schedule.onset, config->correction.pipeline);
    schedule.onset.r = config->correction.r;
    schedule.onset.smooth = config->correction.smooth;
    // With the veto, fewer values ask for more evidence instead (trainer_veto.c).
    if (config->correction.veto <= 0.0)
        schedule.onset.min_points = config->correction.min_points;
    schedule.onset.while_rising = config->correction.while_rising;
    if (config->correction.pipeline == ONSET_SEGTHOR)
        schedule.onset.n_epochs = trainer->n_epochs;
    else {
        schedule.onset.interval_iterations = config->correction.interval;
        schedule.onset.iterations_per_epoch =
            (double)trainer->resident[SPLIT_TRAIN].set.n_images / trainer->full.n;
    }
    return schedule;
}

// ---- steps --------------------------------------------------------------------------------------

// Of the images that a step trains on.
static void crop_size(const struct trainer *trainer, int *height, int *width) {
    const int *crop = trainer->config->data.crop;
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    *height = crop[0] > 0 ? crop[0] : set->h;
    *width = crop[1] > 0 ? crop[1] : set->w;
}

static adele_status step_plan_init(struct trainer *trainer, struct step_plan *step, int n,
                                   size_t *workspace_bytes) {
    const struct config *config = trainer->config;
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    int height, width;
    crop_size(trainer, &height, &width);
    struct adele_sample_desc sample = {.n = n,
                                       .c = set->c,
                                       .h = height,
                                       .w = width,
                                       .n_scales = trainer->n_scales,
                                       .augment = config->data.augment,
                                       .seed = config->train.seed};
    struct adele_loss_desc loss = {.n = n,
                                   .c = trainer->n_categories,
                                   .h = height,
                                   .w = width,
                                   .n_scales = trainer->n_scales,
                                   .form = config->loss.form,
                                   .lambda = config->loss.lambda,
                                   .rho = config->loss.rho,
                                   .divisor = config->loss.divisor,
                                   .learn_scale_weights = config->loss.learn_scale_weights};
    step->n = n;
    for (int k = 0; k < trainer->n_scales; k++) {
        int h = (int)floor(height * config->loss.scales[k]);
        int w = (int)floor(width * config->loss.scales[k]);
        TRY(network_plan(trainer->network, n, h, w, true, &step->plans[k]));
        TRY(plan_check_statistics(step->plans[k]));
        struct adele_shape logits = plan_output_shape(step->plans[k]);
        sample.h_scale[k] = h;
        sample.w_scale[k] = w;
        loss.h_scale[k] = logits.h;
        loss.w_scale[k] = logits.w;
    }
    const struct adele_device *device = trainer->device;
    TRY(device->iface->sample_create(device, &sample, &step->sample));
    TRY(device->iface->loss_create(device, &loss, &step->loss));
    if (step->sample->workspace_bytes > *workspace_bytes)
        *workspace_bytes = step->sample->workspace_bytes;
    if (step->loss->workspace_bytes > *workspace_bytes)
        *workspace_bytes = step->loss->workspace_bytes;
    return ADELE_OK;
}

static adele_status device_new(const struct adele_device *device, size_t bytes, void **out) {
    TRY(device->iface->alloc(device, bytes, out));
    return device->iface->fill(device, *out, 0, bytes);
}

static adele_status buffers_init(struct trainer *trainer, size_t workspace_bytes) {
    const struct adele_device *device = trainer->device;
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    struct step_buffers *buffers = &trainer->buffers;
    size_t n = (size_t)(trainer->full.n > trainer->rest.n ? trainer->full.n : trainer->rest.n);
    int height, width;
    crop_size(trainer, &height, &width);
    size_t maps = n * (size_t)height * (size_t)width;
    TRY(device_new(device, maps, (void **)&buffers->labels));
    TRY(device_new(device, maps, (void **)&buffers->noisy));
    if (set->truth)
        TRY(device_new(device, maps, (void **)&buffers->truth));
    TRY(device_new(device, (size_t)set->n_images * sizeof(int32_t), (void **)&buffers->order));
    buffers->host_order = memory_calloc((size_t)set->n_images, sizeof *buffers->host_order);
    if (!buffers->host_order)
        return FAIL_NO_MEMORY((size_t)set->n_images * sizeof *buffers->host_order);
    if (workspace_bytes > 0)
        TRY(device_new(device, workspace_bytes, &buffers->workspace));
    TRY(device_new(device, ADELE_COUNT_SIZE * sizeof(int64_t), (void **)&buffers->counts));
    TRY(device_new(device, ADELE_SUM_COUNT * sizeof(double), (void **)&buffers->sums));
    TRY(device_new(device, sizeof(int32_t), (void **)&buffers->loss_is_finite));
    TRY(device->iface->alloc_pinned(device, 2 * ADELE_HEALTH_COUNT * sizeof(int64_t),
                                    (void **)&buffers->health));
    int64_t n_kept = network_graph(trainer->network)->n_buffers;
    if (n_kept > 0)
        TRY(device_new(device, (size_t)n_kept * sizeof(float), (void **)&buffers->kept));
    return device_new(device, 3 * ADELE_MAX_SCALES * sizeof(float), (void **)&trainer->scale_state);
}

static adele_status optimizer_init(struct trainer *trainer) {
    const struct graph *graph = network_graph(trainer->network);
    struct adele_sgd_segment *segments =
        memory_calloc((size_t)graph->n_parameters, sizeof *segments);
    if (!segments)
        return FAIL_NO_MEMORY((size_t)graph->n_parameters * sizeof *segments);
    struct adele_sgd_desc desc = {.segments = segments};
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (parameter->is_buffer)
            continue;
        float decay = parameter->has_decay ? (float)trainer->config->train.weight_decay : 0.0f;
        segments[desc.n_segments++] = (struct adele_sgd_segment){.offset = parameter->offset,
                                                                 .count = parameter->count,
                                                                 .lr_scale = parameter->lr_scale,
                                                                 .decay = decay};
    }
    const struct adele_device *device = trainer->device;
    adele_status status = device->iface->sgd_create(device, &desc, &trainer->sgd);
    memory_free(segments);
    TRY(status);
    // METHOD section 4: the scale weights learn at the base rate, without decay.
    struct adele_sgd_segment scales = {.count = trainer->n_scales, .lr_scale = 1.0f};
    struct adele_sgd_desc desc_scales = {.n_segments = 1, .segments = &scales};
    return device->iface->sgd_create(device, &desc_scales, &trainer->sgd_scales);
}

// ---- correction and evaluation ------------------------------------------------------------------

static adele_status correction_inference_init(struct trainer *trainer) {
    const struct config *config = trainer->config;
    const struct adele_device *device = trainer->device;
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    struct inference_config inference = {.batch = trainer->full.n,
                                         .n_scales = config->correction.n_scales,
                                         .flip = config->correction.flip,
                                         .average = config->correction.average,
                                         .temperature = config->correction.temperature,
                                         .crf_iterations = config->correction.crf_iterations};
    bool has_crf_image = set->pixel == ADELE_PIXEL_U8 && (set->c == 1 || set->c == 3);
    if (inference.crf_iterations > 0 && !has_crf_image)
        return FAIL(ADELE_CONFIG, "Set correction.crf_iterations: 0.",
                    "correction.crf_iterations: %d, but a CRF needs gray or RGB images of 8 bits",
                    inference.crf_iterations);
    memcpy(inference.scales, config->correction.scales, sizeof config->correction.scales);
    return inference_create(device, trainer->network, &inference, trainer->n_categories, set->c,
                            set->h, set->w, &trainer->correction_inference);
}

static adele_status correction_init(struct trainer *trainer) {
    const struct config *config = trainer->config;
    if (!config->correction.enabled)
        return ADELE_OK;
    const struct adele_device *device = trainer->device;
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    struct prediction *prediction = &trainer->prediction;
    bool is_whole = config->correction.source == SOURCE_TRAINING_PASS;
    prediction->n = is_whole ? set->n_images : trainer->full.n;
    size_t maps = (size_t)prediction->n * (size_t)set->h * (size_t)set->w;
    TRY(device_new(device, maps, (void **)&prediction->category));
    TRY(device_new(device, maps * sizeof(float), (void **)&prediction->confidence_foreground));
    TRY(device_new(device, maps * sizeof(float), (void **)&prediction->confidence_background));
    double tau_background = config->correction.tau_background;
    struct adele_correct_desc desc = {
        .n = prediction->n,
        .n_categories = trainer->n_categories,
        .h = set->h,
        .w = set->w,
        .rule = config->correction.rule,
        .tau_foreground = config->correction.tau,
        .tau_background = tau_background > 0.0 ? tau_background : config->correction.tau,
        .class_constraint = config->correction.class_constraint,
        .mask = config->correction.mask,
        .logic255 = config->correction.logic255,
        .guard = config->correction.guard};
    TRY(device->iface->correct_create(device, &desc, &trainer->correct));
    desc.n = set->n_images % prediction->n;
    if (desc.n > 0)
        TRY(device->iface->correct_create(device, &desc, &trainer->correct_rest));
    TRY(trainer_veto_init(trainer));
    return is_whole ? ADELE_OK : correction_inference_init(trainer);
}

static adele_status evaluation_init(struct trainer *trainer) {
    const struct adele_device *device = trainer->device;
    size_t most = 0;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        const struct adele_sample_set *set = &trainer->resident[split].set;
        if (set->n_images == 0)
            continue;
        struct adele_count_desc count = {
            .n = set->n_images, .h = set->h, .w = set->w, .n_categories = trainer->n_categories};
        TRY(device->iface->count_create(device, &count, &trainer->count[split]));
        if (split == SPLIT_TRAIN)
            continue;
        size_t maps = resident_map_bytes(&trainer->resident[split]);
        most = maps > most ? maps : most;
        struct inference_config inference = {.batch = trainer->full.n,
                                             .n_scales = 1,
                                             .scales = {1.0},
                                             .average = ADELE_ENSEMBLE_PROBABILITIES,
                                             .temperature = 1.0};
        TRY(inference_create(device, trainer->network, &inference, trainer->n_categories, set->c,
                             set->h, set->w, &trainer->evaluation[split]));
    }
    if (most > 0)
        TRY(device_new(device, most, (void **)&trainer->evaluation_map));
    return device_new(device, 3 * 256 * sizeof(int64_t), (void **)&trainer->evaluation_counts);
}

// ---- progress -----------------------------------------------------------------------------------

static adele_status progress_init(struct trainer *trainer) {
    const struct config *config = trainer->config;
    size_t n_epochs = (size_t)trainer->n_epochs, n_values = n_epochs;
    if (config->correction.pipeline == ONSET_VOC)
        n_values = (size_t)(trainer->n_steps_total / config->correction.interval);
    for (int c = 0; c < trainer->n_categories; c++) {
        trainer->series[c] = memory_calloc(n_values + 1, sizeof(double));
        if (!trainer->series[c])
            return FAIL_NO_MEMORY((n_values + 1) * sizeof(double));
    }
    trainer->corrected = memory_calloc(n_epochs + 1, 256);
    if (!trainer->corrected)
        return FAIL_NO_MEMORY((n_epochs + 1) * 256);
    trainer->best_miou = -1.0;
    return ADELE_OK;
}

static adele_status check_config(const struct trainer *trainer) {
    const struct config *config = trainer->config;
    if (config->correction.enabled && config->correction.source == SOURCE_TRAINING_PASS &&
        config->data.augment.enabled)
        return FAIL(ADELE_CONFIG,
                    "Set correction.source: inference, or data.augment.enabled: false.",
                    "correction.source: training_pass cannot be used with data.augment: "
                    "augmented predictions do not lie on the labels");
    return ADELE_OK;
}

// What the data has to be for the augmentation asked for.
static adele_status check_augment(const struct trainer *trainer) {
    const struct adele_augment *augment = &trainer->config->data.augment;
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    if (augment->enabled && augment->kind == ADELE_AUGMENT_VOC && augment->hsv > 0.0 &&
        (set->c != 3 || set->pixel != ADELE_PIXEL_U8))
        return FAIL(ADELE_CONFIG, "Set data.augment.hsv: 0.",
                    "data.augment.hsv is %g, but the images of %s are not 8-bit RGB", augment->hsv,
                    trainer->dataset->root);
    return ADELE_OK;
}

// Weights from a file: a checkpoint of ours, or tensors under their plain names.
static adele_status weights_init(struct network *network, const char *path, bool is_strict) {
    struct safetensors *file = NULL;
    TRY(safetensors_open(path, &file));
    const char *prefix = safetensors_metadata(file, "adele.format") != NULL ? "model." : "";
    adele_status status = is_strict ? network_import(network, prefix, file)
                                    : network_import_partial(network, prefix, file);
    safetensors_close(file);
    if (status == ADELE_FORMAT)
        return FAIL(status,
                    "tools/convert_weights.py --list shows names and shapes, --rename and --drop "
                    "change them; model.init_strict: false takes what is there.",
                    "%s: %s", path, adele_error_message());
    return status;
}

static adele_status network_init(struct trainer *trainer) {
    const struct config *config = trainer->config;
    struct network_config network;
    config_network(config, &network);
    network.n_channels = trainer->resident[SPLIT_TRAIN].set.c;
    network.n_categories = trainer->n_categories;
    TRY(network_create(trainer->device, &network, &trainer->network));
    bool is_continued = false; // then the checkpoint brings the weights, and the file may be gone
    TRY(run_folder_has_checkpoint(trainer->options.run_folder, &is_continued));
    if (is_continued || strcmp(config->model.init, "default") == 0)
        return ADELE_OK;
    return weights_init(trainer->network, config->model.init, config->model.init_strict);
}

// All that follows the data.
static adele_status prepare(struct trainer *trainer) {
    const struct config *config = trainer->config;
    TRY(network_init(trainer));
    trainer->n_scales = config->loss.form == ADELE_LOSS_PLAIN ? 1 : config->loss.n_scales;
    int n_images = trainer->resident[SPLIT_TRAIN].set.n_images;
    int batch = config->train.batch < n_images ? config->train.batch : n_images;
    size_t workspace_bytes = 0;
    TRY(step_plan_init(trainer, &trainer->full, batch, &workspace_bytes));
    trainer_plan_steps(trainer);
    if (trainer->n_last_images != batch)
        TRY(step_plan_init(trainer, &trainer->rest, trainer->n_last_images, &workspace_bytes));
    TRY(buffers_init(trainer, workspace_bytes));
    TRY(optimizer_init(trainer));
    TRY(correction_init(trainer));
    TRY(evaluation_init(trainer));
    TRY(progress_init(trainer));
    plan_describe(trainer->full.plans[0]);
    TRY(trainer_check_memory(trainer));
    return network_allocate(trainer->network);
}

// Where there is no room for everything, images that need not be on the device make some.
static adele_status trainer_init(struct trainer *trainer) {
    const struct config *config = trainer->config;
    TRY(check_config(trainer));
    TRY(file_make_directory(trainer->options.run_folder));
    TRY(file_lock_folder(trainer->options.run_folder, &trainer->folder_lock));
    TRY(adele_device_open(trainer->options.device, config->train.precision, &trainer->device));
    char line[PROVENANCE_LINE_BYTES];
    provenance_of(trainer->device, &trainer->made_by);
    provenance_print(&trainer->made_by, line, sizeof line);
    log_line(LOG_INFO, "device: %s", trainer->device->description);
    log_line(LOG_DETAIL, "made by %s", line);
    TRY(trainer_load_data(trainer));
    TRY(check_augment(trainer));
    bool has_moved = false;
    adele_status status = prepare(trainer);
    if (status != ADELE_NO_MEMORY)
        return status;
    trainer_drop_preparations(trainer);
    TRY(trainer_move_images(trainer, &has_moved));
    return has_moved ? prepare(trainer) : status;
}

adele_status trainer_create(const struct trainer_options *options, struct trainer **out) {
    struct trainer *trainer = memory_calloc(1, sizeof *trainer);
    if (!trainer)
        return FAIL_NO_MEMORY(sizeof *trainer);
    trainer->options = *options;
    trainer->config = options->config;
    trainer->folder_lock = -1;
    adele_status status = trainer_init(trainer);
    if (status != ADELE_OK) {
        trainer_destroy(trainer);
        return status;
    }
    *out = trainer;
    return ADELE_OK;
}
