// SPDX-License-Identifier: MIT
#include "image/image.h"
#include <string.h>

void image_palette_voc(struct image_palette *out) {
    memset(out, 0, sizeof *out);
    out->n = 256;
    for (int i = 0; i < 256; ++i) {
        // Bits 0, 1, 2 of each group of three go to R, G, B, from the highest bit downwards.
        int rest = i;
        for (int bit = 7; rest != 0; --bit, rest >>= 3)
            for (int c = 0; c < 3; ++c)
                out->rgb[i][c] = (uint8_t)(out->rgb[i][c] | (((rest >> c) & 1) << bit));
    }
}
