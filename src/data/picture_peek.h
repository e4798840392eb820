// SPDX-License-Identifier: MIT
// The kind of a picture from its first bytes, without decoding.
#ifndef ADELE_DATA_PICTURE_PEEK_H
#define ADELE_DATA_PICTURE_PEEK_H

#include <stdbool.h>

struct picture_peek {
    int n_channels; // 1 or 3, as the readers return; 0 = not a supported picture
    int n_bits;
    bool is_indexed;
};
// Reads only the beginning of the file; all zero when it cannot be read.
void picture_peek(const char *path, struct picture_peek *out);
#endif
