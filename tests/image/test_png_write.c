// SPDX-License-Identifier: MIT
// PNG files that we write: whole or by rows, with palettes, on a full disk, without memory.
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void fill(struct image *image) {
    size_t n = (size_t)image->width * (size_t)image->height * (size_t)image->n_channels *
               ((size_t)image->n_bits / 8);
    uint32_t word = 12345;
    for (size_t i = 0; i < n; ++i) {
        word = word * 1664525U + 1013904223U;
        ((uint8_t *)image->pixels)[i] = (uint8_t)(word >> 24);
    }
}

static void test_save_and_load(void **state) {
    const char *path = scratch_path(state, "saved.png");
    for (int n_channels = 1; n_channels <= 3; n_channels += 2)
        for (int n_bits = 8; n_bits <= 16; n_bits += 8) {
            struct image image, back;
            assert_int_equal(image_init(&image, 13, 7, n_channels, n_bits), ADELE_OK);
            fill(&image);
            assert_int_equal(image_save_png(path, &image), ADELE_OK);
            assert_int_equal(image_load(path, 0, &back), ADELE_OK);
            assert_int_equal(back.n_channels, n_channels);
            assert_int_equal(back.n_bits, n_bits);
            assert_memory_equal(back.pixels, image.pixels,
                                (size_t)(13 * 7 * n_channels * n_bits / 8));
            image_deinit(&image);
            image_deinit(&back);
        }
}

static void test_save_palette(void **state) {
    const char *path = scratch_path(state, "label.png");
    struct image image, back;
    assert_int_equal(image_init(&image, 4, 1, 1, 8), ADELE_OK);
    memcpy(image.pixels, (uint8_t[]){0, 1, 255, 2}, 4);
    image.palette.n = 2;
    image.palette.rgb[1][0] = 200;
    assert_int_equal(image_save_png(path, &image), ADELE_OK);
    assert_int_equal(image.palette.n, 2); // the caller's palette stays
    assert_int_equal(image_load_label(path, 0, &back), ADELE_OK);
    assert_true(back.width == 4 && back.height == 1 && back.n_channels == 1 && back.n_bits == 8);
    assert_memory_equal(back.pixels, ((uint8_t[]){0, 1, 255, 2}), 4);
    assert_int_equal(back.palette.n, 256); // the source's two colours, the rest from VOC's map
    assert_memory_equal(back.palette.rgb[1], ((uint8_t[]){200, 0, 0}), 3);
    assert_memory_equal(back.palette.rgb[2], ((uint8_t[]){0, 128, 0}), 3);
    assert_memory_equal(back.palette.rgb[255], ((uint8_t[]){224, 224, 192}), 3);
    image_deinit(&image);
    image_deinit(&back);
}

// The first rows are printed in the development kit of the VOC challenge.
static void test_voc_palette(void **state) {
    (void)state;
    static const uint8_t want[][3] = {{0, 0, 0},    {128, 0, 0},   {0, 128, 0},   {128, 128, 0},
                                      {0, 0, 128},  {128, 0, 128}, {0, 128, 128}, {128, 128, 128},
                                      {64, 0, 0},   {192, 0, 0},   {64, 128, 0},  {192, 128, 0},
                                      {64, 0, 128}, {192, 0, 128}, {64, 128, 128}};
    struct image_palette palette;
    image_palette_voc(&palette);
    assert_int_equal(palette.n, 256);
    assert_memory_equal(palette.rgb, want, sizeof want);
    assert_memory_equal(palette.rgb[20], ((uint8_t[]){0, 64, 128}), 3);
}

static void test_refused_arguments(void **state) {
    struct image image;
    assert_int_equal(image_init(&image, 0, 1, 1, 8), ADELE_INVALID_ARGUMENT);
    assert_int_equal(image_init(&image, 1, 32769, 1, 8), ADELE_INVALID_ARGUMENT);
    assert_int_equal(image_init(&image, 1, 1, 2, 8), ADELE_INVALID_ARGUMENT);
    assert_int_equal(image_init(&image, 1, 1, 1, 1), ADELE_INVALID_ARGUMENT);
    assert_int_equal(image_save_png(scratch_path(state, "x.png"), &image), ADELE_INVALID_ARGUMENT);
    image_deinit(&image);
    image_deinit(NULL);
    assert_int_equal(image_init(&image, 2, 2, 3, 8), ADELE_OK);
    image.palette.n = 5;
    assert_int_equal(image_save_png(scratch_path(state, "x.png"), &image), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "palette of 5"));
    image.palette.n = 0;
    assert_int_equal(image_save_png(scratch_path(state, "no/folder/x.png"), &image), ADELE_IO);
    assert_false(file_exists(scratch_path(state, "x.png")));
    image_deinit(&image);
}

// A disk that fills up while the picture is written leaves nothing behind.
static void test_full_disk(void **state) {
    const char *path = scratch_path(state, "large.png");
    struct image image;
    assert_int_equal(image_init(&image, 1024, 1024, 3, 8), ADELE_OK);
    fill(&image);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 100000, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    adele_status status = image_save_png(path, &image);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    image_deinit(&image);
    assert_int_equal(status, ADELE_IO);
    assert_non_null(strstr(adele_error_message(), "large.png"));
    assert_false(file_exists(path));
}

static adele_status save_and_load(void *const *state, const struct image *image) {
    const char *path = scratch_path(state, "memory.png");
    struct image back;
    adele_status status = image_save_png(path, image);
    if (status == ADELE_OK)
        status = image_load_label(path, 0, &back);
    if (status == ADELE_OK)
        image_deinit(&back);
    return status;
}

static void test_every_allocation_may_fail(void **state) {
    struct image image;
    assert_int_equal(image_init(&image, 5, 5, 1, 16), ADELE_OK);
    ((uint16_t *)image.pixels)[3] = 200;
    long i = 0, n_failed = 0;
    for (;; ++i) {
        memory_fail_at(i);
        adele_status status = save_and_load(state, &image);
        bool is_past = memory_count() <= i;
        memory_fail_at(-1);
        if (is_past) {
            assert_int_equal(status, ADELE_OK);
            break;
        }
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
        n_failed += status == ADELE_NO_MEMORY;
    }
    assert_true(n_failed > 10);
    memory_fail_at(0);
    struct image other;
    assert_int_equal(image_init(&other, 5, 5, 1, 8), ADELE_NO_MEMORY);
    memory_fail_at(-1);
    image_deinit(&image);
}

// ---- by rows ------------------------------------------------------------------------------------

// Writes `image` in bands of 1, 2, 3 ... rows.
static void write_by_rows(const char *path, const struct image *image) {
    struct png_writer *writer = NULL;
    const uint8_t *pixels = image->pixels;
    assert_int_equal(png_writer_begin(path, image, &writer), ADELE_OK);
    for (int y = 0, n = 1; y < image->height; y += n, n++) {
        int n_rows = n < image->height - y ? n : image->height - y;
        assert_int_equal(
            png_writer_rows(writer, n_rows, pixels + (size_t)y * image_row_bytes(image)), ADELE_OK);
    }
    assert_int_equal(png_writer_commit(writer), ADELE_OK);
}

static void test_rows_give_the_bytes_of_the_whole(void **state) {
    static const int kinds[][2] = {{1, 8}, {3, 8}, {1, 16}, {3, 16}};
    char whole[4096], rows[4096];
    (void)snprintf(whole, sizeof whole, "%s", scratch_path(state, "whole.png"));
    (void)snprintf(rows, sizeof rows, "%s", scratch_path(state, "rows.png"));
    for (size_t i = 0; i < 5; i++) {
        struct image image;
        char *bytes[2];
        size_t n[2];
        assert_int_equal(image_init(&image, 13, 11, kinds[i % 4][0], kinds[i % 4][1]), ADELE_OK);
        for (size_t k = 0; k < 11 * image_row_bytes(&image); k++)
            ((uint8_t *)image.pixels)[k] = (uint8_t)(k * 37 % 251);
        if (i == 4)
            image_palette_voc(&image.palette);
        assert_int_equal(image_save_png(whole, &image), ADELE_OK);
        write_by_rows(rows, &image);
        assert_int_equal(file_read(whole, 0, &bytes[0], &n[0]), ADELE_OK);
        assert_int_equal(file_read(rows, 0, &bytes[1], &n[1]), ADELE_OK);
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(bytes[0], bytes[1], n[0]);
        memory_free(bytes[0]);
        memory_free(bytes[1]);
        image_deinit(&image);
    }
}

static void test_rows_missing_or_too_many(void **state) {
    const struct image header = {.width = 4, .height = 3, .n_channels = 1, .n_bits = 8};
    const char *path = scratch_path(state, "rows.png");
    struct png_writer *writer = NULL;
    assert_int_equal(png_writer_begin(path, &header, &writer), ADELE_OK);
    assert_int_equal(png_writer_rows(writer, 2, "12345678"), ADELE_OK);
    assert_int_equal(png_writer_rows(writer, 2, "12345678"), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "2 rows after 2 of 3"));
    assert_int_equal(png_writer_commit(writer), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "2 of 3 rows"));
    assert_false(file_exists(path));
    assert_int_equal(png_writer_begin(path, &header, &writer), ADELE_OK);
    png_writer_abandon(writer);
    assert_false(file_exists(path));
    const struct image none = {.width = 0, .height = 3, .n_channels = 1, .n_bits = 8};
    assert_int_equal(png_writer_begin(path, &none, &writer), ADELE_INVALID_ARGUMENT);
    assert_null(writer);
    png_writer_abandon(NULL);
}

// A file that is cut off is read up to its last whole row, then named.
static void test_rows_of_a_truncated_file(void **state) {
    struct image image;
    struct image_rows *rows = NULL;
    const char *path = scratch_path(state, "cut.png");
    char *bytes = NULL;
    size_t n = 0;
    uint8_t row[64];
    assert_int_equal(image_init(&image, 64, 400, 1, 8), ADELE_OK);
    for (unsigned k = 0; k < 64 * 400; k++) { // noise, which does not become small
        unsigned mixed = (k ^ k << 13) * 2654435761U;
        ((uint8_t *)image.pixels)[k] = (uint8_t)((mixed ^ mixed >> 15) * 2246822519U >> 24);
    }
    assert_int_equal(image_save_png(path, &image), ADELE_OK);
    assert_int_equal(file_read(path, 0, &bytes, &n), ADELE_OK);
    assert_int_equal(file_write(path, bytes, n / 2), ADELE_OK);
    assert_int_equal(image_rows_open(path, &rows), ADELE_OK);
    adele_status status = ADELE_OK;
    int y = 0;
    for (; y < 400 && status == ADELE_OK; y++) {
        status = image_rows_read(rows, 1, row);
        if (status == ADELE_OK)
            assert_memory_equal(row, (uint8_t *)image.pixels + y * 64, 64);
    }
    if (!(y > 20 && y < 400))
        fail_msg("%d rows: %s", y, adele_error_message());
    assert_int_equal(status, ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), path));
    assert_non_null(strstr(adele_error_message(), "truncated"));
    image_rows_close(rows);
    image_rows_close(NULL);
    memory_free(bytes);
    image_deinit(&image);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_save_and_load),
        CASE(test_save_palette),
        CASE(test_voc_palette),
        CASE(test_refused_arguments),
        CASE(test_full_disk),
        CASE(test_every_allocation_may_fail),
        CASE(test_rows_give_the_bytes_of_the_whole),
        CASE(test_rows_missing_or_too_many),
        CASE(test_rows_of_a_truncated_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
