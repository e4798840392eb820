// SPDX-License-Identifier: MIT
// Numbers that are not finite. The device leaves out the update of a step whose gradients have one,
// in that very step, and remembers it; the host hears of it where it reads the epoch's counters, so
// that no step waits.
#include "train/trainer_state.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>

#define MAX_ROLLBACKS 3 // in one epoch: the same step would fail for ever
#define WHAT_BYTES    320

// The parameter that segment `i` of the optimizer is made of.
static const char *segment_name(const struct trainer *trainer, int64_t i) {
    const struct graph *graph = network_graph(trainer->network);
    for (int p = 0; p < graph->n_parameters; p++)
        if (!graph->parameters[p].is_buffer && i-- == 0)
            return graph->parameters[p].name;
    return "a parameter";
}

// "epoch 3, step 2 of 5: the gradient of 'outc.conv.bias' is not finite".
static void describe(const struct trainer *trainer, int epoch, const struct epoch_numbers *numbers,
                     char out[WHAT_BYTES]) {
    const int64_t *network = numbers->health[0], *scales = numbers->health[1];
    const int64_t *first = network[ADELE_HEALTH_LEFT_OUT] > 0 ? network : scales;
    if (first[ADELE_HEALTH_LEFT_OUT] == 0) {
        (void)snprintf(out, WHAT_BYTES,
                       "epoch %d: the loss of a step is not finite, though its gradients are",
                       epoch);
        return;
    }
    const char *name = first == scales ? "loss.scale_weights"
                                       : segment_name(trainer, first[ADELE_HEALTH_FIRST_SEGMENT]);
    (void)snprintf(out, WHAT_BYTES,
                   "epoch %d, step %lld of %d: the gradient of '%.200s' is not finite", epoch,
                   (long long)(numbers->first_step + first[ADELE_HEALTH_FIRST_UPDATE]),
                   numbers->n_steps, name);
}

static adele_status fail_numeric(const char *what) {
    return FAIL(ADELE_NUMERIC,
                "Lower train.optimizer.lr, or see train.on_nan; the last checkpoint is from before "
                "it.",
                "%s", what);
}

// As --resume does, but for what stays in memory.
static adele_status go_back(struct trainer *trainer, const char *what) {
    char *last = NULL;
    adele_status status;
    TRY_GOTO(trainer_path(trainer, CHECKPOINT_LAST, &last), done);
    if (!file_exists(last)) {
        status = fail_numeric(what); // there is nothing to go back to
        goto done;
    }
    trainer->step_in_epoch = 0;
    TRY_GOTO(checkpoint_load(trainer, last), done);
    TRY_GOTO(trainer_trim_generations(trainer, trainer->epoch), done);
    metrics_close(trainer->metrics);
    trainer->metrics = NULL;
    TRY_GOTO(trainer_open_metrics(trainer), done);
    log_line(LOG_WARNING, "%s; back to the checkpoint of epoch %d and %d steps", what,
             trainer->epoch, trainer->step_in_epoch);
done:
    memory_free(last);
    return status;
}

adele_status trainer_check_health(struct trainer *trainer, int epoch,
                                  const struct epoch_numbers *numbers, int *out_left_out,
                                  bool *out_is_back) {
    char what[WHAT_BYTES];
    int n_summed = (int)numbers->sums[ADELE_SUM_STEPS];
    int64_t n_left_out = numbers->health[0][ADELE_HEALTH_LEFT_OUT];
    if (n_left_out < numbers->health[1][ADELE_HEALTH_LEFT_OUT])
        n_left_out = numbers->health[1][ADELE_HEALTH_LEFT_OUT];
    if (n_left_out < numbers->n_steps - n_summed)
        n_left_out = numbers->n_steps - n_summed;
    *out_left_out = (int)n_left_out;
    *out_is_back = false;
    if (n_left_out == 0)
        return ADELE_OK;
    describe(trainer, epoch, numbers, what);
    bool is_of_loss = numbers->health[0][ADELE_HEALTH_LEFT_OUT] == 0 &&
                      numbers->health[1][ADELE_HEALTH_LEFT_OUT] == 0;
    enum nan_handling handling = trainer->config->train.on_nan;
    if (handling == ON_NAN_STOP || (handling == ON_NAN_SKIP && n_summed == 0))
        return fail_numeric(what); // an epoch without a good step goes nowhere
    if (handling == ON_NAN_SKIP) {
        log_line(LOG_WARNING, "%s; %lld of %d steps left out%s", what, (long long)n_left_out,
                 numbers->n_steps, is_of_loss ? " of the mean loss" : "");
        return ADELE_OK;
    }
    trainer->n_rollbacks = trainer->rollback_epoch == epoch ? trainer->n_rollbacks + 1 : 1;
    trainer->rollback_epoch = epoch;
    if (trainer->n_rollbacks > MAX_ROLLBACKS)
        return fail_context(fail_numeric(what), "after %d rollbacks in one epoch", MAX_ROLLBACKS);
    *out_is_back = true;
    return go_back(trainer, what);
}
