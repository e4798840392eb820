// SPDX-License-Identifier: MIT
// The sum that a tensor core computes at once, step by step as published: MMA-Sim,
// https://github.com/microsoft/MMA-Sim, https://arxiv.org/abs/2511.10909. Neither the emulator nor
// the interpreter of PTX uses it, so that it can check both.
#ifndef ADELE_REFERENCE_TENSOR_CORE_H
#define ADELE_REFERENCE_TENSOR_CORE_H

#include <stdbool.h>

// c + the sum of a[i * stride_a] b[i * stride_b] over a block of n: each addend, aligned to the
// largest exponent, keeps n_bits fractional bits, and the sum those of a float. All are finite, and
// the operands have at most 11 significant bits.
float reference_tensor_core_block(float c, const float *a, int stride_a, const float *b,
                                  int stride_b, int n, int n_bits);

// The same over any number of terms, in the blocks of mma.sync on Ampere (24 bits; 8 of bf16, 4 of
// TF32) or on Hopper (25 bits; 16, 8).
float reference_tensor_core_sum(float c, const float *a, int stride_a, const float *b, int stride_b,
                                int n, bool is_tf32, bool is_hopper);

#endif
