// SPDX-License-Identifier: MIT
// How far the sums of tensor cores may be from the exact ones: what they cut off, beyond the
// rounding to nearest that support/sums.h allows for. One bound for every device with tensor cores,
// be it emulated, interpreted or real.
//
// The arithmetic (https://github.com/microsoft/MMA-Sim, https://arxiv.org/abs/2511.10909): an
// accumulation adds a block of B products to the sum s so far. The products, which are exact, and s
// are aligned to the largest exponent E among them and lose what lies below 2^(E - F); their sum
// then loses what a float cannot hold. Nothing is rounded: all is cut off towards zero. mma.sync on
// Ampere has F = 24 and B = 8 of bf16 or 4 of TF32; Hopper has F = 25 and twice the B, and so cuts
// less. The bound is Ampere's.
//
// A sum of K terms takes N = K / B accumulations. Where the terms come in runs (the channels of a
// tap), each is filled up to a multiple of 8 by zeros. As in sums.h, terms are products of
// independent values from [-1, 1], of variance 1/9, and a partial sum of j terms has variance j/9.
//   The new sum has F - 23 = 1 bit below the step of a float, which is at most 2^-23 |s|: it loses
//   half of a step or nothing, in the mean at most 2^-25 |s|, always towards zero. The sign of s
//   stays for a long time, so these losses add up as they stand, to 2^-25 times the sum of the N
//   partial sums, whose variance is N^2 K / 27. (Hopper: 2 bits, a mean of 3/4 2^-24 |s|, and half
//   the N.)
//   The old s loses less than 2^-24, in the mean 2^-25, when a product is larger: N 2^-25.
//   A product loses at most q = 2^-24 max(|s|, 1), in the direction of its own sign, so that these
//   losses are independent: K of the variance q^2 / 3, together 2^-48 (K^2 / 54 + K / 3).
// The root mean square of all three is at most the sum of theirs:
//     2^-25 (N sqrt(K / 27) + N + 2 sqrt(K^2 / 54 + K / 3)).
// The first part is what matters for long sums. It is a sum of many partial sums, and so nearly a
// normal value: it belongs into sums_error.random. Sums in parts that are added up as floats cut
// less, and so does bf16, whose products reach 14 bits below their exponent where TF32's reach 20.
//
// tests/support/test_tensor_core_tolerance.c compares this with sums computed as published.
#ifndef ADELE_TESTS_TENSOR_CORE_TOLERANCE_H
#define ADELE_TESTS_TENSOR_CORE_TOLERANCE_H

#include "device/device.h"

// Of n_terms terms in runs of `run` neighbours.
double tensor_core_rms(double n_terms, double run, bool is_tf32);

// The same for an op of the precision on the device; 0 where it does not use tensor cores: on the
// CPU, by the plain kernels, and for products in float.
double tensor_core_rms_on(const struct adele_device *device, enum adele_precision precision,
                          double n_terms, double run);
#endif
