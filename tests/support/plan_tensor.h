// SPDX-License-Identifier: MIT
// The value or the gradient of a plan's node on the host, also where it is a slice of a concat's
// tensor. Every failure fails the running CMocka test.
#ifndef ADELE_TESTS_PLAN_TENSOR_H
#define ADELE_TESTS_PLAN_TENSOR_H

#include "nn/plan.h"

struct plan_tensor {
    const struct adele_device *device;
    void *address;            // on the device, of the whole tensor
    struct adele_shape shape; // of the node's output
    struct adele_shape whole; // of the tensor in memory: as many channels or more
    int first;                // channel of `whole` that is the node's channel 0
    float *values;            // plain, `whole`
};

// Downloads it; `role` is BLOCK_VALUE or BLOCK_GRADIENT. Free it with plan_tensor_free.
void plan_tensor_read(struct plan_tensor *tensor, const struct plan *plan, int i_node,
                      enum block_role role);
void plan_tensor_free(struct plan_tensor *tensor);
// Uploads the values, and with them the other channels of `whole` as they were read.
void plan_tensor_write(const struct plan_tensor *tensor);
// Element i of the node's own (N, C, H, W).
float *plan_tensor_at(const struct plan_tensor *tensor, size_t i);
#endif
