// SPDX-License-Identifier: MIT
#include "noise/noise_shift.h"

#include "data/label_lookup.h"

#include <stddef.h>

static int clamp(int64_t i, int n) {
    return i < 0 ? 0 : i >= n ? n - 1 : (int)i;
}

void noise_shift(const uint8_t *clean, int height, int width, int down, int right, uint8_t *out) {
    for (int y = 0; y < height; y++) {
        const uint8_t *from = clean + (size_t)clamp((int64_t)y - down, height) * (size_t)width;
        for (int x = 0; x < width; x++) {
            size_t at = (size_t)y * (size_t)width + (size_t)x;
            uint8_t moved = from[clamp((int64_t)x - right, width)];
            out[at] = clean[at] == LABEL_IGNORE || moved == LABEL_IGNORE ? clean[at] : moved;
        }
    }
}
