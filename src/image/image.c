// SPDX-License-Identifier: MIT
// Which decoder reads a file: its first bytes decide.
#include "image/image.h"

#include "base/fail.h"
#include "base/file.h"
#include "image/codec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define START_BYTES 18

static adele_status read_start(const char *path, unsigned char start[START_BYTES],
                               size_t *n_start) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return FAIL(ADELE_IO, file_hint(errno), "cannot open %s: %s", path, strerror(errno));
    *n_start = fread(start, 1, START_BYTES, file);
    int error = ferror(file) ? errno : 0;
    fclose(file);
    if (error != 0)
        return FAIL(ADELE_IO, file_hint(error), "cannot read %s: %s", path, strerror(error));
    return ADELE_OK;
}

// Other files may begin with "BM" too, so the size of the second header must be a known one.
static bool is_bmp(const unsigned char start[START_BYTES]) {
    return memcmp(start, "BM", 2) == 0 && start[14] >= 12 && start[14] <= 124 &&
           start[15] + start[16] + start[17] == 0;
}

// Common kinds of pictures that are not supported; NULL for others.
static const char *other_kind(const unsigned char start[START_BYTES]) {
    static const struct {
        size_t at;
        const char *mark, *name;
    } kinds[] = {{8, "WEBP", "WebP"},
                 {0, "GIF8", "GIF"},
                 {4, "ftypheic", "HEIC"},
                 {4, "ftypheix", "HEIC"},
                 {4, "ftypmif1", "HEIF"},
                 {4, "ftypavif", "AVIF"},
                 {4, "jP  \r\n\x87", "JPEG 2000"},
                 {0, "8BPS", "Photoshop"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].at + strlen(kinds[i].mark) <= START_BYTES &&
            memcmp(start + kinds[i].at, kinds[i].mark, strlen(kinds[i].mark)) == 0)
            return kinds[i].name;
    return NULL;
}

static const struct image_codec png = {true, image_png_load, image_png_probe, image_png_rows};
static const struct image_codec jpeg = {false, image_jpeg_load, image_jpeg_probe, NULL};
static const struct image_codec tiff = {true, image_tiff_load, image_tiff_probe, image_tiff_rows};
static const struct image_codec bmp = {true, image_bmp_load, image_bmp_probe, NULL};

adele_status image_find_codec(const char *path, const struct image_codec **out) {
    static const struct {
        const char *mark;
        size_t n_bytes;
        const struct image_codec *codec;
    } kinds[] = {{"\x89PNG\r\n\x1a\n", 8, &png},
                 {"\xff\xd8\xff", 3, &jpeg},
                 {"II*\0", 4, &tiff},
                 {"MM\0*", 4, &tiff},
                 {"II+\0", 4, &tiff},
                 {"MM\0+", 4, &tiff}};
    uint64_t file_bytes = 0;
    unsigned char start[START_BYTES] = {0};
    size_t n_start = 0;
    TRY(image_file_bytes(path, &file_bytes));
    if (file_bytes == 0)
        return FAIL(ADELE_FORMAT, "Restore it from its source, or take the case out of the split.",
                    "%s: is empty (0 bytes)", path);
    TRY(read_start(path, start, &n_start));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (n_start >= kinds[i].n_bytes && memcmp(start, kinds[i].mark, kinds[i].n_bytes) == 0) {
            *out = kinds[i].codec;
            return ADELE_OK;
        }
    if (n_start == START_BYTES && is_bmp(start)) {
        *out = &bmp;
        return ADELE_OK;
    }
    const char *name = other_kind(start);
    if (name != NULL)
        return FAIL(ADELE_FORMAT,
                    "Convert it to PNG; with ImageMagick: convert IN OUT.png. The content counts, "
                    "not the name.",
                    "%s: a %s file, which is not read; PNG, JPEG, TIFF and BMP are", path, name);
    return FAIL(ADELE_FORMAT, "Convert the file to PNG or JPEG; the content counts, not the name.",
                "%s: neither a PNG nor a JPEG, TIFF or BMP file (%llu bytes, first bytes %02x %02x "
                "%02x %02x)",
                path, (unsigned long long)file_bytes, start[0], start[1], start[2], start[3]);
}

adele_status image_load(const char *path, size_t memory_limit, struct image *out) {
    const struct image_codec *codec;
    memset(out, 0, sizeof *out);
    TRY(image_find_codec(path, &codec));
    adele_status status = codec->load(path, false, memory_limit, out);
    if (status != ADELE_OK)
        image_deinit(out);
    return status;
}

adele_status image_probe(const char *path, int *width, int *height) {
    const struct image_codec *codec;
    TRY(image_find_codec(path, &codec));
    return codec->probe(path, width, height);
}
