// SPDX-License-Identifier: MIT
// The kinds of noise that are not the paper's, as the headers in src/noise say, made plainly: these
// search where the library keeps lists, and count lines where it fills. Maps of 32 x 32 pixels with
// the classes 0 .. 3.
#ifndef ADELE_TESTS_PLAIN_NOISE_H
#define ADELE_TESTS_PLAIN_NOISE_H

#include "base/random.h"
#include <stdint.h>

enum { PLAIN_SIZE = 32, PLAIN_PIXELS = PLAIN_SIZE * PLAIN_SIZE };
enum plain_whole { PLAIN_MISSING, PLAIN_EXTRA, PLAIN_CONFUSE };

void plain_boundary(const uint8_t *clean, double n_steps, double outward,
                    struct random_stream stream, uint8_t *out);
void plain_whole(enum plain_whole kind, const uint8_t *clean, double share,
                 struct random_stream stream, uint8_t *out);
void plain_coarse(const uint8_t *clean, int low, int high, double strength,
                  struct random_stream stream, uint8_t *out);
void plain_shift(const uint8_t *clean, int down, int right, uint8_t *out);
#endif
