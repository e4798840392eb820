// SPDX-License-Identifier: MIT
// A problem of the op aspp: random tensors, on a device and by the reference. Every failure fails
// the running CMocka test.
#ifndef ADELE_TESTS_ASPP_PROBLEM_H
#define ADELE_TESTS_ASPP_PROBLEM_H

#include "support/devices.h"

#include <stdbool.h>
#include <stddef.h>

// One pyramid in plain host arrays: inputs, upstream gradient, and what gradients start from.
struct aspp_problem {
    struct adele_aspp_desc desc;
    struct adele_shape in, out;
    size_t n_weights[ADELE_MAX_RATES];
    float *src, *dst, *d_dst, *d_src;
    float *weights[ADELE_MAX_RATES], *biases[ADELE_MAX_RATES];
    float *d_weights[ADELE_MAX_RATES], *d_biases[ADELE_MAX_RATES];
};

struct aspp_problem aspp_problem_make(struct arena *arena, struct adele_aspp_desc desc);

// The arguments for the reference, and the same on the arena's device.
struct adele_aspp_args aspp_host_args(const struct aspp_problem *p, bool accumulate);
struct adele_aspp_args aspp_device_args(struct arena *arena, const struct aspp_problem *p,
                                        const struct adele_op *op, bool accumulate);

// Forward and, for training, backward on the device agree with the reference.
void aspp_check(struct adele_device *device, struct adele_aspp_desc desc, bool accumulate);
// The op's text on what runs it contains `engine`.
void aspp_check_engine(struct adele_device *device, struct adele_aspp_desc desc,
                       const char *engine);

#endif
