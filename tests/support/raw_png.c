// SPDX-License-Identifier: MIT
#include "support/raw_png.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static size_t put_chunk(uint8_t *at, const char *name, const void *data, size_t n_bytes) {
    put_u32(at, (uint32_t)n_bytes);
    memcpy(at + 4, name, 4);
    if (n_bytes > 0)
        memcpy(at + 8, data, n_bytes);
    put_u32(at + 8 + n_bytes, (uint32_t)crc32(0, at + 4, (uInt)n_bytes + 4));
    return n_bytes + 12;
}

void raw_png_write(const char *path, const struct raw_png *png) {
    static const int channels[] = {1, 0, 3, 1, 2, 0, 4};
    size_t row_bytes =
        ((size_t)png->width * (size_t)channels[png->color_type] * (size_t)png->bits + 7) / 8;
    size_t height = (size_t)png->height, n_plain = height * (row_bytes + 1);
    uLong n_packed = compressBound((uLong)n_plain);
    uint8_t *plain = calloc(n_plain, 1), *packed = malloc(n_packed);
    uint8_t *file = malloc(n_packed + png->extra_bytes + 128);
    assert_true(plain != NULL && packed != NULL && file != NULL);
    for (size_t y = 0; y < height; y++)
        memcpy(plain + y * (row_bytes + 1) + 1, png->rows + y * row_bytes, row_bytes);
    assert_int_equal(compress(packed, &n_packed, plain, (uLong)n_plain), Z_OK);
    uint8_t header[13] = {[8] = (uint8_t)png->bits, [9] = (uint8_t)png->color_type};
    put_u32(header, (uint32_t)png->width);
    put_u32(header + 4, (uint32_t)png->height);
    memcpy(file, "\x89PNG\r\n\x1a\n", 8);
    size_t n = 8;
    n += put_chunk(file + n, "IHDR", header, sizeof header);
    if (png->extra != NULL)
        n += put_chunk(file + n, png->extra, png->extra_data, png->extra_bytes);
    n += put_chunk(file + n, "IDAT", packed, n_packed);
    n += put_chunk(file + n, "IEND", NULL, 0);
    assert_int_equal(file_write(path, file, n), ADELE_OK);
    free(plain);
    free(packed);
    free(file);
}
