// SPDX-License-Identifier: MIT
// IEEE 754 half precision, in bits: C11 has no such type.
#ifndef ADELE_BASE_HALF_H
#define ADELE_BASE_HALF_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

// Nearest, ties to even; values beyond the largest finite half (65504) become that, NaN stays NaN.
uint16_t half_from_float(float value);

// Exact, the bits of a NaN included. Inline, because loops over pixels call it.
static inline float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7FFFu;
    if (magnitude < 0x0400u) { // zero and subnormal numbers: a multiple of 2^-24
        float value = (float)magnitude * (1.0f / 16777216.0f);
        return sign != 0 ? -value : value;
    }
    // The exponent's bias goes from 15 to 127; of infinity and NaN from 31 to 255.
    uint32_t bits = sign | ((magnitude << 13) + (magnitude >= 0x7C00u ? 0x70000000u : 0x38000000u));
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#ifdef __cplusplus
}
#endif
#endif
