// SPDX-License-Identifier: MIT
// BMP files of each kind that is read, literal pixels; damaged, truncated and compressed ones.
#include "base/file.h"
#include "data/picture_peek.h"
#include "image/byte_order.h"
#include "image/image.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define W         3
#define H         2
#define MAX_BYTES 2048

struct bmp {
    uint8_t bytes[MAX_BYTES];
    size_t n;
};

// A header of `bits`; the palette has `n_colors` entries of blue, green, red, 0.
static void begin(struct bmp *bmp, int bits, const uint8_t *colors, int n_colors, int height) {
    uint8_t *at = bmp->bytes;
    memset(bmp, 0, sizeof *bmp);
    memcpy(at, "BM", 2);
    bytes_put(at + 10, 4, false, (uint64_t)(54 + 4 * n_colors));
    bytes_put(at + 14, 4, false, 40);
    bytes_put(at + 18, 4, false, W);
    bytes_put(at + 22, 4, false, (uint64_t)(int64_t)height);
    bytes_put(at + 26, 2, false, 1);
    bytes_put(at + 28, 2, false, (uint64_t)bits);
    bytes_put(at + 46, 4, false, (uint64_t)n_colors);
    if (n_colors > 0)
        memcpy(at + 54, colors, (size_t)n_colors * 4);
    bmp->n = 54 + 4 * (size_t)n_colors;
}

static void add_row(struct bmp *bmp, const uint8_t *row, size_t n) {
    memcpy(bmp->bytes + bmp->n, row, n);
    bmp->n += (n + 3) / 4 * 4;
}

static const char *store(void *const *state, const struct bmp *bmp) {
    const char *path = scratch_path(state, "a.png"); // the name does not count
    assert_int_equal(file_write(path, bmp->bytes, bmp->n), ADELE_OK);
    return path;
}

static void expect(const char *path, bool is_label, int n_channels, const uint8_t *want) {
    struct image image;
    struct image_traits peek;
    int width = 0, height = 0;
    adele_status status =
        is_label ? image_load_label(path, 0, &image) : image_load(path, 0, &image);
    if (status != ADELE_OK)
        fail_msg("%s", adele_error_message());
    assert_int_equal(image.width, W);
    assert_int_equal(image.height, H);
    assert_int_equal(image.n_bits, 8);
    assert_int_equal(image.n_channels, n_channels);
    assert_memory_equal(image.pixels, want, (size_t)(W * H * n_channels));
    assert_int_equal(image_probe(path, &width, &height), ADELE_OK);
    assert_true(width == W && height == H);
    picture_peek(path, &peek);
    assert_int_equal(peek.n_bits, 8);
    if (!is_label)
        assert_int_equal(peek.n_channels, n_channels);
    else
        assert_int_equal(peek.is_indexed, image.palette.n > 0);
    image_deinit(&image);
}

static void rgb(void **state) {
    static const uint8_t want[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    struct bmp bmp;
    begin(&bmp, 24, NULL, 0, H); // rows from the bottom, blue first
    add_row(&bmp, (const uint8_t[]){13, 12, 11, 16, 15, 14, 19, 18, 17}, 9);
    add_row(&bmp, (const uint8_t[]){3, 2, 1, 6, 5, 4, 9, 8, 7}, 9);
    expect(store(state, &bmp), false, 3, want);
    begin(&bmp, 32, NULL, 0, -H); // rows from the top
    add_row(&bmp, (const uint8_t[]){3, 2, 1, 99, 6, 5, 4, 99, 9, 8, 7, 99}, 12);
    add_row(&bmp, (const uint8_t[]){13, 12, 11, 0, 16, 15, 14, 0, 19, 18, 17, 0}, 12);
    expect(store(state, &bmp), false, 3, want);
}

static void gray_and_indexed(void **state) {
    uint8_t grays[256 * 4];
    for (int i = 0; i < 256 * 4; i++)
        grays[i] = i % 4 == 3 ? 0 : (uint8_t)(i / 4);
    struct bmp bmp;
    begin(&bmp, 8, grays, 256, H);
    add_row(&bmp, (const uint8_t[]){0, 1, 255}, 3);
    add_row(&bmp, (const uint8_t[]){7, 8, 9}, 3);
    static const uint8_t values[] = {7, 8, 9, 0, 1, 255};
    expect(store(state, &bmp), false, 1, values);
    expect(store(state, &bmp), true, 1, values);

    // The index is the category, the colours are for the eye.
    static const uint8_t colors[] = {0, 0, 0, 0, 10, 20, 30, 0, 40, 50, 60, 0};
    begin(&bmp, 8, colors, 3, H);
    add_row(&bmp, (const uint8_t[]){0, 1, 2}, 3);
    add_row(&bmp, (const uint8_t[]){2, 2, 1}, 3);
    expect(store(state, &bmp), true, 1, (const uint8_t[]){2, 2, 1, 0, 1, 2});
    expect(store(state, &bmp), false, 3,
           (const uint8_t[]){60, 50, 40, 60, 50, 40, 30, 20, 10, 0, 0, 0, 30, 20, 10, 60, 50, 40});
}

static void few_bits(void **state) {
    static const uint8_t black_white[] = {0, 0, 0, 0, 255, 255, 255, 0};
    struct bmp bmp;
    begin(&bmp, 1, black_white, 2, H);
    add_row(&bmp, (const uint8_t[]){0xA0}, 1);
    add_row(&bmp, (const uint8_t[]){0x40}, 1);
    expect(store(state, &bmp), true, 1, (const uint8_t[]){0, 1, 0, 1, 0, 1});
    expect(store(state, &bmp), false, 1, (const uint8_t[]){0, 255, 0, 255, 0, 255});
    static const uint8_t colors[] = {0, 0, 0, 0, 1, 1, 1, 0, 9, 9, 9, 0};
    begin(&bmp, 4, colors, 3, H);
    add_row(&bmp, (const uint8_t[]){0x12, 0x00}, 2);
    add_row(&bmp, (const uint8_t[]){0x21, 0x20}, 2);
    expect(store(state, &bmp), true, 1, (const uint8_t[]){2, 1, 2, 1, 2, 0});
    expect(store(state, &bmp), false, 1, (const uint8_t[]){9, 1, 9, 1, 9, 0});
}

static void refused(void *const *state, const struct bmp *bmp, adele_status want,
                    const char *what) {
    struct image image;
    const char *path = store(state, bmp);
    assert_int_equal(image_load(path, 0, &image), want);
    assert_null(image.pixels);
    if (strstr(adele_error_message(), what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, adele_error_message());
    assert_int_equal(image_load_label(path, 0, &image), want);
}

static void what_is_not_read(void **state) {
    struct bmp bmp;
    begin(&bmp, 24, NULL, 0, H);
    add_row(&bmp, (const uint8_t[9]){0}, 9);
    add_row(&bmp, (const uint8_t[9]){0}, 9);
    struct bmp whole = bmp;
    for (bmp.n = 18; bmp.n < whole.n; bmp.n++)
        refused(state, &bmp, ADELE_FORMAT, "truncated BMP file");
    bmp = whole;
    bmp.bytes[30] = 1;
    refused(state, &bmp, ADELE_DATA, "compression 1; 1, 4, 8, 24 and 32 bits without");
    bmp = whole;
    bmp.bytes[28] = 16;
    refused(state, &bmp, ADELE_DATA, "16 bits a pixel");
    bmp = whole;
    bytes_put(bmp.bytes + 18, 4, false, 0x7fffffff);
    refused(state, &bmp, ADELE_DATA, "the largest accepted extent");
    bmp = whole;
    bytes_put(bmp.bytes + 18, 4, false, 0xffffffff);
    refused(state, &bmp, ADELE_FORMAT, "2 x 0 pixels (height x width)");
    bmp = whole;
    bytes_put(bmp.bytes + 22, 4, false, 0x80000000); // -2^31
    refused(state, &bmp, ADELE_DATA, "the largest accepted extent");
    bmp = whole;
    bytes_put(bmp.bytes + 10, 4, false, 0xffffffff);
    refused(state, &bmp, ADELE_FORMAT, "truncated BMP file");
}

static void other_kinds_are_named(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *what;
    } kinds[] = {{"RIFF\x10\0\0\0WEBPVP8 \0\0\0\0", 20, "a WebP file, which is not read"},
                 {"GIF89a\1\0\1\0\0\0\0\0\0\0\0\0\0\0", 20, "a GIF file"},
                 {"\0\0\0\x18"
                  "ftypheic\0\0\0\0\0\0\0\0",
                  20, "a HEIC file"},
                 {"BMnothing of the kind", 20, "neither a PNG nor a JPEG, TIFF or BMP file"}};
    const char *path = scratch_path(state, "a.png");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct image image;
        assert_int_equal(file_write(path, kinds[i].bytes, kinds[i].n), ADELE_OK);
        assert_int_equal(image_load(path, 0, &image), ADELE_FORMAT);
        if (strstr(adele_error_message(), kinds[i].what) == NULL)
            fail_msg("%s", adele_error_message());
        assert_non_null(strstr(adele_error_hint(), "PNG"));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(rgb), TEST(gray_and_indexed), TEST(few_bits),
                                       TEST(what_is_not_read), TEST(other_kinds_are_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
