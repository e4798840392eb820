// SPDX-License-Identifier: MIT
// What a corrector is made of.
#include "run/corrector.h"

#include "base/fail.h"
#include "base/memory.h"

#include <string.h>

struct schedule_config corrector_schedule(const struct corrector *corrector) {
    const struct config *config = corrector->data->config;
    struct schedule_config schedule = {
        .mode =
            config->correction.per_category ? SCHEDULE_PER_CATEGORY : config->correction.all_from,
        .every = config_has_ensemble(config) ? 0 // once
                                             : config->correction.every,
        .n_categories = corrector->data->n_categories};
    onset_config_init(&schedule.onset, config->correction.pipeline);
    schedule.onset.r = config->correction.r;
    schedule.onset.smooth = config->correction.smooth;
    // With the veto, a curve of fewer values needs a larger margin instead (veto.c).
    if (config->correction.veto <= 0.0 || config_has_ensemble(config))
        schedule.onset.min_points = config->correction.min_points;
    schedule.onset.while_rising = config->correction.while_rising;
    if (config->correction.pipeline == ONSET_SEGTHOR)
        schedule.onset.n_epochs = corrector->epochs->n_epochs;
    else {
        schedule.onset.interval_iterations = config->correction.interval;
        schedule.onset.iterations_per_epoch =
            (double)corrector->data->resident[SPLIT_TRAIN].set.n_images / corrector->epochs->batch;
    }
    return schedule;
}

static adele_status inference_init(struct corrector *corrector, struct network *network) {
    const struct config *config = corrector->data->config;
    const struct adele_sample_set *set = &corrector->data->resident[SPLIT_TRAIN].set;
    struct inference_config inference =
        run_data_inference(corrector->data, corrector->epochs->part_images, 1.0);
    inference.n_scales = config->correction.n_scales;
    inference.flip = config->correction.flip;
    inference.average = config->correction.average;
    inference.temperature = config->correction.temperature;
    inference.crf_iterations = config->correction.crf_iterations;
    bool has_crf_image = set->pixel == ADELE_PIXEL_U8 && (set->c == 1 || set->c == 3);
    if (inference.crf_iterations > 0 && !has_crf_image)
        return FAIL(ADELE_CONFIG, "Set correction.crf_iterations: 0.",
                    "correction.crf_iterations: %d, but a CRF needs gray or RGB images of 8 bits",
                    inference.crf_iterations);
    memcpy(inference.scales, config->correction.scales, sizeof config->correction.scales);
    return set_inference_create(
        corrector->data->device, network, &inference, corrector->data->images[SPLIT_TRAIN].origin,
        corrector->data->n_categories, set->c, set->h, set->w, &corrector->inference);
}

static adele_status ops_init(struct corrector *corrector) {
    const struct config *config = corrector->data->config;
    const struct adele_device *device = corrector->data->device;
    const struct adele_sample_set *set = &corrector->data->resident[SPLIT_TRAIN].set;
    struct adele_correct_desc desc = {.n = corrector->prediction.n,
                                      .n_categories = corrector->data->n_categories,
                                      .h = set->h,
                                      .w = set->w,
                                      .rule = config->correction.rule,
                                      .tau_foreground = config->correction.tau,
                                      .tau_background = config->correction.tau_background,
                                      .class_constraint = config->correction.class_constraint,
                                      .mask = config->correction.mask,
                                      .logic255 = config->correction.logic255,
                                      .guard = config->correction.guard};
    if (config_has_ensemble(config)) // every confidence, which is 0, is above the threshold
        desc = (struct adele_correct_desc){.n = desc.n,
                                           .n_categories = desc.n_categories,
                                           .h = desc.h,
                                           .w = desc.w,
                                           .rule = ADELE_CORRECT_BOTH,
                                           .tau_foreground = -1.0,
                                           .tau_background = -1.0,
                                           .class_constraint = desc.class_constraint};
    TRY(device->iface->correct_create(device, &desc, &corrector->correct));
    desc.n = set->n_images % desc.n;
    return desc.n > 0 ? device->iface->correct_create(device, &desc, &corrector->correct_rest)
                      : ADELE_OK;
}

static void find_labelled(struct corrector *corrector) {
    const struct dataset_images *images = &corrector->data->images[SPLIT_TRAIN];
    size_t n_pixels = (size_t)images->n * (size_t)images->h * (size_t)images->w;
    for (size_t i = 0; i < n_pixels; i++)
        corrector->is_labelled[images->labels[i]] = true;
}

static adele_status device_init(struct corrector *corrector,
                                const struct corrector_options *options) {
    const struct run_data *data = corrector->data;
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    struct prediction *prediction = &corrector->prediction;
    bool is_ensemble = config_has_ensemble(data->config);
    bool is_whole = data->config->correction.source == SOURCE_TRAINING_PASS && !is_ensemble;
    prediction->n = is_whole ? set->n_images : options->epochs->part_images;
    size_t n_pixels = (size_t)prediction->n * (size_t)set->h * (size_t)set->w;
    size_t bytes = n_pixels * sizeof(float);
    TRY(adele_device_alloc_zeroed(data->device, n_pixels, "the correction",
                                  (void **)&prediction->category));
    TRY(adele_device_alloc_zeroed(data->device, bytes, "the correction",
                                  (void **)&prediction->confidence_foreground));
    TRY(adele_device_alloc_zeroed(data->device, bytes, "the correction",
                                  (void **)&prediction->confidence_background));
    TRY(ops_init(corrector));
    if (ranks_count(data->ranks) > 1)
        TRY(ALLOCATE(&corrector->owners, set->n_images));
    TRY(shared_counter_init(&corrector->counter, data, SPLIT_TRAIN, options->epochs->part_images));
    TRY(data->device->iface->alloc(data->device, sizeof(int64_t), (void **)&corrector->n_changed));
    TRY(data->device->iface->alloc(data->device, resident_map_bytes(&data->resident[SPLIT_TRAIN]),
                                   (void **)&corrector->scratch_map));
    if (is_ensemble) {
        find_labelled(corrector);
        TRY(ensemble_init(&corrector->ensemble, corrector->data, options->network,
                          options->epochs));
        // The scratch map is free until the labels are rewritten.
        ensemble_gate_init(&corrector->gate, &corrector->ensemble, corrector->scratch_map);
        return ADELE_OK;
    }
    TRY(veto_init(corrector, options));
    return is_whole ? ADELE_OK : inference_init(corrector, options->network);
}

adele_status corrector_init(struct corrector *out, struct run_data *data,
                            const struct corrector_options *options) {
    const struct config *config = data->config;
    size_t n_epochs = (size_t)options->epochs->n_epochs, n_values = n_epochs;
    memset(out, 0, sizeof *out);
    out->data = data;
    out->epochs = options->epochs;
    out->network = options->network;
    if (config->correction.pipeline == ONSET_VOC)
        n_values = (size_t)(options->epochs->n_steps_total / config->correction.interval);
    TRY(curves_init(&out->curves, data->n_categories, n_values));
    TRY(ALLOCATE(&out->corrected, (n_epochs + 1) * 256));
    return config->correction.enabled ? device_init(out, options) : ADELE_OK;
}

void corrector_deinit(struct corrector *corrector) {
    if (!corrector->data)
        return;
    const struct adele_device *device = corrector->data->device;
    curves_deinit(&corrector->curves);
    memory_free(corrector->corrected);
    memory_free(corrector->owners);
    set_inference_destroy(corrector->inference);
    device->iface->op_destroy(corrector->correct);
    device->iface->op_destroy(corrector->correct_rest);
    device->iface->release(device, corrector->prediction.category);
    device->iface->release(device, corrector->prediction.confidence_foreground);
    device->iface->release(device, corrector->prediction.confidence_background);
    device->iface->release(device, corrector->scratch_map);
    device->iface->release(device, corrector->n_changed);
    shared_counter_deinit(&corrector->counter);
    veto_deinit(corrector);
    ensemble_deinit(&corrector->ensemble);
    memset(corrector, 0, sizeof *corrector);
}
