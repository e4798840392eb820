// SPDX-License-Identifier: MIT
// Exif blocks, and whole files in which one is looked for.
#include "fuzz.h"
#include "image/codec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    // A copy of its own, so that the sanitizer sees every byte behind the end.
    unsigned char *exact = malloc(n_bytes + 1);
    FUZZ_REQUIRE(exact != NULL);
    if (n_bytes > 0)
        memcpy(exact, data, n_bytes);
    int orientation = exif_orientation(exact, n_bytes);
    FUZZ_REQUIRE(orientation >= 1 && orientation <= 8);
    orientation = exif_orientation_jpeg(exact, n_bytes);
    FUZZ_REQUIRE(orientation >= 1 && orientation <= 8);
    free(exact);
    FILE *file = fopen(fuzz_file(0, data, n_bytes), "rb");
    FUZZ_REQUIRE(file != NULL);
    orientation = exif_orientation_png(file);
    fclose(file);
    FUZZ_REQUIRE(orientation >= 1 && orientation <= 8);
    return 0;
}
