// SPDX-License-Identifier: MIT
// How much more a plan rounds whose device has Winograd convolutions.
#ifndef ADELE_TESTS_WINOGRAD_H
#define ADELE_TESTS_WINOGRAD_H

#include "nn/plan.h"

// What a tolerance for direct convolutions is multiplied with where F(4 x 4, 3 x 3) runs.
//
// One convolution. The transforms multiply, and add up terms that cancel. With oneDNN's
// interpolation points (0, +-5/8, +-3/2, infinity) the rounding of a product can reach the result
// 63 times as large at worst, the product over both axes of |A^T| (|G| 1) (|B^T| 1) / 3; with those
// of our own kernels (+-11/16 instead of +-5/8) 65 times. Random operands of 16 to 256 channels
// give 3 to 6 times the error of a direct convolution.
//
// A network. Statistics, weight gradients, small planes and the golden file itself round as before,
// so that less of it arrives. Five U-Nets, the golden file's and others like it, were computed in
// float with Winograd wherever the CPU has it, choices imposed. The largest error of any array was
// 0.9e-5 to 1.3e-5, and with the textbook's points (0, +-1, +-2, infinity) 1.6e-5 to 3.3e-5, beside
// 0.5e-5 to 0.9e-5 with direct convolutions. So three times the U-Net's 3e-5 leaves a factor of 7,
// or 2.7 for the textbook's points, and stays below the 1e-4 that the file asks for. Units that
// chose differently lay up to 1e-5 off their kink, a tenth of KINKS_DISTANCE, which stays.
#define WINOGRAD_FACTOR 3.0

// WINOGRAD_FACTOR when some convolution of the plan runs as Winograd's, else 1.
double winograd_factor(const struct plan *plan);
#endif
