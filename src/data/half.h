// SPDX-License-Identifier: MIT
// IEEE 754 half precision, in bits.
#ifndef ADELE_DATA_HALF_H
#define ADELE_DATA_HALF_H

#include <stdint.h>

// Nearest, ties to even; values beyond the largest finite half (65504) become that, NaN stays NaN.
uint16_t half_from_float(float value);
float half_to_float(uint16_t half);
#endif
