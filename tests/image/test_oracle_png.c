// SPDX-License-Identifier: MIT
// Our PNG path beside libspng: the same pixels for every kind of file. Of damaged files we read
// none that libspng refuses, and where both read, the pixels are the same.
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "image/byte_order.h"
#include "image/codec.h"
#include "support/scratch.h"
#include "support/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#ifdef ADELE_HAVE_SPNG
#include <spng.h>

#define MAX_FILE  4096
#define N_MUTANTS 15 // of each kind

enum { GRAY = 0, RGB = 2, INDEXED = 3, GRAY_ALPHA = 4, RGBA = 6 };

struct blob {
    unsigned char bytes[MAX_FILE];
    size_t n;
};

static void add_chunk(struct blob *blob, const char *name, const void *content, size_t n) {
    assert_true(blob->n + n + 12 <= sizeof blob->bytes);
    unsigned char *at = blob->bytes + blob->n;
    bytes_put(at, 4, true, n);
    memcpy(at + 4, name, 4);
    if (n > 0)
        memcpy(at + 8, content, n);
    bytes_put(at + 8 + n, 4, true, crc32(0, at + 4, (uInt)(n + 4)));
    blob->n += n + 12;
}

static int channels_of(int type) {
    return type == RGB ? 3 : type == GRAY_ALPHA ? 2 : type == RGBA ? 4 : 1;
}

// Bytes of one row of a pass, without its filter byte.
static size_t row_bytes(size_t width, int type, int bits) {
    return (width * (size_t)channels_of(type) * (size_t)bits + 7) / 8;
}

// Random samples under random filters; indices stay within the palette of 1 << bits colours.
static size_t fill_rows(struct random_stream *random, int width, int height, int type, int bits,
                        bool is_interlaced, unsigned char *out) {
    static const int pass[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                   {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    static const int whole[4] = {0, 0, 1, 1};
    size_t n = 0;
    for (int i = 0; i < (is_interlaced ? 7 : 1); i++) {
        const int *grid = is_interlaced ? pass[i] : whole;
        int w = (width - grid[0] + grid[2] - 1) / grid[2];
        int h = (height - grid[1] + grid[3] - 1) / grid[3];
        for (int y = 0; w > 0 && y < h; y++) {
            out[n++] = (unsigned char)random_below(random, type == INDEXED ? 1 : 5);
            for (size_t k = 0; k < row_bytes((size_t)w, type, bits); k++)
                out[n++] = (unsigned char)random_below(random, 256);
        }
    }
    return n;
}

static void make_file(struct random_stream *random, int type, int bits, bool is_interlaced,
                      struct blob *out) {
    static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char header[13] = {0}, rows[4096], packed[3072], palette[768];
    int width = 1 + (int)random_below(random, 13), height = 1 + (int)random_below(random, 9);
    bytes_put(header, 4, true, (uint64_t)width);
    bytes_put(header + 4, 4, true, (uint64_t)height);
    header[8] = (unsigned char)bits;
    header[9] = (unsigned char)type;
    header[12] = is_interlaced;
    memcpy(out->bytes, signature, 8);
    out->n = 8;
    add_chunk(out, "IHDR", header, 13);
    for (int i = 0; i < 768; i++)
        palette[i] = (unsigned char)random_below(random, 256);
    if (type == INDEXED)
        add_chunk(out, "PLTE", palette, (size_t)3 << bits);
    size_t n = fill_rows(random, width, height, type, bits, is_interlaced, rows);
    uLongf n_packed = sizeof packed;
    assert_int_equal(compress2(packed, &n_packed, rows, (uLong)n, 6), Z_OK);
    add_chunk(out, "IDAT", packed, n_packed);
    add_chunk(out, "IEND", NULL, 0);
}

// What libspng makes of it: samples as 16-bit numbers, (H, W, C) with alpha. False when refused.
static bool oracle(const struct blob *blob, struct spng_ihdr *header, uint16_t *out, size_t room) {
    static unsigned char pixels[1 << 20];
    size_t bytes = 0;
    memset(pixels, 0, sizeof pixels); // packed samples are added to what is there
    spng_ctx *context = spng_ctx_new(0);
    assert_non_null(context);
    bool is_fine = spng_set_png_buffer(context, blob->bytes, blob->n) == 0 &&
                   spng_get_ihdr(context, header) == 0 &&
                   spng_decoded_image_size(context, SPNG_FMT_PNG, &bytes) == 0 &&
                   bytes <= sizeof pixels &&
                   spng_decode_image(context, pixels, bytes, SPNG_FMT_PNG, 0) == 0 &&
                   spng_decode_chunks(context) == 0;
    spng_ctx_free(context);
    if (!is_fine)
        return false;
    size_t per_row = header->width * (size_t)channels_of(header->color_type), i = 0;
    size_t stride = row_bytes(header->width, header->color_type, header->bit_depth);
    int bits = header->bit_depth;
    for (size_t y = 0; y < header->height; y++)
        for (size_t x = 0; x < per_row; x++) {
            const unsigned char *row = pixels + y * stride;
            assert_true(i < room);
            if (bits == 16)
                memcpy(&out[i++], row + 2 * x, 2);
            else
                out[i++] = row[x * (size_t)bits / 8] >> (8 - bits - (int)(x * (size_t)bits % 8)) &
                           ((1 << bits) - 1);
        }
    return true;
}

static unsigned sample(const struct image *image, size_t i) {
    return image->n_bits == 16 ? ((const uint16_t *)image->pixels)[i]
                               : ((const uint8_t *)image->pixels)[i];
}

enum agreement { BOTH_READ, BOTH_REFUSE, WE_REFUSE };

// Fails the test when we read what libspng refuses, or when the pixels differ. That we refuse more
// is legal: libspng takes a picture whose data end early, or whose checksum was not reached.
static enum agreement compare(void *const *state, const struct blob *blob, const char *what) {
    static uint16_t want[1 << 16];
    struct spng_ihdr header;
    CLEANUP(image_deinit) struct image image = {0};
    const char *path = scratch_path(state, "picture.png");
    assert_int_equal(file_write(path, blob->bytes, blob->n), ADELE_OK);
    bool is_read = oracle(blob, &header, want, sizeof want / sizeof want[0]);
    adele_status status = image_png_load(path, true, 1 << 20, &image);
    if (!is_read && status == ADELE_OK)
        fail_msg("%s: libspng refuses it, and we do not", what);
    if (status != ADELE_OK)
        return is_read ? WE_REFUSE : BOTH_REFUSE;
    int n_file = channels_of(header.color_type);
    assert_int_equal(image.width, header.width);
    assert_int_equal(image.height, header.height);
    assert_int_equal(image.n_channels, n_file < 3 ? 1 : 3);
    for (size_t i = 0; i < (size_t)image.width * (size_t)image.height; i++)
        for (int c = 0; c < image.n_channels; c++)
            if (sample(&image, i * (size_t)image.n_channels + (size_t)c) !=
                want[i * (size_t)n_file + (size_t)c])
                fail_msg("%s: pixel %zu, channel %d differs", what, i, c);
    return BOTH_READ;
}

static const int kinds[][2] = {{GRAY, 1},    {GRAY, 2},        {GRAY, 4},    {GRAY, 8},
                               {GRAY, 16},   {RGB, 8},         {RGB, 16},    {INDEXED, 1},
                               {INDEXED, 2}, {INDEXED, 4},     {INDEXED, 8}, {GRAY_ALPHA, 8},
                               {RGBA, 8},    {GRAY_ALPHA, 16}, {RGBA, 16}};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

static void every_kind_of_file(void **state) {
    struct random_stream random;
    random_stream_init(&random, 5, RANDOM_TEST, 0, 0);
    for (size_t k = 0; k < 2 * N_KINDS; k++)
        for (int turn = 0; turn < 4; turn++) {
            struct blob blob;
            char what[64];
            make_file(&random, kinds[k / 2][0], kinds[k / 2][1], k % 2 == 1, &blob);
            (void)snprintf(what, sizeof what, "type %d, %d bits, interlace %d", kinds[k / 2][0],
                           kinds[k / 2][1], (int)(k % 2));
            assert_int_equal(compare(state, &blob, what), BOTH_READ);
        }
}

// A byte of the header's content or of the deflated data becomes another one, or the file ends
// early; checksums of the chunks are made right again so that the decoders meet the damage.
static void mutate(struct random_stream *random, struct blob *blob) {
    if (random_below(random, 4) == 0) {
        blob->n -= 1 + random_below(random, (uint32_t)blob->n - 9);
        return;
    }
    for (size_t at = 8; at + 12 <= blob->n;) {
        size_t n = (size_t)bytes_get(blob->bytes + at, 4, true);
        bool is_data = memcmp(blob->bytes + at + 4, "IDAT", 4) == 0;
        if (n > 0 && (is_data || random_below(random, 4) == 0))
            blob->bytes[at + 8 + random_below(random, (uint32_t)n)] ^=
                (unsigned char)(1u << random_below(random, 8));
        bytes_put(blob->bytes + at + 8 + n, 4, true, crc32(0, blob->bytes + at + 4, (uInt)(n + 4)));
        at += n + 12;
    }
}

static void damaged_files(void **state) {
    struct random_stream random;
    random_stream_init(&random, 6, RANDOM_TEST, 0, 0);
    int n[3] = {0}, n_all = 0;
    for (size_t k = 0; k < 2 * N_KINDS; k++)
        for (int turn = 0; turn < N_MUTANTS; turn++, n_all++) {
            struct blob blob;
            char what[64];
            make_file(&random, kinds[k / 2][0], kinds[k / 2][1], k % 2 == 1, &blob);
            mutate(&random, &blob);
            (void)snprintf(what, sizeof what, "damaged file %d", n_all);
            n[compare(state, &blob, what)]++;
        }
    print_message("%d damaged files: both read %d, both refuse %d, we alone refuse %d\n", n_all,
                  n[BOTH_READ], n[BOTH_REFUSE], n[WE_REFUSE]);
    assert_true(n[BOTH_READ] > 0 && n[BOTH_REFUSE] > n_all / 2 && n[WE_REFUSE] < n_all / 4);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {CASE(every_kind_of_file), CASE(damaged_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
    return skip_program("libspng when the tests are built");
}
#endif
