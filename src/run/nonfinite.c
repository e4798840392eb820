// SPDX-License-Identifier: MIT
// Numbers that are not finite. The device leaves out the update of a step whose loss or gradients
// have one, in that very step, and says so in memory that the host looks at after every step. The
// host need not wait for that: where it runs ahead of the device it hears of it some steps later,
// and unless train.on_nan is skip nothing has changed since.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>

#define MAX_ROLLBACKS 3  // in one epoch: the same step would fail for ever
#define MAX_BEHIND    16 // steps: so many are done at most between a bad one and its report

// The parameter that segment `i` of the optimizer is made of.
static const char *segment_name(const struct trainer *trainer, int64_t i) {
    const struct graph *graph = network_graph(trainer->network);
    for (int p = 0; p < graph->n_parameters; p++)
        if (!graph->parameters[p].is_buffer && i-- == 0)
            return graph->parameters[p].name;
    return "a parameter";
}

// Of both records: the network's updates and those of the scale weights.
static int count_left_out(const volatile int64_t *health) {
    int64_t network = health[ADELE_HEALTH_SKIPPED];
    int64_t scales = health[ADELE_HEALTH_COUNT + ADELE_HEALTH_SKIPPED];
    return (int)(network > scales ? network : scales);
}

// "epoch 3, step 2 of 5: the output of 'outc.conv' is not finite", into numbers->what. What cannot
// be found again is named as the device saw it.
static adele_status describe(struct trainer *trainer, int epoch, struct epoch_numbers *numbers) {
    const int64_t *network = trainer->buffers.health, *scales = network + ADELE_HEALTH_COUNT;
    bool is_of_scales = network[ADELE_HEALTH_SKIPPED] == 0 ||
                        (scales[ADELE_HEALTH_SKIPPED] > 0 &&
                         scales[ADELE_HEALTH_FIRST_UPDATE] < network[ADELE_HEALTH_FIRST_UPDATE]);
    const int64_t *first = is_of_scales ? scales : network;
    int i_step = numbers->first_step + (int)first[ADELE_HEALTH_FIRST_UPDATE] - 1;
    char *culprit = NULL;
    TRY(trainer_find_culprit(trainer, epoch, i_step, &culprit));
    if (!culprit && first[ADELE_HEALTH_FIRST_SEGMENT] < 0)
        culprit = memory_printf("the loss is not finite");
    else if (!culprit)
        culprit =
            memory_printf("the gradient of '%s' is not finite",
                          is_of_scales ? "loss.scale_weights"
                                       : segment_name(trainer, first[ADELE_HEALTH_FIRST_SEGMENT]));
    if (!culprit)
        return FAIL_NO_MEMORY(sizeof numbers->what);
    (void)snprintf(numbers->what, sizeof numbers->what, "epoch %d, step %d of %d: %s", epoch,
                   i_step + 1, numbers->n_steps, culprit);
    memory_free(culprit);
    return ADELE_OK;
}

static adele_status fail_numeric(const char *what) {
    return FAIL(
        ADELE_NUMERIC,
        "Train anew with a lower train.optimizer.lr, or see train.on_nan; the last checkpoint is "
        "from before it.",
        "%s", what);
}

// As --resume does, but for what stays in memory.
static adele_status go_back(struct trainer *trainer, const char *what) {
    bool is_found = false;
    trainer->step_in_epoch = 0;
    TRY(trainer_load_newest(trainer, &is_found));
    if (!is_found)
        return fail_numeric(what); // there is nothing to go back to
    TRY(trainer_trim_generations(trainer, trainer->epoch));
    metrics_close(trainer->metrics);
    trainer->metrics = NULL;
    TRY(trainer_open_metrics(trainer));
    log_line(LOG_WARNING, "%s; back to the checkpoint of epoch %d and %d steps", what,
             trainer->epoch, trainer->step_in_epoch);
    return ADELE_OK;
}

static adele_status answer(struct trainer *trainer, int epoch, struct epoch_numbers *numbers) {
    enum nan_handling handling = trainer->config->train.on_nan;
    if (handling == ON_NAN_STOP)
        return fail_numeric(numbers->what);
    if (handling == ON_NAN_SKIP) {
        log_line(LOG_WARNING, "%s; the step is left out", numbers->what);
        return ADELE_OK;
    }
    trainer->n_rollbacks = trainer->rollback_epoch == epoch ? trainer->n_rollbacks + 1 : 1;
    trainer->rollback_epoch = epoch;
    if (trainer->n_rollbacks > MAX_ROLLBACKS)
        return fail_context(fail_numeric(numbers->what), "after %d rollbacks in one epoch",
                            MAX_ROLLBACKS);
    numbers->is_back = true;
    return go_back(trainer, numbers->what);
}

adele_status trainer_watch(struct trainer *trainer, int epoch, int n_issued,
                           struct epoch_numbers *numbers) {
    const struct adele_device *device = trainer->device;
    const volatile int64_t *health = trainer->buffers.health;
    if (n_issued - health[ADELE_HEALTH_UPDATES] > MAX_BEHIND)
        TRY(device->iface->synchronize(device));
    if (count_left_out(health) <= numbers->n_left_out)
        return ADELE_OK;
    TRY(device->iface->synchronize(device));
    bool is_first = numbers->n_left_out == 0;
    numbers->n_left_out = count_left_out(health);
    if (!is_first)
        return ADELE_OK; // skip: only counted
    TRY(describe(trainer, epoch, numbers));
    return answer(trainer, epoch, numbers);
}

adele_status trainer_check_health(struct trainer *trainer, int epoch,
                                  struct epoch_numbers *numbers) {
    int n_summed = (int)numbers->sums[ADELE_SUM_STEPS];
    TRY(trainer_watch(trainer, epoch, numbers->n_steps - numbers->first_step, numbers));
    if (numbers->is_back || trainer->options.n_profile_steps > 0)
        return ADELE_OK;
    if (numbers->n_left_out < numbers->n_steps - n_summed) // before the epoch was interrupted
        numbers->n_left_out = numbers->n_steps - n_summed;
    if (numbers->n_left_out >= numbers->n_steps) // an epoch without a good step goes nowhere
        return fail_context(fail_numeric(numbers->what), "no step of the epoch could be kept");
    if (numbers->n_left_out > 1)
        log_line(LOG_WARNING, "epoch %d: %d of %d steps left out", epoch, numbers->n_left_out,
                 numbers->n_steps);
    return ADELE_OK;
}
