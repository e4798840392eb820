// SPDX-License-Identifier: MIT
#include "correction/ensemble.h"

#include "base/fail.h"
#include "base/memory.h"
#include "correction/ensemble_maps.h"
#include "predict/inference.h"

#include <math.h>
#include <string.h>

// ---- set-up -------------------------------------------------------------------------------------

static adele_status inference_init(struct ensemble *ensemble, struct network *network) {
    const struct run_data *data = ensemble->data;
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    const struct inference_config config = inference_config_single(ensemble->batch, 1.0);
    TRY(inference_create(data->device, network, &config, data->n_categories, set->c, set->h, set->w,
                         &ensemble->inference));
    ensemble->logits = inference_logits_shape(ensemble->inference);
    return ADELE_OK;
}

static adele_status decider_create(const struct adele_device *device,
                                   const struct adele_guided_filter_desc *filter,
                                   const struct adele_area_decision_desc *decide,
                                   struct ensemble_decider *out) {
    TRY(device->iface->guided_filter_create(device, filter, &out->filter));
    return device->iface->area_decision_create(device, decide, &out->decide);
}

static adele_status ops_init(struct ensemble *ensemble) {
    const struct run_data *data = ensemble->data;
    const struct config *config = data->config;
    const struct adele_device_iface *iface = data->device->iface;
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    int shorter = set->h < set->w ? set->h : set->w;
    const struct adele_accumulate_maps_desc accumulate = {ensemble->batch, ensemble->logits.c,
                                                          ensemble->logits.h, ensemble->logits.w};
    struct adele_guided_filter_desc filter = {.n = ensemble->batch,
                                              .c = ensemble->logits.c,
                                              .h_maps = ensemble->logits.h,
                                              .w_maps = ensemble->logits.w,
                                              .h = set->h,
                                              .w = set->w,
                                              .image_c = set->c,
                                              .pixel = set->pixel,
                                              .radius =
                                                  (int)lround(config->correction.guide * shorter),
                                              .eps = config->correction.guide_eps};
    struct adele_area_decision_desc decide = {.n = ensemble->batch,
                                              .c = ensemble->logits.c,
                                              .h = set->h,
                                              .w = set->w,
                                              .mode = config->correction.decision};
    TRY(iface->accumulate_maps_create(data->device, &accumulate, &ensemble->accumulate));
    TRY(decider_create(data->device, &filter, &decide, &ensemble->configured));
    filter.radius = 0;
    decide.mode = ADELE_AREA_ARGMAX;
    return decider_create(data->device, &filter, &decide, &ensemble->plain);
}

static adele_status buffers_init(struct ensemble *ensemble) {
    size_t n = (size_t)ensemble->batch;
    TRY(adele_device_alloc_zeroed(ensemble->data->device, n * sizeof *ensemble->sample_ids,
                                  "the ensemble", (void **)&ensemble->sample_ids));
    TRY(ALLOCATE(&ensemble->host_ids[0], n));
    return ALLOCATE(&ensemble->host_ids[1], n);
}

adele_status ensemble_init(struct ensemble *out, struct run_data *data, struct network *network,
                           const struct epoch_plan *epochs) {
    int n_images = data->resident[SPLIT_TRAIN].set.n_images;
    *out = (struct ensemble){.data = data,
                             .epochs = epochs,
                             .batch = epochs->part_images,
                             .share = image_share_mine(data->ranks, n_images, epochs->part_images)};
    TRY(inference_init(out, network));
    TRY(ops_init(out));
    TRY(ensemble_maps_allocate(out));
    return buffers_init(out);
}

void ensemble_deinit(struct ensemble *ensemble) {
    if (!ensemble->data)
        return;
    const struct adele_device *device = ensemble->data->device;
    inference_destroy(ensemble->inference);
    device->iface->op_destroy(ensemble->accumulate);
    for (int i = 0; i < 2; i++) {
        const struct ensemble_decider *decider = i ? &ensemble->plain : &ensemble->configured;
        device->iface->op_destroy(decider->filter);
        device->iface->op_destroy(decider->decide);
    }
    ensemble_maps_free(ensemble);
    device->iface->release(device, ensemble->sample_ids);
    memory_free(ensemble->host_ids[0]);
    memory_free(ensemble->host_ids[1]);
    memory_free(ensemble->collected);
    memset(ensemble, 0, sizeof *ensemble);
}

int ensemble_epoch(const struct ensemble *ensemble) {
    return ensemble->kept_epoch > 0 ? ensemble->kept_epoch : ensemble_epoch_by_config(ensemble);
}

int ensemble_epoch_by_config(const struct ensemble *ensemble) {
    double share = ensemble->data->config->correction.at;
    int epoch = (int)lround(share * ensemble->epochs->n_epochs);
    return epoch > 1 ? epoch : 1;
}

// ---- an epoch -----------------------------------------------------------------------------------

// All rows: those of images that the share does not have go to maps that are never read.
static adele_status accumulate_batch(struct ensemble *ensemble, int first) {
    struct adele_accumulate_maps_args args = {.logits = inference_logits(ensemble->inference),
                                              .beta =
                                                  (float)ensemble->data->config->correction.beta};
    TRY(ensemble_maps_fetch(ensemble, first, &args.maps));
    TRY(ensemble->data->device->iface->accumulate_maps_forward(ensemble->accumulate, &args));
    return ensemble_maps_store(ensemble, first);
}

adele_status ensemble_accumulate(struct ensemble *ensemble) {
    const struct inference_output output = {.first = ensemble->share.first,
                                            .end = ensemble->share.end};
    int first = 0, n = 0;
    if (ensemble->share.first == ensemble->share.end)
        return ADELE_OK;
    TRY(inference_begin(ensemble->inference, &ensemble->data->resident[SPLIT_TRAIN], &output));
    do {
        TRY(inference_next(ensemble->inference, &first, &n));
        if (n > 0)
            TRY(accumulate_batch(ensemble, first));
    } while (n > 0);
    return ADELE_OK;
}

// Begins to copy the images of the batch that begins with image `first`.
static adele_status fetch_images(struct ensemble *ensemble, int first, int32_t *ids) {
    for (int i = 0; i < ensemble->batch; i++)
        ids[i] = first + i < ensemble->share.end ? first + i : -1;
    return first < ensemble->share.end
               ? resident_prefetch(&ensemble->data->resident[SPLIT_TRAIN], ids, ensemble->batch)
               : ADELE_OK;
}

static adele_status decide_batch(struct ensemble *ensemble, const struct ensemble_decider *decider,
                                 int first, float scale, uint8_t *map) {
    const struct adele_device *device = ensemble->data->device;
    const struct resident *train = &ensemble->data->resident[SPLIT_TRAIN];
    bool is_u8 = train->set.pixel == ADELE_PIXEL_U8;
    struct adele_guided_filter_args filter = {.sample_ids = ensemble->sample_ids,
                                              .scale = scale,
                                              .images = train->set.images,
                                              .batch_images = resident_batch(train),
                                              .low = 0.0f, // equal: those of each image
                                              .high = is_u8 ? 255.0f : 0.0f,
                                              .dst = ensemble->q,
                                              .workspace = ensemble->workspace};
    bool is_calibrated = ensemble->is_calibrated && decider == &ensemble->configured;
    const struct adele_area_decision_args decide = {
        .q = ensemble->q,
        .sample_ids = ensemble->sample_ids,
        .area_factors = is_calibrated ? ensemble->area_factors : NULL,
        .prediction = map,
        .workspace = ensemble->workspace};
    uint16_t *maps = NULL;
    TRY(ensemble_maps_fetch(ensemble, first, &maps));
    filter.maps = maps;
    TRY(device->iface->guided_filter_forward(decider->filter, &filter));
    return device->iface->area_decision_forward(decider->decide, &decide);
}

float ensemble_scale(const struct ensemble *ensemble, int epoch) {
    return (float)(1.0 / (1.0 - pow(ensemble->data->config->correction.beta, epoch)));
}

adele_status ensemble_decide(struct ensemble *ensemble, int epoch, bool is_plain, uint8_t *map) {
    const struct adele_device *device = ensemble->data->device;
    struct resident *train = &ensemble->data->resident[SPLIT_TRAIN];
    const struct ensemble_decider *decider = is_plain ? &ensemble->plain : &ensemble->configured;
    float scale = ensemble_scale(ensemble, epoch);
    int32_t *ids = ensemble->host_ids[0], *next = ensemble->host_ids[1];
    TRY(fetch_images(ensemble, ensemble->share.first, next));
    for (int first = ensemble->share.first; first < ensemble->share.end; first += ensemble->batch) {
        memcpy(ids, next, (size_t)ensemble->batch * sizeof *ids);
        TRY(resident_swap(train));
        TRY(fetch_images(ensemble, first + ensemble->batch, next));
        TRY(device->iface->upload(device, ensemble->sample_ids, ids,
                                  (size_t)ensemble->batch * sizeof *ids));
        TRY(decide_batch(ensemble, decider, first, scale, map));
    }
    return device->iface->synchronize(device);
}

adele_status ensemble_close(struct ensemble *ensemble) {
    const struct adele_device *device = ensemble->data->device;
    TRY(device->iface->synchronize(device));
    ensemble_maps_free(ensemble);
    return ADELE_OK;
}
