// SPDX-License-Identifier: MIT
// A problem of the op conv2d: random tensors, on a device and by the reference. Every failure fails
// the running CMocka test.
#ifndef ADELE_TESTS_CONV2D_PROBLEM_H
#define ADELE_TESTS_CONV2D_PROBLEM_H

#include "support/devices.h"

#include <stdbool.h>
#include <stddef.h>

// One convolution in plain host arrays: inputs, upstream gradient, and what gradients start from.
struct conv2d_problem {
    struct adele_conv2d_desc desc;
    struct adele_shape in, out;
    size_t n_weights;
    float *src, *weight, *bias, *d_dst, *d_src, *d_weight, *d_bias, *dst;
};

// n, c_in, h, w, c_out, kernel, stride, pad, dilation; fp32, with a bias, for training.
struct adele_conv2d_desc conv2d_desc_of(const int *row);
// For TF32 the operands are rounded here already: a device that multiplies in TF32 and one that
// multiplies in float then agree with the reference to float accuracy.
struct conv2d_problem conv2d_problem_make(struct arena *arena, struct adele_conv2d_desc desc);

// The arguments for the reference, and the same on the arena's device.
struct adele_conv2d_args conv2d_host_args(const struct conv2d_problem *p, bool accumulate);
struct adele_conv2d_args conv2d_device_args(struct arena *arena, const struct conv2d_problem *p,
                                            const struct adele_op *op, bool accumulate);

// Forward and, for training, backward on the device agree with the reference.
void conv2d_check(struct adele_device *device, struct adele_conv2d_desc desc, bool accumulate);
// The op's text on what runs it contains `engine`.
void conv2d_check_engine(struct adele_device *device, struct adele_conv2d_desc desc,
                         const char *engine);

#endif
