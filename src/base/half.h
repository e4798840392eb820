// SPDX-License-Identifier: MIT
// IEEE 754 half precision, in bits: C11 has no such type. By hand, because the result must be the
// same on every machine; without branches and inline, because loops over pixels become vector code.
#ifndef ADELE_BASE_HALF_H
#define ADELE_BASE_HALF_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __CUDACC__
#define HALF_FUNCTION static __host__ __device__ inline
#else
#define HALF_FUNCTION static inline
#endif

#define HALF_LARGEST 0x7BFFu // 65504

// Nearest, ties to even; values beyond the largest finite half (65504) become that, NaN stays NaN.
HALF_FUNCTION uint16_t half_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    // A normal half drops 13 bits of the mantissa; a carry into the exponent is the right result.
    // The exponent's bias goes from 127 to 15.
    uint32_t normal = (magnitude + 0xFFFu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13;
    // Below 2^-14: the last bit of a float from 0.5 to 1 is the smallest subnormal half, 2^-24, so
    // that the addition rounds. Larger magnitudes must not get there: infinity would come of it.
    uint32_t small_bits = magnitude < 0x38800000u ? magnitude : 0u;
    float small;
    memcpy(&small, &small_bits, sizeof small);
    small += 0.5f;
    memcpy(&small_bits, &small, sizeof small_bits);
    uint32_t half = magnitude < 0x38800000u ? small_bits - 0x3F000000u : normal;
    half = magnitude >= 0x477FE000u ? HALF_LARGEST : half; // 65504 and up, infinity too
    half = magnitude > 0x7F800000u ? 0x7E00u : half;
    return (uint16_t)(sign | half);
}

// Exact, the bits of a NaN included.
HALF_FUNCTION float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7FFFu;
    // Zero and subnormal numbers are a multiple of 2^-24.
    float small = (float)(int32_t)magnitude * (1.0f / 16777216.0f);
    uint32_t small_bits;
    memcpy(&small_bits, &small, sizeof small_bits);
    // The exponent's bias goes from 15 to 127; of infinity and NaN from 31 to 255.
    uint32_t bits = (magnitude << 13) + (magnitude >= 0x7C00u ? 0x70000000u : 0x38000000u);
    bits = sign | (magnitude < 0x0400u ? small_bits : bits);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#ifdef __cplusplus
}
#endif
#endif
