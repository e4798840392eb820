// SPDX-License-Identifier: MIT
// Pictures are turned according to their orientation, for all eight values, in JPEG and PNG, as
// images and as label maps; damaged blocks count as no orientation.
#include "base/file.h"
#include "image/codec.h"
#include "image/image.h"
#include "support/raw_png.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#define W 3
#define H 2

// What a viewer shows of
//     1 2 3
//     4 5 6
// under each orientation: from the tables of the Exif standard.
static const struct {
    int width, height;
    uint8_t pixels[W * H];
} seen[9] = {{W, H, {1, 2, 3, 4, 5, 6}}, // none
             {W, H, {1, 2, 3, 4, 5, 6}}, {W, H, {3, 2, 1, 6, 5, 4}}, {W, H, {6, 5, 4, 3, 2, 1}},
             {W, H, {4, 5, 6, 1, 2, 3}}, {H, W, {1, 4, 2, 5, 3, 6}}, {H, W, {4, 1, 5, 2, 6, 3}},
             {H, W, {6, 3, 5, 2, 4, 1}}, {H, W, {3, 6, 2, 5, 1, 4}}};

// An Exif block with another tag before the orientation.
static size_t exif_block(bool is_big_endian, int orientation, uint8_t out[64]) {
    static const uint8_t little[] = {'I', 'I', 42, 0, 8, 0, 0, 0,    2, 0, 0x0f, 1, 2, 0, 1,
                                     0,   0,   0,  0, 0, 0, 0, 0x12, 1, 3, 0,    1, 0, 0, 0};
    static const uint8_t big[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0,    2, 1, 0x0f, 0, 2, 0,
                                  0,   0,   1, 0,  0, 0, 0, 1, 0x12, 0, 3, 0,    0, 0, 1};
    memset(out, 0, 64);
    memcpy(out, is_big_endian ? big : little, sizeof big);
    out[sizeof big + (is_big_endian ? 1 : 0)] = (uint8_t)orientation;
    return sizeof big + 8;
}

static void blocks_are_parsed(void **state) {
    (void)state;
    uint8_t block[64];
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int big = 0; big < 2; big++) {
            size_t n = exif_block(big != 0, orientation, block);
            assert_int_equal(exif_orientation(block, n), orientation);
            // Truncated at every length: the orientation, or none.
            for (size_t cut = 0; cut < n; cut++) {
                uint8_t *exact = malloc(cut + 1);
                assert_non_null(exact);
                memcpy(exact, block, cut);
                int answer = exif_orientation(exact, cut);
                assert_true(answer == 1 || answer == orientation);
                free(exact);
            }
        }
    size_t n = exif_block(false, 9, block);
    assert_int_equal(exif_orientation(block, n), 1);
    n = exif_block(false, 6, block);
    memset(block + 4, 0xff, 4); // the directory is beyond the end
    assert_int_equal(exif_orientation(block, n), 1);
    n = exif_block(false, 6, block);
    block[24] = 4; // not a short
    assert_int_equal(exif_orientation(block, n), 1);
}

static void check_seen(const struct image *image, int orientation, int tolerance, int scale) {
    assert_int_equal(image->width, seen[orientation].width * scale);
    assert_int_equal(image->height, seen[orientation].height * scale);
    assert_int_equal((image->notes & IMAGE_NOTE_TURNED) != 0, orientation > 1);
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            int want = seen[orientation].pixels[y / scale * seen[orientation].width + x / scale];
            int got = ((const uint8_t *)image->pixels)[(y * image->width + x) * image->n_channels];
            assert_true(abs(got - 40 * want) <= tolerance);
        }
}

static void check_probe(const char *path, int orientation, int scale) {
    int width = 0, height = 0;
    assert_int_equal(image_probe(path, &width, &height), ADELE_OK);
    assert_int_equal(width, seen[orientation].width * scale);
    assert_int_equal(height, seen[orientation].height * scale);
}

static void pngs_are_turned(void **state) {
    const char *path = scratch_path(state, "a.png");
    uint8_t rows[W * H * 3], block[64];
    for (int orientation = 0; orientation <= 8; orientation++)
        for (int channels = 1; channels <= 3; channels += 2) {
            for (int i = 0; i < W * H * channels; i++)
                rows[i] = (uint8_t)(40 * (i / channels + 1));
            size_t n = exif_block(orientation % 2 != 0, orientation, block);
            struct raw_png png = {.width = W,
                                  .height = H,
                                  .bits = 8,
                                  .color_type = channels == 1 ? 0 : 2,
                                  .rows = rows,
                                  .extra = orientation > 0 ? "eXIf" : NULL,
                                  .extra_data = block,
                                  .extra_bytes = n};
            struct image image;
            raw_png_write(path, &png);
            assert_int_equal(image_load(path, 0, &image), ADELE_OK);
            check_seen(&image, orientation, 0, 1);
            image_deinit(&image);
            assert_int_equal(image_load_label(path, 0, &image), ADELE_OK);
            check_seen(&image, orientation, 0, 1);
            image_deinit(&image);
            check_probe(path, orientation, 1);
        }
}

// 16 bits turn whole, and memory for turning is counted.
static void sixteen_bits_are_turned(void **state) {
    const char *path = scratch_path(state, "a.png");
    uint8_t rows[W * H * 2], block[64];
    for (int i = 0; i < W * H; i++) {
        rows[2 * i] = (uint8_t)(i + 1);
        rows[2 * i + 1] = (uint8_t)(100 + i);
    }
    size_t n = exif_block(false, 6, block);
    struct raw_png png = {.width = W,
                          .height = H,
                          .bits = 16,
                          .color_type = 0,
                          .rows = rows,
                          .extra = "eXIf",
                          .extra_data = block,
                          .extra_bytes = n};
    struct image image;
    raw_png_write(path, &png);
    assert_int_equal(image_load(path, 0, &image), ADELE_OK);
    for (int i = 0; i < W * H; i++) {
        int stored = seen[6].pixels[i] - 1;
        assert_int_equal(((uint16_t *)image.pixels)[i], (stored + 1) * 256 + 100 + stored);
    }
    image_deinit(&image);
    assert_int_equal(image_load(path, sizeof rows, &image), ADELE_DATA);
    assert_int_equal(image_load(path, 2 * sizeof rows, &image), ADELE_OK);
    image_deinit(&image);
}

// Quality 100 on flat blocks keeps values within 2; the block is inserted after SOI.
static void write_jpeg(const char *path, int orientation, int scale) {
    int width = W * scale, height = H * scale;
    uint8_t *pixels = malloc((size_t)width * (size_t)height);
    unsigned char *bytes = NULL, block[64];
    unsigned long n_bytes = 0;
    assert_non_null(pixels);
    for (int i = 0; i < width * height; i++)
        pixels[i] = (uint8_t)(40 * (1 + i / width / scale * W + i % width / scale));
    tjhandle handle = tjInitCompress();
    assert_int_equal(tjCompress2(handle, pixels, width, 0, height, TJPF_GRAY, &bytes, &n_bytes,
                                 TJSAMP_GRAY, 100, 0),
                     0);
    size_t n_block = exif_block(true, orientation, block), n_head = 10;
    unsigned char *file = malloc(n_bytes + n_head + n_block);
    assert_non_null(file);
    memcpy(file, bytes, 2);
    memcpy(file + 2, "\xff\xe1\0\0Exif\0\0", n_head);
    file[5] = (unsigned char)(n_block + 8);
    memcpy(file + 2 + n_head, block, n_block);
    memcpy(file + 2 + n_head + n_block, bytes + 2, n_bytes - 2);
    assert_int_equal(file_write(path, file, n_bytes + n_head + n_block), ADELE_OK);
    free(file);
    free(pixels);
    tjFree(bytes);
    tjDestroy(handle);
}

static void jpegs_are_turned(void **state) {
    const char *path = scratch_path(state, "a.jpg");
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct image image;
        write_jpeg(path, orientation, 8);
        assert_int_equal(image_load(path, 0, &image), ADELE_OK);
        check_seen(&image, orientation, 2, 8);
        image_deinit(&image);
        check_probe(path, orientation, 8);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_parsed), TEST(pngs_are_turned),
                                       TEST(sixteen_bits_are_turned), TEST(jpegs_are_turned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
