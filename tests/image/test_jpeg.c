// SPDX-License-Identifier: MIT
// JPEG reading: pixels close to what was encoded, and hostile files.
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

enum { W = 37, H = 29 };

// A smooth picture, so that quality 100 keeps every value within 3 steps: the colour transform and
// the coefficients are rounded to whole numbers on the way there and back.
static void draw(uint8_t *pixels, int n_channels) {
    for (int y = 0; y < H; ++y)
        for (int x = 0; x < W; ++x)
            for (int c = 0; c < n_channels; ++c)
                pixels[(y * W + x) * n_channels + c] = (uint8_t)(c == 0   ? 40 + 4 * x
                                                                 : c == 1 ? 200 - 5 * y
                                                                          : 60 + x + 2 * y);
}

static void encode(const uint8_t *pixels, int format, int subsampling, int flags,
                   unsigned char **out, unsigned long *n) {
    tjhandle handle = tjInitCompress();
    assert_non_null(handle);
    *out = NULL;
    *n = 0;
    assert_int_equal(tjCompress2(handle, pixels, W, 0, H, format, out, n, subsampling, 100, flags),
                     0);
    tjDestroy(handle);
}

static const char *store(void *const *state, const unsigned char *bytes, size_t n) {
    const char *path = scratch_path(state, "picture.png"); // the name does not count
    assert_int_equal(file_write(path, bytes, n), ADELE_OK);
    return path;
}

static void check_round_trip(void **state, int n_channels, int flags) {
    uint8_t pixels[W * H * 3];
    draw(pixels, n_channels);
    unsigned char *bytes;
    unsigned long n;
    encode(pixels, n_channels == 1 ? TJPF_GRAY : TJPF_RGB,
           n_channels == 1 ? TJSAMP_GRAY : TJSAMP_444, flags, &bytes, &n);
    const char *path = store(state, bytes, n);
    tjFree(bytes);
    struct image image;
    assert_int_equal(image_load(path, 0, &image), ADELE_OK);
    assert_int_equal(image.width, W);
    assert_int_equal(image.height, H);
    assert_int_equal(image.n_channels, n_channels);
    assert_int_equal(image.n_bits, 8);
    for (int i = 0; i < W * H * n_channels; ++i)
        assert_true(abs(((uint8_t *)image.pixels)[i] - pixels[i]) <= 3);
    image_deinit(&image);
    int width = 0, height = 0;
    assert_int_equal(image_probe(path, &width, &height), ADELE_OK);
    assert_int_equal(width, W);
    assert_int_equal(height, H);
}

static void test_rgb(void **state) {
    check_round_trip(state, 3, 0);
    check_round_trip(state, 3, TJFLAG_PROGRESSIVE);
}

static void test_gray(void **state) {
    check_round_trip(state, 1, 0);
}

static unsigned char *picture(unsigned long *n) {
    uint8_t pixels[W * H * 3];
    draw(pixels, 3);
    unsigned char *bytes;
    encode(pixels, TJPF_RGB, TJSAMP_420, 0, &bytes, n);
    return bytes;
}

static void test_every_truncation(void **state) {
    unsigned long n;
    unsigned char *bytes = picture(&n);
    // The last two bytes are the end marker; without them the decoder still has every pixel, and
    // reports nevertheless that the end is missing.
    for (size_t length = 3; length < n; ++length) {
        struct image image;
        adele_status status = image_load(store(state, bytes, length), 0, &image);
        if (status != ADELE_FORMAT)
            fail_msg("%zu of %lu bytes: status %d", length, n, (int)status);
        assert_null(image.pixels);
        assert_non_null(strstr(adele_error_message(), "picture.png: "));
    }
    tjFree(bytes);
}

static void test_every_flip_is_survived(void **state) {
    unsigned long n;
    unsigned char *bytes = picture(&n);
    for (size_t i = 0; i < n; ++i) {
        bytes[i] ^= (unsigned char)(1U << (i % 8));
        struct image image;
        adele_status status = image_load(store(state, bytes, n), (size_t)1 << 24, &image);
        assert_true((status == ADELE_OK) == (image.pixels != NULL));
        image_deinit(&image);
        bytes[i] ^= (unsigned char)(1U << (i % 8));
    }
    tjFree(bytes);
}

// The frame header, whose extents lie 5 bytes behind its marker.
static unsigned char *frame_header(unsigned char *bytes, size_t n) {
    for (size_t i = 0; i + 9 < n; ++i)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xc0)
            return bytes + i;
    fail_msg("no frame header");
    return NULL;
}

static void test_claims(void **state) {
    unsigned long n;
    unsigned char *bytes = picture(&n);
    unsigned char *frame = frame_header(bytes, n);
    memcpy(frame + 5, (unsigned char[]){0x75, 0x30, 0x75, 0x30}, 4); // 30000 x 30000
    const char *path = store(state, bytes, n);
    struct image image;
    assert_int_equal(image_load(path, 0, &image), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "cannot hold 30000 x 30000"));
    assert_int_equal(image_load(path, 1000000, &image), ADELE_DATA);
    memcpy(frame + 5, (unsigned char[]){0x9c, 0x40, 0x00, 0x10}, 4); // 16 x 40000
    path = store(state, bytes, n);
    assert_int_equal(image_load(path, 0, &image), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "40000 x 16 pixels (height x width)"));
    int width = 0, height = 0;
    assert_int_equal(image_probe(path, &width, &height), ADELE_DATA);
    assert_int_equal(image_probe(store(state, bytes, 30), &width, &height), ADELE_FORMAT);
    tjFree(bytes);
}

// Beside its pixel a sample of a progressive file takes two bytes of coefficients.
static void test_memory_limit(void **state) {
    unsigned long n;
    unsigned char *bytes = picture(&n);
    const char *path = store(state, bytes, n);
    size_t needed = (size_t)W * H * 3 * 3;
    struct image image;
    assert_int_equal(image_load(path, needed - 1, &image), ADELE_DATA);
    assert_null(image.pixels);
    assert_int_equal(image_load(path, needed, &image), ADELE_OK);
    image_deinit(&image);
    tjFree(bytes);
}

static void test_ink_channels(void **state) {
    // 255 is no ink, as in the files of Adobe's programs: c k / 255 of the light is left.
    static const uint8_t inks[][4] = {
        {255, 255, 255, 255}, {255, 0, 0, 255}, {200, 100, 50, 255}, {200, 100, 50, 51}};
    static const uint8_t colours[][3] = {
        {255, 255, 255}, {255, 0, 0}, {200, 100, 50}, {40, 20, 10}};
    for (size_t k = 0; k < sizeof inks / sizeof *inks; k++) {
        static uint8_t pixels[W * H * 4];
        unsigned char *bytes;
        unsigned long n;
        for (size_t i = 0; i < sizeof pixels; i++)
            pixels[i] = inks[k][i % 4];
        encode(pixels, TJPF_CMYK, TJSAMP_444, 0, &bytes, &n);
        struct image image;
        assert_int_equal(image_load(store(state, bytes, n), 0, &image), ADELE_OK);
        assert_int_equal(image.n_channels, 3);
        assert_int_equal(image.notes, IMAGE_NOTE_INKS);
        for (size_t i = 0; i < (size_t)W * H * 3; i++)
            if (abs(((uint8_t *)image.pixels)[i] - colours[k][i % 3]) > 2)
                fail_msg("inks %zu, value %zu: %d", k, i, ((uint8_t *)image.pixels)[i]);
        image_deinit(&image);
        tjFree(bytes);
    }
}

static void test_is_no_label(void **state) {
    unsigned long n;
    unsigned char *bytes = picture(&n);
    struct image label;
    assert_int_equal(image_load_label(store(state, bytes, n), 0, &label), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "JPEG"));
    assert_null(label.pixels);
    tjFree(bytes);
}

static void test_every_allocation_may_fail(void **state) {
    unsigned long n;
    unsigned char *bytes = picture(&n);
    const char *path = store(state, bytes, n);
    tjFree(bytes);
    for (long i = 0;; ++i) {
        struct image image;
        memory_fail_at(i);
        adele_status status = image_load(path, 0, &image);
        bool is_past = memory_count() <= i;
        memory_fail_at(-1);
        assert_int_equal(status, is_past ? ADELE_OK : ADELE_NO_MEMORY);
        image_deinit(&image);
        if (is_past) {
            assert_true(i >= 2);
            break;
        }
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_rgb),
        CASE(test_gray),
        CASE(test_every_truncation),
        CASE(test_every_flip_is_survived),
        CASE(test_claims),
        CASE(test_memory_limit),
        CASE(test_ink_channels),
        CASE(test_is_no_label),
        CASE(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
