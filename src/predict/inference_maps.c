// SPDX-License-Identifier: MIT
#include "predict/inference_maps.h"

#include "base/fail.h"

#include <string.h>

// The CRF of METHOD section 3, and the op that turns its probabilities into a prediction.
static adele_status crf_init(struct inference_maps *maps, const struct inference_config *config,
                             int n_categories, int image_c) {
    const struct adele_device *device = maps->device;
    struct adele_crf_desc crf = {.n = config->batch,
                                 .c = n_categories,
                                 .image_c = image_c,
                                 .h = maps->h,
                                 .w = maps->w,
                                 .iterations = config->crf_iterations,
                                 .spatial_sigma = 3.0,
                                 .spatial_weight = 3.0,
                                 .bilateral_sigma = 32.0,
                                 .colour_sigma = 13.0,
                                 .bilateral_weight = 10.0};
    struct adele_decide_desc decide = {.n = config->batch,
                                       .c = n_categories,
                                       .h = maps->h,
                                       .w = maps->w,
                                       .mode = ADELE_ENSEMBLE_PROBABILITIES,
                                       .temperature = 1.0};
    TRY(device->iface->crf_create(device, &crf, &maps->crf));
    TRY(device->iface->decide_create(device, &decide, &maps->decide_crf));
    if (maps->crf->workspace_bytes == 0)
        return ADELE_OK;
    return device->iface->alloc(device, maps->crf->workspace_bytes, &maps->workspace);
}

static adele_status init(struct inference_maps *maps, const struct inference_config *config,
                         const struct adele_shape *logits, int image_c) {
    const struct adele_device *device = maps->device;
    for (int k = 0; k < config->n_scales; k++) {
        struct adele_ensemble_desc ensemble = {.n = config->batch,
                                               .c = logits[k].c,
                                               .h_in = logits[k].h,
                                               .w_in = logits[k].w,
                                               .h = maps->h,
                                               .w = maps->w,
                                               .mode = config->average};
        TRY(device->iface->ensemble_create(device, &ensemble, &maps->ensembles[k]));
    }
    struct adele_decide_desc decide = {.n = config->batch,
                                       .c = logits[0].c,
                                       .h = maps->h,
                                       .w = maps->w,
                                       .mode = config->average,
                                       .temperature = config->temperature};
    TRY(device->iface->decide_create(device, &decide, &maps->decide));
    if (config->crf_iterations > 0)
        TRY(crf_init(maps, config, logits[0].c, image_c));
    return device->iface->alloc(device, maps->n_floats * sizeof(float),
                                (void **)&maps->accumulator);
}

adele_status inference_maps_init(struct inference_maps *out, const struct adele_device *device,
                                 const struct inference_config *config,
                                 const struct adele_shape *logits, int image_c, int h, int w) {
    memset(out, 0, sizeof *out);
    out->device = device;
    out->h = h;
    out->w = w;
    out->n_floats = (size_t)config->batch * (size_t)logits[0].c * (size_t)h * (size_t)w;
    adele_status status = init(out, config, logits, image_c);
    if (status != ADELE_OK)
        inference_maps_deinit(out);
    return status;
}

void inference_maps_deinit(struct inference_maps *maps) {
    if (maps->device) {
        const struct adele_device_iface *iface = maps->device->iface;
        for (int k = 0; k < INFERENCE_MAX_SCALES; k++)
            iface->op_destroy(maps->ensembles[k]);
        iface->op_destroy(maps->decide);
        iface->op_destroy(maps->crf);
        iface->op_destroy(maps->decide_crf);
        iface->release(maps->device, maps->accumulator);
        iface->release(maps->device, maps->probabilities);
        iface->release(maps->device, maps->workspace);
    }
    memset(maps, 0, sizeof *maps);
}

adele_status inference_maps_allocate_probabilities(struct inference_maps *maps) {
    if (maps->probabilities)
        return ADELE_OK;
    return maps->device->iface->alloc(maps->device, maps->n_floats * sizeof(float),
                                      (void **)&maps->probabilities);
}

adele_status inference_maps_decide(struct inference_maps *maps, const int32_t *sample_ids,
                                   const struct inference_view *view,
                                   const struct inference_output *output) {
    const struct adele_device_iface *iface = maps->device->iface;
    struct adele_decide_args decide = {.accumulator = maps->accumulator,
                                       .sample_ids = output->is_by_batch ? NULL : sample_ids,
                                       .prediction = output->prediction,
                                       .confidence_foreground = output->confidence_foreground,
                                       .confidence_background = output->confidence_background,
                                       .probabilities = maps->probabilities};
    TRY(iface->decide_forward(maps->decide, &decide));
    if (!maps->crf || output->without_crf)
        return ADELE_OK;
    struct adele_crf_args crf = {.probabilities = maps->probabilities,
                                 .images = view->images,
                                 .sample_ids = view->sample_ids,
                                 .dst = maps->probabilities,
                                 .workspace = maps->workspace};
    TRY(iface->crf_forward(maps->crf, &crf));
    decide.accumulator = maps->probabilities;
    decide.probabilities = NULL;
    return iface->decide_forward(maps->decide_crf, &decide);
}
