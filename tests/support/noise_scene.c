// SPDX-License-Identifier: MIT
#include "support/noise_scene.h"

void noise_scene_draw(int i, uint8_t *map) {
    for (int y = 0; y < NOISE_SCENE_SIZE; y++) {
        for (int x = 0; x < NOISE_SCENE_SIZE; x++) {
            int dy = y - 18 - i % 5, dx = x - 20 - i % 7;
            uint8_t category = 0;
            if (dy * dy + dx * dx < 100 + 6 * i)
                category = 1;
            if (y > 40 && y < 50 + i % 4 && x > 6 && x < 50)
                category = 2;
            if (x > 44 && x < 58 && y > 8 + i % 6 && y < 34)
                category = 3;
            map[y * NOISE_SCENE_SIZE + x] = y == NOISE_SCENE_SIZE - 1 ? 255 : category;
        }
    }
}
