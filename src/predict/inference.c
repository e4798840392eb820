// SPDX-License-Identifier: MIT
#include "predict/inference.h"

#include "base/fail.h"
#include "base/memory.h"
#include "nn/memory_check.h"
#include "predict/inference_maps.h"

#include <math.h>
#include <string.h>

struct inference_config inference_config_single(int batch, double scale) {
    return (struct inference_config){.batch = batch,
                                     .n_scales = 1,
                                     .scales = {scale},
                                     .average = ADELE_ENSEMBLE_PROBABILITIES,
                                     .temperature = 1.0};
}

// The network at one input scale.
struct member {
    struct plan *plan;
    struct adele_op *sample;
    bool is_full_size; // the sample op writes scale 0 into the plan's input directly
};

struct inference {
    const struct adele_device *device;
    struct inference_config config;
    int c, h, w; // of the images
    struct member members[INFERENCE_MAX_SCALES];
    struct inference_maps maps; // at the size of the last prediction
    void *full_size;     // tensor (batch, C, H, W): scale 0 of a member that is not full size
    int32_t *sample_ids; // plain (batch), device
    int32_t *host_ids, *next_ids;
    void *workspace; // of the sample ops
    // Of the set that is being predicted:
    struct resident *resident; // borrowed
    struct inference_output output;
    int i_next; // first image of the next batch
    int end;    // behind the last image
};

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
    if (member->sample->workspace_bytes > *workspace_bytes)
        *workspace_bytes = member->sample->workspace_bytes;
    return ADELE_OK;
}

// Maps of another size than the last time need other ops and memory.
static adele_status maps_of_size(struct inference *inference, int h, int w) {
    if (inference->maps.h == h && inference->maps.w == w)
        return ADELE_OK;
    inference_maps_deinit(&inference->maps);
    struct adele_shape logits[INFERENCE_MAX_SCALES];
    for (int k = 0; k < inference->config.n_scales; k++)
        logits[k] = plan_output_shape(inference->members[k].plan);
    return inference_maps_init(&inference->maps, inference->device, &inference->config, logits,
                               inference->c, h, w);
}

static adele_status allocate(struct inference *inference, size_t workspace_bytes) {
    const struct adele_device *device = inference->device;
    const struct adele_device_iface *iface = device->iface;
    int n = inference->config.batch;
    struct adele_shape full = {n, inference->c, inference->h, inference->w};
    TRY(iface->alloc(device, iface->tensor_bytes(device, full), &inference->full_size));
    TRY(iface->alloc(device, (size_t)n * sizeof(int32_t), (void **)&inference->sample_ids));
    if (workspace_bytes > 0)
        TRY(iface->alloc(device, workspace_bytes, &inference->workspace));
    TRY(ALLOCATE(&inference->host_ids, n));
    return ALLOCATE(&inference->next_ids, n);
}

adele_status inference_create(const struct adele_device *device, struct network *network,
                              const struct inference_config *config, int n_categories, int c, int h,
                              int w, struct inference **out) {
    OWNED_BY(inference_destroy) struct inference *inference = NULL;
    TRY(ALLOCATE(&inference, 1));
    inference->device = device;
    inference->config = *config;
    inference->c = c;
    inference->h = h;
    inference->w = w;
    size_t workspace_bytes = 0;
    for (int k = 0; k < config->n_scales; k++)
        TRY(member_init(inference, network, &inference->members[k], config->scales[k],
                        &workspace_bytes));
    if (plan_output_shape(inference->members[0].plan).c != n_categories)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "a network of %d classes, asked for %d",
                    plan_output_shape(inference->members[0].plan).c, n_categories);
    TRY(maps_of_size(inference, h, w));
    TRY(allocate(inference, workspace_bytes));
    *out = inference;
    inference = NULL;
    return ADELE_OK;
}

adele_status inference_check_memory(const struct inference *inference, struct network *network,
                                    int n_processes) {
    struct plan *plans[INFERENCE_MAX_SCALES];
    bool is_shared = n_processes > 1 && resident_is_host_memory(inference->device);
    size_t of_others = (size_t)(n_processes - 1) * network_planned_bytes(network);
    for (int k = 0; k < inference->config.n_scales; k++)
        plans[k] = inference->members[k].plan;
    const struct memory_request request = {.device = inference->device,
                                           .network = network,
                                           .plans = plans,
                                           .n_plans = inference->config.n_scales,
                                           .later_bytes = is_shared ? of_others : 0,
                                           .batch_hint = "Set --batch to that.",
                                           .single_hint =
                                               is_shared ? "Start fewer processes on this host."
                                                         : "Close other programs, or use smaller "
                                                           "--scales."};
    return memory_check(&request);
}

void inference_destroy(struct inference *inference) {
    if (!inference)
        return;
    const struct adele_device *device = inference->device;
    for (int k = 0; k < INFERENCE_MAX_SCALES; k++)
        device->iface->op_destroy(inference->members[k].sample);
    inference_maps_deinit(&inference->maps);
    device->iface->release(device, inference->full_size);
    device->iface->release(device, inference->sample_ids);
    device->iface->release(device, inference->workspace);
    memory_free(inference->host_ids);
    memory_free(inference->next_ids);
    memory_free(inference);
}

// The logits of one member, flipped or not.
static adele_status run_member(struct inference *inference, int k, bool flip) {
    const struct adele_device_iface *iface = inference->device->iface;
    struct member *member = &inference->members[k];
    struct adele_sample_args sample = {.set = inference->resident->set,
                                       .sample_ids = inference->sample_ids,
                                       .batch_images = resident_batch(inference->resident),
                                       .flip = flip,
                                       .workspace = inference->workspace};
    if (member->is_full_size) {
        sample.images[0] = plan_input(member->plan);
    } else {
        sample.images[0] = inference->full_size;
        sample.images[1] = plan_input(member->plan);
    }
    TRY(iface->sample_forward(member->sample, &sample));
    return plan_forward(member->plan, false);
}

// These, added to the accumulator.
static adele_status add_member(struct inference *inference, int k, bool flip, bool is_first,
                               float weight) {
    const struct adele_device_iface *iface = inference->device->iface;
    TRY(run_member(inference, k, flip));
    struct adele_ensemble_args ensemble = {.logits = plan_output(inference->members[k].plan),
                                           .is_first = is_first,
                                           .flip = flip,
                                           .weight = weight,
                                           .accumulator = inference->maps.accumulator};
    return iface->ensemble_forward(inference->maps.ensembles[k], &ensemble);
}

// Sets next_ids to the batch that begins with image `first`, and begins to copy its images.
static adele_status fetch_batch(struct inference *inference, int first) {
    struct resident *resident = inference->resident;
    for (int i = 0; i < inference->config.batch; i++)
        inference->next_ids[i] = first + i < inference->end ? first + i : -1;
    return first < inference->end
               ? resident_prefetch(resident, inference->next_ids, inference->config.batch)
               : ADELE_OK;
}

static adele_status predict_batch(struct inference *inference, int first) {
    struct resident *resident = inference->resident;
    const struct inference_output *output = &inference->output;
    const struct adele_device *device = inference->device;
    const struct inference_config *config = &inference->config;
    memcpy(inference->host_ids, inference->next_ids,
           (size_t)config->batch * sizeof *inference->host_ids);
    TRY(resident_swap(resident));
    TRY(fetch_batch(inference, first + config->batch));
    TRY(device->iface->upload(device, inference->sample_ids, inference->host_ids,
                              (size_t)config->batch * sizeof(int32_t)));
    if (!output->prediction)
        return run_member(inference, 0, false);
    int n_flips = config->flip ? 2 : 1;
    float weight = 1.0f / (float)(config->n_scales * n_flips);
    for (int k = 0; k < config->n_scales; k++)
        for (int flip = 0; flip < n_flips; flip++)
            TRY(add_member(inference, k, flip != 0, k == 0 && flip == 0, weight));
    struct inference_view view = {resident->set.images, inference->sample_ids};
    if (output->crf_images)
        view.images = output->crf_images;
    else if (resident_batch(resident))
        view = (struct inference_view){resident_batch(resident), NULL};
    return inference_maps_decide(&inference->maps, inference->sample_ids, &view, output);
}

adele_status inference_output_end(const struct inference_output *output, int batch, int n_images,
                                  int *out_end) {
    int first = output->first, end = output->end == 0 ? n_images : output->end;
    bool is_whole = first % batch == 0 && (end % batch == 0 || end == n_images);
    if (first < 0 || first > end || end > n_images || !is_whole)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give whole batches of the set.",
                    "images %d to %d of a set of %d, in batches of %d", first, end - 1, n_images,
                    batch);
    *out_end = end;
    return ADELE_OK;
}

adele_status inference_begin(struct inference *inference, struct resident *resident,
                             const struct inference_output *output) {
    const struct adele_sample_set *set = &resident->set;
    if (set->c != inference->c || set->h != inference->h || set->w != inference->w)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "images of %d x %d x %d given to a plan for %d x %d x %d", set->c, set->h,
                    set->w, inference->c, inference->h, inference->w);
    TRY(inference_output_end(output, inference->config.batch, set->n_images, &inference->end));
    TRY(maps_of_size(inference, output->h > 0 ? output->h : set->h,
                     output->w > 0 ? output->w : set->w));
    bool has_crf = inference->maps.crf && !output->without_crf;
    if (has_crf && set->pixel != ADELE_PIXEL_U8)
        return FAIL(ADELE_CONFIG, "Leave the CRF out.", "a CRF needs images of 8 bits");
    if (has_crf && !output->crf_images &&
        (inference->maps.h != set->h || inference->maps.w != set->w))
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "a CRF at %d x %d needs images of that size, they have %d x %d",
                    inference->maps.h, inference->maps.w, set->h, set->w);
    if (output->with_probabilities || has_crf)
        TRY(inference_maps_allocate_probabilities(&inference->maps));
    inference->resident = resident;
    inference->output = *output;
    inference->i_next = output->first;
    return fetch_batch(inference, output->first);
}

adele_status inference_next(struct inference *inference, int *out_first, int *out_n) {
    const struct adele_device *device = inference->device;
    int first = inference->i_next, batch = inference->config.batch;
    int n_left = inference->end - first;
    *out_first = first;
    *out_n = 0;
    if (n_left <= 0)
        return device->iface->synchronize(device);
    TRY(predict_batch(inference, first));
    *out_n = n_left < batch ? n_left : batch;
    inference->i_next = first + batch;
    return ADELE_OK;
}

const float *inference_probabilities(const struct inference *inference) {
    return inference->maps.probabilities;
}

const void *inference_logits(const struct inference *inference) {
    return plan_output(inference->members[0].plan);
}

struct adele_shape inference_logits_shape(const struct inference *inference) {
    return plan_output_shape(inference->members[0].plan);
}
