// SPDX-License-Identifier: MIT
// The kind of a picture from its first bytes: literal headers, short files, things that are none.
#include "base/file.h"
#include "data/picture_peek.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>

static struct image_traits peek_bytes(void **state, const void *bytes, size_t n) {
    struct image_traits peek;
    const char *path = scratch_path(state, "file");
    assert_int_equal(file_write(path, bytes, n), ADELE_OK);
    picture_peek(path, &peek);
    return peek;
}

// SOI, APP0 of 6 bytes, a table (DHT), a fill byte, then SOF2 of 5 x 7 pixels.
static const unsigned char jpeg[] = {0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x06, 'J',  'F',  'I',  'F',
                                     0xFF, 0xC4, 0x00, 0x03, 0x00, 0xFF, 0xFF, 0xC2, 0x00, 0x11,
                                     0x08, 0x00, 0x05, 0x00, 0x07, 0x03, 0x01, 0x22, 0x00, 0x00};
#define AT_COMPONENTS 25

static void jpeg_headers(void **state) {
    unsigned char bytes[sizeof jpeg];
    memcpy(bytes, jpeg, sizeof jpeg);
    struct image_traits peek = peek_bytes(state, bytes, sizeof bytes);
    assert_int_equal(peek.n_channels, 3);
    assert_int_equal(peek.n_bits, 8);
    assert_false(peek.is_indexed);
    bytes[AT_COMPONENTS] = 1;
    assert_int_equal(peek_bytes(state, bytes, sizeof bytes).n_channels, 1);
    // Cut off in the frame header, before it, and with a length that leads nowhere.
    unsigned char longer[64] = {0};
    memcpy(longer, jpeg, sizeof jpeg);
    longer[5] = 0xFF;
    assert_int_equal(peek_bytes(state, longer, sizeof longer).n_channels, 0);
    longer[5] = 0x01;
    assert_int_equal(peek_bytes(state, longer, sizeof longer).n_channels, 0);
    memset(longer + 2, 0xFF, sizeof longer - 2); // fill bytes to the end
    assert_int_equal(peek_bytes(state, longer, sizeof longer).n_channels, 0);
    unsigned char cut[28] = {0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x12};
    cut[22] = 0xFF;
    cut[23] = 0xC0;
    assert_int_equal(peek_bytes(state, cut, sizeof cut).n_channels, 0);
}

static void png_headers(void **state) {
    struct image_traits peek;
    tiny_picture(state, "gray16.png", 3, 4, 1, 16, 0);
    picture_peek(scratch_path(state, "gray16.png"), &peek);
    assert_int_equal(peek.n_channels, 1);
    assert_int_equal(peek.n_bits, 16);
    tiny_picture(state, "rgb.png", 3, 4, 3, 8, 0);
    picture_peek(scratch_path(state, "rgb.png"), &peek);
    assert_int_equal(peek.n_channels, 3);
    assert_int_equal(peek.n_bits, 8);
    assert_false(peek.is_indexed);
    tiny_label(state, "palette.png", 3, 4, 3, true, 0);
    picture_peek(scratch_path(state, "palette.png"), &peek);
    assert_int_equal(peek.n_channels, 3);
    assert_true(peek.is_indexed);
}

static void what_is_no_picture(void **state) {
    struct image_traits peek;
    assert_int_equal(peek_bytes(state, "short", 5).n_channels, 0);
    assert_int_equal(peek_bytes(state, "a text of more than twenty-six bytes", 36).n_channels, 0);
    picture_peek(scratch_path(state, "absent"), &peek);
    assert_int_equal(peek.n_channels, 0);
    // A pipe without a writer must not block the program.
    assert_int_equal(mkfifo(scratch_path(state, "pipe"), 0600), 0);
    picture_peek(scratch_path(state, "pipe"), &peek);
    assert_int_equal(peek.n_channels, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(jpeg_headers),
        TEST(png_headers),
        TEST(what_is_no_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
