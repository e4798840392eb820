// SPDX-License-Identifier: MIT
// The steps of one epoch. Nothing here waits for the device until the counters are read at the end.
#include "train/trainer_state.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <string.h>

static adele_status upload_order(struct trainer *trainer, int epoch) {
    int n = trainer->resident[SPLIT_TRAIN].set.n_images;
    int *order = memory_calloc((size_t)n, sizeof *order);
    if (!order)
        return FAIL_NO_MEMORY((size_t)n * sizeof *order);
    random_permutation(trainer->config->train.seed, RANDOM_ORDER, (uint32_t)epoch, n, order);
    _Static_assert(sizeof(int) == sizeof(int32_t), "sample ids are 32-bit");
    const struct adele_device *device = trainer->device;
    adele_status status =
        device->iface->upload(device, trainer->buffers.order, order, (size_t)n * sizeof(int32_t));
    memory_free(order);
    return status;
}

// METHOD section 5: constant, or poly: rate (1 - step / steps)^power.
static double learning_rate(const struct trainer *trainer, long step, long n_steps_total) {
    const struct config *config = trainer->config;
    if (config->train.schedule == SCHEDULE_CONSTANT)
        return config->train.lr;
    return config->train.lr *
           pow(1.0 - (double)step / (double)n_steps_total, config->train.poly_power);
}

static adele_status sample_batch(struct trainer *trainer, struct step_plan *step, int epoch,
                                 const int32_t *ids) {
    struct step_buffers *buffers = &trainer->buffers;
    struct adele_sample_args args = {.set = trainer->resident[SPLIT_TRAIN].set,
                                     .sample_ids = ids,
                                     .epoch = (uint32_t)epoch,
                                     .labels = buffers->labels,
                                     .noisy = buffers->noisy,
                                     .truth = buffers->truth,
                                     .workspace = buffers->workspace};
    for (int k = 0; k < trainer->n_scales; k++)
        args.images[k] = plan_input(step->plans[k]);
    return trainer->device->iface->sample_forward(step->sample, &args);
}

static adele_status compute_loss(struct trainer *trainer, struct step_plan *step,
                                 const int32_t *ids) {
    const struct config *config = trainer->config;
    struct step_buffers *buffers = &trainer->buffers;
    struct adele_loss_args args = {.labels = buffers->labels,
                                   .noisy = buffers->noisy,
                                   .truth = buffers->truth,
                                   .counts = buffers->counts,
                                   .sums = buffers->sums,
                                   .scale_weights = trainer->scale_state,
                                   .d_scale_weights = trainer->scale_state + ADELE_MAX_SCALES,
                                   .workspace = buffers->workspace};
    for (int k = 0; k < trainer->n_scales; k++) {
        args.logits[k] = plan_output(step->plans[k]);
        args.d_logits[k] = plan_d_output(step->plans[k]);
    }
    if (config->correction.enabled && config->correction.source == SOURCE_TRAINING_PASS) {
        args.sample_ids = ids;
        args.prediction = trainer->prediction.category;
        args.confidence_foreground = trainer->prediction.confidence_foreground;
        args.confidence_background = trainer->prediction.confidence_background;
    }
    return trainer->device->iface->loss_forward(step->loss, &args);
}

static adele_status update_weights(struct trainer *trainer, double rate) {
    const struct config *config = trainer->config;
    const struct adele_device_iface *iface = trainer->device->iface;
    struct adele_sgd_args args = {.weights = network_weights(trainer->network),
                                  .gradients = network_gradients(trainer->network),
                                  .momenta = network_momenta(trainer->network),
                                  .rate = (float)rate,
                                  .momentum = (float)config->train.momentum,
                                  .health = trainer->buffers.health,
                                  .state = network_buffers(trainer->network),
                                  .kept = trainer->buffers.kept,
                                  .n_kept = network_graph(trainer->network)->n_buffers};
    TRY(iface->sgd_forward(trainer->sgd, &args));
    if (!config->loss.learn_scale_weights || trainer->n_scales < 2)
        return ADELE_OK;
    args.health = trainer->buffers.health + ADELE_HEALTH_COUNT;
    args.state = args.kept = NULL;
    args.n_kept = 0;
    args.weights = trainer->scale_state;
    args.gradients = trainer->scale_state + ADELE_MAX_SCALES;
    args.momenta = trainer->scale_state + 2 * ADELE_MAX_SCALES;
    TRY(iface->sgd_forward(trainer->sgd_scales, &args));
    return iface->fill(trainer->device, args.gradients, 0, ADELE_MAX_SCALES * sizeof(float));
}

static adele_status run_ops(struct trainer *trainer, struct step_plan *step, int epoch,
                            const int32_t *ids, double rate) {
    TRY(sample_batch(trainer, step, epoch, ids));
    TRY(network_zero_gradients(trainer->network));
    for (int k = 0; k < trainer->n_scales; k++) {
        plan_set_samples(step->plans[k], (uint32_t)epoch, ids);
        TRY(plan_forward(step->plans[k], true));
    }
    TRY(compute_loss(trainer, step, ids));
    for (int k = 0; k < trainer->n_scales; k++)
        TRY(plan_backward(step->plans[k]));
    return update_weights(trainer, rate);
}

// The device may replay the ops of a step as one record; full and last batches are two kinds.
static adele_status run_step(struct trainer *trainer, struct step_plan *step, int epoch,
                             const int32_t *ids, double rate) {
    const struct adele_device *device = trainer->device;
    TRY(device->iface->step_begin(device, step == &trainer->full ? 0 : 1));
    adele_status status = run_ops(trainer, step, epoch, ids, rate);
    adele_status end = device->iface->step_end(device);
    return status != ADELE_OK ? status : end;
}

static adele_status read_numbers(struct trainer *trainer, struct epoch_numbers *out) {
    const struct adele_device *device = trainer->device;
    TRY(device->iface->synchronize(device));
    TRY(device->iface->download(device, out->counts, trainer->buffers.counts, sizeof out->counts));
    TRY(device->iface->download(device, out->health, trainer->buffers.health, sizeof out->health));
    return device->iface->download(device, out->sums, trainer->buffers.sums, sizeof out->sums);
}

// Counters start at zero, or where an interrupted epoch left them (the checkpoint brought them).
static adele_status start_counters(struct trainer *trainer) {
    const struct adele_device *device = trainer->device;
    size_t n_kept = (size_t)network_graph(trainer->network)->n_buffers;
    TRY(device->iface->fill(device, trainer->buffers.health, 0,
                            2 * ADELE_HEALTH_COUNT * sizeof(int64_t)));
    if (n_kept > 0)
        TRY(device->iface->copy(device, trainer->buffers.kept, network_buffers(trainer->network),
                                n_kept * sizeof(float)));
    if (trainer->step_in_epoch > 0)
        return ADELE_OK;
    TRY(device->iface->fill(device, trainer->buffers.counts, 0,
                            ADELE_COUNT_SIZE * sizeof(int64_t)));
    return device->iface->fill(device, trainer->buffers.sums, 0, ADELE_SUM_COUNT * sizeof(double));
}

// A category that was neither predicted nor labelled counts as 0, so that no NaN enters.
void trainer_append_series(struct trainer *trainer, const int64_t *counts) {
    struct score score;
    score_compute(counts, trainer->n_categories, &score);
    for (int c = 0; c < trainer->n_categories; c++)
        trainer->series[c][trainer->n_values] = isfinite(score.iou[c]) ? score.iou[c] : 0.0;
    trainer->n_values++;
}

// METHOD section 2, VOC: one value of the curves per so many iterations, whatever the epochs are.
static adele_status sample_series(struct trainer *trainer) {
    const struct config *config = trainer->config;
    if (config->correction.pipeline != ONSET_VOC ||
        trainer->step % config->correction.interval != 0)
        return ADELE_OK;
    enum { N = ADELE_COUNT_KINDS * 256 };
    const struct adele_device *device = trainer->device;
    int64_t counts[N], interval[N];
    _Static_assert(ADELE_COUNT_PREDICTION_NOISY == 0, "the first table of the counters");
    TRY(device->iface->synchronize(device));
    TRY(device->iface->download(device, counts, trainer->buffers.counts, sizeof counts));
    for (int i = 0; i < N; i++)
        interval[i] = counts[i] - trainer->interval_base[i];
    memcpy(trainer->interval_base, counts, sizeof counts);
    trainer_append_series(trainer, interval);
    return ADELE_OK;
}

// The counters begin anew with the next epoch; what is left of this one belongs to its interval.
static void carry_interval(struct trainer *trainer, const struct epoch_numbers *numbers) {
    const int64_t *counts = &numbers->counts[ADELE_COUNT_PREDICTION_NOISY][0][0];
    for (int i = 0; i < ADELE_COUNT_KINDS * 256; i++)
        trainer->interval_base[i] -= counts[i];
}

adele_status trainer_run_epoch(struct trainer *trainer, int epoch, struct epoch_numbers *out) {
    const struct trainer_options *options = &trainer->options;
    int n_images = trainer->resident[SPLIT_TRAIN].set.n_images, batch = trainer->full.n;
    int n_steps = (n_images + batch - 1) / batch;
    long n_left = trainer->n_steps_total - (long)(epoch - 1) * n_steps;
    n_steps = n_left < n_steps ? (int)n_left : n_steps;
    if (trainer->step_in_epoch >= n_steps)
        return FAIL(ADELE_DATA, "Resume with the data and the batch of the run.",
                    "the checkpoint has done %d steps of an epoch, this run's epochs have %d",
                    trainer->step_in_epoch, n_steps);
    TRY(upload_order(trainer, epoch));
    TRY(start_counters(trainer));
    out->first_step = trainer->step_in_epoch;
    out->n_steps = n_steps;
    for (int i = trainer->step_in_epoch; i < n_steps; i++) {
        trainer->step_in_epoch = i;
        if (options->n_profile_steps > 0 && trainer->step == options->n_profile_steps)
            break;
        if (options->should_stop && options->should_stop(options->context))
            return FAIL(ADELE_INTERRUPTED, "Continue with --resume.",
                        "interrupted in epoch %d after %d of %d steps; all of it is saved", epoch,
                        i, n_steps);
        struct step_plan *step = n_images - i * batch >= batch ? &trainer->full : &trainer->rest;
        double rate = learning_rate(trainer, trainer->step, trainer->n_steps_total);
        TRY(run_step(trainer, step, epoch, trainer->buffers.order + (size_t)i * (size_t)batch,
                     rate));
        trainer->step++;
        TRY(sample_series(trainer));
        if (options->on_step)
            options->on_step(options->context, epoch, trainer->n_epochs, i + 1, n_steps);
    }
    trainer->step_in_epoch = 0;
    TRY(read_numbers(trainer, out));
    carry_interval(trainer, out);
    return ADELE_OK;
}
