// SPDX-License-Identifier: MIT
// Plans, ops and buffers of a training step.
#include "base/fail.h"
#include "base/memory.h"
#include "step/class_weights.h"
#include "step/training_step.h"

#include <math.h>
#include <string.h>

// The size of the images that a step trains on.
static void crop_size(struct run_data *data, int *height, int *width) {
    const int *crop = data->config->data.crop;
    const struct adele_sample_set *set = &run_data_training_set(data)->set;
    *height = crop[0] > 0 ? crop[0] : set->h;
    *width = crop[1] > 0 ? crop[1] : set->w;
}

static size_t largest(size_t a, size_t b) {
    return a > b ? a : b;
}

static adele_status dice_init(const struct training_step *step, struct batch_plan *batch,
                              const struct adele_loss_desc *loss, size_t *workspace_bytes) {
    const struct config *config = step->data->config;
    const struct adele_device *device = step->data->device;
    const struct adele_dice_desc desc = {.n = loss->n,
                                         .c = loss->c,
                                         .h = loss->h,
                                         .w = loss->w,
                                         .h_logits = loss->h_scale[0],
                                         .w_logits = loss->w_scale[0],
                                         .per_image = config->loss.dice_reduction == DICE_OF_IMAGE,
                                         .weight = config->loss.dice};
    if (desc.weight == 0.0)
        return ADELE_OK;
    if (desc.c < 2)
        return FAIL(ADELE_CONFIG, "Leave loss.dice out.",
                    "loss.dice is %g, but %s has no foreground class", desc.weight,
                    config->data.root);
    TRY(device->iface->dice_create(device, &desc, &batch->dice));
    *workspace_bytes = largest(*workspace_bytes, batch->dice->workspace_bytes);
    return ADELE_OK;
}

// The ops behind `sample`, which makes scale 0 alone then.
static adele_status intensity_init(const struct training_step *step, struct batch_plan *batch,
                                   struct adele_sample_desc *sample, size_t *workspace_bytes) {
    const struct config *config = step->data->config;
    const struct adele_device *device = step->data->device;
    const struct adele_augment_intensity_desc desc = {
        sample->n, sample->c, sample->h, sample->w, config->data.intensity, sample->seed};
    if (!config_has_intensity(config))
        return ADELE_OK;
    TRY(device->iface->augment_intensity_create(device, &desc, &batch->intensity));
    *workspace_bytes = largest(*workspace_bytes, batch->intensity->workspace_bytes);
    for (int k = 1; k < sample->n_scales; k++) {
        int h = sample->h_scale[k], w = sample->w_scale[k];
        const struct adele_rescale_desc rescale = {.n = sample->n,
                                                   .c = sample->c,
                                                   .h_in = sample->h,
                                                   .w_in = sample->w,
                                                   .h_out = h,
                                                   .w_out = w,
                                                   .h_dst = h,
                                                   .w_dst = w};
        TRY(device->iface->rescale_create(device, &rescale, &batch->rescales[k]));
        *workspace_bytes = largest(*workspace_bytes, batch->rescales[k]->workspace_bytes);
    }
    sample->n_scales = 1;
    return ADELE_OK;
}

static adele_status batch_plan_init(struct training_step *step, struct batch_plan *batch, int n,
                                    size_t *workspace_bytes) {
    const struct config *config = step->data->config;
    const struct adele_device *device = step->data->device;
    int height, width;
    crop_size(step->data, &height, &width);
    struct adele_sample_desc sample = {.n = n,
                                       .c = run_data_training_set(step->data)->set.c,
                                       .h = height,
                                       .w = width,
                                       .n_scales = step->n_scales,
                                       .augment = config->data.augment,
                                       .seed = config->train.seed};
    struct adele_loss_desc loss = {.n = n,
                                   .c = step->data->n_categories,
                                   .h = height,
                                   .w = width,
                                   .n_scales = step->n_scales,
                                   .form = config->loss.form,
                                   .lambda = config->loss.lambda,
                                   .rho = config->loss.rho,
                                   .divisor = config->loss.divisor,
                                   .learn_scale_weights = config->loss.learn_scale_weights};
    batch->n = n;
    for (int k = 0; k < step->n_scales; k++) {
        int h = (int)floor(height * config->loss.scales[k]);
        int w = (int)floor(width * config->loss.scales[k]);
        TRY(network_plan(step->network, n, h, w, true, &batch->plans[k]));
        TRY(plan_check_statistics(batch->plans[k]));
        struct adele_shape logits = plan_output_shape(batch->plans[k]);
        sample.h_scale[k] = h;
        sample.w_scale[k] = w;
        loss.h_scale[k] = logits.h;
        loss.w_scale[k] = logits.w;
    }
    TRY(network_group(step->network, step->n_scales, batch->plans, &batch->group));
    TRY(intensity_init(step, batch, &sample, workspace_bytes));
    TRY(device->iface->sample_create(device, &sample, &batch->sample));
    TRY(device->iface->loss_create(device, &loss, &batch->loss));
    TRY(dice_init(step, batch, &loss, workspace_bytes));
    *workspace_bytes = largest(*workspace_bytes, batch->sample->workspace_bytes);
    *workspace_bytes = largest(*workspace_bytes, batch->loss->workspace_bytes);
    return ADELE_OK;
}

static adele_status plans_init(struct training_step *step, size_t *workspace_bytes) {
    const struct config *config = step->data->config;
    int n_images = run_data_training_set(step->data)->set.n_images;
    int n_parts = config->train.parts;
    int batch =
        (config->train.batch < n_images ? config->train.batch : n_images) / n_parts * n_parts;
    bool needs_two_images = false;
    if (batch == 0)
        return FAIL(ADELE_CONFIG, "Make train.parts smaller.",
                    "train.parts is %d, but %s has %d training images", n_parts, config->data.root,
                    n_images);
    TRY(step_parts_divide(&step->parts, n_parts, step->data->ranks));
    TRY(batch_plan_init(step, &step->full, batch / n_parts, workspace_bytes));
    for (int k = 0; k < step->n_scales; k++)
        needs_two_images = needs_two_images || plan_needs_two_images(step->full.plans[k]);
    epoch_plan_init(&step->epochs, config, n_images, batch, needs_two_images);
    int n_last = step->epochs.n_last_images;
    return n_last == batch ? ADELE_OK
                           : batch_plan_init(step, &step->rest, n_last / n_parts, workspace_bytes);
}

static adele_status buffers_init(struct training_step *step, size_t workspace_bytes) {
    const struct adele_device *device = step->data->device;
    const struct adele_sample_set *set = &run_data_training_set(step->data)->set;
    size_t n = (size_t)(step->full.n > step->rest.n ? step->full.n : step->rest.n);
    int height, width;
    crop_size(step->data, &height, &width);
    size_t maps = n * (size_t)height * (size_t)width, n_images = (size_t)set->n_images;
    size_t n_parts = (size_t)step->parts.n;
    size_t n_statistics = (size_t)network_graph(step->network)->n_buffers;
    bool is_adamw = step->data->config->train.optimizer == OPTIMIZER_ADAMW;
    const struct {
        void **block;
        size_t bytes;
    } blocks[] = {
        {(void **)&step->labels, maps},
        {(void **)&step->noisy, maps},
        {(void **)&step->truth, set->truth ? maps : 0},
        {(void **)&step->order, n_images * sizeof *step->order},
        {&step->workspace, workspace_bytes},
        {(void **)&step->counts, ADELE_COUNT_SIZE * sizeof *step->counts},
        {(void **)&step->sums, n_parts * ADELE_SUM_COUNT * sizeof *step->sums},
        {(void **)&step->loss_is_finite, (n_parts + 1) * sizeof *step->loss_is_finite},
        {(void **)&step->good_statistics, n_statistics * sizeof *step->good_statistics},
        {(void **)&step->scale_second,
         is_adamw ? ADELE_MAX_SCALES * sizeof *step->scale_second : 0},
        {(void **)&step->n_updates, is_adamw ? 2 * sizeof *step->n_updates : 0},
        {(void **)&step->scale_state, (size_t)3 * ADELE_MAX_SCALES * sizeof *step->scale_state}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        step->planned_buffer_bytes += blocks[i].bytes;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (blocks[i].bytes > 0)
            TRY(adele_device_alloc_zeroed(device, blocks[i].bytes, "a training step",
                                          blocks[i].block));
        step->buffer_bytes += blocks[i].bytes;
    }
    TRY(ALLOCATE(&step->host_order, n_images));
    return device->iface->alloc_pinned(device, 2 * ADELE_HEALTH_COUNT * sizeof(int64_t),
                                       (void **)&step->health);
}

static adele_status class_weights_init(struct training_step *step) {
    const struct adele_device *device = step->data->device;
    float weights[ADELE_MAX_CATEGORIES];
    bool has_weights = false;
    size_t bytes = (size_t)step->data->n_categories * sizeof *weights;
    TRY(class_weights_find(step->data, weights, &has_weights));
    if (!has_weights)
        return ADELE_OK;
    TRY(device->iface->alloc(device, bytes, (void **)&step->class_weights));
    return device->iface->upload(device, step->class_weights, weights, bytes);
}

static adele_status update_create(const struct training_step *step,
                                  const struct adele_sgd_desc *desc, struct adele_op **out) {
    const struct adele_device *device = step->data->device;
    if (step->data->config->train.optimizer == OPTIMIZER_SGD)
        return device->iface->sgd_create(device, desc, out);
    const struct adele_adamw_desc adamw = {desc->n_segments, desc->segments};
    return device->iface->adamw_create(device, &adamw, out);
}

static adele_status optimizer_init(struct training_step *step) {
    const struct graph *graph = network_graph(step->network);
    float decay = (float)step->data->config->train.weight_decay;
    OWNED struct adele_sgd_segment *segments = NULL;
    TRY(ALLOCATE(&segments, graph->n_parameters));
    struct adele_sgd_desc desc = {.segments = segments};
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (parameter->is_buffer)
            continue;
        segments[desc.n_segments++] =
            (struct adele_sgd_segment){.offset = parameter->offset,
                                       .count = parameter->count,
                                       .lr_scale = parameter->lr_scale,
                                       .decay = parameter->has_decay ? decay : 0.0f};
    }
    struct divided_update *divided = &step->parts.divided;
    if (step->parts.is_divided) {
        TRY(divided_update_choose(divided, desc.n_segments, segments));
        desc = (struct adele_sgd_desc){divided->n_segments, divided->segments};
    }
    TRY(update_create(step, &desc, &step->update));
    // METHOD section 4: the scale weights learn at the base rate, without decay.
    struct adele_sgd_segment scales = {.count = step->n_scales, .lr_scale = 1.0f};
    struct adele_sgd_desc desc_scales = {.n_segments = 1, .segments = &scales};
    TRY(update_create(step, &desc_scales, &step->update_scales));
    return step->data->config->train.optimizer == OPTIMIZER_ADAMW
               ? network_add_second_moments(step->network)
               : ADELE_OK;
}

adele_status training_step_init(struct training_step *out, struct run_data *data,
                                struct network *network) {
    const struct config *config = data->config;
    size_t workspace_bytes = 0;
    memset(out, 0, sizeof *out);
    out->data = data;
    out->network = network;
    out->n_scales = config->loss.form == ADELE_LOSS_PLAIN ? 1 : config->loss.n_scales;
    TRY(plans_init(out, &workspace_bytes));
    TRY(buffers_init(out, workspace_bytes));
    TRY(step_parts_init(out));
    out->buffer_bytes += step_parts_bytes(&out->parts);
    out->planned_buffer_bytes += step_parts_bytes(&out->parts);
    TRY(class_weights_init(out));
    TRY(optimizer_init(out));
    return config->train.average
               ? averaged_weights_init(&out->averaged, data->device, network, out->parts.is_divided)
               : ADELE_OK;
}

void training_step_deinit(struct training_step *step) {
    if (!step->data)
        return;
    const struct adele_device *device = step->data->device;
    const struct batch_plan *const batches[] = {&step->full, &step->rest};
    struct adele_op *const updates[] = {step->update, step->update_scales};
    void *const blocks[] = {step->labels,          step->noisy,       step->truth,
                            step->order,           step->workspace,   step->counts,
                            step->loss_is_finite,  step->scale_state, step->health,
                            step->good_statistics, step->sums,        step->class_weights,
                            step->scale_second,    step->n_updates};
    for (int i = 0; i < 2; i++) {
        device->iface->op_destroy(updates[i]);
        device->iface->op_destroy(batches[i]->sample);
        device->iface->op_destroy(batches[i]->intensity);
        for (int k = 0; k < ADELE_MAX_SCALES; k++)
            device->iface->op_destroy(batches[i]->rescales[k]);
        device->iface->op_destroy(batches[i]->loss);
        device->iface->op_destroy(batches[i]->dice);
    }
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        device->iface->release(device, blocks[i]);
    averaged_weights_deinit(&step->averaged);
    step_parts_deinit(&step->parts);
    memory_free(step->host_order);
    memset(step, 0, sizeof *step);
}
