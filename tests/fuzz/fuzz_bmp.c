// SPDX-License-Identifier: MIT
// BMP files: as images, as label maps, and by their headers alone.
#include "fuzz.h"
#include "image/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const char *path = fuzz_file(0, data, n_bytes);
    struct image image;
    struct image_traits traits = {0};
    int width = 0, height = 0;
    adele_status probed = image_bmp_probe(path, &width, &height);
    fuzz_check_status(probed);
    bool has_traits = image_bmp_traits(path, &traits);
    for (int keep_values = 0; keep_values < 2; keep_values++) {
        adele_status status = image_bmp_load(path, keep_values != 0, FUZZ_MEMORY_LIMIT, &image);
        fuzz_check_status(status);
        FUZZ_REQUIRE(status == ADELE_OK || image.pixels == NULL);
        if (status == ADELE_OK) {
            fuzz_touch(image.pixels, (size_t)image.width * (size_t)image.height *
                                         (size_t)image.n_channels * (size_t)(image.n_bits / 8));
            FUZZ_REQUIRE(probed == ADELE_OK && width == image.width && height == image.height);
            FUZZ_REQUIRE(has_traits && traits.n_bits == image.n_bits);
            FUZZ_REQUIRE(keep_values || traits.n_channels == image.n_channels);
        }
        image_deinit(&image);
    }
    fuzz_check_status(image_load_label(path, FUZZ_MEMORY_LIMIT, &image));
    image_deinit(&image);
    return 0;
}
