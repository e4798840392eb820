// SPDX-License-Identifier: MIT
#include "output/label_project.h"

#include "data/label_lookup.h"
#include "image/image.h"

#include <stdbool.h>
#include <stddef.h>

// Whether one of the 3 x 3 pixels around (y, x) has the class.
static bool is_around(const uint8_t *map, const struct label_change *change, int y, int x,
                      uint8_t class) {
    for (int i = y > 0 ? y - 1 : 0; i <= y + 1 && i < change->h; i++)
        for (int j = x > 0 ? x - 1 : 0; j <= x + 1 && j < change->w; j++)
            if (map[(size_t)i * (size_t)change->w + (size_t)j] == class)
                return true;
    return false;
}

// Whether a pixel of the file, of class `source`, follows the pixel in memory at (y, x).
static bool follows(const struct label_change *change, int y, int x, uint8_t source) {
    size_t at = (size_t)y * (size_t)change->w + (size_t)x;
    if (source == change->before[at] || source == LABEL_IGNORE)
        return source == change->before[at];
    return is_around(change->before, change, y, x, source) &&
           !is_around(change->after, change, y, x, source);
}

void label_project(const struct label_change *change, const uint8_t *source, int height, int width,
                   uint8_t *out) {
    for (int y = 0, k = 0; y < height; y++) {
        int row = resize_nearest_index(y, change->h, height);
        for (int x = 0; x < width; x++, k++) {
            int column = resize_nearest_index(x, change->w, width);
            uint8_t after = change->after[(size_t)row * (size_t)change->w + (size_t)column];
            bool is_new = source[k] != after && follows(change, row, column, source[k]);
            out[k] = is_new ? after : source[k];
        }
    }
}
