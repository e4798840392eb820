// SPDX-License-Identifier: MIT
// One training step on the device: sample a batch, forward at all scales, loss, backward, SGD.
// With train.average, the average of the weights too.
//
//     training_step_start_epoch(epoch)
//     for each step: training_step_next_batch; training_step_run
//     training_step_read_totals
//
// The host does not wait for the device in between.
#ifndef ADELE_STEP_TRAINING_STEP_H
#define ADELE_STEP_TRAINING_STEP_H

#include "loader/run_data.h"
#include "predict/prediction.h"
#include "step/averaged_weights.h"
#include "step/step_parts.h"

// Plans and ops of one batch size: that of a full batch, or that of an epoch's last one. With
// train.parts, that of one of its parts, which are computed one after another.
struct batch_plan {
    int n; // images; 0 = not used
    struct plan *plans[ADELE_MAX_SCALES];
    struct plan_group *group; // of these
    struct adele_op *sample, *loss;
    struct adele_op *dice; // NULL: loss.dice is 0
    // NULL: images are augmented by the op sample alone, which makes all scales. Otherwise it makes
    // scale 0, and the other scales are made of what `intensity` has changed.
    struct adele_op *intensity, *rescales[ADELE_MAX_SCALES]; // rescales[0]: NULL
};

// One part of a step's batch; all of it with one part.
struct step_part {
    struct batch_plan *batch;
    int index;          // among the parts of the batch
    int first_row;      // of its images, among those that this rank has fetched
    const int32_t *ids; // (batch->n), on the device: its samples
};

// What an epoch's steps add up. With train.parts, each part counts as a step in the sums.
struct step_totals {
    int64_t counts[ADELE_COUNT_TABLES][ADELE_COUNT_KINDS][256];
    double sums[ADELE_SUM_COUNT];
};

struct training_step {
    struct run_data *data;   // borrowed
    struct network *network; // borrowed
    // Where the loss op stores the prediction of each image; NULL: nowhere. Borrowed.
    const struct prediction *prediction;
    struct epoch_plan epochs;
    int n_scales;  // of the loss
    int n_batches; // of the current update, for training_step_loss
    struct batch_plan full, rest;
    struct step_parts parts;
    struct adele_op *update, *update_scales; // sgd or adamw
    struct averaged_weights averaged;

    // Of the device, of all that follows: as planned, and as far as it was allocated.
    size_t planned_buffer_bytes, buffer_bytes;

    // Batch buffers in device memory, for the larger of the two batch sizes.
    uint8_t *labels, *noisy, *truth; // plain (n, H, W)
    int32_t *order;                  // plain (n_images): the epoch's permutation
    int32_t *host_order;             // the same, on the host
    void *workspace;
    int64_t *counts;         // plain (ADELE_COUNT_SIZE)
    double *sums;            // plain (parts, ADELE_SUM_COUNT): of this rank's parts
    int32_t *loss_is_finite; // plain (parts + 1): of the step; the last is of a divided update
    float *class_weights;    // plain (C); NULL: none
    float *scale_state;      // plain (3, ADELE_MAX_SCALES): raw scale weights, gradient, momentum
    // AdamW, NULL otherwise. scale_second: plain (ADELE_MAX_SCALES), second moments of the scale
    // weights, whose first ones are the momentum in scale_state. n_updates: plain (2), updates done
    // of the network and of the scale weights.
    float *scale_second;
    int64_t *n_updates;
    // Pinned, plain (2, ADELE_HEALTH_COUNT): of the network's and the scale weights' updates. The
    // host reads it while the device works.
    int64_t *health;
    float *good_statistics; // plain: the network's running statistics after its last good step
};

// Borrows data and network. After an error, training_step_deinit frees what was made.
ADELE_MUST_CHECK adele_status training_step_init(struct training_step *out, struct run_data *data,
                                                 struct network *network);
void training_step_deinit(struct training_step *step); // also zeroes it; legal on a zeroed struct

// Before the steps of epoch `epoch` (from 1), the first of which is step i_first (from 0).
// Counters start at zero, or, with i_first above 0, at what a checkpoint has put there.
ADELE_MUST_CHECK adele_status training_step_start_epoch(struct training_step *step, int epoch,
                                                        int i_first);
// Makes the batch that was fetched last the current one and fetches that of step i_next, for images
// that stay in host memory; nothing is fetched behind the epoch's last step.
ADELE_MUST_CHECK adele_status training_step_next_batch(struct training_step *step, int epoch,
                                                       int i_next);
ADELE_MUST_CHECK adele_status training_step_fetch(struct training_step *step, int epoch,
                                                  int i_step);
// `rate`: the learning rate. With train.accumulate only the last step of an update changes weights.
ADELE_MUST_CHECK adele_status training_step_run(struct training_step *step, int epoch, int i_step,
                                                double rate);

// training_step_totals.c: sums over parts and ranks, in an order that does not depend on the number
// of ranks. Collective where nothing else is said; all wait for the device. After all steps of an
// epoch:
ADELE_MUST_CHECK adele_status training_step_read_totals(const struct training_step *step,
                                                        struct step_totals *out);
// The first `n_tables` tables of the counters alone, after any step.
ADELE_MUST_CHECK adele_status training_step_read_counts(const struct training_step *step,
                                                        int n_tables, int64_t *out);
// The sums of this rank's parts alone, after any step; not collective.
ADELE_MUST_CHECK adele_status training_step_read_own_sums(const struct training_step *step,
                                                          double out[ADELE_SUM_COUNT]);
// Before rank 0 saves an unfinished epoch: counters and sums of all ranks come into its own blocks.
// No further step may follow.
ADELE_MUST_CHECK adele_status training_step_gather(struct training_step *step);
// After these blocks were loaded on every rank: each keeps its share of what is summed over ranks.
ADELE_MUST_CHECK adele_status training_step_scatter(struct training_step *step);

// What a step consists of: part i_part (one of this rank's) of step i_step.
struct step_part training_step_part(struct training_step *step, int i_step, int i_part);
ADELE_MUST_CHECK adele_status training_step_sample(struct training_step *step,
                                                   const struct step_part *part, int epoch);
ADELE_MUST_CHECK adele_status training_step_loss(struct training_step *step,
                                                 const struct step_part *part);
#endif
