// SPDX-License-Identifier: MIT
// Label maps that are displaced as a whole, as by a wrong registration of image and annotation.
#ifndef ADELE_NOISE_NOISE_SHIFT_H
#define ADELE_NOISE_NOISE_SHIFT_H

#include <stdint.h>

// out (H, W) at (y, x) is clean at (y - down, x - right); what would come from outside repeats the
// edge. Pixels that are 255 stay 255, and one that would get 255 keeps its category.
// `out` must not overlap `clean`.
void noise_shift(const uint8_t *clean, int height, int width, int down, int right, uint8_t *out);
#endif
