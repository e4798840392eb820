// SPDX-License-Identifier: MIT
// PNG files: as images, as label maps, and by their headers alone.
#include "data/picture_peek.h"
#include "fuzz.h"
#include "image/image.h"

#include <string.h>
#include <zlib.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t n_bytes, size_t max_bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n_bytes, size_t max_bytes, unsigned seed);

static uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

// Behind a wrong checksum nothing is reached, so three of four inputs get right ones.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n_bytes, size_t max_bytes, unsigned seed) {
    n_bytes = LLVMFuzzerMutate(data, n_bytes, max_bytes);
    if (seed % 4 == 0)
        return n_bytes;
    for (size_t at = 8; n_bytes >= 12 && at <= n_bytes - 12;) {
        size_t length = get_u32(data + at);
        if (length > n_bytes - 12 - at)
            break;
        put_u32(data + at + 8 + length, (uint32_t)crc32(0, data + at + 4, (uInt)length + 4));
        at += 12 + length;
    }
    return n_bytes;
}

static void check_image(const char *path, const struct image *image) {
    int width = 0, height = 0;
    struct image_traits peek;
    fuzz_touch(image->pixels, (size_t)image->width * (size_t)image->height *
                                  (size_t)image->n_channels * (size_t)(image->n_bits / 8));
    FUZZ_REQUIRE(image_probe(path, &width, &height) == ADELE_OK);
    FUZZ_REQUIRE(width == image->width && height == image->height);
    picture_peek(path, &peek);
    FUZZ_REQUIRE(peek.n_channels == image->n_channels && peek.n_bits == image->n_bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const char *path = fuzz_file(0, data, n_bytes);
    struct image image;
    adele_status status = image_load(path, FUZZ_MEMORY_LIMIT, &image);
    fuzz_check_status(status);
    if (status == ADELE_OK)
        check_image(path, &image);
    else
        FUZZ_REQUIRE(image.pixels == NULL);
    fuzz_rows(path, status, &image);
    image_deinit(&image);

    status = image_load_label(path, FUZZ_MEMORY_LIMIT, &image);
    fuzz_check_status(status);
    FUZZ_REQUIRE(status == ADELE_OK || image.pixels == NULL);
    if (status == ADELE_OK) {
        FUZZ_REQUIRE((image.n_bits == 8 || image.n_bits == 16) && image.n_channels == 1);
        fuzz_touch(image.pixels,
                   (size_t)image.width * (size_t)image.height * (size_t)(image.n_bits / 8));
    }
    image_deinit(&image);
    int width, height;
    fuzz_check_status(image_probe(path, &width, &height));
    struct image_traits peek;
    picture_peek(path, &peek);
    return 0;
}
