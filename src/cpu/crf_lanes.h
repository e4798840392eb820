// SPDX-License-Identifier: MIT
// The categories of a pixel, side by side: 4, 8, 16 or 24 floats, one half of a vector or whole
// ones. In the functions below `n` is a constant, so that they have no loop.
#ifndef ADELE_CPU_CRF_LANES_H
#define ADELE_CPU_CRF_LANES_H

#include "cpu/lanes.h"

#define CRF_MAX_LANES 24
#define CRF_HALF      (LANES / 2)
#define CRF_INLINE    static inline __attribute__((always_inline))

#define HALF_AT(pointer)       (*(const half_lanes *)(pointer))
#define HALF_STORE(pointer, v) (*(half_lanes *)(pointer) = (v))

// dst = scale * src
CRF_INLINE void crf_scale(float *dst, float scale, const float *src, const int n) {
    for (int i = 0; i + LANES <= n; i += LANES)
        LANES_STORE(dst + i, scale * LANES_AT(src + i));
    if (n < LANES)
        HALF_STORE(dst, scale * HALF_AT(src));
}

// dst = a + scale * b
CRF_INLINE void crf_add_scaled(float *dst, const float *a, float scale, const float *b,
                               const int n) {
    for (int i = 0; i + LANES <= n; i += LANES)
        LANES_STORE(dst + i, LANES_AT(a + i) + scale * LANES_AT(b + i));
    if (n < LANES)
        HALF_STORE(dst, HALF_AT(a) + scale * HALF_AT(b));
}

// Calls a function whose last argument is the number of lanes as a constant.
#define CRF_FOR_LANES(n_lanes, function, ...)                                                      \
    do {                                                                                           \
        if ((n_lanes) == 24)                                                                       \
            function(__VA_ARGS__, 24);                                                             \
        else if ((n_lanes) == 16)                                                                  \
            function(__VA_ARGS__, 16);                                                             \
        else if ((n_lanes) == 8)                                                                   \
            function(__VA_ARGS__, 8);                                                              \
        else                                                                                       \
            function(__VA_ARGS__, 4);                                                              \
    } while (0)

#endif
