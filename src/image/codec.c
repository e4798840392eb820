// SPDX-License-Identifier: MIT
// What all decoders need: storage of pictures, and the checks before anything is decoded.
#include "image/codec.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

void image_deinit(struct image *image) {
    if (image == NULL)
        return;
    memory_free(image->pixels);
    memset(image, 0, sizeof *image);
}

adele_status image_init(struct image *out, int width, int height, int n_channels, int n_bits) {
    memset(out, 0, sizeof *out);
    if (width < 1 || height < 1 || width > IMAGE_MAX_EXTENT || height > IMAGE_MAX_EXTENT)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "an image of %d x %d pixels: extents are 1 to %d",
                    width, height, IMAGE_MAX_EXTENT);
    if ((n_channels != 1 && n_channels != 3) || (n_bits != 8 && n_bits != 16))
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "an image of %d channels and %d bits: channels are 1 or 3, bits 8 or 16",
                    n_channels, n_bits);
    size_t n_values = (size_t)width * (size_t)height * (size_t)n_channels;
    size_t value_bytes = (size_t)n_bits / 8;
    out->pixels = memory_calloc(n_values, value_bytes);
    TRY(CHECK_MEMORY(out->pixels));
    out->width = width;
    out->height = height;
    out->n_channels = n_channels;
    out->n_bits = n_bits;
    return ADELE_OK;
}

adele_status image_file_bytes(const char *path, uint64_t *out) {
    struct stat information;
    if (stat(path, &information) != 0)
        return FAIL(ADELE_IO, file_hint(errno), "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(information.st_mode))
        return FAIL(ADELE_IO, "Give the name of an image file.", "%s is not a regular file", path);
    *out = (uint64_t)information.st_size;
    return ADELE_OK;
}

adele_status image_check_claim(const char *path, uint64_t width, uint64_t height, int n_channels,
                               int n_bits, size_t memory_limit) {
    if (width < 1 || height < 1)
        return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                    "%s: the header says %llu x %llu pixels (height x width)", path,
                    (unsigned long long)height, (unsigned long long)width);
    if (width > IMAGE_MAX_EXTENT || height > IMAGE_MAX_EXTENT)
        return FAIL(ADELE_DATA, "Cut the image into tiles.",
                    "%s: the header says %llu x %llu pixels (height x width), the largest accepted "
                    "extent is %d",
                    path, (unsigned long long)height, (unsigned long long)width, IMAGE_MAX_EXTENT);
    uint64_t bytes = width * height * (uint64_t)n_channels * (uint64_t)(n_bits / 8);
    if (memory_limit > 0 && bytes > memory_limit)
        return FAIL(ADELE_DATA, "Make the image smaller or raise the limit.",
                    "%s: %llu x %llu pixels (height x width) take %llu bytes, the limit is %zu",
                    path, (unsigned long long)height, (unsigned long long)width,
                    (unsigned long long)bytes, memory_limit);
    return ADELE_OK;
}
