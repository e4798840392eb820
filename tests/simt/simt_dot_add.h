// SPDX-License-Identifier: MIT
// How tensor cores multiply and add. Source: MMA-Sim, a model that gives the bits of the hardware
// (https://github.com/microsoft/MMA-Sim, https://arxiv.org/abs/2511.10909).
//
// An mma.sync adds to each element of d the products of a block of k at once. With F fractional
// bits:
//   1. A product of two operands is exact. Its exponent is the sum of its operands' exponents,
//      whether or not the product of their significands reaches 2.
//   2. The products of the block and the element of d are aligned to the largest exponent E among
//      them: each loses its bits below 2^(E - F), towards zero.
//   3. What is left is added up without error, and the sum loses its bits below the 24 that a float
//      has, towards zero.
// Ampere and Ada have F = 24 and take half of the instruction's k at a time (8 of bf16, 4 of TF32),
// one half after the other. Hopper has F = 25 and takes all of it (16 of bf16, 8 of TF32).
//
// The interpreter of PTX in tests/ptx has this arithmetic too, and its fragments; the two are
// written independently and must stay so, since each is the other's check.
#ifndef ADELE_SIMT_DOT_ADD_H
#define ADELE_SIMT_DOT_ADD_H

#include "simt_settings.h"

// d (16 rows, 8 columns) += a b. a (n_k, 16 rows) and b (n_k, 8 columns) have k as the first index;
// their elements have at most 11 significant bits. n_k: 16 of bf16, 8 of TF32.
void simt_dot_add(enum simt_tensor_core tensor_core, float d[16][8], const float a[][16],
                  const float b[][8], int n_k);

#endif
