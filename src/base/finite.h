// SPDX-License-Identifier: MIT
// The test of floats that loops over gradients use.
#ifndef ADELE_BASE_FINITE_H
#define ADELE_BASE_FINITE_H

#include <stdint.h>
#include <string.h>

// 1 for NaN and infinity, whose exponents alone have all bits set; 0 for other values. The test is
// on integers, so that the compiler vectorizes a loop that collects the results by "or".
static inline uint32_t float_is_nonfinite(const float *value) {
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    return (bits & 0x7f800000u) == 0x7f800000u;
}
#endif
