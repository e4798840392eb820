// SPDX-License-Identifier: MIT
// The kind of a picture from its first bytes, without decoding.
#ifndef ADELE_DATA_PICTURE_PEEK_H
#define ADELE_DATA_PICTURE_PEEK_H

#include "image/image.h"

// Reads only the beginning of the file; all zero when it cannot be read or is no supported picture.
void picture_peek(const char *path, struct image_traits *out);
#endif
