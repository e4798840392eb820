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

void label_project(const struct label_change *change, const uint8_t *source, int height, int width,
                   uint8_t *out) {
    bool is_resized = height != change->h || width != change->w;
    for (int y = 0, k = 0; y < height; y++) {
        int row = resize_nearest_index(y, change->h, height);
        for (int x = 0; x < width; x++, k++) {
            int column = resize_nearest_index(x, change->w, width);
            size_t at = (size_t)row * (size_t)change->w + (size_t)column;
            uint8_t after = change->after[at];
            // Ignored in the file alone, not in the map in memory: it stays ignored.
            bool is_hidden = source[k] == LABEL_IGNORE && change->before[at] != LABEL_IGNORE;
            bool is_changed = change->before[at] != after && !is_hidden;
            if (!is_changed && is_resized && source[k] != after && source[k] != LABEL_IGNORE)
                is_changed = is_around(change->before, change, row, column, source[k]) &&
                             !is_around(change->after, change, row, column, source[k]);
            out[k] = is_changed ? after : source[k];
        }
    }
}
