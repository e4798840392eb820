// SPDX-License-Identifier: MIT
// Memory and time of a step for growing batches. The plans of each are made, and some steps are run
// with a learning rate of 0. Of several processes the memory alone: each plans what it would take,
// and all go on with the largest need, and the least memory available, of one of them.
#include "base/clock.h"
#include "base/fail.h"
#include "run/rank_check.h"
#include "run/start_report.h"
#include "step/learning_rate.h"

#include <math.h>

#define MOST_STEPS 10 // measured of a batch
#define MOST_SIZES 32

struct dry_run {
    struct trainer *trainer;
    struct config config; // of the trainer: the batch changes
    void (*on_batch)(void *context, const struct adele_train_batch *batch);
    struct dry_run_times times;
    int sizes[MOST_SIZES], n_sizes;
    int configured;
    double until;              // clock_seconds at which no other step is begun
    double seconds_per_image;  // of the last batch that was measured; 0: none was
    double configured_seconds; // a step of the configured batch, which is measured first; 0: not
    bool has_fit;              // some batch has
};

// ---- time ---------------------------------------------------------------------------------------

static adele_status check_stop(const struct trainer *trainer) {
    const struct trainer_options *options = &trainer->options;
    adele_status status = ADELE_OK;
    if (options->should_stop != NULL && options->should_stop(options->context))
        status = FAIL(ADELE_INTERRUPTED, "A dry run writes nothing: begin it again.",
                      "the dry run was interrupted");
    return ranks_agree(options->ranks, status);
}

// The first step of a size, without the update: launched op by op, so that the device loads all
// kernels that it needs before it records a step.
static adele_status warm_up(struct training_step *step) {
    const struct adele_device *device = step->data->device;
    const struct step_part part = training_step_part(step, 0, step->parts.i_first);
    struct batch_plan *batch = part.batch;
    TRY(training_step_sample(step, &part, 1));
    TRY(network_zero_gradients(step->network));
    for (int k = 0; k < step->n_scales; k++)
        plan_set_samples(batch->plans[k], 1, part.ids);
    TRY(plan_group_forward(batch->group, true));
    TRY(training_step_loss(step, &part));
    TRY(plan_group_backward(batch->group));
    return device->iface->synchronize(device);
}

static adele_status run_step(struct training_step *step, int i_step) {
    const struct adele_device *device = step->data->device;
    int n_full = step->epochs.batch == step->epochs.n_last_images || step->epochs.n_steps == 1
                     ? step->epochs.n_steps
                     : step->epochs.n_steps - 1;
    int n_first = epoch_plan_steps(&step->epochs, 1);
    n_full = n_first < n_full ? n_first : n_full;
    TRY(training_step_next_batch(step, 1, (i_step + 1) % n_full));
    TRY(training_step_run(step, 1, i_step % n_full, 0.0));
    return device->iface->synchronize(device);
}

// The mean of the steps after the first two, or the second where steps take long.
static adele_status time_step(struct dry_run *run, double *out_seconds) {
    struct training_step *step = &run->trainer->step;
    TRY(check_stop(run->trainer));
    TRY(training_step_start_epoch(step, 1, 0));
    TRY(training_step_next_batch(step, 1, 0));
    double started = clock_seconds(), begun = started;
    TRY(warm_up(step));
    *out_seconds = clock_seconds() - begun;
    double sum = 0.0;
    for (int i = 0; i <= MOST_STEPS; i++) {
        begun = clock_seconds();
        if (begun + *out_seconds > run->until || (i > 0 && begun - started > run->times.of_size))
            return ADELE_OK;
        TRY(check_stop(run->trainer));
        TRY(run_step(step, i));
        double seconds = clock_seconds() - begun;
        sum += i > 0 ? seconds : 0.0;
        *out_seconds = i > 0 ? sum / i : seconds;
    }
    return ADELE_OK;
}

// ---- memory -------------------------------------------------------------------------------------

static bool fits(const struct trainer *trainer) {
    return trainer->memory.planned <= trainer->memory.available;
}

// `status`: of planning. With ADELE_NO_MEMORY on one rank none goes on.
static adele_status share_need(struct trainer *trainer, adele_status status) {
    struct ranks *ranks = trainer->options.ranks;
    struct memory_need *need = &trainer->memory;
    const size_t most = INT64_MAX;
    if (ranks_count(ranks) == 1)
        return status;
    TRY(ranks_agree(ranks, status == ADELE_NO_MEMORY ? ADELE_OK : status));
    int64_t values[] = {status == ADELE_NO_MEMORY,
                        (int64_t)(need->planned < most ? need->planned : most),
                        -(int64_t)(need->available < most ? need->available : most),
                        status == ADELE_NO_MEMORY ? -ranks_index(ranks) : -ranks_count(ranks)};
    TRY(ranks_max(ranks, values, 4));
    need->planned = (size_t)values[1];
    need->available = values[2] == -INT64_MAX ? SIZE_MAX : (size_t)-values[2];
    if (values[0] == 0 || status == ADELE_NO_MEMORY)
        return status;
    const int rank = (int)-values[3];
    return FAIL(ADELE_NO_MEMORY, "", "rank %d on %s has no memory for a batch of %d", rank,
                ranks_host(ranks, rank), trainer->config->train.batch);
}

static adele_status plan_own(struct trainer *trainer, int batch) {
    if (trainer->data.patches.set.n_images > 0)
        TRY(resident_set_batch(&trainer->data.patches, batch + 1));
    for (int split = 0; split < SPLIT_COUNT; split++) {
        struct resident *resident = &trainer->data.resident[split];
        // A last batch of one image may join the batch before it.
        if (resident->set.n_images > 0)
            TRY(resident_set_batch(resident, batch + 1));
    }
    return trainer_plan(trainer);
}

static adele_status plan_size(struct dry_run *run, int batch) {
    trainer_drop_plan(run->trainer);
    run->config.train.batch = batch;
    return share_need(run->trainer, plan_own(run->trainer, batch));
}

// *has_moved: on any of the ranks, so that all plan again.
static adele_status move_images(struct trainer *trainer, bool *has_moved) {
    TRY(share_need(trainer, run_data_move_images(&trainer->data, has_moved)));
    int64_t any = *has_moved;
    TRY(ranks_max(trainer->options.ranks, &any, 1));
    *has_moved = any > 0;
    return ADELE_OK;
}

// As a run does: images make room where they may.
static adele_status plan_with_room(struct dry_run *run, int batch) {
    bool has_moved = false;
    adele_status status = plan_size(run, batch);
    if (status != ADELE_NO_MEMORY && (status != ADELE_OK || fits(run->trainer)))
        return status;
    trainer_drop_plan(run->trainer);
    TRY(move_images(run->trainer, &has_moved));
    return has_moved || status == ADELE_OK ? plan_size(run, batch) : status;
}

// ---- the table ----------------------------------------------------------------------------------

// Batches of 1, 2, 4, ... images in each part, and the configuration's own, in order; without those
// of which a batch norm has no statistics.
static void choose_sizes(struct dry_run *run) {
    const struct training_step *step = &run->trainer->step;
    int n_images = run->trainer->data.resident[SPLIT_TRAIN].set.n_images;
    bool needs_two = false, has_configured = false;
    for (int k = 0; k < step->n_scales; k++)
        needs_two = needs_two || plan_needs_two_images(step->full.plans[k]);
    int n_parts = run->config.train.parts;
    for (int64_t size = needs_two ? 2 * n_parts : n_parts; size <= n_images; size *= 2) {
        if (!has_configured && size >= run->configured) {
            has_configured = true;
            if (size > run->configured)
                run->sizes[run->n_sizes++] = run->configured;
        }
        run->sizes[run->n_sizes++] = (int)size;
    }
    if (!has_configured)
        run->sizes[run->n_sizes++] = run->configured;
}

// `row` is planned and fits. Steps that would not end in time are not begun.
static adele_status measure(struct dry_run *run, struct adele_train_batch *row) {
    if (ranks_count(run->trainer->options.ranks) > 1)
        return ADELE_OK; // steps would need an exchange between the ranks
    if (row->is_configured && run->configured_seconds > 0.0) {
        row->step_seconds = run->configured_seconds;
        row->is_measured = 1;
        run->seconds_per_image = row->step_seconds / row->batch;
        return ADELE_OK;
    }
    row->step_seconds = run->seconds_per_image * row->batch;
    bool has_time = clock_seconds() + 2.0 * row->step_seconds < run->until;
    if (run->seconds_per_image > 0.0 && !has_time)
        return ADELE_OK;
    if (row->is_configured)
        TRY(trainer_allocate(run->trainer));
    else // any weights will do
        TRY(network_allocate(run->trainer->network));
    TRY(time_step(run, &row->step_seconds));
    row->is_measured = 1;
    run->seconds_per_image = row->step_seconds / row->batch;
    return ADELE_OK;
}

// The configured batch is measured before all others, so that there is time left for it. Where it
// does not fit, try_size reports that later.
static adele_status measure_configured(struct dry_run *run) {
    struct adele_train_batch row = {.batch = run->configured, .is_configured = 1};
    run->until = clock_seconds() + run->times.in_all;
    if (run->trainer->step.epochs.batch != run->configured || !fits(run->trainer))
        return ADELE_OK;
    adele_status status = measure(run, &row);
    run->configured_seconds = status == ADELE_OK ? row.step_seconds : 0.0;
    return status == ADELE_NO_MEMORY ? ADELE_OK : status;
}

// *out_fits: the batch fits. A batch that does not fit is reported only if it is the configured
// one.
static adele_status try_size(struct dry_run *run, int batch, bool *out_fits) {
    struct trainer *trainer = run->trainer;
    *out_fits = false;
    adele_status status = plan_with_room(run, batch);
    if (status != ADELE_OK && (status != ADELE_NO_MEMORY || !run->has_fit))
        return status;
    *out_fits = status == ADELE_OK && fits(trainer);
    if (status == ADELE_OK && !*out_fits && !run->has_fit) {
        TRY(ranks_agree(trainer->options.ranks, memory_need_check(&trainer->step)));
        *out_fits = true; // memory has become free in between
    }
    struct adele_train_batch row = {.batch = batch,
                                    .is_configured = batch == run->configured,
                                    .fits = *out_fits,
                                    .planned_bytes = trainer->memory.planned,
                                    .available_bytes = trainer->memory.available,
                                    .step_seconds = NAN};
    status = *out_fits ? measure(run, &row) : ADELE_OK;
    if (status == ADELE_NO_MEMORY && run->has_fit) { // other programs have taken it
        *out_fits = false;
        row.fits = 0;
        row.step_seconds = NAN;
    } else if (status != ADELE_OK) {
        return status;
    }
    run->has_fit = run->has_fit || *out_fits;
    if ((row.fits || row.is_configured) && ranks_index(trainer->options.ranks) == 0)
        run->on_batch(trainer->options.context, &row);
    return ADELE_OK;
}

static adele_status try_sizes(struct dry_run *run) {
    bool has_room = true;
    for (int i = 0; i < run->n_sizes; i++) {
        if (!has_room && run->sizes[i] != run->configured)
            continue;
        bool does_fit = false;
        TRY(check_stop(run->trainer));
        TRY(try_size(run, run->sizes[i], &does_fit));
        has_room = has_room && does_fit;
    }
    return ADELE_OK;
}

// The first screen is that of the configured batch; where not even the buffers of its plans fit, of
// the largest of its halves whose do.
static adele_status plan_configured(struct dry_run *run) {
    adele_status status = plan_size(run, run->config.train.batch);
    int n_parts = run->config.train.parts;
    while (status == ADELE_NO_MEMORY && run->config.train.batch > n_parts)
        status = plan_size(run, run->config.train.batch / n_parts / 2 * n_parts);
    return status;
}

adele_status trainer_dry_run(const struct trainer_options *options, struct dry_run_times times,
                             void (*on_batch)(void *context,
                                              const struct adele_train_batch *batch)) {
    struct dry_run run = {.config = *options->config, .times = times, .on_batch = on_batch};
    OWNED_BY(trainer_destroy) struct trainer *trainer = NULL;
    struct trainer_options own = *options;
    own.config = &run.config;
    own.run_folder = NULL;
    TRY(rank_check_start(&own));
    TRY(ranks_agree(own.ranks, trainer_load(&own, &trainer)));
    TRY(rank_check_data(trainer));
    run.trainer = trainer;
    int n_images = trainer->data.resident[SPLIT_TRAIN].set.n_images;
    int n_parts = run.config.train.parts;
    run.configured = run.config.train.batch < n_images ? run.config.train.batch : n_images;
    run.configured = run.configured / n_parts * n_parts;
    TRY(plan_configured(&run));
    if (trainer->step.epochs.batch == run.configured)
        TRY(learning_rate_check(&run.config, &trainer->step.epochs));
    TRY(start_report(trainer));
    choose_sizes(&run);
    TRY(measure_configured(&run));
    return try_sizes(&run);
}
