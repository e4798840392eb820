// SPDX-License-Identifier: MIT
// TIFF reading by rows, in the memory of one of them, or of a row of tiles.
#include "image/tiff_reader.h"

#ifdef ADELE_HAVE_TIFF
#include "base/fail.h"
#include "base/memory.h"

#include <string.h>

struct tiff_rows {
    struct image_rows base;
    struct tiff_reader reader;
    char *path;
    unsigned char *buffer; // a row of the file, or a tile
    struct image band;     // of a row of tiles; without pixels when the file has no tiles
};

static bool read_strip_rows(struct tiff_rows *rows, int n_rows, struct image *out) {
    for (int i = 0; i < n_rows; i++) {
        uint32_t y = (uint32_t)(rows->base.n_read + i);
        if (TIFFReadScanline(rows->reader.tiff, rows->buffer, y, 0) != 1)
            return false;
        tiff_reader_store(&rows->reader, rows->buffer, rows->reader.width, i, 0, 0, out);
    }
    return true;
}

// The row of tiles that begins with row y becomes the band.
static bool read_tile_row(struct tiff_rows *rows, uint32_t y) {
    struct tiff_reader *reader = &rows->reader;
    uint32_t tile_w = 0;
    (void)TIFFGetField(reader->tiff, TIFFTAG_TILEWIDTH, &tile_w); // set, as open_tiles has checked
    size_t row_bytes = (size_t)TIFFTileRowSize64(reader->tiff);
    for (uint64_t x = 0; x < reader->width; x += tile_w) {
        if (TIFFReadTile(reader->tiff, rows->buffer, (uint32_t)x, y, 0, 0) < 0)
            return false;
        uint64_t n = reader->width - x < tile_w ? reader->width - x : tile_w;
        for (int i = 0; i < rows->band.height && y + (uint32_t)i < reader->height; i++)
            tiff_reader_store(reader, rows->buffer + (size_t)i * row_bytes, (size_t)n, i, (size_t)x,
                              0, &rows->band);
    }
    return true;
}

static bool read_tiled_rows(struct tiff_rows *rows, int n_rows, unsigned char *out) {
    size_t row_bytes = image_row_bytes(&rows->base.header);
    for (int i = 0; i < n_rows; i++) {
        int y = rows->base.n_read + i, in_band = y % rows->band.height;
        if (in_band == 0 && !read_tile_row(rows, (uint32_t)y))
            return false;
        memcpy(out + (size_t)i * row_bytes,
               (unsigned char *)rows->band.pixels + (size_t)in_band * row_bytes, row_bytes);
    }
    return true;
}

static adele_status on_rows(struct image_rows *base, int n_rows, void *out) {
    struct tiff_rows *rows = (struct tiff_rows *)base;
    struct image to = base->header;
    to.pixels = out;
    tiff_reader_watch(&rows->reader);
    bool is_fine = rows->band.pixels != NULL ? read_tiled_rows(rows, n_rows, out)
                                             : read_strip_rows(rows, n_rows, &to);
    tiff_reader_watch(NULL);
    return is_fine ? ADELE_OK : tiff_reader_fail(&rows->reader);
}

static void on_rows_close(struct image_rows *base) {
    struct tiff_rows *rows = (struct tiff_rows *)base;
    tiff_reader_deinit(&rows->reader);
    image_deinit(&rows->band);
    memory_free(rows->buffer);
    memory_free(rows->path);
    memory_free(rows);
}

// *is_by_rows is false where a row of tiles takes too much memory.
static adele_status open_tiles(struct tiff_rows *rows, bool *is_by_rows) {
    struct tiff_reader *reader = &rows->reader;
    uint32_t tile_w = 0, tile_h = 0;
    if (TIFFGetField(reader->tiff, TIFFTAG_TILEWIDTH, &tile_w) != 1 ||
        TIFFGetField(reader->tiff, TIFFTAG_TILELENGTH, &tile_h) != 1 || tile_w == 0 || tile_h == 0)
        return tiff_reader_fail(reader);
    if (tile_h > reader->height)
        tile_h = reader->height;
    *is_by_rows = image_row_bytes(&rows->base.header) * tile_h <= TIFF_MAX_TILE_BYTES;
    if (!*is_by_rows)
        return ADELE_OK;
    return image_init(&rows->band, (int)reader->width, (int)tile_h, reader->n_channels,
                      reader->n_bits);
}

static adele_status open_rows(struct tiff_rows *rows, const char *path, bool *is_by_rows) {
    struct tiff_reader *reader = &rows->reader;
    rows->path = memory_strdup(path);
    TRY(CHECK_MEMORY(rows->path));
    TRY(tiff_reader_init(reader, rows->path, false));
    TRY(image_check_claim(rows->path, reader->width, reader->height, reader->n_channels,
                          reader->n_bits, 0));
    rows->base.header =
        (struct image){.width = (int)reader->width,
                       .height = (int)reader->height,
                       .n_channels = reader->n_channels,
                       .n_bits = reader->n_bits,
                       .notes = TIFFLastDirectory(reader->tiff) == 0 ? IMAGE_NOTE_PAGES : 0};
    bool is_apart = reader->planar == PLANARCONFIG_SEPARATE && reader->n_samples > 1;
    *is_by_rows = !is_apart && (reader->orientation < 2 || reader->orientation > 8);
    bool is_tiled = TIFFIsTiled(reader->tiff) != 0;
    if (*is_by_rows && is_tiled)
        TRY(open_tiles(rows, is_by_rows));
    uint64_t n_bytes = is_tiled ? TIFFTileSize64(reader->tiff) : TIFFScanlineSize64(reader->tiff);
    if (n_bytes == 0 || n_bytes > TIFF_MAX_TILE_BYTES)
        return tiff_reader_fail(reader);
    return *is_by_rows ? ALLOCATE(&rows->buffer, n_bytes) : ADELE_OK;
}

adele_status image_tiff_rows(const char *path, struct image_rows **out) {
    struct tiff_rows *rows = NULL;
    bool is_by_rows = false;
    *out = NULL;
    TRY(ALLOCATE(&rows, 1));
    rows->base.read = on_rows;
    rows->base.close = on_rows_close;
    adele_status status = open_rows(rows, path, &is_by_rows);
    tiff_reader_watch(NULL); // another file may be read before the next row
    if (status == ADELE_OK && is_by_rows)
        *out = &rows->base;
    else
        on_rows_close(&rows->base);
    return status;
}
#endif
