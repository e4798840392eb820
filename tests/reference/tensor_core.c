// SPDX-License-Identifier: MIT
#include "reference/tensor_core.h"

#include <math.h>

static int exponent_of(double value) {
    return value == 0.0 || ilogb(value) < -126 ? -126 : ilogb(value);
}

static float towards_zero(double value) {
    float nearest = (float)value;
    return fabs((double)nearest) > fabs(value) ? nextafterf(nearest, 0.0F) : nearest;
}

float reference_tensor_core_block(float c, const float *a, int stride_a, const float *b,
                                  int stride_b, int n, int n_bits) {
    int largest = exponent_of(c);
    for (int i = 0; i < n; i++) {
        double of_a = a[i * stride_a], of_b = b[i * stride_b];
        int exponent = exponent_of(of_a) + exponent_of(of_b);
        if (of_a * of_b != 0.0 && exponent > largest)
            largest = exponent;
    }
    double step = ldexp(1.0, largest - n_bits), sum = trunc((double)c / step);
    for (int i = 0; i < n; i++)
        sum += trunc((double)a[i * stride_a] * (double)b[i * stride_b] / step);
    return towards_zero(sum * step);
}

float reference_tensor_core_sum(float c, const float *a, int stride_a, const float *b, int stride_b,
                                int n, bool is_tf32, bool is_hopper) {
    int block = (is_tf32 ? 4 : 8) * (is_hopper ? 2 : 1);
    for (int i = 0; i < n; i += block)
        c = reference_tensor_core_block(c, a + i * stride_a, stride_a, b + i * stride_b, stride_b,
                                        n - i < block ? n - i : block, is_hopper ? 25 : 24);
    return c;
}
