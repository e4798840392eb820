// SPDX-License-Identifier: MIT
// The convolution of a layer at all scales of a step as one op, on a device and on the host. Only
// the kernels of Hopper have it (support/hopper.h).
#ifndef ADELE_TESTS_SCALES_PROBLEM_H
#define ADELE_TESTS_SCALES_PROBLEM_H

#include "support/conv2d_problem.h"

// All scales have the weights, the biases and their gradients of the first.
struct scales {
    int n;
    struct op_run runs[ADELE_MAX_SCALES];
    struct adele_op *ops[ADELE_MAX_SCALES], *joint;
    const struct adele_conv2d_args *args[ADELE_MAX_SCALES];
    void *workspace; // of the joint op
};

// n, c_in, c_out, kernel, stride, pad, dilation; height and width of each scale; the tile and the
// blocks that it gets, and what the joint op's engine says.
struct scales_case {
    int layer[7], n_scales, sizes[ADELE_MAX_SCALES][2];
    const char *tile, *blocks, *engine;
};

// A layer of 64 channels at two small scales, without a tile of its choice.
extern const struct scales_case scales_small;

struct adele_conv2d_desc scales_desc_of(const struct scales_case *row, int i);
// *out is NULL where the device has no joint op of these scales.
ADELE_MUST_CHECK adele_status scales_create_joint(struct scales *scales, struct adele_op **out);
// The test fails where there is no joint op.
void scales_open(struct scales *scales, struct adele_device *device, const struct scales_case *row,
                 bool has_bias, bool accumulate);
void scales_close(struct scales *scales);

// Gradients that are added to begin as they did; what is overwritten is NaN before.
void scales_start(struct scales *scales);
// Both passes of the joint op. Nothing that was in the workspace may be read.
void scales_run(struct scales *scales);
// The device's results with those of the reference.
void scales_compare(struct scales *scales);
#endif
