// SPDX-License-Identifier: MIT
// How much more a plan rounds whose device has Winograd convolutions.
#ifndef ADELE_TESTS_WINOGRAD_H
#define ADELE_TESTS_WINOGRAD_H

#include "nn/plan.h"

// What a tolerance that holds for direct convolutions is multiplied with where F(4 x 4, 3 x 3)
// runs. Its transforms multiply by up to 5 and add up terms that cancel, so that one convolution is
// 3 to 5 times as far off as a direct one (src/cpu/conv2d_onednn.c). In a whole network, direct
// convolutions, weight gradients and the golden file itself round too. Three U-Nets were computed
// in float with Winograd in every place where the CPU has it, choices imposed: the largest error
// was 1.2e-5 to 1.3e-5 with oneDNN's interpolation points (0, 5/8, 3/2) and 1.6e-5 to 3.1e-5 with
// the textbook's (0, 1, 2), beside 0.5e-5 to 0.9e-5 of direct convolutions: at most 3.5 times as
// much, where the direct ones keep 3 times their error as room. Units that chose differently lay up
// to 8e-6 off their kink, which KINKS_DISTANCE covers as it is.
#define WINOGRAD_FACTOR 3.0

// WINOGRAD_FACTOR when some convolution of the plan runs as Winograd's, else 1.
double winograd_factor(const struct plan *plan);
#endif
