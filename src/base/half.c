// SPDX-License-Identifier: MIT
// float to half by hand, because the result must be the same on every machine.
#include "base/half.h"

#define HALF_LARGEST 0x7BFFu // 65504

uint16_t half_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u);
    if (magnitude >= 0x477FE000u) // 65504 and up, infinity too
        return (uint16_t)(sign | HALF_LARGEST);
    if (magnitude < 0x33000000u) // below half of the smallest subnormal
        return (uint16_t)sign;
    uint32_t exponent = magnitude >> 23;
    uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    // A normal half drops 13 bits of the mantissa, a subnormal one more for each step below 2^-14.
    uint32_t dropped = exponent < 113 ? 126 - exponent : 13;
    uint32_t half = mantissa >> dropped;
    uint32_t rest = mantissa & ((1u << dropped) - 1u);
    uint32_t middle = 1u << (dropped - 1);
    if (rest > middle || (rest == middle && (half & 1u) != 0))
        half++; // a carry into the exponent is the right result
    if (exponent >= 113)
        half += (exponent - 113) << 10; // the implicit bit of `half` is the exponent's lowest
    if (half > HALF_LARGEST)
        half = HALF_LARGEST;
    return (uint16_t)(sign | half);
}
