// SPDX-License-Identifier: MIT
// The arithmetic of the op guided_filter (label_ops.h) for one pixel, for all devices.
#ifndef ADELE_DEVICE_GUIDED_RULE_H
#define ADELE_DEVICE_GUIDED_RULE_H

#include <stdint.h>

#ifdef __CUDACC__
#define GUIDED_FUNCTION static __host__ __device__ inline
#else
#define GUIDED_FUNCTION static inline
#endif

GUIDED_FUNCTION double guided_clamp(double x) {
    double positive = x > 0.0 ? x : 0.0; // a NaN is 0
    return positive < 1.0 ? positive : 1.0;
}

// What a map's value counts as: NaN and infinity are 0.
GUIDED_FUNCTION double guided_value(float value) {
    return value - value == 0.0f ? (double)value : 0.0;
}

// q of four values of a map, blended: the upper two, the lower two.
GUIDED_FUNCTION float guided_blend(const double v[4], float t_y, float t_x, float scale) {
    double x = (double)t_x, y = (double)t_y;
    double upper = (1.0 - x) * v[0] + x * v[1], lower = (1.0 - x) * v[2] + x * v[3];
    return (float)guided_clamp((double)scale * ((1.0 - y) * upper + y * lower));
}

// How many of n rows or columns are at most `radius` away from row or column i.
GUIDED_FUNCTION int guided_extent(int i, int radius, int n) {
    int first = i > radius ? i - radius : 0, last = n - 1 - i > radius ? i + radius : n - 1;
    return last - first + 1;
}

#endif
