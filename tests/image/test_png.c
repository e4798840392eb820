// SPDX-License-Identifier: MIT
// Reading PNG files built chunk by chunk (so that libpng does not judge itself), label maps,
// hostile files. test_png_write has what we write.
#include "base/file.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/image.h"
#include "support/rows.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { GRAY = 0, RGB = 2, INDEXED = 3, GRAY_ALPHA = 4, RGBA = 6 };

struct blob {
    unsigned char bytes[1 << 16];
    size_t n;
};

static void add(struct blob *blob, const void *bytes, size_t n) {
    assert_true(blob->n + n <= sizeof blob->bytes);
    if (n > 0)
        memcpy(blob->bytes + blob->n, bytes, n);
    blob->n += n;
}

static void add_chunk(struct blob *blob, const char *name, const void *content, size_t n) {
    unsigned char number[4];
    bytes_put(number, 4, true, n);
    add(blob, number, 4);
    size_t start = blob->n;
    add(blob, name, 4);
    add(blob, content, n);
    bytes_put(number, 4, true, crc32(0, blob->bytes + start, (uInt)(n + 4)));
    add(blob, number, 4);
}

static void add_start(struct blob *blob, uint32_t width, uint32_t height, int bits, int type,
                      bool is_interlaced) {
    static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char header[13] = {0};
    bytes_put(header, 4, true, width);
    bytes_put(header + 4, 4, true, height);
    header[8] = (unsigned char)bits;
    header[9] = (unsigned char)type;
    header[12] = is_interlaced;
    blob->n = 0;
    add(blob, signature, 8);
    add_chunk(blob, "IHDR", header, 13);
}

// `rows`: filter byte and packed samples of each row, as the format has them before deflate.
static void add_end(struct blob *blob, const void *rows, size_t n) {
    unsigned char packed[4096];
    uLongf n_packed = sizeof packed;
    assert_int_equal(compress2(packed, &n_packed, rows, (uLong)n, 9), Z_OK);
    add_chunk(blob, "IDAT", packed, n_packed);
    add_chunk(blob, "IEND", NULL, 0);
}

static const char *store(void *const *state, const struct blob *blob) {
    const char *path = scratch_path(state, "picture.png");
    assert_int_equal(file_write(path, blob->bytes, blob->n), ADELE_OK);
    return path;
}

static void assert_pixels(const struct image *image, int width, int height, int n_channels,
                          const uint8_t *want) {
    assert_int_equal(image->width, width);
    assert_int_equal(image->height, height);
    assert_int_equal(image->n_channels, n_channels);
    assert_int_equal(image->n_bits, 8);
    assert_memory_equal(image->pixels, want, (size_t)width * (size_t)height * (size_t)n_channels);
}

static bool is_interlaced(const char *path) {
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(file_read(path, 0, &bytes, &n), ADELE_OK);
    bool is_true = bytes[28] != 0;
    memory_free(bytes);
    return is_true;
}

static void assert_loads(const char *path, int width, int height, int n_channels,
                         const uint8_t *want) {
    struct image image;
    assert_int_equal(image_load(path, 0, &image), ADELE_OK);
    assert_pixels(&image, width, height, n_channels, want);
    rows_assert(path, &image, !is_interlaced(path));
    image_deinit(&image);
    assert_null(image.pixels);
}

static void assert_load_fails(const char *path, adele_status want, const char *part) {
    struct image image;
    adele_status status = image_load(path, 0, &image);
    assert_int_equal(status, want);
    assert_null(image.pixels);
    assert_non_null(strstr(adele_error_message(), path));
    if (strstr(adele_error_message(), part) == NULL)
        fail_msg("message: %s", adele_error_message());
}

static void test_small_grays(void **state) {
    struct blob blob;
    add_start(&blob, 5, 2, 1, GRAY, false);
    add_end(&blob, (unsigned char[]){0, 0xa8, 0, 0x50}, 4);
    assert_loads(store(state, &blob), 5, 2, 1, (uint8_t[]){255, 0, 255, 0, 255, 0, 255, 0, 255, 0});
    add_start(&blob, 4, 1, 2, GRAY, false);
    add_end(&blob, (unsigned char[]){0, 0x1b}, 2);
    const char *path = store(state, &blob);
    assert_loads(path, 4, 1, 1, (uint8_t[]){0, 85, 170, 255});
    struct image label;
    assert_int_equal(image_load_label(path, 0, &label), ADELE_OK);
    assert_pixels(&label, 4, 1, 1, (uint8_t[]){0, 1, 2, 3});
    assert_int_equal(label.palette.n, 0);
    image_deinit(&label);
    add_start(&blob, 3, 1, 4, GRAY, false);
    add_end(&blob, (unsigned char[]){0, 0x5f, 0x10}, 3);
    path = store(state, &blob);
    assert_loads(path, 3, 1, 1, (uint8_t[]){85, 255, 17});
    assert_int_equal(image_load_label(path, 0, &label), ADELE_OK);
    assert_pixels(&label, 3, 1, 1, (uint8_t[]){5, 15, 1});
    image_deinit(&label);
}

static void test_palette(void **state) {
    struct blob blob;
    static const unsigned char colors[9] = {1, 2, 3, 40, 50, 60, 255, 254, 253};
    add_start(&blob, 3, 2, 2, INDEXED, false);
    add_chunk(&blob, "PLTE", colors, 9);
    add_chunk(&blob, "tRNS", (unsigned char[]){0, 128}, 2);
    add_end(&blob, (unsigned char[]){0, 0x18, 0, 0x90}, 4);
    const char *path = store(state, &blob);
    assert_loads(
        path, 3, 2, 3,
        (uint8_t[]){1, 2, 3, 40, 50, 60, 255, 254, 253, 255, 254, 253, 40, 50, 60, 1, 2, 3});
    struct image label;
    assert_int_equal(image_load_label(path, 0, &label), ADELE_OK);
    assert_pixels(&label, 3, 2, 1, (uint8_t[]){0, 1, 2, 2, 1, 0});
    assert_int_equal(label.palette.n, 3);
    assert_memory_equal(label.palette.rgb, colors, 9);
    image_deinit(&label);
}

static void test_alpha_is_dropped(void **state) {
    struct blob blob;
    add_start(&blob, 2, 1, 8, RGBA, false);
    add_end(&blob, (unsigned char[]){0, 10, 20, 30, 0, 40, 50, 60, 128}, 9);
    assert_loads(store(state, &blob), 2, 1, 3, (uint8_t[]){10, 20, 30, 40, 50, 60});
    add_start(&blob, 2, 1, 8, GRAY_ALPHA, false);
    add_end(&blob, (unsigned char[]){0, 7, 0, 9, 255}, 5);
    const char *path = store(state, &blob);
    assert_loads(path, 2, 1, 1, (uint8_t[]){7, 9});
    struct image label;
    assert_int_equal(image_load_label(path, 0, &label), ADELE_OK);
    assert_pixels(&label, 2, 1, 1, (uint8_t[]){7, 9});
    image_deinit(&label);
}

static void test_16_bits(void **state) {
    struct blob blob;
    add_start(&blob, 2, 1, 16, GRAY, false);
    add_end(&blob, (unsigned char[]){0, 0x12, 0x34, 0xff, 0xfe}, 5);
    const char *path = store(state, &blob);
    struct image image;
    assert_int_equal(image_load(path, 0, &image), ADELE_OK);
    assert_int_equal(image.n_bits, 16);
    assert_int_equal(((uint16_t *)image.pixels)[0], 0x1234);
    assert_int_equal(((uint16_t *)image.pixels)[1], 0xfffe);
    image_deinit(&image);
    assert_int_equal(image_load_label(path, 0, &image), ADELE_OK); // instance ids
    assert_int_equal(image.n_bits, 16);
    assert_int_equal(((uint16_t *)image.pixels)[0], 0x1234);
    assert_int_equal(((uint16_t *)image.pixels)[1], 0xfffe);
    image_deinit(&image);
    add_start(&blob, 2, 1, 16, GRAY, false);
    add_end(&blob, (unsigned char[]){0, 0, 4, 0, 255}, 5);
    assert_int_equal(image_load_label(store(state, &blob), 0, &image), ADELE_OK);
    assert_int_equal(image.n_bits, 16);
    assert_int_equal(((uint16_t *)image.pixels)[0], 4);
    assert_int_equal(((uint16_t *)image.pixels)[1], 255);
    image_deinit(&image);
}

static void test_rgb_labels(void **state) {
    struct blob blob;
    add_start(&blob, 2, 1, 8, RGB, false);
    add_end(&blob, (unsigned char[]){0, 3, 3, 3, 250, 250, 250}, 7);
    struct image label;
    assert_int_equal(image_load_label(store(state, &blob), 0, &label), ADELE_OK);
    assert_pixels(&label, 2, 1, 1, (uint8_t[]){3, 250});
    image_deinit(&label);
    add_start(&blob, 2, 1, 8, RGB, false);
    add_end(&blob, (unsigned char[]){0, 3, 3, 3, 3, 4, 5}, 7);
    assert_int_equal(image_load_label(store(state, &blob), 0, &label), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "(1, 0) is (3, 4, 5)"));
    assert_null(label.pixels);
}

// Adam7: pass p holds the pixels at x0 + i * dx, y0 + j * dy.
static void test_interlaced(void **state) {
    struct blob blob;
    enum { W = 11, H = 9 };
    static const int passes[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                     {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    uint8_t want[W * H];
    for (int i = 0; i < W * H; ++i)
        want[i] = (uint8_t)(i * 37 + i / 5);
    unsigned char rows[4 * W * H];
    size_t n = 0;
    for (int p = 0; p < 7; ++p)
        for (int y = passes[p][1]; y < H; y += passes[p][3]) {
            rows[n++] = 0;
            for (int x = passes[p][0]; x < W; x += passes[p][2])
                rows[n++] = want[y * W + x];
        }
    add_start(&blob, W, H, 8, GRAY, true);
    add_end(&blob, rows, n);
    assert_loads(store(state, &blob), W, H, 1, want);
}

// With the format's checksums, each damaged byte is noticed or does not matter.
static void test_every_flip_and_truncation(void **state) {
    struct blob blob;
    static const uint8_t want[12] = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120};
    add_start(&blob, 2, 2, 8, RGB, false);
    add_end(&blob, (unsigned char[]){0, 10, 20, 30, 40, 50, 60, 0, 70, 80, 90, 100, 110, 120}, 14);
    struct blob damaged = blob;
    for (size_t i = 0; i < blob.n; ++i)
        for (int bit = 0; bit < 8; ++bit) {
            damaged.bytes[i] = (unsigned char)(blob.bytes[i] ^ (1 << bit));
            struct image image;
            adele_status status = image_load(store(state, &damaged), 0, &image);
            if (status == ADELE_OK)
                assert_pixels(&image, 2, 2, 3, want);
            else
                assert_true(status == ADELE_FORMAT || status == ADELE_DATA);
            image_deinit(&image);
            damaged.bytes[i] = blob.bytes[i];
        }
    for (size_t n = 0; n < blob.n; ++n) {
        damaged.n = n;
        const char *path = store(state, &damaged);
        assert_load_fails(path, ADELE_FORMAT,
                          n == 0  ? "is empty (0 bytes)"
                          : n < 8 ? "neither a PNG"
                                  : "truncated PNG");
        int width = 0, height = 0;
        if (n < 33)
            assert_int_equal(image_probe(path, &width, &height), ADELE_FORMAT);
    }
}

static void test_bad_checksum(void **state) {
    struct blob blob;
    add_start(&blob, 2, 1, 8, GRAY, false);
    size_t in_data = blob.n + 12;
    add_end(&blob, (unsigned char[]){0, 7, 9}, 3);
    blob.bytes[in_data] ^= 0x10;
    assert_load_fails(store(state, &blob), ADELE_FORMAT, "damaged PNG file");
    blob.bytes[29] ^= 1; // of the header
    int width = 0, height = 0;
    assert_int_equal(image_probe(store(state, &blob), &width, &height), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "checksum"));
}

// libpng would skip it, and image_probe finds no header there.
static void test_chunk_before_the_header(void **state) {
    struct blob good, bad;
    add_start(&good, 2, 1, 8, GRAY, false);
    add_end(&good, (unsigned char[]){0, 7, 9}, 3);
    bad.n = 8;
    memcpy(bad.bytes, good.bytes, bad.n);
    add_chunk(&bad, "eXIf", "MM\0*\0\0\0\10\0\0", 10);
    memcpy(bad.bytes + bad.n, good.bytes + 8, good.n - 8);
    bad.n += good.n - 8;
    const char *path = store(state, &bad);
    int width = 0, height = 0;
    struct image label;
    assert_load_fails(path, ADELE_FORMAT, "it does not begin with its header");
    assert_int_equal(image_load_label(path, 0, &label), ADELE_FORMAT);
    assert_int_equal(image_probe(path, &width, &height), ADELE_FORMAT);
}

static void test_too_few_rows(void **state) {
    struct blob blob;
    add_start(&blob, 4, 4, 8, GRAY, false);
    add_end(&blob, (unsigned char[]){0, 1, 2, 3, 4}, 5);
    assert_load_fails(store(state, &blob), ADELE_FORMAT, "damaged PNG file");
}

static void test_claims(void **state) {
    struct blob blob;
    add_start(&blob, 30000, 30000, 16, RGBA, false);
    add_end(&blob, (unsigned char[]){0, 1, 2}, 3);
    assert_load_fails(store(state, &blob), ADELE_FORMAT, "cannot hold 30000 x 30000");
    add_start(&blob, 32769, 1, 8, GRAY, false);
    add_end(&blob, (unsigned char[]){0, 1, 2}, 3);
    const char *path = store(state, &blob);
    assert_load_fails(path, ADELE_DATA, "largest accepted extent is 32768");
    int width = 0, height = 0;
    assert_int_equal(image_probe(path, &width, &height), ADELE_DATA);
    add_start(&blob, 0, 5, 8, GRAY, false);
    add_end(&blob, (unsigned char[]){0, 1, 2}, 3);
    path = store(state, &blob);
    assert_load_fails(path, ADELE_FORMAT, path);
    assert_int_equal(image_probe(path, &width, &height), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "5 x 0 pixels (height x width)"));
}

static void test_memory_limit(void **state) {
    struct blob blob;
    add_start(&blob, 3, 2, 8, RGB, false);
    add_end(&blob, (unsigned char[20]){0}, 20);
    const char *path = store(state, &blob);
    struct image image;
    assert_int_equal(image_load(path, 18, &image), ADELE_OK);
    image_deinit(&image);
    assert_int_equal(image_load(path, 17, &image), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "take 18 bytes, the limit is 17"));
    int width = 0, height = 0;
    assert_int_equal(image_probe(path, &width, &height), ADELE_OK);
    assert_int_equal(width, 3);
    assert_int_equal(height, 2);
}

// The address space of this process plus `bytes`; returns the old limit. Under AddressSanitizer,
// whose shadow is larger than any limit, nothing is limited.
static struct rlimit limit_memory(size_t bytes) {
    unsigned long n_pages = 0;
    struct rlimit old, lower;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &n_pages), 1);
    fclose(file);
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    lower = old;
#ifndef __SANITIZE_ADDRESS__
    lower.rlim_cur = n_pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
#else
    (void)bytes;
#endif
    assert_int_equal(setrlimit(RLIMIT_AS, &lower), 0);
    return old;
}

// libpng takes the memory that a chunk claims before it looks whether the file has so many bytes.
static void test_chunks_claim_no_memory(void **state) {
    static const char *const names[] = {"sPLT", "iCCP", "zTXt", "tEXt", "eXIf", "abCd"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        struct blob blob;
        unsigned char claim[4];
        add_start(&blob, 4, 4, 8, GRAY, false);
        bytes_put(claim, 4, true, 0x2e000000);
        add(&blob, claim, 4);
        add(&blob, names[i], 4);
        add(&blob, "palette\0\0\0", 10);
        const char *path = store(state, &blob);
        struct image image;
        struct rlimit old = limit_memory((size_t)256 << 20);
        adele_status status = image_load(path, 0, &image);
        assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
        assert_int_equal(status, ADELE_FORMAT);
        assert_non_null(strstr(adele_error_message(), "truncated PNG file"));
    }
}

// What is in such chunks is not the picture.
static void test_other_chunks_are_passed_over(void **state) {
    static const uint8_t rows[] = {0, 1, 2, 0, 3, 4}, want[] = {1, 2, 3, 4};
    struct blob blob;
    add_start(&blob, 2, 2, 8, GRAY, false);
    add_chunk(&blob, "gAMA", "\0\0\xb1\x8f", 4);
    add_chunk(&blob, "zTXt", "a\0\0no deflate", 13);
    add_chunk(&blob, "iCCP", "a\0\0no profile", 13);
    add_end(&blob, rows, sizeof rows);
    struct image image;
    assert_int_equal(image_load(store(state, &blob), 0, &image), ADELE_OK);
    assert_pixels(&image, 2, 2, 1, want);
    image_deinit(&image);
}

static void test_no_file(void **state) {
    assert_load_fails(scratch_path(state, "none.png"), ADELE_IO, "No such file");
    assert_load_fails(*state, ADELE_IO, "not a regular file");
    const char *path = scratch_path(state, "text.png");
    assert_int_equal(file_write(path, "hello, world", 12), ADELE_OK);
    assert_load_fails(path, ADELE_FORMAT, "neither a PNG nor a JPEG");
    struct image label;
    assert_int_equal(image_load_label(path, 0, &label), ADELE_FORMAT);
    int width = 0, height = 0;
    assert_int_equal(image_probe(path, &width, &height), ADELE_FORMAT);
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() != 0) // root reads everything
        assert_load_fails(path, ADELE_IO, "cannot open");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_small_grays),
        CASE(test_palette),
        CASE(test_alpha_is_dropped),
        CASE(test_16_bits),
        CASE(test_rgb_labels),
        CASE(test_interlaced),
        CASE(test_every_flip_and_truncation),
        CASE(test_bad_checksum),
        CASE(test_chunk_before_the_header),
        CASE(test_too_few_rows),
        CASE(test_claims),
        CASE(test_memory_limit),
        CASE(test_chunks_claim_no_memory),
        CASE(test_other_chunks_are_passed_over),
        CASE(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
