// SPDX-License-Identifier: MIT
// TIFF files of each kind that is read, written by libtiff here; damaged and truncated ones.
#include "image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#ifdef ADELE_HAVE_TIFF
#include "base/file.h"
#include "base/memory.h"
#include "data/picture_peek.h"
#include "support/rows.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#define W 19
#define H 13

struct kind {
    int bits, n_samples, photometric, compression;
    bool is_tiled, is_apart;
    int orientation; // 0 = the tag is not written
    const char *mode;
};

// Sample c of pixel (y, x) as it is written to the file.
static unsigned value_at(const struct kind *kind, int y, int x, int c) {
    return (unsigned)(y * 31 + x * 7 + c * 50) * (kind->bits == 16 ? 97U : 1U) &
           ((1U << kind->bits) - 1);
}

static void pack(const struct kind *kind, int y, int x0, int n, int first, int n_samples,
                 uint8_t *out) {
    int bit = 0;
    for (int x = x0; x < x0 + n; x++)
        for (int c = first; c < first + n_samples; c++, bit += kind->bits) {
            unsigned value = y < H && x < W ? value_at(kind, y, x, c) : 0;
            if (kind->bits == 16)
                memcpy(out + bit / 8, &(uint16_t){(uint16_t)value}, 2);
            else
                out[bit / 8] = (uint8_t)(out[bit / 8] | value << (8 - kind->bits - bit % 8));
        }
}

static void set_tags(TIFF *tiff, const struct kind *kind) {
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, W);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, H);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, kind->bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, kind->n_samples);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, kind->photometric);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, kind->compression);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG,
                 kind->is_apart ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    if (kind->orientation > 0)
        TIFFSetField(tiff, TIFFTAG_ORIENTATION, kind->orientation);
    if (kind->n_samples == 2 || kind->n_samples == 4)
        TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &(uint16_t){EXTRASAMPLE_UNASSALPHA});
    if (kind->photometric == PHOTOMETRIC_PALETTE) {
        static uint16_t colors[3][256];
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < 256; i++)
                colors[c][i] = (uint16_t)((i * (c + 1) & 255) * 257);
        TIFFSetField(tiff, TIFFTAG_COLORMAP, colors[0], colors[1], colors[2]);
    }
    if (kind->is_tiled) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, 16);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, 16);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 5);
    }
}

static void write_page(TIFF *tiff, const struct kind *kind) {
    uint8_t buffer[16 * 16 * 8];
    int n_planes = kind->is_apart ? kind->n_samples : 1;
    int n_samples = kind->is_apart ? 1 : kind->n_samples;
    set_tags(tiff, kind);
    for (int plane = 0; plane < n_planes; plane++) {
        for (int y = 0; y < H && !kind->is_tiled; y++) {
            memset(buffer, 0, sizeof buffer);
            pack(kind, y, 0, W, plane, n_samples, buffer);
            assert_int_equal(TIFFWriteScanline(tiff, buffer, (uint32_t)y, (uint16_t)plane), 1);
        }
        for (int x = 0; x < W && kind->is_tiled; x += 16) {
            size_t row_bytes = (size_t)TIFFTileRowSize(tiff);
            memset(buffer, 0, sizeof buffer);
            for (int y = 0; y < 16; y++)
                pack(kind, y, x, 16, plane, n_samples, buffer + (size_t)y * row_bytes);
            assert_true(TIFFWriteTile(tiff, buffer, (uint32_t)x, 0, 0, (uint16_t)plane) > 0);
        }
    }
}

static const char *write_tiff(void *const *state, const struct kind *kind, int n_pages) {
    const char *path = scratch_path(state, "a.png"); // the name does not count
    TIFF *tiff = TIFFOpen(path, kind->mode != NULL ? kind->mode : "w");
    assert_non_null(tiff);
    for (int page = 0; page < n_pages; page++) {
        write_page(tiff, kind);
        assert_int_equal(TIFFWriteDirectory(tiff), 1);
    }
    TIFFClose(tiff);
    return path;
}

// What image_load returns at (y, x), for a file without orientation.
static unsigned seen_at(const struct kind *kind, int y, int x, int c) {
    unsigned most = (1U << kind->bits) - 1, value = value_at(kind, y, x, c);
    if (kind->photometric == PHOTOMETRIC_PALETTE)
        return value_at(kind, y, x, 0) * (unsigned)(c + 1) & 255;
    if (kind->photometric == PHOTOMETRIC_MINISWHITE)
        value = most - value;
    return kind->bits < 8 ? value * 255 / most : value;
}

static void check_image(const char *path, const struct kind *kind) {
    struct image image;
    struct image_traits peek;
    int width = 0, height = 0;
    if (image_load(path, 0, &image) != ADELE_OK)
        fail_msg("%d bits, %d samples: %s", kind->bits, kind->n_samples, adele_error_message());
    int n = kind->n_samples >= 3 || kind->photometric == PHOTOMETRIC_PALETTE ? 3 : 1;
    assert_int_equal(image.n_channels, n);
    assert_int_equal(image.n_bits, kind->bits == 16 ? 16 : 8);
    assert_true(image.width == W && image.height == H);
    for (int i = 0; i < W * H * n; i++) {
        unsigned got =
            image.n_bits == 16 ? ((uint16_t *)image.pixels)[i] : ((uint8_t *)image.pixels)[i];
        assert_int_equal(got, seen_at(kind, i / n / W, i / n % W, i % n));
    }
    assert_int_equal(image_probe(path, &width, &height), ADELE_OK);
    assert_true(width == W && height == H);
    picture_peek(path, &peek);
    assert_int_equal(peek.n_channels, n);
    assert_int_equal(peek.n_bits, image.n_bits);
    assert_int_equal(peek.is_indexed, kind->photometric == PHOTOMETRIC_PALETTE);
    rows_assert(path, &image, !kind->is_apart);
    image_deinit(&image);
}

static void check_label(const char *path, const struct kind *kind) {
    struct image image;
    assert_int_equal(image_load_label(path, 0, &image), ADELE_OK);
    assert_int_equal(image.palette.n,
                     kind->photometric == PHOTOMETRIC_PALETTE ? 1 << kind->bits : 0);
    for (int i = 0; i < W * H; i++) {
        unsigned value = value_at(kind, i / W, i % W, 0);
        if (kind->photometric == PHOTOMETRIC_MINISWHITE)
            value = (1U << kind->bits) - 1 - value;
        assert_int_equal(((uint8_t *)image.pixels)[i], value);
    }
    image_deinit(&image);
}

static void every_kind(void **state) {
    static const int compressions[] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_PACKBITS,
                                       COMPRESSION_ADOBE_DEFLATE};
    static const struct {
        int bits, n_samples, photometric;
    } kinds[] = {{1, 1, PHOTOMETRIC_MINISBLACK},  {1, 1, PHOTOMETRIC_MINISWHITE},
                 {2, 1, PHOTOMETRIC_MINISBLACK},  {4, 1, PHOTOMETRIC_PALETTE},
                 {8, 1, PHOTOMETRIC_MINISBLACK},  {8, 1, PHOTOMETRIC_MINISWHITE},
                 {8, 1, PHOTOMETRIC_PALETTE},     {8, 2, PHOTOMETRIC_MINISBLACK},
                 {8, 3, PHOTOMETRIC_RGB},         {8, 4, PHOTOMETRIC_RGB},
                 {16, 1, PHOTOMETRIC_MINISBLACK}, {16, 3, PHOTOMETRIC_RGB}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int variant = 0; variant < 16; variant++) {
            struct kind kind = {.bits = kinds[i].bits,
                                .n_samples = kinds[i].n_samples,
                                .photometric = kinds[i].photometric,
                                .compression = compressions[variant / 4],
                                .is_tiled = (variant & 1) != 0,
                                .is_apart = (variant & 2) != 0 && kinds[i].n_samples > 1,
                                .mode = variant % 3 == 0   ? "w"
                                        : variant % 3 == 1 ? "wb"
                                                           : "w8"};
            const char *path = write_tiff(state, &kind, 1);
            check_image(path, &kind);
            if (kind.bits <= 8 && kind.n_samples == 1)
                check_label(path, &kind);
        }
}

static void orientation_and_pages(void **state) {
    struct kind kind = {.bits = 8,
                        .n_samples = 1,
                        .photometric = PHOTOMETRIC_MINISBLACK,
                        .compression = COMPRESSION_LZW,
                        .orientation = ORIENTATION_RIGHTTOP}; // 6
    struct image image;
    int width = 0, height = 0;
    const char *path = write_tiff(state, &kind, 3);
    assert_int_equal(image_load(path, 0, &image), ADELE_OK);
    assert_true(image.width == H && image.height == W);
    assert_int_equal(image.notes, IMAGE_NOTE_TURNED | IMAGE_NOTE_PAGES);
    for (int y = 0; y < W; y++)
        for (int x = 0; x < H; x++)
            assert_int_equal(((uint8_t *)image.pixels)[y * H + x],
                             value_at(&kind, H - 1 - x, y, 0));
    rows_assert(path, &image, false);
    image_deinit(&image);
    kind.orientation = ORIENTATION_TOPLEFT;
    path = write_tiff(state, &kind, 3);
    assert_int_equal(image_load(path, 0, &image), ADELE_OK);
    assert_int_equal(image.notes, IMAGE_NOTE_PAGES);
    rows_assert(path, &image, true);
    image_deinit(&image);
    kind.orientation = ORIENTATION_RIGHTTOP;
    path = write_tiff(state, &kind, 3);
    assert_int_equal(image_probe(path, &width, &height), ADELE_OK);
    assert_true(width == H && height == W);
}

static void what_is_not_read(void **state) {
    struct kind kind = {.bits = 8,
                        .n_samples = 4,
                        .photometric = PHOTOMETRIC_SEPARATED,
                        .compression = COMPRESSION_NONE};
    struct image image;
    const char *path = write_tiff(state, &kind, 1);
    assert_int_equal(image_load(path, 0, &image), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "kind of colour (PhotometricInterpretation) is"));
    kind = (struct kind){.bits = 8,
                         .n_samples = 1,
                         .photometric = PHOTOMETRIC_MINISBLACK,
                         .compression = COMPRESSION_NONE};
    path = write_tiff(state, &kind, 1);
    assert_int_equal(image_load(path, W * H - 1, &image), ADELE_DATA);
    assert_non_null(
        strstr(adele_error_message(), "13 x 19 pixels (height x width) take 247 bytes"));
}

// Cut anywhere, and any byte changed: a picture or a failure with a message, never more.
static void damage_is_survived(void **state) {
    struct kind kind = {.bits = 8,
                        .n_samples = 3,
                        .photometric = PHOTOMETRIC_RGB,
                        .compression = COMPRESSION_LZW,
                        .is_tiled = false};
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(file_read(write_tiff(state, &kind, 1), 0, &bytes, &n), ADELE_OK);
    const char *path = scratch_path(state, "damaged.tif");
    for (size_t cut = 1; cut < n; cut += 7) {
        struct image image;
        assert_int_equal(file_write(path, bytes, cut), ADELE_OK);
        assert_int_not_equal(image_load(path, (size_t)1 << 24, &image), ADELE_OK);
        assert_null(image.pixels);
        assert_non_null(strstr(adele_error_message(), "damaged.tif: "));
    }
    for (size_t i = 4; i < n; i += 3) {
        struct image image;
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
        assert_int_equal(file_write(path, bytes, n), ADELE_OK);
        if (image_load(path, (size_t)1 << 24, &image) != ADELE_OK)
            assert_true(image.pixels == NULL && adele_error_message()[0] != '\0');
        image_deinit(&image);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
    }
    memory_free(bytes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(every_kind), TEST(orientation_and_pages),
                                       TEST(what_is_not_read), TEST(damage_is_survived)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void built_without_libtiff(void **state) {
    (void)state;
    skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(built_without_libtiff)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
