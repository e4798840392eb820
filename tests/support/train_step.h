// SPDX-License-Identifier: MIT
// One training plan with the plain cross-entropy and SGD: the smallest loop that trains a network.
// Every failure fails the running CMocka test.
#ifndef ADELE_TESTS_TRAIN_STEP_H
#define ADELE_TESTS_TRAIN_STEP_H

#include "nn/network.h"

// status must be ADELE_OK, or the test fails with the library's message.
void check_ok(adele_status status);

struct train_step {
    const struct adele_device *device;
    struct network *network;
    struct plan *plan;
    struct adele_op *loss, *sgd;
    void *workspace, *labels, *counts, *sums;
};

// For a training plan that has its memory; images are plain (N, C, H, W), labels (N, H, W).
void train_step_create(struct train_step *step, const struct adele_device *device,
                       struct network *network, struct plan *plan, const float *images,
                       const uint8_t *labels);
void train_step_destroy(struct train_step *step);

// Forward with batch statistics, then the loss, which it answers; d_output is filled.
double train_step_loss(struct train_step *step);
// The update alone, with the gradients as they are.
void train_step_update(struct train_step *step, float rate, float momentum);
// Forward, loss, backward into zeroed gradients, update; answers the loss before the update.
double train_step_run(struct train_step *step, float rate, float momentum);
#endif
