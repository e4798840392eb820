// SPDX-License-Identifier: MIT
// TIFF files: as images, as label maps, and by their headers alone.
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static const struct fuzz_codec codec = {image_tiff_probe, image_tiff_traits, image_tiff_load};
    fuzz_codec(&codec, data, n_bytes);
    return 0;
}
