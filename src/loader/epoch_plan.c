// SPDX-License-Identifier: MIT
#include "loader/epoch_plan.h"

#include "base/log.h"

static void log_plan(const struct epoch_plan *plan) {
    log_line(LOG_DETAIL, "steps: %ld, %d an epoch, %d epochs", plan->n_steps_total, plan->n_steps,
             plan->n_epochs);
    if (plan->n_last_images > plan->batch)
        log_line(LOG_DETAIL, "last batch of an epoch: %d images, because one alone has no variance",
                 plan->n_last_images);
    if (plan->n_dropped_images > 0)
        log_line(LOG_DETAIL, "%s: the last %d images of an epoch's order are left out",
                 plan->last_batch == LAST_DROPPED ? "train.drop_last" : "train.parts",
                 plan->n_dropped_images);
}

// One part of a batch is a batch of its own here, because all parts have the same size.
// A last batch of one image is trained on as it is, as other tools do, unless a batch norm would
// get one value of each channel: that has no variance, so the image joins the batch before it. With
// train.parts there is one such image for each part, and they are left out.
void epoch_plan_init(struct epoch_plan *out, const struct config *config, int n_images, int batch,
                     bool needs_two_images) {
    int n_parts = config->train.parts;
    enum last_batch of_two = n_parts > 1 ? LAST_NOT_SINGLE : LAST_JOINED;
    enum last_batch last_batch = config->train.drop_last ? LAST_DROPPED
                                 : needs_two_images      ? of_two
                                                         : LAST_KEPT;
    int n_of_part = n_images / n_parts, part = batch / n_parts;
    int n_last = last_batch_images(last_batch, n_of_part, part);
    int n_taken = n_of_part - last_batch_left_out(last_batch, n_of_part, part);
    int n_steps = (n_taken - n_last) / part + 1;
    long n_total = config->train.iterations;
    int n_epochs = config->train.epochs;
    if (n_total > 0)
        n_epochs = (int)((n_total + n_steps - 1) / n_steps);
    else
        n_total = (long)n_steps * n_epochs;
    *out = (struct epoch_plan){.batch = batch,
                               .n_parts = n_parts,
                               .part_images = part,
                               .last_batch = last_batch,
                               .n_steps = n_steps,
                               .n_last_images = n_last * n_parts,
                               .n_dropped_images = n_images - n_taken * n_parts,
                               .accumulate = config->train.accumulate,
                               .n_epochs = n_epochs,
                               .n_steps_total = n_total};
    log_plan(out);
}

int epoch_plan_images(const struct epoch_plan *plan, int i_step) {
    return i_step == plan->n_steps - 1 ? plan->n_last_images : plan->batch;
}

int epoch_plan_steps(const struct epoch_plan *plan, int epoch) {
    long n_left = plan->n_steps_total - (long)(epoch - 1) * plan->n_steps;
    return n_left < plan->n_steps ? (int)n_left : plan->n_steps;
}

struct update_steps epoch_plan_update(const struct epoch_plan *plan, int epoch, int i_step) {
    int n_steps = epoch_plan_steps(plan, epoch);
    int first = i_step - i_step % plan->accumulate, end = first + plan->accumulate;
    return (struct update_steps){.first = first, .end = end < n_steps ? end : n_steps};
}

int epoch_plan_updates(const struct epoch_plan *plan, int epoch, int n_steps) {
    bool is_cut = n_steps == epoch_plan_steps(plan, epoch) && n_steps % plan->accumulate > 0;
    return n_steps / plan->accumulate + (is_cut ? 1 : 0);
}
