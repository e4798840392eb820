// SPDX-License-Identifier: MIT
#include "train/inference.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

// The network at one input scale.
struct member {
    struct plan *plan;
    struct adele_op *sample;
    struct adele_op *ensemble;
    bool is_full_size; // the sample op writes scale 0 straight into the plan's input
};

struct inference {
    const struct adele_device *device;
    struct inference_config config;
    int n_categories, c, h, w;
    struct member members[ADELE_MAX_SCALES];
    struct adele_op *decide;
    struct adele_op *crf, *decide_crf; // NULL without
    void *full_size;      // tensor (batch, C, H, W): scale 0 of a member that is not full size
    float *accumulator;   // plain (batch, n_categories, H, W)
    float *probabilities; // the same, made when first wanted
    int32_t *sample_ids;  // plain (batch), device
    int32_t *host_ids;
    void *workspace; // of the sample ops and of the CRF
};

static size_t map_floats(const struct inference *inference) {
    return (size_t)inference->config.batch * (size_t)inference->n_categories *
           (size_t)inference->h * (size_t)inference->w;
}

static adele_status member_init(struct inference *inference, struct network *network,
                                struct member *member, double scale, size_t *workspace_bytes) {
    const struct adele_device *device = inference->device;
    int n = inference->config.batch;
    int h = (int)floor(inference->h * scale), w = (int)floor(inference->w * scale);
    if (h < 1 || w < 1)
        return FAIL(ADELE_CONFIG, "Use a larger scale.", "scale %g makes images of %d x %d empty",
                    scale, inference->h, inference->w);
    member->is_full_size = h == inference->h && w == inference->w;
    TRY(network_plan(network, n, h, w, false, &member->plan));
    struct adele_sample_desc sample = {.n = n,
                                       .c = inference->c,
                                       .h = inference->h,
                                       .w = inference->w,
                                       .n_scales = member->is_full_size ? 1 : 2,
                                       .h_scale = {inference->h, h},
                                       .w_scale = {inference->w, w}};
    TRY(device->iface->sample_create(device, &sample, &member->sample));
    struct adele_shape logits = plan_output_shape(member->plan);
    struct adele_ensemble_desc ensemble = {.n = n,
                                           .c = logits.c,
                                           .h_in = logits.h,
                                           .w_in = logits.w,
                                           .h = inference->h,
                                           .w = inference->w,
                                           .mode = inference->config.average};
    TRY(device->iface->ensemble_create(device, &ensemble, &member->ensemble));
    if (member->sample->workspace_bytes > *workspace_bytes)
        *workspace_bytes = member->sample->workspace_bytes;
    return ADELE_OK;
}

// The CRF that METHOD section 3 asks for, and who decides behind it.
static adele_status crf_init(struct inference *inference, size_t *workspace_bytes) {
    const struct adele_device *device = inference->device;
    struct adele_crf_desc crf = {.n = inference->config.batch,
                                 .c = inference->n_categories,
                                 .image_c = inference->c,
                                 .h = inference->h,
                                 .w = inference->w,
                                 .iterations = inference->config.crf_iterations,
                                 .spatial_sigma = 3.0,
                                 .spatial_weight = 3.0,
                                 .bilateral_sigma = 32.0,
                                 .colour_sigma = 13.0,
                                 .bilateral_weight = 10.0};
    struct adele_decide_desc decide = {.n = inference->config.batch,
                                       .c = inference->n_categories,
                                       .h = inference->h,
                                       .w = inference->w,
                                       .mode = ADELE_ENSEMBLE_PROBABILITIES,
                                       .temperature = 1.0};
    TRY(device->iface->crf_create(device, &crf, &inference->crf));
    TRY(device->iface->decide_create(device, &decide, &inference->decide_crf));
    if (inference->crf->workspace_bytes > *workspace_bytes)
        *workspace_bytes = inference->crf->workspace_bytes;
    return ADELE_OK;
}

static adele_status allocate(struct inference *inference, size_t workspace_bytes) {
    const struct adele_device *device = inference->device;
    const struct adele_device_iface *iface = device->iface;
    int n = inference->config.batch;
    struct adele_shape full = {n, inference->c, inference->h, inference->w};
    TRY(iface->alloc(device, iface->tensor_bytes(device, full), &inference->full_size));
    TRY(iface->alloc(device, map_floats(inference) * sizeof(float),
                     (void **)&inference->accumulator));
    TRY(iface->alloc(device, (size_t)n * sizeof(int32_t), (void **)&inference->sample_ids));
    if (workspace_bytes > 0)
        TRY(iface->alloc(device, workspace_bytes, &inference->workspace));
    inference->host_ids = memory_calloc((size_t)n, sizeof *inference->host_ids);
    if (!inference->host_ids)
        return FAIL_NO_MEMORY((size_t)n * sizeof *inference->host_ids);
    return ADELE_OK;
}

adele_status inference_create(const struct adele_device *device, struct network *network,
                              const struct inference_config *config, int n_categories, int c, int h,
                              int w, struct inference **out) {
    struct inference *inference = memory_calloc(1, sizeof *inference);
    if (!inference)
        return FAIL_NO_MEMORY(sizeof *inference);
    inference->device = device;
    inference->config = *config;
    inference->n_categories = n_categories;
    inference->c = c;
    inference->h = h;
    inference->w = w;
    adele_status status;
    size_t workspace_bytes = 0;
    for (int k = 0; k < config->n_scales; k++)
        TRY_GOTO(member_init(inference, network, &inference->members[k], config->scales[k],
                             &workspace_bytes),
                 fail);
    struct adele_decide_desc decide = {.n = config->batch,
                                       .c = n_categories,
                                       .h = h,
                                       .w = w,
                                       .mode = config->average,
                                       .temperature = config->temperature};
    TRY_GOTO(device->iface->decide_create(device, &decide, &inference->decide), fail);
    if (config->crf_iterations > 0)
        TRY_GOTO(crf_init(inference, &workspace_bytes), fail);
    TRY_GOTO(allocate(inference, workspace_bytes), fail);
    *out = inference;
    return ADELE_OK;
fail:
    inference_destroy(inference);
    return status;
}

void inference_destroy(struct inference *inference) {
    if (!inference)
        return;
    const struct adele_device *device = inference->device;
    for (int k = 0; k < ADELE_MAX_SCALES; k++) {
        device->iface->op_destroy(inference->members[k].sample);
        device->iface->op_destroy(inference->members[k].ensemble);
    }
    device->iface->op_destroy(inference->decide);
    device->iface->op_destroy(inference->crf);
    device->iface->op_destroy(inference->decide_crf);
    device->iface->release(device, inference->full_size);
    device->iface->release(device, inference->accumulator);
    device->iface->release(device, inference->probabilities);
    device->iface->release(device, inference->sample_ids);
    device->iface->release(device, inference->workspace);
    memory_free(inference->host_ids);
    memory_free(inference);
}

// One member, flipped or not, added to the accumulator.
static adele_status add_member(struct inference *inference, struct member *member,
                               const struct resident *resident, bool flip, bool is_first,
                               float weight) {
    const struct adele_device_iface *iface = inference->device->iface;
    struct adele_sample_args sample = {.set = resident->set,
                                       .sample_ids = inference->sample_ids,
                                       .flip = flip,
                                       .workspace = inference->workspace};
    if (member->is_full_size) {
        sample.images[0] = plan_input(member->plan);
    } else {
        sample.images[0] = inference->full_size;
        sample.images[1] = plan_input(member->plan);
    }
    TRY(iface->sample_forward(member->sample, &sample));
    TRY(plan_forward(member->plan, false));
    struct adele_ensemble_args ensemble = {.logits = plan_output(member->plan),
                                           .is_first = is_first,
                                           .flip = flip,
                                           .weight = weight,
                                           .accumulator = inference->accumulator};
    return iface->ensemble_forward(member->ensemble, &ensemble);
}

// The average in the accumulator -> prediction, confidences and probabilities.
static adele_status decide_batch(struct inference *inference, const struct resident *resident,
                                 const struct inference_output *output) {
    const struct adele_device_iface *iface = inference->device->iface;
    struct adele_decide_args decide = {.accumulator = inference->accumulator,
                                       .sample_ids = inference->sample_ids,
                                       .prediction = output->prediction,
                                       .confidence_foreground = output->confidence_foreground,
                                       .confidence_background = output->confidence_background,
                                       .probabilities = inference->probabilities};
    TRY(iface->decide_forward(inference->decide, &decide));
    if (!inference->crf || output->without_crf)
        return ADELE_OK;
    struct adele_crf_args crf = {.probabilities = inference->probabilities,
                                 .images = resident->set.images,
                                 .sample_ids = inference->sample_ids,
                                 .dst = inference->probabilities,
                                 .workspace = inference->workspace};
    TRY(iface->crf_forward(inference->crf, &crf));
    decide.accumulator = inference->probabilities;
    decide.probabilities = NULL;
    return iface->decide_forward(inference->decide_crf, &decide);
}

static adele_status run_batch(struct inference *inference, const struct resident *resident,
                              const struct inference_output *output, int first, int n_rows) {
    const struct adele_device *device = inference->device;
    const struct inference_config *config = &inference->config;
    for (int i = 0; i < config->batch; i++)
        inference->host_ids[i] = i < n_rows ? first + i : -1;
    TRY(device->iface->upload(device, inference->sample_ids, inference->host_ids,
                              (size_t)config->batch * sizeof(int32_t)));
    int n_members = config->n_scales * (config->flip ? 2 : 1);
    bool is_first = true;
    for (int k = 0; k < config->n_scales; k++)
        for (int flip = 0; flip <= (config->flip ? 1 : 0); flip++) {
            TRY(add_member(inference, &inference->members[k], resident, flip != 0, is_first,
                           1.0f / (float)n_members));
            is_first = false;
        }
    TRY(decide_batch(inference, resident, output));
    if (!output->on_probabilities)
        return ADELE_OK;
    return output->on_probabilities(output->context, first, n_rows, inference->probabilities);
}

adele_status inference_run(struct inference *inference, const struct resident *resident,
                           const struct inference_output *output, bool (*should_stop)(void *),
                           void *stop_context) {
    const struct adele_device *device = inference->device;
    const struct adele_sample_set *set = &resident->set;
    if (set->c != inference->c || set->h != inference->h || set->w != inference->w)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "images of %d x %d x %d given to a plan for %d x %d x %d", set->c, set->h,
                    set->w, inference->c, inference->h, inference->w);
    if (inference->crf && set->pixel != ADELE_PIXEL_U8)
        return FAIL(ADELE_CONFIG, "Leave the CRF out.", "a CRF needs images of 8 bits");
    if ((output->on_probabilities || inference->crf) && !inference->probabilities)
        TRY(device->iface->alloc(device, map_floats(inference) * sizeof(float),
                                 (void **)&inference->probabilities));
    int batch = inference->config.batch;
    for (int first = 0; first < set->n_images; first += batch) {
        if (should_stop && should_stop(stop_context))
            return FAIL(ADELE_INTERRUPTED, "", "interrupted");
        int n_rows = set->n_images - first < batch ? set->n_images - first : batch;
        TRY(run_batch(inference, resident, output, first, n_rows));
    }
    return device->iface->synchronize(device);
}
