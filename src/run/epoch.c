// SPDX-License-Identifier: MIT
// The steps of one epoch. The host does not wait for the device before the counters are read at the
// end, but where it is many steps ahead (trainer_watch).
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <string.h>

static adele_status upload_order(struct trainer *trainer, int epoch) {
    int n = trainer->resident[SPLIT_TRAIN].set.n_images;
    int32_t *order = trainer->buffers.host_order;
    _Static_assert(sizeof(int) == sizeof(int32_t), "sample ids are 32-bit");
    random_permutation(trainer->config->train.seed, RANDOM_ORDER, (uint32_t)epoch, n, order);
    const struct adele_device *device = trainer->device;
    return device->iface->upload(device, trainer->buffers.order, order,
                                 (size_t)n * sizeof(int32_t));
}

static int count_steps(const struct trainer *trainer, int epoch) {
    int n_steps = trainer->n_epoch_steps;
    long n_left = trainer->n_steps_total - (long)(epoch - 1) * n_steps;
    return n_left < n_steps ? (int)n_left : n_steps;
}

adele_status trainer_fetch_batch(struct trainer *trainer, int epoch, int i_step) {
    struct resident *train = &trainer->resident[SPLIT_TRAIN];
    if (i_step >= count_steps(trainer, epoch))
        return ADELE_OK;
    return resident_fetch(train,
                          trainer->buffers.host_order + (size_t)i_step * (size_t)trainer->full.n,
                          trainer_step_images(trainer, i_step));
}

// METHOD section 5: constant, or poly: rate (1 - step / steps)^power.
static double learning_rate(const struct trainer *trainer, long step, long n_steps_total) {
    const struct config *config = trainer->config;
    if (config->train.schedule == SCHEDULE_CONSTANT)
        return config->train.lr;
    return config->train.lr *
           pow(1.0 - (double)step / (double)n_steps_total, config->train.poly_power);
}

// Full and last batches are two kinds.
struct step_plan *trainer_step_plan(struct trainer *trainer, int i_step) {
    bool is_full = trainer_step_images(trainer, i_step) == trainer->full.n;
    return is_full ? &trainer->full : &trainer->rest;
}

const int32_t *trainer_step_ids(const struct trainer *trainer, int i_step) {
    return trainer->buffers.order + (size_t)i_step * (size_t)trainer->full.n;
}

adele_status trainer_sample_batch(struct trainer *trainer, struct step_plan *step, int epoch,
                                  const int32_t *ids) {
    struct step_buffers *buffers = &trainer->buffers;
    struct adele_sample_args args = {.set = trainer->resident[SPLIT_TRAIN].set,
                                     .sample_ids = ids,
                                     .batch_images =
                                         resident_batch(&trainer->resident[SPLIT_TRAIN]),
                                     .epoch = (uint32_t)epoch,
                                     .labels = buffers->labels,
                                     .noisy = buffers->noisy,
                                     .truth = buffers->truth,
                                     .workspace = buffers->workspace};
    for (int k = 0; k < trainer->n_scales; k++)
        args.images[k] = plan_input(step->plans[k]);
    return trainer->device->iface->sample_forward(step->sample, &args);
}

adele_status trainer_compute_loss(struct trainer *trainer, struct step_plan *step,
                                  const int32_t *ids) {
    const struct config *config = trainer->config;
    struct step_buffers *buffers = &trainer->buffers;
    struct adele_loss_args args = {.labels = buffers->labels,
                                   .noisy = buffers->noisy,
                                   .truth = buffers->truth,
                                   .counts = buffers->counts,
                                   .sums = buffers->sums,
                                   .is_finite = buffers->loss_is_finite,
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
    struct adele_sgd_args args = {.weights = network_writable_weights(trainer->network),
                                  .gradients = network_gradients(trainer->network),
                                  .momenta = network_momenta(trainer->network),
                                  .rate = (float)rate,
                                  .momentum = (float)config->train.momentum,
                                  .health = trainer->buffers.health,
                                  .state = network_buffers(trainer->network),
                                  .kept = trainer->buffers.kept,
                                  .n_kept = network_graph(trainer->network)->n_buffers,
                                  .loss_is_finite = trainer->buffers.loss_is_finite,
                                  .skip_all_later = config->train.on_nan != ON_NAN_SKIP};
    TRY(iface->sgd_forward(trainer->sgd, &args));
    TRY(network_pack(trainer->network));
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
    TRY(trainer_sample_batch(trainer, step, epoch, ids));
    TRY(network_zero_gradients(trainer->network));
    for (int k = 0; k < trainer->n_scales; k++) {
        plan_set_samples(step->plans[k], (uint32_t)epoch, ids);
        TRY(plan_forward(step->plans[k], true));
    }
    TRY(trainer_compute_loss(trainer, step, ids));
    for (int k = 0; k < trainer->n_scales; k++)
        TRY(plan_backward(step->plans[k]));
    return update_weights(trainer, rate);
}

// The device may replay the ops of a step as one record.
static adele_status run_step(struct trainer *trainer, int epoch, int i_step) {
    const struct adele_device *device = trainer->device;
    struct step_plan *step = trainer_step_plan(trainer, i_step);
    const int32_t *ids = trainer_step_ids(trainer, i_step);
    double rate = learning_rate(trainer, trainer->step, trainer->n_steps_total);
    TRY(device->iface->step_begin(device, step == &trainer->full ? 0 : 1));
    adele_status status = run_ops(trainer, step, epoch, ids, rate);
    adele_status end = device->iface->step_end(device, status == ADELE_OK);
    return status != ADELE_OK ? status : end;
}

static adele_status read_numbers(struct trainer *trainer, struct epoch_numbers *out) {
    const struct adele_device *device = trainer->device;
    TRY(device->iface->synchronize(device));
    TRY(device->iface->download(device, out->counts, trainer->buffers.counts, sizeof out->counts));
    return device->iface->download(device, out->sums, trainer->buffers.sums, sizeof out->sums);
}

// Counters start at zero, or where an interrupted epoch left them (the checkpoint brought them).
static adele_status start_counters(struct trainer *trainer) {
    const struct adele_device *device = trainer->device;
    size_t n_kept = (size_t)network_graph(trainer->network)->n_buffers;
    TRY(device->iface->fill(device, trainer->buffers.health, 0,
                            2 * ADELE_HEALTH_COUNT * sizeof(int64_t)));
    TRY(device->iface->synchronize(device)); // the host reads it from now on, without waiting
    if (n_kept > 0)
        TRY(device->iface->copy(device, trainer->buffers.kept, network_buffers(trainer->network),
                                n_kept * sizeof(float)));
    if (trainer->step_in_epoch > 0)
        return ADELE_OK;
    TRY(trainer_forget_predictions(trainer));
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

// What is saved is what was judged.
static adele_status interrupt(struct trainer *trainer, int epoch, struct epoch_numbers *numbers) {
    int i = trainer->step_in_epoch;
    TRY(trainer->device->iface->synchronize(trainer->device));
    TRY(trainer_watch(trainer, epoch, i - numbers->first_step, numbers));
    return FAIL(ADELE_INTERRUPTED, "Continue with --resume.",
                "interrupted in epoch %d after %d of %d steps; all of it is saved", epoch,
                numbers->is_back ? trainer->step_in_epoch : i, numbers->n_steps);
}

static adele_status run_steps(struct trainer *trainer, int epoch, struct epoch_numbers *numbers) {
    const struct trainer_options *options = &trainer->options;
    for (int i = numbers->first_step; i < numbers->n_steps; i++) {
        trainer->step_in_epoch = i;
        if (options->n_profile_steps > 0 && trainer->step == options->n_profile_steps)
            break;
        if (options->should_stop && options->should_stop(options->context))
            return interrupt(trainer, epoch, numbers);
        TRY(resident_turn(&trainer->resident[SPLIT_TRAIN]));
        TRY(trainer_fetch_batch(trainer, epoch, i + 1));
        TRY(run_step(trainer, epoch, i));
        numbers->rate = learning_rate(trainer, trainer->step, trainer->n_steps_total);
        numbers->n_images += trainer_step_images(trainer, i);
        trainer->step++;
        TRY(trainer_watch(trainer, epoch, i + 1 - numbers->first_step, numbers));
        if (numbers->is_back)
            return ADELE_OK;
        TRY(sample_series(trainer));
        if (options->on_step)
            options->on_step(options->context, epoch, trainer->n_epochs, i + 1, numbers->n_steps);
    }
    trainer->step_in_epoch = 0;
    return ADELE_OK;
}

adele_status trainer_run_epoch(struct trainer *trainer, int epoch, struct epoch_numbers *out) {
    memset(out, 0, sizeof *out);
    out->first_step = trainer->step_in_epoch;
    out->n_steps = count_steps(trainer, epoch);
    if (out->first_step >= out->n_steps)
        return FAIL(ADELE_DATA, "Resume with the data and the batch of the run.",
                    "the checkpoint has done %d steps of an epoch, this run's epochs have %d",
                    out->first_step, out->n_steps);
    TRY(upload_order(trainer, epoch));
    TRY(start_counters(trainer));
    TRY(trainer_fetch_batch(trainer, epoch, out->first_step));
    TRY(run_steps(trainer, epoch, out));
    if (out->is_back)
        return ADELE_OK;
    TRY(read_numbers(trainer, out));
    TRY(trainer_check_health(trainer, epoch, out));
    if (!out->is_back)
        carry_interval(trainer, out);
    return ADELE_OK;
}
