// SPDX-License-Identifier: MIT
// The objects of a label map, and noise that leaves out, adds or confuses whole ones.
#ifndef ADELE_NOISE_NOISE_OBJECTS_H
#define ADELE_NOISE_NOISE_OBJECTS_H

#include "adele/status.h"
#include "base/random.h"
#include <stddef.h>
#include <stdint.h>

// A connected component of one category (8 neighbours); neither background nor 255.
struct noise_object {
    uint8_t category;
    int top, left, height, width; // the box around it
};
struct noise_objects {
    int height, width;
    int n;
    struct noise_object *list; // (n), in the order of their first pixels, row by row
    uint32_t *ids;             // (H, W): 1 + the index of the pixel's object; 0: of none
};
// Free with noise_objects_deinit, also after a failure. ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status noise_objects_find(const uint8_t *labels, int height, int width,
                                                 struct noise_objects *out);
void noise_objects_deinit(struct noise_objects *objects); // legal on a zeroed struct

// Each object draws from a stream of its own, split from `stream` in the order of the list, so that
// a larger share changes the same objects and more. `out` must not overlap `clean`.

// Every object becomes background with probability `share`.
ADELE_MUST_CHECK adele_status noise_missing(const uint8_t *clean, int height, int width,
                                            double share, struct random_stream stream,
                                            uint8_t *out);
// Every object gives `n_copies` copies: the whole part of the number, and one more with the rest as
// its probability. A copy lies anywhere in the map with its box whole, and takes the pixels that
// are background by then.
ADELE_MUST_CHECK adele_status noise_extra(const uint8_t *clean, int height, int width,
                                          double n_copies, struct random_stream stream,
                                          uint8_t *out);
// Every object gets, with probability `share`, another of the categories 1 .. n_categories - 1, all
// alike. ADELE_INVALID_ARGUMENT for fewer than three categories, which leave no other one.
ADELE_MUST_CHECK adele_status noise_confuse(const uint8_t *clean, int height, int width,
                                            int n_categories, double share,
                                            struct random_stream stream, uint8_t *out);
#endif
