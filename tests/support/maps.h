// SPDX-License-Identifier: MIT
// Label maps for tests, in memory that the arena owns.
#ifndef ADELE_TESTS_MAPS_H
#define ADELE_TESTS_MAPS_H

#include "support/devices.h"

// Seeded categories below n_categories, with about ignore_share of the pixels 255.
uint8_t *maps_random(struct arena *arena, uint64_t seed, size_t count, int n_categories,
                     double ignore_share);
// Zeroed bytes on the host.
uint8_t *maps_empty(struct arena *arena, size_t count);
uint8_t *maps_download(struct arena *arena, const void *from, size_t count);

#endif
