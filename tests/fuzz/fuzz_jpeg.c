// SPDX-License-Identifier: MIT
// JPEG files, and the look at their headers.
#include "data/picture_peek.h"
#include "fuzz.h"
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const char *path = fuzz_file(0, data, n_bytes);
    struct image image;
    struct image_traits peek;
    int width = 0, height = 0;
    adele_status status = image_load(path, FUZZ_MEMORY_LIMIT, &image);
    fuzz_check_status(status);
    FUZZ_REQUIRE(status == ADELE_OK || image.pixels == NULL);
    picture_peek(path, &peek);
    adele_status probed = image_probe(path, &width, &height);
    fuzz_check_status(probed);
    if (status == ADELE_OK) {
        fuzz_touch(image.pixels, (size_t)image.width * (size_t)image.height *
                                     (size_t)image.n_channels * (size_t)(image.n_bits / 8));
        FUZZ_REQUIRE(probed == ADELE_OK && width == image.width && height == image.height);
        FUZZ_REQUIRE(peek.n_channels == 0 || peek.n_channels == image.n_channels);
    }
    image_deinit(&image);
    return 0;
}
