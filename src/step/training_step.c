// SPDX-License-Identifier: MIT
#include "step/training_step.h"

#include "base/fail.h"
#include "base/random.h"
#include "loader/patches.h"

#include <string.h>

static struct batch_plan *batch_plan_of(struct training_step *step, int i_step) {
    bool is_full = epoch_plan_images(&step->epochs, i_step) == step->epochs.batch;
    return is_full ? &step->full : &step->rest;
}

struct step_part training_step_part(struct training_step *step, int i_step, int i_part) {
    struct batch_plan *batch = batch_plan_of(step, i_step);
    int64_t first = (int64_t)i_step * step->epochs.batch + (int64_t)i_part * batch->n;
    return (struct step_part){.batch = batch,
                              .index = i_part,
                              .first_row = (i_part - step->parts.i_first) * batch->n,
                              .ids = step->order + first};
}

// The images of this rank's parts.
adele_status training_step_fetch(struct training_step *step, int epoch, int i_step) {
    if (i_step >= epoch_plan_steps(&step->epochs, epoch))
        return ADELE_OK;
    const struct step_part first = training_step_part(step, i_step, step->parts.i_first);
    return resident_prefetch(run_data_training_set(step->data),
                             step->host_order + (first.ids - step->order),
                             step->parts.n_own * first.batch->n);
}

adele_status training_step_next_batch(struct training_step *step, int epoch, int i_next) {
    TRY(resident_swap(run_data_training_set(step->data)));
    return training_step_fetch(step, epoch, i_next);
}

// ---- a step -------------------------------------------------------------------------------------

// Behind the op sample: intensities of scale 0, and the other scales from it.
static adele_status change_intensity(const struct training_step *step, const struct step_part *part,
                                     const struct adele_sample_args *sampled) {
    const struct adele_device_iface *iface = step->data->device->iface;
    const struct batch_plan *batch = part->batch;
    const struct adele_augment_intensity_args args = {.sample_ids = sampled->sample_ids,
                                                      .epoch = sampled->epoch,
                                                      .images = sampled->images[0],
                                                      .workspace = step->workspace};
    if (batch->intensity == NULL)
        return ADELE_OK;
    TRY(iface->augment_intensity_forward(batch->intensity, &args));
    for (int k = 1; k < step->n_scales; k++) {
        const struct adele_rescale_args rescale = {
            .src = sampled->images[0], .dst = sampled->images[k], .workspace = step->workspace};
        TRY(iface->rescale_forward(batch->rescales[k], &rescale));
    }
    return ADELE_OK;
}

adele_status training_step_sample(struct training_step *step, const struct step_part *part,
                                  int epoch) {
    const struct resident *train = run_data_training_set(step->data);
    const uint8_t *fetched = resident_batch(train);
    size_t before = (size_t)part->first_row * train->image_bytes;
    struct adele_sample_args args = {.set = train->set,
                                     .sample_ids = part->ids,
                                     .batch_images = fetched ? fetched + before : NULL,
                                     .epoch = (uint32_t)epoch,
                                     .labels = step->labels,
                                     .noisy = step->noisy,
                                     .truth = step->truth,
                                     .workspace = step->workspace};
    for (int k = 0; k < step->n_scales; k++)
        args.images[k] = plan_input(part->batch->plans[k]);
    TRY(step->data->device->iface->sample_forward(part->batch->sample, &args));
    return change_intensity(step, part, &args);
}

// The Dice loss of scale 1.0, added to what the loss op has left.
static adele_status add_dice(const struct training_step *step, const struct batch_plan *batch,
                             const struct adele_loss_args *loss) {
    const struct adele_dice_args args = {.logits = loss->logits[0],
                                         .d_logits = loss->d_logits[0],
                                         .labels = loss->labels,
                                         .sums = loss->sums,
                                         .is_finite = loss->is_finite,
                                         .n_batches = loss->n_batches,
                                         .workspace = loss->workspace};
    return step->data->device->iface->dice_forward(batch->dice, &args);
}

adele_status training_step_loss(struct training_step *step, const struct step_part *part) {
    const struct batch_plan *batch = part->batch;
    struct adele_loss_args args = {.labels = step->labels,
                                   .noisy = step->noisy,
                                   .truth = step->truth,
                                   .class_weights = step->class_weights,
                                   .counts = step->counts,
                                   .sums = step->sums + part->index * ADELE_SUM_COUNT,
                                   .is_finite = step->loss_is_finite + part->index,
                                   .n_batches = step->n_batches,
                                   .scale_weights = step->scale_state,
                                   .d_scale_weights = step->scale_state + ADELE_MAX_SCALES,
                                   .workspace = step->workspace};
    for (int k = 0; k < step->n_scales; k++) {
        args.logits[k] = plan_output(batch->plans[k]);
        args.d_logits[k] = plan_d_output(batch->plans[k]);
    }
    if (step->prediction) {
        args.sample_ids = part->ids;
        args.prediction = step->prediction->category;
        args.confidence_foreground = step->prediction->confidence_foreground;
        args.confidence_background = step->prediction->confidence_background;
    }
    TRY(step->data->device->iface->loss_forward(batch->loss, &args));
    return batch->dice ? add_dice(step, batch, &args) : ADELE_OK;
}

// The update that the arguments describe as one of sgd, or AdamW's with these further ones.
static adele_status update(const struct training_step *step, struct adele_op *op,
                           const struct adele_sgd_args *sgd, float *second, int64_t *n_updates) {
    const struct config *config = step->data->config;
    const struct adele_device *device = step->data->device;
    if (config->train.optimizer == OPTIMIZER_SGD)
        return device->iface->sgd_forward(op, sgd);
    const struct adele_adamw_args args = {.weights = sgd->weights,
                                          .gradients = sgd->gradients,
                                          .first = sgd->momenta,
                                          .second = second,
                                          .n_updates = n_updates,
                                          .rate = sgd->rate,
                                          .beta1 = config->train.betas[0],
                                          .beta2 = config->train.betas[1],
                                          .eps = (float)config->train.eps,
                                          .health = sgd->health,
                                          .state = sgd->state,
                                          .kept = sgd->kept,
                                          .n_kept = sgd->n_kept,
                                          .loss_is_finite = sgd->loss_is_finite,
                                          .n_losses = sgd->n_losses,
                                          .skip_all_later = sgd->skip_all_later,
                                          .average = sgd->average,
                                          .average_decay = sgd->average_decay,
                                          .gradients_are_checked = sgd->gradients_are_checked};
    return device->iface->adamw_forward(op, &args);
}

// What the ops of a step depend on.
struct step_call {
    struct training_step *step;
    int epoch, i_step;
    double rate;
};

static bool are_losses_finite(const struct training_step *step) {
    for (int i = 0; i < step->parts.n; i++)
        if (step->loss_is_finite[i] == 0)
            return false;
    return true;
}

// Each rank updates its chunks, and all of them get the result. The average moves on every rank.
static adele_status update_divided(struct training_step *step, const struct adele_sgd_args *whole) {
    struct divided_update *divided = &step->parts.divided;
    struct adele_sgd_args own = *whole;
    TRY(divided_update_open(divided));
    own.weights = divided->weights;
    own.gradients = divided->gradients;
    own.average = NULL;
    own.n_losses = step->parts.n + 1; // the last entry: divided_update_sum has checked gradients
    own.gradients_are_checked = true;
    TRY(update(step, step->update, &own, network_second_moments(step->network), step->n_updates));
    TRY(divided_update_close(divided, are_losses_finite(step), step->health));
    return averaged_weights_update_weights(&step->averaged, whole->average_decay, step->health);
}

static adele_status update_weights(const struct step_call *call) {
    struct training_step *step = call->step;
    const struct config *config = step->data->config;
    const struct adele_device *device = step->data->device;
    float decay = averaged_weights_decay(&step->epochs, call->epoch, call->i_step);
    struct adele_sgd_args args = {.weights = network_writable_weights(step->network),
                                  .gradients = network_gradients(step->network),
                                  .momenta = network_momenta(step->network),
                                  .rate = (float)call->rate,
                                  .momentum = (float)config->train.momentum,
                                  .health = step->health,
                                  .state = network_buffers(step->network),
                                  .kept = step->good_statistics,
                                  .n_kept = network_graph(step->network)->n_buffers,
                                  .loss_is_finite = step->loss_is_finite,
                                  .n_losses = step->parts.n,
                                  .skip_all_later = config->train.on_nan != ON_NAN_SKIP,
                                  .average = network_average(step->network),
                                  .average_decay = decay};
    TRY(step->parts.is_divided ? update_divided(step, &args)
                               : update(step, step->update, &args,
                                        network_second_moments(step->network), step->n_updates));
    TRY(averaged_weights_update_buffers(&step->averaged, decay, step->health));
    TRY(network_pack(step->network));
    if (!config->loss.learn_scale_weights || step->n_scales < 2)
        return ADELE_OK;
    args.health = step->health + ADELE_HEALTH_COUNT;
    args.state = args.kept = args.average = NULL;
    args.n_kept = 0;
    args.weights = step->scale_state;
    args.gradients = step->scale_state + ADELE_MAX_SCALES;
    args.momenta = step->scale_state + 2 * ADELE_MAX_SCALES;
    int64_t *n_updates = step->n_updates ? step->n_updates + 1 : NULL;
    TRY(update(step, step->update_scales, &args, step->scale_second, n_updates));
    return device->iface->fill(device, args.gradients, 0, ADELE_MAX_SCALES * sizeof(float));
}

// What an update's steps add to: the gradients, and whether each loss was finite.
static adele_status begin_update(struct training_step *step) {
    const struct adele_device *device = step->data->device;
    TRY(network_zero_gradients(step->network));
    if (step->n_batches == 1) // the loss op overwrites it
        return ADELE_OK;
    return device->iface->fill(device, step->loss_is_finite, 1, sizeof *step->loss_is_finite);
}

static adele_status run_passes(struct training_step *step, const struct step_part *part,
                               int epoch) {
    struct batch_plan *batch = part->batch;
    for (int k = 0; k < step->n_scales; k++)
        plan_set_samples(batch->plans[k], (uint32_t)epoch, part->ids);
    TRY(plan_group_forward(batch->group, true));
    TRY(training_step_loss(step, part));
    return step_parts_backward(step, batch->group, part->index);
}

static adele_status run_parts(const struct step_call *call) {
    struct training_step *step = call->step;
    step->n_batches = step->parts.n;
    TRY(step_parts_begin_step(step));
    for (int i = step->parts.i_first; i < step->parts.i_first + step->parts.n_own; i++) {
        const struct step_part part = training_step_part(step, call->i_step, i);
        TRY(training_step_sample(step, &part, call->epoch));
        TRY(step_parts_begin_part(step, i));
        TRY(run_passes(step, &part, call->epoch));
        TRY(step_parts_add(step, i));
    }
    return ADELE_OK;
}

static adele_status end_parts(const struct step_call *call) {
    TRY(step_parts_end_step(call->step));
    return update_weights(call);
}

static adele_status run_and_end_parts(const struct step_call *call) {
    TRY(run_parts(call));
    TRY(step_parts_exchange(call->step));
    return end_parts(call);
}

static adele_status run_batch(const struct step_call *call) {
    struct training_step *step = call->step;
    const struct update_steps steps = epoch_plan_update(&step->epochs, call->epoch, call->i_step);
    const struct step_part whole = training_step_part(step, call->i_step, 0);
    step->n_batches = steps.end - steps.first;
    TRY(training_step_sample(step, &whole, call->epoch));
    if (call->i_step == steps.first)
        TRY(begin_update(step));
    TRY(run_passes(step, &whole, call->epoch));
    return call->i_step + 1 == steps.end ? update_weights(call) : ADELE_OK;
}

// A device may record the ops between step_begin and step_end once and launch the record later on.
static adele_status record(const struct step_call *call, int kind,
                           adele_status (*ops)(const struct step_call *call)) {
    const struct adele_device *device = call->step->data->device;
    TRY(device->iface->step_begin(device, kind));
    adele_status status = ops(call);
    adele_status end = device->iface->step_end(device, status == ADELE_OK);
    return status != ADELE_OK ? status : end;
}

// One record for each batch size and for each place in an update. Where ranks exchange through the
// host, that comes between the parts and the update, which is a record of its own then; with parts
// an update is one step, so that the kind of a step within an update is free for it.
adele_status training_step_run(struct training_step *step, int epoch, int i_step, double rate) {
    const struct update_steps steps = epoch_plan_update(&step->epochs, epoch, i_step);
    const struct step_call call = {step, epoch, i_step, rate};
    int kind = (batch_plan_of(step, i_step) == &step->full ? 0 : 1) +
               (i_step == steps.first ? 0 : 2) + (i_step + 1 == steps.end ? 0 : 4);
    if (step->parts.n == 1)
        return record(&call, kind, run_batch);
    if (step->parts.exchange ? exchange_is_queued(step->parts.exchange) : !step->parts.is_divided)
        return record(&call, kind, run_and_end_parts);
    TRY(record(&call, kind, run_parts));
    TRY(step_parts_exchange(step));
    return record(&call, kind | 2, end_parts);
}

// ---- an epoch -----------------------------------------------------------------------------------

static adele_status upload_order(struct training_step *step, int epoch) {
    const struct adele_device *device = step->data->device;
    int n = run_data_training_set(step->data)->set.n_images;
    _Static_assert(sizeof(int) == sizeof(int32_t), "sample ids are 32-bit");
    random_permutation(step->data->config->train.seed, RANDOM_ORDER, (uint32_t)epoch, n,
                       step->host_order);
    return device->iface->upload(device, step->order, step->host_order,
                                 (size_t)n * sizeof(int32_t));
}

// Images that an epoch drops, or that a last epoch of fewer steps does not reach, have no
// prediction of that epoch: 255 is no category and 0 is no confidence, so the correction at the
// epoch's end does not change their labels. The predictions of the epoch before are not in a
// checkpoint between the two, and a resumed run would not have them.
static adele_status clear_predictions(struct training_step *step, int epoch) {
    const struct adele_device *device = step->data->device;
    const struct prediction *prediction = step->prediction;
    bool is_whole = step->epochs.n_dropped_images == 0 &&
                    epoch_plan_steps(&step->epochs, epoch) == step->epochs.n_steps;
    if (is_whole || !prediction)
        return ADELE_OK;
    size_t n_pixels = resident_map_bytes(run_data_training_set(step->data));
    size_t bytes = n_pixels * sizeof(float);
    TRY(device->iface->fill(device, prediction->category, ADELE_IGNORE, n_pixels));
    TRY(device->iface->fill(device, prediction->confidence_foreground, 0, bytes));
    return device->iface->fill(device, prediction->confidence_background, 0, bytes);
}

adele_status training_step_start_epoch(struct training_step *step, int epoch, int i_first) {
    const struct adele_device *device = step->data->device;
    size_t n_statistics = (size_t)network_graph(step->network)->n_buffers;
    TRY(upload_order(step, epoch));
    TRY(patches_cut(step->data, epoch));
    TRY(device->iface->fill(device, step->health, 0, 2 * ADELE_HEALTH_COUNT * sizeof(int64_t)));
    TRY(device->iface->synchronize(device)); // from now on the host reads it without waiting
    if (n_statistics > 0)
        TRY(device->iface->copy(device, step->good_statistics, network_buffers(step->network),
                                n_statistics * sizeof(float)));
    if (i_first == 0) {
        TRY(clear_predictions(step, epoch));
        TRY(device->iface->fill(device, step->counts, 0, ADELE_COUNT_SIZE * sizeof(int64_t)));
        TRY(device->iface->fill(device, step->sums, 0,
                                (size_t)step->parts.n * ADELE_SUM_COUNT * sizeof(double)));
    }
    return training_step_fetch(step, epoch, i_first);
}
