// SPDX-License-Identifier: MIT
// exp and log for loops over contiguous floats: no branch, no table, no call, so that the compiler
// turns the loop into vector code without -ffast-math (which would break NaN). Errors stay below 1
// ulp.
#ifndef ADELE_CPU_VECTOR_MATH_H
#define ADELE_CPU_VECTOR_MATH_H

#include "cpu/isa.h"

#include <stdint.h>
#include <string.h>

// Lets the compiler compute both sides of a selection such as x < low ? low : x, without which
// these loops stay scalar. Only floating-point exception flags are lost, which nobody reads; values
// are unchanged.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math")
#endif

#define CPU_INLINE static inline __attribute__((always_inline))

// e^x. Below -87.3 (where a float turns denormal) the answer is 0; above 88.3 it stays at e^88.3;
// NaN stays NaN. x = n ln 2 + r with |r| <= ln 2 / 2, then the Taylor series of e^r: its first
// dropped term is 5e-9.
CPU_INLINE float cpu_exp(float x) {
    const float round_bias =
        12582912.0f; // 1.5 * 2^23: adding it leaves the integer in the low bits
    float clamped = x > 88.3f ? 88.3f : x;
    clamped = clamped < -87.3f ? -87.3f : clamped;
    float biased = clamped * 1.44269504f + round_bias;
    float n = biased - round_bias;
    // ln 2 in two parts; the first has few bits, so that n times it is exact.
    float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
    float series = 1.0f / 5040.0f;
    series = series * r + 1.0f / 720.0f;
    series = series * r + 1.0f / 120.0f;
    series = series * r + 1.0f / 24.0f;
    series = series * r + 1.0f / 6.0f;
    series = series * r + 0.5f;
    series = (series * r) * r + r;
    uint32_t bits;
    memcpy(&bits, &biased, sizeof bits);
    bits = (bits - 0x4B400000u + 127u) << 23; // 2^n; 0x4B400000 is round_bias
    float power;
    memcpy(&power, &bits, sizeof power);
    float result = power + power * series;
    return x < -87.3f ? 0.0f : result;
}

// The natural logarithm of a positive normal float; NaN stays NaN. x = 2^e m with m in
// [sqrt 1/2, sqrt 2), then log m = 2 atanh s with s = (m - 1) / (m + 1), whose series is cut behind
// s^9: the first dropped term is 2e-9 of the value, and close to 1 the answer stays exact to its
// size.
CPU_INLINE float cpu_log(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t shifted = bits - 0x3F3504F3u; // the bits of sqrt 1/2
    int32_t exponent = (int32_t)shifted >> 23;
    uint32_t mantissa_bits = (shifted & 0x007FFFFFu) + 0x3F3504F3u;
    float m;
    memcpy(&m, &mantissa_bits, sizeof m);
    float f = m - 1.0f;
    float s = f / (m + 1.0f);
    float s2 = s * s;
    float series = 2.0f / 9.0f;
    series = series * s2 + 2.0f / 7.0f;
    series = series * s2 + 2.0f / 5.0f;
    series = series * s2 + 2.0f / 3.0f;
    // 2 s = f - s f, which keeps f, the exact part, apart from the small correction.
    float log_m = f - s * (f - s2 * series);
    float e = (float)exponent;
    float result = (log_m + e * -2.12194440e-4f) + e * 0.693359375f;
    return x == x ? result : x;
}

#endif
