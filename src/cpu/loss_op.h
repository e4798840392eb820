// SPDX-License-Identifier: MIT
// Shared by loss.c (creation, checks, sums of a batch) and loss_image.c (rows of an image).
#ifndef ADELE_CPU_LOSS_OP_H
#define ADELE_CPU_LOSS_OP_H

#include "cpu/cpu.h"
#include "cpu/loss_rows.h"
#include "cpu/resample.h"

struct loss_op {
    struct cpu_op base;
    struct adele_loss_desc desc;
    int block, stride, n_threads;
    bool is_bf16; // of logits and d_logits
    int n_used;   // scales that enter the loss: 1 for the plain form
    struct adele_shape shape[ADELE_MAX_SCALES];
    struct resample_axis rows[ADELE_MAX_SCALES], columns[ADELE_MAX_SCALES];
    // The workspace, in bytes from its start.
    size_t at_sums, at_mask, at_counts, at_threads, at_row_gradients[ADELE_MAX_SCALES];
    size_t counts_bytes, thread_bytes; // of one thread
};

// One call's constants.
struct loss_run {
    const struct loss_op *op;
    const struct adele_loss_args *args;
    char *workspace;
    float w[ADELE_MAX_SCALES];
    double n_mean;   // the divisor of the mean over pixels
    double ce_mean;  // that of the cross-entropy, which class weights change
    float ce_factor; // 1 / (ce_mean divisor n_batches)
    float kl_factor; // lambda / (n_mean divisor n_batches), and 1 / K in the paper's form
    bool needs_gradient;
};

static inline void *loss_at(const struct loss_run *run, size_t offset) {
    return run->workspace + offset;
}

// Processes every image of the batch: writes the sums of rows, the masks and the threads' counts to
// the workspace, and gradients, mixture, predictions and confidences to the arguments.
void loss_process_batch(const struct loss_run *run, int n_threads);

#endif
