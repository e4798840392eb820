// SPDX-License-Identifier: MIT
// The choices at the kinks that a golden file records (tests/golden/README.md): which units of a
// batch norm passed their ReLU, and which pixel of a window won a max pooling. Where a value lies
// within rounding of its kink, two correct implementations may choose differently, and one unit
// moves a layer's gradient by a per cent. So a test compares the choices that a device made in its
// forward pass with the recorded ones, asserts that those that differ are few and lie within
// rounding of their kink, and makes the recorded choices the device's before the backward pass.
#ifndef ADELE_TESTS_KINKS_H
#define ADELE_TESTS_KINKS_H

#include "base/safetensors.h"
#include "nn/plan.h"

// How close to its kink a unit must lie whose choice differs, in units of the root mean square of
// the layer's values. golden/README.md asks for this much in fp32. Measured: up to 6e-6 with direct
// convolutions, up to 1e-5 with Winograd's.
#define KINKS_DISTANCE 1e-4
// The share of a forward pass's units that may differ.
#define KINKS_SHARE 1e-3

struct kinks {
    const struct safetensors *file;
    char prefix[32]; // of the recorded names: "step0.", or "" where the file has one forward
    // Module paths of the max poolings, in the graph's order: the graph's own names are numbers.
    const char *const *poolings;
    int n_poolings;
    // Results, of the last kinks_impose.
    size_t n_units, n_differing;
    double farthest; // the largest distance of a unit that differed
};

// After a forward of a training plan: compares the choices of every ReLU and max pooling with those
// of the file, which must hold exactly the plan's layers, and writes the recorded ones into the
// stored activations, from which every device's backward takes them. A ReLU is open where the
// output of its batch norm is above 0, and the winner of a window is its first largest value. An
// imposed unit changes by no more than its distance to the kink.
void kinks_impose(struct kinks *kinks, struct plan *plan);
#endif
