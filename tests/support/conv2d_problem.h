// SPDX-License-Identifier: MIT
// Problems of the op conv2d, on a device and by the reference. Every failure fails the running
// CMocka test.
#ifndef ADELE_TESTS_CONV2D_PROBLEM_H
#define ADELE_TESTS_CONV2D_PROBLEM_H

#include "support/op_run.h"

// n, c_in, h, w, c_out, kernel, stride, pad, dilation; fp32, with a bias, for training.
struct adele_conv2d_desc conv2d_desc_of(const int *row);
// Gradients begin with random values.
void conv2d_open(struct op_run *run, struct adele_device *device, struct adele_conv2d_desc desc,
                 bool accumulate);

// Forward and, for training, backward on the device agree with the reference. For TF32 the operands
// are rounded before: a device that multiplies in TF32 and one that multiplies in float then agree
// with it to float accuracy.
void conv2d_check(struct adele_device *device, struct adele_conv2d_desc desc, bool accumulate);
// The same for ops that have run: dst, d_src (where it is needed), and d_weight and d_bias, which
// may have the sums of more than the op's own pixels, with what the reference has left in the
// arguments of the host.
void conv2d_compare_dst(struct op_run *run);
void conv2d_compare_d_src(struct op_run *run);
void conv2d_compare_gradients(struct op_run *run, double n_pixels);
double conv2d_n_pixels(const struct op_run *run); // of dst, all images
// The op's text on what runs it contains `engine`.
void conv2d_check_engine(struct adele_device *device, struct adele_conv2d_desc desc,
                         const char *engine);

#endif
