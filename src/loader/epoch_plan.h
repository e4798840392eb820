// SPDX-License-Identifier: MIT
// How the loader divides epochs into steps: how many of each a run has, and how many images each
// step trains on.
#ifndef ADELE_LOADER_EPOCH_PLAN_H
#define ADELE_LOADER_EPOCH_PLAN_H

#include "config/config.h"
#include "nn/memory_check.h"
#include "ranks/image_owner.h"

struct epoch_plan {
    int batch;                  // images of every step but the last one of an epoch
    int n_parts;                // of each batch, of equal size: train.parts
    int part_images;            // of every step but the last one of an epoch: batch / n_parts
    enum last_batch last_batch; // of a part's images
    int n_steps, n_last_images; // steps of an epoch, and the images of its last step
    int n_dropped_images;       // of an epoch: train.drop_last, train.parts
    int accumulate;             // steps of an update; an epoch's last one may have fewer
    int n_epochs;               // by train.epochs or train.iterations
    long n_steps_total;         // the last epoch may have fewer steps than n_steps
};

// `batch`: a multiple of train.parts. `needs_two_images`: some batch norm of the network has no
// statistics of a single image.
void epoch_plan_init(struct epoch_plan *out, const struct config *config, int n_images, int batch,
                     bool needs_two_images);
static inline struct epoch_batches epoch_plan_batches(const struct epoch_plan *plan) {
    return (struct epoch_batches){plan->batch, plan->n_steps, plan->n_last_images};
}
int epoch_plan_images(const struct epoch_plan *plan, int i_step); // of step i_step, from 0
int epoch_plan_steps(const struct epoch_plan *plan, int epoch);   // of epoch `epoch`, from 1

// The steps of the update that step i_step of the epoch takes part in: first <= i < end.
struct update_steps {
    int first, end;
};
struct update_steps epoch_plan_update(const struct epoch_plan *plan, int epoch, int i_step);
// The updates that are done with the first n_steps steps of the epoch.
int epoch_plan_updates(const struct epoch_plan *plan, int epoch, int n_steps);
#endif
