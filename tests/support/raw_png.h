// SPDX-License-Identifier: MIT
// PNG files of kinds that our writer does not write: with alpha, few bits, other chunks. Every
// failure fails the running CMocka test.
#ifndef ADELE_TESTS_RAW_PNG_H
#define ADELE_TESTS_RAW_PNG_H

#include <stddef.h>
#include <stdint.h>

struct raw_png {
    int width, height;
    int bits, color_type; // as in the header: color type 0 gray, 2 RGB, 3 palette, 4 and 6 + alpha
    const uint8_t *rows;  // packed, without filter bytes
    const char *extra;    // name of one more chunk before the pixels; NULL = none
    const void *extra_data;
    size_t extra_bytes;
};
void raw_png_write(const char *path, const struct raw_png *png);
#endif
