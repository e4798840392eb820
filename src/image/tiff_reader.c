// SPDX-License-Identifier: MIT
#include "image/tiff_reader.h"

#ifdef ADELE_HAVE_TIFF
#include "base/fail.h"
#include "base/file.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

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

void tiff_reader_watch(struct tiff_reader *reader) {
    current = reader;
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

adele_status tiff_reader_fail(const struct tiff_reader *reader) {
    if (ferror(reader->file))
        return FAIL(ADELE_IO, file_hint(errno), "cannot read %s: %s", reader->path,
                    strerror(errno));
    return FAIL(ADELE_FORMAT, "Restore the file from its source, or save it again as PNG.",
                "%s: damaged or truncated TIFF file: %s", reader->path,
                reader->message[0] != '\0' ? reader->message : "its pixels cannot be read");
}

void tiff_reader_deinit(struct tiff_reader *reader) {
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
        return tiff_reader_fail(reader);
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

adele_status tiff_reader_init(struct tiff_reader *reader, const char *path, bool keep_values) {
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
    return reader->tiff != NULL ? read_header(reader) : tiff_reader_fail(reader);
}

// ---- samples ------------------------------------------------------------------------------------

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

unsigned tiff_reader_color(const struct tiff_reader *reader, unsigned index, int channel) {
    unsigned color = reader->colors[channel][index];
    return reader->has_narrow_colors ? color : color >> 8;
}

void tiff_reader_store(const struct tiff_reader *reader, const unsigned char *run, size_t n, int y,
                       size_t x, int plane, struct image *out) {
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
                value = tiff_reader_color(reader, value, c);
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
#endif
