// SPDX-License-Identifier: MIT
// train.parts: how the results of a batch's parts become those of the step. A part gives one vector
// [gradients | gradients of the scale weights | running statistics | whether its loss is finite];
// the vectors are summed in one binary tree (part_tree.h). With one part none of this exists.
//
// Ranks continue the tree:
//   on the CPU          in buckets beside backward (overlap.h, bucket_exchange.h); each rank
//   updates
//                       the chunks that it has added up (divided_update.h)
//   GPUs, with NCCL     in buckets beside backward (overlap.h, exchange_sum_part); each GPU gets
//   the
//                       whole sum, and updates all weights
//   GPUs, without NCCL  the whole vector after backward, through the host (exchange_sum); then as
//                       with NCCL
#ifndef ADELE_STEP_STEP_PARTS_H
#define ADELE_STEP_STEP_PARTS_H

#include "step/divided_update.h"
#include "step/exchange.h"
#include "step/overlap.h"
#include "step/part_tree.h"

struct training_step;

struct step_parts {
    int n;              // of a batch
    int i_first, n_own; // of this rank
    // With n above 1:
    struct part_tree tree;
    struct exchange *exchange; // NULL: one process, or divided
    struct divided_update divided;
    bool is_divided;
    // Of several ranks. Not used where GPUs exchange through the host, after backward.
    struct buckets buckets;
    struct overlap overlap;
    struct adele_op *mean; // of the running statistics; NULL: there are none
    // Where each begins in a vector; the gradients come first. The flags are the `n` entries of
    // loss_is_finite, of which each part fills its own.
    int64_t at_scales, at_statistics, at_flags;
};

// Which parts this rank has; ADELE_CONFIG when the ranks cannot share train.parts out equally.
ADELE_MUST_CHECK adele_status step_parts_divide(struct step_parts *out, int n_parts,
                                                const struct ranks *ranks);
// The rest of step->parts. After an error, step_parts_deinit frees what was made.
ADELE_MUST_CHECK adele_status step_parts_init(struct training_step *step);
// Around all steps, collective: exchange_connect and exchange_disconnect, where there are several
// ranks.
ADELE_MUST_CHECK adele_status step_parts_connect(struct step_parts *parts);
ADELE_MUST_CHECK adele_status step_parts_disconnect(struct step_parts *parts);
void step_parts_deinit(struct step_parts *parts);        // legal on a zeroed struct
size_t step_parts_bytes(const struct step_parts *parts); // of the device

// With n above 1, in this order. All but the exchange only queue ops, and with exchange_is_queued
// that does, too; divided, there is no queue, and messages are begun.
ADELE_MUST_CHECK adele_status step_parts_begin_step(struct training_step *step);
// Before the forward of part i_part: gradients are zero, running statistics those of the step's
// start.
ADELE_MUST_CHECK adele_status step_parts_begin_part(struct training_step *step, int i_part);
// Its backward at all scales.
ADELE_MUST_CHECK adele_status step_parts_backward(struct training_step *step,
                                                  struct plan_group *group, int i_part);
// After that.
ADELE_MUST_CHECK adele_status step_parts_add(struct training_step *step, int i_part);
// After the last one, between ranks; not between step_begin and step_end, unless it is queued.
ADELE_MUST_CHECK adele_status step_parts_exchange(struct training_step *step);
// Gradients, running statistics and flags of the whole batch, as after a step of one part. Divided,
// the gradients are those of this rank's chunks, and behind the flags comes another one: whether
// all gradients are finite.
ADELE_MUST_CHECK adele_status step_parts_end_step(struct training_step *step);
#endif
