// SPDX-License-Identifier: MIT
// TIFF reading through libtiff: the first page, of 1, 2, 4, 8 or 16 bits, gray, RGB or indexed, in
// strips or tiles, with any compression that libtiff supports.
#include "image/tiff_reader.h"

#include "base/fail.h"

#ifdef ADELE_HAVE_TIFF
#include "base/memory.h"

#include <string.h>

static bool read_rows(struct tiff_reader *reader, unsigned char *buffer, int plane,
                      struct image *out) {
    for (uint32_t y = 0; y < reader->height; y++) {
        if (TIFFReadScanline(reader->tiff, buffer, y, (uint16_t)plane) != 1)
            return false;
        tiff_reader_store(reader, buffer, reader->width, (int)y, 0, plane, out);
    }
    return true;
}

static bool read_tiles(struct tiff_reader *reader, unsigned char *buffer, int plane,
                       struct image *out) {
    uint32_t tile_w = 0, tile_h = 0;
    if (TIFFGetField(reader->tiff, TIFFTAG_TILEWIDTH, &tile_w) != 1 ||
        TIFFGetField(reader->tiff, TIFFTAG_TILELENGTH, &tile_h) != 1 || tile_w == 0 || tile_h == 0)
        return false;
    size_t row_bytes = (size_t)TIFFTileRowSize64(reader->tiff);
    for (uint64_t y = 0; y < reader->height; y += tile_h)
        for (uint64_t x = 0; x < reader->width; x += tile_w) {
            if (TIFFReadTile(reader->tiff, buffer, (uint32_t)x, (uint32_t)y, 0, (uint16_t)plane) <
                0)
                return false;
            uint64_t n = reader->width - x < tile_w ? reader->width - x : tile_w;
            for (uint64_t i = 0; i < tile_h && y + i < reader->height; i++)
                tiff_reader_store(reader, buffer + i * row_bytes, (size_t)n, (int)(y + i),
                                  (size_t)x, plane, out);
        }
    return true;
}

static adele_status read_pixels(struct tiff_reader *reader, struct image *out) {
    bool is_tiled = TIFFIsTiled(reader->tiff) != 0;
    uint64_t n_bytes = is_tiled ? TIFFTileSize64(reader->tiff) : TIFFScanlineSize64(reader->tiff);
    if (n_bytes == 0 || n_bytes > TIFF_MAX_TILE_BYTES)
        return tiff_reader_fail(reader);
    unsigned char *buffer = NULL;
    TRY(ALLOCATE(&buffer, n_bytes));
    bool is_fine = true;
    int n_planes = reader->planar == PLANARCONFIG_SEPARATE ? out->n_channels : 1;
    for (int plane = 0; plane < n_planes && is_fine; plane++)
        is_fine = is_tiled ? read_tiles(reader, buffer, plane, out)
                           : read_rows(reader, buffer, plane, out);
    memory_free(buffer);
    return is_fine ? ADELE_OK : tiff_reader_fail(reader);
}

static void copy_palette(const struct tiff_reader *reader, struct image_palette *out) {
    out->n = 1 << reader->n_file_bits;
    for (int i = 0; i < out->n; i++)
        for (int c = 0; c < 3; c++)
            out->rgb[i][c] = (uint8_t)tiff_reader_color(reader, (unsigned)i, c);
}

adele_status image_tiff_load(const char *path, bool keep_values, size_t memory_limit,
                             struct image *out) {
    memset(out, 0, sizeof *out);
    CLEANUP(tiff_reader_deinit) struct tiff_reader reader = {0};
    TRY(tiff_reader_init(&reader, path, keep_values));
    int n_copies = reader.orientation > 1 ? 2 : 1; // turning needs a second copy of the pixels
    TRY(image_check_claim(path, reader.width, reader.height, reader.n_channels,
                          reader.n_bits * n_copies, memory_limit));
    TRY(image_init(out, (int)reader.width, (int)reader.height, reader.n_channels, reader.n_bits));
    TRY(read_pixels(&reader, out));
    if (reader.photometric == PHOTOMETRIC_PALETTE && keep_values)
        copy_palette(&reader, &out->palette);
    if (TIFFLastDirectory(reader.tiff) == 0)
        out->notes |= IMAGE_NOTE_PAGES;
    return orient_image(out, reader.orientation);
}

adele_status image_tiff_probe(const char *path, int *width, int *height) {
    CLEANUP(tiff_reader_deinit) struct tiff_reader reader = {0};
    TRY(tiff_reader_init(&reader, path, false));
    TRY(image_check_claim(path, reader.width, reader.height, 1, 8, 0));
    *width = (int)reader.width;
    *height = (int)reader.height;
    orient_extents(reader.orientation, width, height);
    return ADELE_OK;
}

bool image_tiff_traits(const char *path, struct image_traits *out) {
    CLEANUP(tiff_reader_deinit) struct tiff_reader reader = {0};
    bool is_fine = tiff_reader_init(&reader, path, false) == ADELE_OK;
    if (is_fine)
        *out = (struct image_traits){.n_channels = reader.n_channels,
                                     .n_bits = reader.n_bits,
                                     .is_indexed = reader.photometric == PHOTOMETRIC_PALETTE};
    return is_fine;
}

#else

static adele_status fail_without(const char *path) {
    return FAIL(ADELE_UNSUPPORTED, "Convert it to PNG, or build adele with libtiff (libtiff-dev).",
                "%s: a TIFF file, and this program was built without libtiff", path);
}

adele_status image_tiff_load(const char *path, bool keep_values, size_t memory_limit,
                             struct image *out) {
    (void)keep_values;
    (void)memory_limit;
    *out = (struct image){0};
    return fail_without(path);
}

adele_status image_tiff_rows(const char *path, struct image_rows **out) {
    *out = NULL;
    return fail_without(path);
}

adele_status image_tiff_probe(const char *path, int *width, int *height) {
    (void)width;
    (void)height;
    return fail_without(path);
}

bool image_tiff_traits(const char *path, struct image_traits *out) {
    (void)path;
    (void)out;
    return false;
}
#endif
