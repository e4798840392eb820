// SPDX-License-Identifier: MIT
// Gradients by finite differences of a function in double, along one random direction.
#ifndef ADELE_TESTS_GRADIENT_H
#define ADELE_TESTS_GRADIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// f(context) reads the array x. True when f(x + step v) - f(x - step v) agrees with `gradient`
// times the step actually taken, within `tolerance` of the size of the terms; otherwise prints
// both. x is restored. v is uniform in [-1, 1) from `seed`.
bool gradient_agrees(const char *what, double (*f)(const void *context), const void *context,
                     float *x, const float *gradient, size_t n, uint64_t seed, double step,
                     double tolerance);

// sum of weight[i] * value[i] in double: the scalar that a test makes of an op's output.
double gradient_dot(const float *weight, const float *value, size_t n);
#endif
