// SPDX-License-Identifier: MIT
// A device for tests of the memory planner. Every tensor holds one number, repeated over its whole
// extent, and every op is linear in it. Each op checks that what it reads is still the one number
// that was written there, and fills its workspace with random numbers; so the step fails if two
// tensors overlap while both are needed. It implements the ops of networks only.
#ifndef ADELE_TESTS_UNIFORM_DEVICE_H
#define ADELE_TESTS_UNIFORM_DEVICE_H

#include "device/device.h"

extern const struct adele_device uniform_device;

// What the ops compute, for a reference that uses no planner.
#define UNIFORM_MAX_POOL 0.75F // dst = 0.75 src
#define UNIFORM_RESCALE  1.25F // dst = 1.25 src, of global_pool and dropout too
#define UNIFORM_SECOND   0.5F // concat and add: dst = src0 + 0.5 src1; batch norm: ... + 0.5 residual
// conv2d and batch_norm: dst = weight[0] src + bias[0], and the gradients of that. aspp: the sum of
// that over its branches, in both forms.

// Writes one number over a tensor of that shape.
void uniform_fill(void *tensor, struct adele_shape shape, float value);
// Its one number; NaN when the tensor holds several.
float uniform_value(const void *tensor, struct adele_shape shape);
#endif
