// SPDX-License-Identifier: MIT
// BMP reading: files that are not compressed, of 1, 4 or 8 bits with a palette, 24 or 32 bits.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/codec.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_HEADER_BYTES 14
#define INFO_HEADER_BYTES 40
#define MAX_HEADER_BYTES  124
#define COMPRESSION_NONE  0
#define COMPRESSION_MASKS 3 // not compressed either: masks give the bits of each colour

struct bmp_reader {
    const char *path;
    FILE *file;
    uint64_t file_bytes;
    unsigned char header[FILE_HEADER_BYTES + MAX_HEADER_BYTES + 12];
    int width, height, bits;
    bool is_top_down;
    uint64_t pixel_offset;
    size_t row_bytes;             // in the file
    struct image_palette palette; // n = 0 for 24 and 32 bits
    bool has_gray_palette;        // each colour is a gray
    bool has_identity;            // colour i is gray i
};

static uint32_t header_u32(const struct bmp_reader *reader, size_t at) {
    return (uint32_t)bytes_get(reader->header + at, 4, false);
}

static adele_status fail_read(const struct bmp_reader *reader) {
    if (ferror(reader->file))
        return FAIL(ADELE_IO, file_hint(errno), "cannot read %s: %s", reader->path,
                    strerror(errno));
    return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                "%s: truncated BMP file: it ends after %llu bytes", reader->path,
                (unsigned long long)reader->file_bytes);
}

static adele_status read_palette(struct bmp_reader *reader, uint32_t header_bytes) {
    unsigned char colors[256 * 4];
    uint32_t n = header_u32(reader, 46), most = 1U << reader->bits;
    n = n == 0 || n > most ? most : n;
    if (fseek(reader->file, (long)FILE_HEADER_BYTES + (long)header_bytes, SEEK_SET) != 0 ||
        fread(colors, 4, n, reader->file) != n)
        return fail_read(reader);
    reader->palette.n = (int)n;
    reader->has_gray_palette = reader->has_identity = true;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *bgr = colors + (size_t)4 * i;
        for (int c = 0; c < 3; c++)
            reader->palette.rgb[i][c] = bgr[2 - c];
        bool is_gray = bgr[0] == bgr[1] && bgr[1] == bgr[2];
        reader->has_gray_palette = reader->has_gray_palette && is_gray;
        reader->has_identity = reader->has_identity && is_gray && bgr[0] == i;
    }
    return ADELE_OK;
}

static adele_status check_kind(const struct bmp_reader *reader, uint32_t header_bytes) {
    uint32_t compression = header_u32(reader, 30);
    bool has_bits = reader->bits == 1 || reader->bits == 4 || reader->bits == 8 ||
                    reader->bits == 24 || reader->bits == 32;
    bool has_masks = compression == COMPRESSION_MASKS && reader->bits == 32;
    if (header_bytes < INFO_HEADER_BYTES || header_bytes > MAX_HEADER_BYTES)
        return FAIL(ADELE_FORMAT, "Save it again as PNG.",
                    "%s: a BMP file with a header of %u bytes; %d to %d are read", reader->path,
                    header_bytes, INFO_HEADER_BYTES, MAX_HEADER_BYTES);
    // Only the usual byte order is read: blue, green, red.
    if (has_masks)
        has_masks = header_u32(reader, 54) == 0xff0000 && header_u32(reader, 58) == 0xff00 &&
                    header_u32(reader, 62) == 0xff;
    if (!has_bits || (compression != COMPRESSION_NONE && !has_masks))
        return FAIL(ADELE_DATA, "Save it again as PNG.",
                    "%s: a BMP file of %d bits a pixel and compression %u; 1, 4, 8, 24 and 32 bits "
                    "without compression are read",
                    reader->path, reader->bits, compression);
    return ADELE_OK;
}

static adele_status read_header(struct bmp_reader *reader) {
    size_t n = fread(reader->header, 1, sizeof reader->header, reader->file);
    if (ferror(reader->file) || n < FILE_HEADER_BYTES + INFO_HEADER_BYTES)
        return fail_read(reader);
    uint32_t header_bytes = header_u32(reader, 14);
    int64_t width = (int32_t)header_u32(reader, 18), height = (int32_t)header_u32(reader, 22);
    reader->bits = (int)bytes_get(reader->header + 28, 2, false);
    reader->is_top_down = height < 0;
    reader->pixel_offset = header_u32(reader, 10);
    TRY(check_kind(reader, header_bytes));
    TRY(image_check_claim(reader->path, width < 0 ? 0 : (uint64_t)width,
                          (uint64_t)(height < 0 ? -height : height), 1, 8, 0));
    reader->width = (int)width;
    reader->height = (int)(height < 0 ? -height : height);
    reader->row_bytes = ((size_t)reader->width * (size_t)reader->bits + 31) / 32 * 4;
    uint64_t pixel_bytes = (uint64_t)reader->row_bytes * (uint64_t)reader->height;
    if (reader->pixel_offset > reader->file_bytes ||
        pixel_bytes > reader->file_bytes - reader->pixel_offset)
        return fail_read(reader);
    return reader->bits <= 8 ? read_palette(reader, header_bytes) : ADELE_OK;
}

// The caller deinits the reader, also after a failure.
static adele_status reader_init(struct bmp_reader *reader, const char *path) {
    *reader = (struct bmp_reader){.path = path};
    TRY(image_file_bytes(path, &reader->file_bytes));
    reader->file = fopen(path, "rb");
    if (reader->file == NULL)
        return FAIL(ADELE_IO, file_hint(errno), "cannot open %s: %s", path, strerror(errno));
    return read_header(reader);
}

static void reader_deinit(struct bmp_reader *reader) {
    if (reader->file != NULL)
        fclose(reader->file);
}

// One row of the file to pixels of `n_channels`.
static void convert_row(const struct bmp_reader *reader, const unsigned char *row, bool keep_values,
                        int n_channels, uint8_t *out) {
    size_t step = (size_t)reader->bits / 8;
    for (size_t x = 0; x < (size_t)reader->width; x++) {
        if (reader->bits > 8) {
            for (size_t c = 0; c < 3; c++)
                out[x * 3 + c] = row[x * step + 2 - c];
            continue;
        }
        size_t bit = x * (size_t)reader->bits;
        int shift = 8 - reader->bits - (int)(bit % 8);
        int index = row[bit / 8] >> shift & ((1 << reader->bits) - 1);
        if (keep_values)
            out[x] = (uint8_t)index;
        for (int c = 0; !keep_values && c < n_channels; c++) // an index beyond the palette is black
            out[x * (size_t)n_channels + (size_t)c] = reader->palette.rgb[index][c];
    }
}

static adele_status read_pixels(struct bmp_reader *reader, bool keep_values, struct image *out) {
    OWNED unsigned char *row = NULL;
    TRY(ALLOCATE(&row, reader->row_bytes));
    if (fseek(reader->file, (long)reader->pixel_offset, SEEK_SET) != 0)
        return fail_read(reader);
    size_t out_bytes = (size_t)reader->width * (size_t)out->n_channels;
    for (int i = 0; i < reader->height; i++) {
        int y = reader->is_top_down ? i : reader->height - 1 - i;
        if (fread(row, 1, reader->row_bytes, reader->file) != reader->row_bytes)
            return fail_read(reader);
        convert_row(reader, row, keep_values, out->n_channels,
                    (uint8_t *)out->pixels + (size_t)y * out_bytes);
    }
    return ADELE_OK;
}

static int count_channels(const struct bmp_reader *reader, bool keep_values) {
    return reader->bits <= 8 && (keep_values || reader->has_gray_palette) ? 1 : 3;
}

adele_status image_bmp_load(const char *path, bool keep_values, size_t memory_limit,
                            struct image *out) {
    memset(out, 0, sizeof *out);
    CLEANUP(reader_deinit) struct bmp_reader reader = {0};
    TRY(reader_init(&reader, path));
    int n_channels = count_channels(&reader, keep_values);
    TRY(image_check_claim(path, (uint64_t)reader.width, (uint64_t)reader.height, n_channels, 8,
                          memory_limit));
    TRY(image_init(out, reader.width, reader.height, n_channels, 8));
    TRY(read_pixels(&reader, keep_values, out));
    // The palette of a gray picture carries no information.
    if (keep_values && reader.bits <= 8 && !reader.has_identity)
        out->palette = reader.palette;
    return ADELE_OK;
}

adele_status image_bmp_probe(const char *path, int *width, int *height) {
    CLEANUP(reader_deinit) struct bmp_reader reader = {0};
    TRY(reader_init(&reader, path));
    *width = reader.width;
    *height = reader.height;
    return ADELE_OK;
}

bool image_bmp_traits(const char *path, struct image_traits *out) {
    CLEANUP(reader_deinit) struct bmp_reader reader = {0};
    bool is_fine = reader_init(&reader, path) == ADELE_OK;
    if (is_fine)
        *out = (struct image_traits){.n_channels = count_channels(&reader, false),
                                     .n_bits = 8,
                                     .is_indexed = reader.bits <= 8 && !reader.has_identity};
    return is_fine;
}
