// SPDX-License-Identifier: MIT
// TIFF reading through libtiff: the first page, of 1, 2, 4, 8 or 16 bits, gray, RGB or indexed, in
// strips or tiles, with any compression that libtiff supports.
#include "base/fail.h"
#include "base/file.h"
#include "image/codec.h"

#ifdef ADELE_HAVE_TIFF
#include "base/memory.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>

// Memory limit of a strip or tile: in compressed files its size is arbitrary.
#define MAX_TILE_BYTES ((uint64_t)256 << 20)

struct tiff_reader {
    const char *path;
    FILE *file;
    uint64_t file_bytes;
    TIFF *tiff;
    char message[256]; // libtiff's first
    uint32_t width, height;
    uint16_t n_file_bits, n_samples, photometric, planar, orientation;
    uint16_t *colors[3];    // of an indexed file, libtiff's
    bool has_narrow_colors; // of 8 bits, as some programs write instead of 16
    bool keep_values;
    int n_channels, n_bits; // of the pixels asked for
};

// ---- libtiff's messages -------------------------------------------------------------------------

// libtiff has one error handler for the whole process. This one keeps the messages of the file that
// this thread reads and passes all others on.
static _Thread_local struct tiff_reader *current;
static TIFFErrorHandler old_error, old_warning;
static pthread_once_t once = PTHREAD_ONCE_INIT;

__attribute__((format(printf, 2, 0))) static void on_error(const char *module, const char *format,
                                                           va_list arguments) {
    if (current == NULL && old_error != NULL)
        old_error(module, format, arguments);
    if (current != NULL && current->message[0] == '\0')
        (void)vsnprintf(current->message, sizeof current->message, format, arguments);
}

// Warnings are about tags that do not affect the picture.
__attribute__((format(printf, 2, 0))) static void on_warning(const char *module, const char *format,
                                                             va_list arguments) {
    if (current == NULL && old_warning != NULL)
        old_warning(module, format, arguments);
}

static void set_handlers(void) {
    old_error = TIFFSetErrorHandler(on_error);
    old_warning = TIFFSetWarningHandler(on_warning);
}

// ---- libtiff's file -----------------------------------------------------------------------------

static tmsize_t on_read(thandle_t handle, void *out, tmsize_t n_bytes) {
    struct tiff_reader *reader = handle;
    return (tmsize_t)fread(out, 1, (size_t)n_bytes, reader->file);
}

static tmsize_t on_write(thandle_t handle, void *data, tmsize_t n_bytes) {
    (void)handle;
    (void)data;
    (void)n_bytes;
    return -1;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
    struct tiff_reader *reader = handle;
    if (fseek(reader->file, (long)offset, whence) != 0)
        return (toff_t)-1;
    return (toff_t)ftell(reader->file);
}

static int on_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle) {
    const struct tiff_reader *reader = handle;
    return reader->file_bytes;
}

static adele_status fail_reading(const struct tiff_reader *reader) {
    if (ferror(reader->file))
        return FAIL(ADELE_IO, file_hint(errno), "cannot read %s: %s", reader->path,
                    strerror(errno));
    return FAIL(ADELE_FORMAT, "Restore the file from its source, or save it again as PNG.",
                "%s: damaged or truncated TIFF file: %s", reader->path,
                reader->message[0] != '\0' ? reader->message : "its pixels cannot be read");
}

static void reader_deinit(struct tiff_reader *reader) {
    if (reader->tiff != NULL)
        TIFFClose(reader->tiff);
    current = NULL;
    if (reader->file != NULL)
        fclose(reader->file);
}

// ---- the header ---------------------------------------------------------------------------------

static adele_status fail_kind(const struct tiff_reader *reader, const char *what, unsigned value) {
    return FAIL(ADELE_DATA, "Convert it to PNG or to a TIFF of 8 or 16 bits, gray or RGB.",
                "%s: a TIFF file whose %s %u, which is not read", reader->path, what, value);
}

static adele_status find_colors(struct tiff_reader *reader) {
    if (reader->n_file_bits > 8 || TIFFGetField(reader->tiff, TIFFTAG_COLORMAP, &reader->colors[0],
                                                &reader->colors[1], &reader->colors[2]) != 1)
        return fail_kind(reader, "palette is missing, or whose bits are", reader->n_file_bits);
    reader->has_narrow_colors = true;
    for (int c = 0; c < 3; c++)
        for (unsigned i = 0; i < 1U << reader->n_file_bits; i++)
            reader->has_narrow_colors = reader->has_narrow_colors && reader->colors[c][i] < 256;
    return ADELE_OK;
}

static adele_status check_photometric(struct tiff_reader *reader) {
    uint16_t compression = COMPRESSION_NONE;
    (void)TIFFGetFieldDefaulted(reader->tiff, TIFFTAG_COMPRESSION, &compression);
    // libtiff converts colours only for JPEG compression.
    if (reader->photometric == PHOTOMETRIC_YCBCR && compression == COMPRESSION_JPEG) {
        (void)TIFFSetField(reader->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        reader->photometric = PHOTOMETRIC_RGB;
    }
    switch (reader->photometric) {
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE:
        return ADELE_OK;
    case PHOTOMETRIC_RGB:
        return reader->n_samples >= 3
                   ? ADELE_OK
                   : fail_kind(reader, "RGB pixels have samples:", reader->n_samples);
    case PHOTOMETRIC_PALETTE:
        return find_colors(reader);
    default:
        return fail_kind(reader, "kind of colour (PhotometricInterpretation) is",
                         reader->photometric);
    }
}

static adele_status read_header(struct tiff_reader *reader) {
    TIFF *tiff = reader->tiff;
    uint16_t format = SAMPLEFORMAT_UINT;
    reader->photometric = PHOTOMETRIC_MINISBLACK;
    reader->orientation = ORIENTATION_TOPLEFT;
    if (TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &reader->width) != 1 ||
        TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &reader->height) != 1)
        return fail_reading(reader);
    (void)TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &reader->n_file_bits);
    (void)TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &reader->n_samples);
    (void)TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &reader->planar);
    (void)TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &reader->orientation);
    (void)TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    (void)TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &reader->photometric);
    int bits = reader->n_file_bits;
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
        return fail_kind(reader, "samples are not unsigned integers: SampleFormat is", format);
    if (bits != 16 && bits != 8 &&
        (reader->n_samples != 1 || (bits != 1 && bits != 2 && bits != 4)))
        return fail_kind(reader, "bits a sample are", reader->n_file_bits);
    if (reader->n_samples < 1 || reader->n_samples > 16)
        return fail_kind(reader, "samples a pixel are", reader->n_samples);
    TRY(check_photometric(reader));
    bool is_index = reader->photometric == PHOTOMETRIC_PALETTE && reader->keep_values;
    bool has_color =
        reader->photometric == PHOTOMETRIC_RGB || reader->photometric == PHOTOMETRIC_PALETTE;
    reader->n_channels = has_color && !is_index ? 3 : 1;
    reader->n_bits = bits == 16 ? 16 : 8;
    return ADELE_OK;
}

// The caller deinits the reader, also after a failure.
static adele_status reader_init(struct tiff_reader *reader, const char *path, bool keep_values) {
    *reader = (struct tiff_reader){.path = path, .keep_values = keep_values};
    (void)pthread_once(&once, set_handlers);
    TRY(image_file_bytes(path, &reader->file_bytes));
    reader->file = fopen(path, "rb");
    if (reader->file == NULL)
        return FAIL(ADELE_IO, file_hint(errno), "cannot open %s: %s", path, strerror(errno));
    current = reader;
    // m: not mapped into memory.
    reader->tiff = TIFFClientOpen(path, "rm", reader, on_read, on_write, on_seek, on_close, on_size,
                                  NULL, NULL);
    return reader->tiff != NULL ? read_header(reader) : fail_reading(reader);
}

// ---- pixels -------------------------------------------------------------------------------------

// One sample of a row that begins at `row`, as it is in the file.
static unsigned sample_at(const struct tiff_reader *reader, const unsigned char *row, size_t i) {
    int bits = reader->n_file_bits;
    if (bits == 16) { // libtiff has put the bytes into the machine's order
        uint16_t value;
        memcpy(&value, row + 2 * i, sizeof value);
        return value;
    }
    if (bits == 8)
        return row[i];
    size_t bit = i * (size_t)bits;
    return (unsigned)(row[bit / 8] >> (8 - bits - (int)(bit % 8))) & ((1U << bits) - 1);
}

static unsigned color_at(const struct tiff_reader *reader, unsigned index, int channel) {
    unsigned color = reader->colors[channel][index];
    return reader->has_narrow_colors ? color : color >> 8;
}

// `n` pixels of sample `plane` (of all samples when they are interleaved) to the row `y`.
static void store_samples(const struct tiff_reader *reader, const unsigned char *run, size_t n,
                          int y, size_t x, int plane, struct image *out) {
    unsigned most = (1U << reader->n_file_bits) - 1;
    bool is_apart = reader->planar == PLANARCONFIG_SEPARATE && reader->n_samples > 1;
    size_t step = is_apart ? 1 : reader->n_samples;
    size_t at = ((size_t)y * reader->width + x) * (size_t)out->n_channels;
    bool has_palette = reader->photometric == PHOTOMETRIC_PALETTE && !reader->keep_values;
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < out->n_channels; c++, at++) {
            if (is_apart && c != plane)
                continue;
            unsigned value =
                sample_at(reader, run, i * step + (size_t)(is_apart || has_palette ? 0 : c));
            if (has_palette)
                value = color_at(reader, value, c);
            else if (reader->photometric == PHOTOMETRIC_MINISWHITE)
                value = most - value;
            if (!has_palette && !reader->keep_values && reader->n_file_bits < 8)
                value = value * 255 / most;
            if (out->n_bits == 16)
                ((uint16_t *)out->pixels)[at] = (uint16_t)value;
            else
                ((uint8_t *)out->pixels)[at] = (uint8_t)value;
        }
}

static bool read_rows(struct tiff_reader *reader, unsigned char *buffer, int plane,
                      struct image *out) {
    for (uint32_t y = 0; y < reader->height; y++) {
        if (TIFFReadScanline(reader->tiff, buffer, y, (uint16_t)plane) != 1)
            return false;
        store_samples(reader, buffer, reader->width, (int)y, 0, plane, out);
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
                store_samples(reader, buffer + i * row_bytes, (size_t)n, (int)(y + i), (size_t)x,
                              plane, out);
        }
    return true;
}

static adele_status read_pixels(struct tiff_reader *reader, struct image *out) {
    bool is_tiled = TIFFIsTiled(reader->tiff) != 0;
    uint64_t n_bytes = is_tiled ? TIFFTileSize64(reader->tiff) : TIFFScanlineSize64(reader->tiff);
    if (n_bytes == 0 || n_bytes > MAX_TILE_BYTES)
        return fail_reading(reader);
    unsigned char *buffer = NULL;
    TRY(ALLOCATE(&buffer, n_bytes));
    bool is_fine = true;
    int n_planes = reader->planar == PLANARCONFIG_SEPARATE ? out->n_channels : 1;
    for (int plane = 0; plane < n_planes && is_fine; plane++)
        is_fine = is_tiled ? read_tiles(reader, buffer, plane, out)
                           : read_rows(reader, buffer, plane, out);
    memory_free(buffer);
    return is_fine ? ADELE_OK : fail_reading(reader);
}

static void copy_palette(const struct tiff_reader *reader, struct image_palette *out) {
    out->n = 1 << reader->n_file_bits;
    for (int i = 0; i < out->n; i++)
        for (int c = 0; c < 3; c++)
            out->rgb[i][c] = (uint8_t)color_at(reader, (unsigned)i, c);
}

static adele_status load(struct tiff_reader *reader, size_t memory_limit, struct image *out) {
    int n_copies = reader->orientation > 1 ? 2 : 1; // turning needs a second copy of the pixels
    TRY(image_check_claim(reader->path, reader->width, reader->height, reader->n_channels,
                          reader->n_bits * n_copies, memory_limit));
    TRY(image_init(out, (int)reader->width, (int)reader->height, reader->n_channels,
                   reader->n_bits));
    TRY(read_pixels(reader, out));
    if (reader->photometric == PHOTOMETRIC_PALETTE && reader->keep_values)
        copy_palette(reader, &out->palette);
    if (TIFFLastDirectory(reader->tiff) == 0)
        out->notes |= IMAGE_NOTE_PAGES;
    return orient_image(out, reader->orientation);
}

adele_status image_tiff_load(const char *path, bool keep_values, size_t memory_limit,
                             struct image *out) {
    memset(out, 0, sizeof *out);
    struct tiff_reader reader;
    adele_status status = reader_init(&reader, path, keep_values);
    if (status == ADELE_OK)
        status = load(&reader, memory_limit, out);
    reader_deinit(&reader);
    if (status != ADELE_OK)
        image_deinit(out);
    return status;
}

adele_status image_tiff_probe(const char *path, int *width, int *height) {
    struct tiff_reader reader;
    adele_status status = reader_init(&reader, path, false);
    if (status == ADELE_OK)
        status = image_check_claim(path, reader.width, reader.height, 1, 8, 0);
    if (status == ADELE_OK) {
        *width = (int)reader.width;
        *height = (int)reader.height;
        orient_extents(reader.orientation, width, height);
    }
    reader_deinit(&reader);
    return status;
}

bool image_tiff_traits(const char *path, struct image_traits *out) {
    struct tiff_reader reader;
    bool is_fine = reader_init(&reader, path, false) == ADELE_OK;
    if (is_fine)
        *out = (struct image_traits){.n_channels = reader.n_channels,
                                     .n_bits = reader.n_bits,
                                     .is_indexed = reader.photometric == PHOTOMETRIC_PALETTE};
    reader_deinit(&reader);
    return is_fine;
}

// ---- by rows ------------------------------------------------------------------------------------

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
        store_samples(&rows->reader, rows->buffer, rows->reader.width, i, 0, 0, out);
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
            store_samples(reader, rows->buffer + (size_t)i * row_bytes, (size_t)n, i, (size_t)x, 0,
                          &rows->band);
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
    current = &rows->reader;
    bool is_fine = rows->band.pixels != NULL ? read_tiled_rows(rows, n_rows, out)
                                             : read_strip_rows(rows, n_rows, &to);
    current = NULL;
    return is_fine ? ADELE_OK : fail_reading(&rows->reader);
}

static void on_rows_close(struct image_rows *base) {
    struct tiff_rows *rows = (struct tiff_rows *)base;
    reader_deinit(&rows->reader);
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
        return fail_reading(reader);
    if (tile_h > reader->height)
        tile_h = reader->height;
    *is_by_rows = image_row_bytes(&rows->base.header) * tile_h <= MAX_TILE_BYTES;
    if (!*is_by_rows)
        return ADELE_OK;
    return image_init(&rows->band, (int)reader->width, (int)tile_h, reader->n_channels,
                      reader->n_bits);
}

static adele_status open_rows(struct tiff_rows *rows, const char *path, bool *is_by_rows) {
    struct tiff_reader *reader = &rows->reader;
    rows->path = memory_strdup(path);
    TRY(CHECK_MEMORY(rows->path));
    TRY(reader_init(reader, rows->path, false));
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
    if (n_bytes == 0 || n_bytes > MAX_TILE_BYTES)
        return fail_reading(reader);
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
    current = NULL; // another file may be read before the next row
    if (status == ADELE_OK && is_by_rows)
        *out = &rows->base;
    else
        on_rows_close(&rows->base);
    return status;
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
