// SPDX-License-Identifier: MIT
#include "cpu/crf_softmax.h"

#include "cpu/crf_lanes.h"
#include "cpu/vector_math.h"

#define RUN 16 // pixels at a time, whose quotients are computed side by side

CPU_INLINE float larger_one(float a, float b) {
    return a > b ? a : b;
}

// `n_lanes` is a constant where the functions below are inlined.
CPU_INLINE float largest_of(const float *z, int n_groups, size_t group, const int n_lanes) {
    float best[LANES] = {0.0f};
    if (n_lanes < LANES)
        return larger_one(larger_one(z[0], z[1]), larger_one(z[2], z[3]));
    lanes all = LANES_AT(z);
    for (int g = 0; g < n_groups; g++)
        for (int lane = 0; lane + LANES <= n_lanes; lane += LANES) {
            lanes more = LANES_AT(z + (size_t)g * group + lane);
            lanes_mask is_more = more > all;
            all = (lanes)(((lanes_mask)more & is_more) | ((lanes_mask)all & ~is_more));
        }
    LANES_STORE(best, all);
    return larger_one(larger_one(larger_one(best[0], best[4]), larger_one(best[1], best[5])),
                      larger_one(larger_one(best[2], best[6]), larger_one(best[3], best[7])));
}

CPU_INLINE float sum_of(const float *z, int n_groups, size_t group, const int n_lanes) {
    float sum[LANES] = {0.0f};
    if (n_lanes < LANES)
        return (z[0] + z[1]) + (z[2] + z[3]);
    lanes all = {0.0f};
    for (int g = 0; g < n_groups; g++)
        for (int lane = 0; lane + LANES <= n_lanes; lane += LANES)
            all += LANES_AT(z + (size_t)g * group + lane);
    LANES_STORE(sum, all);
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

// Subtracts the largest z of each pixel; n pixels, at most RUN.
CPU_INLINE void subtract_largest(float *z, int n_groups, size_t group, const int n_lanes,
                                 size_t n) {
    static const float ones[CRF_MAX_LANES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                              1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (size_t x = 0; x < n; x++, z += n_lanes) {
        float top = largest_of(z, n_groups, group, n_lanes);
        for (int g = 0; g < n_groups; g++)
            crf_add_scaled(z + (size_t)g * group, z + (size_t)g * group, -top, ones, n_lanes);
    }
}

CPU_INLINE void divide_by_sum(float *z, int n_groups, size_t group, const int n_lanes, size_t n) {
    float scale[RUN];
    for (size_t x = 0; x < RUN; x++)
        scale[x] = x < n ? sum_of(z + x * (size_t)n_lanes, n_groups, group, n_lanes) : 1.0f;
    for (size_t x = 0; x < RUN; x++)
        scale[x] = 1.0f / scale[x];
    for (size_t x = 0; x < n; x++, z += n_lanes)
        for (int g = 0; g < n_groups; g++)
            crf_scale(z + (size_t)g * group, scale[x], z + (size_t)g * group, n_lanes);
}

CPU_INLINE void exponentiate(float *z, size_t n) {
    size_t i = 0;
    for (; i + RUN <= n; i += RUN)
        for (size_t j = i; j < i + RUN; j++)
            z[j] = cpu_exp(z[j]);
    for (; i < n; i++)
        z[i] = cpu_exp(z[i]);
}

CPU_INLINE void softmax_lanes(float *z, int n_groups, size_t group, size_t n, const int n_lanes) {
    for (size_t first = 0; first < n; first += RUN) {
        size_t n_run = n - first < RUN ? n - first : RUN;
        float *at = z + first * (size_t)n_lanes;
        subtract_largest(at, n_groups, group, n_lanes, n_run);
        for (int g = 0; g < n_groups; g++)
            exponentiate(at + (size_t)g * group, n_run * (size_t)n_lanes);
        divide_by_sum(at, n_groups, group, n_lanes, n_run);
    }
}

CPU_KERNEL(static void, softmax_row, (float *z, int n_groups, size_t group, int n_lanes, size_t n),
           (z, n_groups, group, n_lanes, n)) {
    if (n_groups == 1)
        CRF_FOR_LANES(n_lanes, softmax_lanes, z, 1, 0, n);
    else
        CRF_FOR_LANES(n_lanes, softmax_lanes, z, n_groups, group, n);
}

void crf_softmax(float *z, int n_groups, size_t group, int n_lanes, size_t n_pixels) {
    softmax_row(z, n_groups, group, n_lanes, n_pixels);
}
