// SPDX-License-Identifier: MIT
// BMP files: as images, as label maps, and by their headers alone.
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static const struct fuzz_codec codec = {image_bmp_probe, image_bmp_traits, image_bmp_load};
    fuzz_codec(&codec, data, n_bytes);
    return 0;
}
