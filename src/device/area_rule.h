// SPDX-License-Identifier: MIT
// The arithmetic of the op area_decision (label_ops.h), for all devices: the same bits on each.
#ifndef ADELE_DEVICE_AREA_RULE_H
#define ADELE_DEVICE_AREA_RULE_H

#include <stdint.h>

#ifdef __CUDACC__
#define AREA_FUNCTION static __host__ __device__ inline
#else
#define AREA_FUNCTION static inline
#endif

#define AREA_UNIT 16777216 // 2^24: the sum of K_c counts in units of 2^-24

AREA_FUNCTION float area_clean(float q) {
    float positive = q > 0.0f ? q : 0.0f; // a NaN is 0
    return positive < 1.0f ? positive : 1.0f;
}

// Both of a clean q.
AREA_FUNCTION int area_bin(float q, int n_bins) {
    int bin = (int)(q * (float)n_bins);
    return bin < n_bins ? bin : n_bins - 1;
}
AREA_FUNCTION int area_units(float q) {
    return (int)(q * (float)AREA_UNIT);
}

// K_c of a sum of units. The division is exact, so that it does not matter whether it and the sum
// are one multiply-add. Exact with the factor 1 up to 2^29 pixels.
AREA_FUNCTION int64_t area_pixels(int64_t units, float factor) {
    double scaled = (double)units * (double)factor;
    return (int64_t)(scaled / AREA_UNIT + 0.5);
}

AREA_FUNCTION double area_threshold(int bin, int n_bins) {
    double t = (double)bin / (double)n_bins;
    return t < 0.02 ? 0.02 : t > 0.98 ? 0.98 : t;
}

// What q / (1 - q) is multiplied by.
AREA_FUNCTION double area_weight(double threshold) {
    return (1.0 - threshold) / threshold;
}

// What the prediction is the argmax of: grows with logit(q) - logit(t). Of a clean q.
AREA_FUNCTION double area_score(float q, double weight) {
    double p = (double)q;
    p = p < 1e-5 ? 1e-5 : p;
    p = p > 1.0 - 1e-5 ? 1.0 - 1e-5 : p;
    return p / (1.0 - p) * weight;
}

#endif
