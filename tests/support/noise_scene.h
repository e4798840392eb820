// SPDX-License-Identifier: MIT
// Masks for tests of synthetic noise.
#ifndef ADELE_TESTS_NOISE_SCENE_H
#define ADELE_TESTS_NOISE_SCENE_H

#include <stdint.h>

#define NOISE_SCENE_SIZE 64 // both ways

// A disc (1), a bar (2) and a block (3) whose places depend on the image i, and a row of ignored
// pixels.
void noise_scene_draw(int i, uint8_t *map);
#endif
