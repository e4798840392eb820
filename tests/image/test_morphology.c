// SPDX-License-Identifier: MIT
// Erosion and dilation, drawn, and against n plain passes of the 3 x 3 square.
#include "base/memory.h"
#include "base/random.h"
#include "image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void from_picture(const char *picture, uint8_t *mask, size_t n) {
    assert_int_equal(strlen(picture), n);
    for (size_t i = 0; i < n; ++i)
        mask[i] = picture[i] == '#';
}

static void test_drawn(void **state) {
    (void)state;
    uint8_t mask[35], want[35];
    from_picture("......."
                 "..###.."
                 "..###.."
                 "..###.#"
                 ".......",
                 mask, 35);
    from_picture("......."
                 "......."
                 "...#..."
                 "......."
                 ".......",
                 want, 35);
    uint8_t copy[35];
    memcpy(copy, mask, 35);
    assert_int_equal(morphology_erode(copy, 5, 7, 1), ADELE_OK);
    assert_memory_equal(copy, want, 35);
    from_picture(".#####."
                 ".#####."
                 ".######"
                 ".######"
                 ".######",
                 want, 35);
    memcpy(copy, mask, 35);
    assert_int_equal(morphology_dilate(copy, 5, 7, 1), ADELE_OK);
    assert_memory_equal(copy, want, 35);
}

// The outside does not erode: a full mask stays full, and one that touches the border keeps it.
static void test_border(void **state) {
    (void)state;
    uint8_t full[12], empty[12] = {0};
    memset(full, 255, sizeof full);
    assert_int_equal(morphology_erode(full, 3, 4, 5), ADELE_OK);
    for (int i = 0; i < 12; ++i)
        assert_int_equal(full[i], 255);
    assert_int_equal(morphology_dilate(empty, 3, 4, 5), ADELE_OK);
    for (int i = 0; i < 12; ++i)
        assert_int_equal(empty[i], 0);
    uint8_t row[6] = {1, 1, 1, 1, 0, 0};
    assert_int_equal(morphology_erode(row, 1, 6, 2), ADELE_OK);
    assert_memory_equal(row, ((uint8_t[]){1, 1, 0, 0, 0, 0}), 6);
}

static void plain_pass(uint8_t *mask, int height, int width, bool is_erosion) {
    uint8_t copy[64 * 64];
    memcpy(copy, mask, (size_t)(height * width));
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            bool result = is_erosion;
            for (int v = y - 1; v <= y + 1; ++v)
                for (int u = x - 1; u <= x + 1; ++u) {
                    if (v < 0 || u < 0 || v >= height || u >= width)
                        continue;
                    bool is_set = copy[v * width + u] != 0;
                    result = is_erosion ? result && is_set : result || is_set;
                }
            mask[y * width + x] = result;
        }
}

static void test_against_plain_passes(void **state) {
    (void)state;
    static const int shapes[][2] = {{1, 1}, {1, 9}, {9, 1}, {2, 2}, {17, 23}, {40, 31}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; ++s)
        for (int n = 0; n <= 6; ++n)
            for (int is_erosion = 0; is_erosion < 2; ++is_erosion) {
                int height = shapes[s][0], width = shapes[s][1];
                struct random_stream stream;
                random_stream_init(&stream, 7, RANDOM_TEST, (uint32_t)s, (uint32_t)n);
                uint8_t got[64 * 64], want[64 * 64] = {0};
                for (int i = 0; i < height * width; ++i)
                    want[i] = (random_below(&stream, 25) == 0) == (is_erosion == 0);
                memcpy(got, want, sizeof got);
                for (int pass = 0; pass < n; ++pass)
                    plain_pass(want, height, width, is_erosion != 0);
                adele_status status = is_erosion ? morphology_erode(got, height, width, n)
                                                 : morphology_dilate(got, height, width, n);
                assert_int_equal(status, ADELE_OK);
                assert_memory_equal(got, want, (size_t)(height * width));
            }
}

static void test_refused(void **state) {
    (void)state;
    uint8_t mask[1] = {1};
    assert_int_equal(morphology_erode(mask, 0, 1, 1), ADELE_INVALID_ARGUMENT);
    assert_int_equal(morphology_dilate(mask, 1, 1, -1), ADELE_INVALID_ARGUMENT);
    memory_fail_at(0);
    assert_int_equal(morphology_dilate(mask, 1, 1, 1), ADELE_NO_MEMORY);
    memory_fail_at(-1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawn),
        cmocka_unit_test(test_border),
        cmocka_unit_test(test_against_plain_passes),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
