// SPDX-License-Identifier: MIT
// All tests compare arrays by these functions. NaN and infinity never pass, and a failure prints
// where the arrays differ and by how much.
#ifndef ADELE_TESTS_COMPARE_H
#define ADELE_TESTS_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

// True when every element is finite in both arrays, (n, c, h, w), and
// |got - want| <= tolerance_abs + tolerance_rel * |want|. Otherwise prints to stderr: `what`, the
// counts of bad elements and of NaN and infinity, the largest absolute and relative difference, the
// normalized mean square error, and the first bad element by its index.
bool compare_f32(const char *what, const float *got, const float *want, int n, int c, int h, int w,
                 double tolerance_abs, double tolerance_rel);

// ||got - want|| / ||want|| over n elements; ||got|| where want is all zero; infinity when any
// element of either is NaN or infinite.
double compare_relative_l2(const float *got, const float *want, size_t n);

// True when the relative L2 error is <= tolerance; prints `what` and the error otherwise.
bool compare_l2(const char *what, const float *got, const float *want, size_t n, double tolerance);

// True when n bytes are equal; prints the count of bad ones and the first otherwise.
bool compare_bytes(const char *what, const void *got, const void *want, size_t n);
#endif
