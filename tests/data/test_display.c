// SPDX-License-Identifier: MIT
// Windows by percentile, on values that a person can check.
#include "data/display.h"

#include "base/half.h"
#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

// 1000 values 0 .. 999 in an image of 20 x 50, as half floats around `offset`.
static void fill_ramp(uint16_t *half, float offset, float step) {
    for (int k = 0; k < 1000; k++)
        half[k] = half_from_float(offset + step * (float)k);
}

// 5 of 1000 values lie below the window and 5 above: of 0 .. 999 it is 5 .. 994.
static void test_half_floats_are_windowed_by_value(void **state) {
    (void)state;
    uint16_t half[1000];
    uint8_t out[1000];
    const struct dataset_images images = {
        .n = 1, .c = 1, .h = 20, .w = 50, .is_f16 = true, .images = half};
    fill_ramp(half, 0.0f, 1.0f);
    assert_int_equal(display_image(&images, 0, out), ADELE_OK);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[5], 0);
    assert_int_equal(out[994], 255);
    assert_int_equal(out[999], 255);
    assert_int_equal(out[500], (int)(255.0f * 495.0f / 989.0f + 0.5f));
    // Negative values too, whose bits grow with the magnitude: -500 .. 499.
    fill_ramp(half, -500.0f, 1.0f);
    assert_int_equal(display_image(&images, 0, out), ADELE_OK);
    assert_int_equal(out[5], 0);
    assert_int_equal(out[500], (int)(255.0f * 495.0f / 989.0f + 0.5f));
    assert_int_equal(out[994], 255);
}

// One marker of 60000 among values of 0 .. 0.999 does not make the rest one shade.
static void test_few_bright_pixels_do_not_matter(void **state) {
    (void)state;
    uint16_t half[1000];
    uint8_t out[1000];
    const struct dataset_images images = {
        .n = 1, .c = 1, .h = 20, .w = 50, .is_f16 = true, .images = half};
    fill_ramp(half, 0.0f, 0.001f);
    half[0] = half_from_float(60000.0f);
    half[1] = half_from_float(NAN);
    half[2] = half_from_float(-INFINITY);
    assert_int_equal(display_image(&images, 0, out), ADELE_OK);
    assert_int_equal(out[0], 255);
    assert_int_equal(out[1], 0);
    assert_int_equal(out[2], 0);
    assert_in_range(out[500], 120, 135);
    assert_in_range(out[900], 225, 240);
}

static void test_bytes(void **state) {
    (void)state;
    // Two images; the second has 100 pixels of 250 and 251 and one black one.
    uint8_t pixels[2 * 201], out[201];
    memset(pixels, 7, sizeof pixels);
    for (int k = 0; k < 201; k++)
        pixels[201 + k] = (uint8_t)(k == 200 ? 0 : 250 + k % 2);
    struct dataset_images images = {.n = 2, .c = 1, .h = 1, .w = 201, .images = pixels};
    assert_int_equal(display_image(&images, 0, out), ADELE_OK);
    for (int k = 0; k < 201; k++)
        assert_int_equal(out[k], 0); // a single value
    assert_int_equal(display_image(&images, 1, out), ADELE_OK);
    for (int k = 0; k < 200; k++)
        assert_int_equal(out[k], k % 2 == 0 ? 0 : 255);
    assert_int_equal(out[200], 0);
    // Colours of 8 bits keep their values.
    images = (struct dataset_images){.n = 2, .c = 3, .h = 1, .w = 67, .images = pixels};
    assert_int_equal(display_image(&images, 1, out), ADELE_OK);
    assert_memory_equal(out, pixels + 201, 201);
}

// One window for the three channels of a colour picture, one for each of two modalities.
static void test_channels(void **state) {
    (void)state;
    uint16_t half[3000];
    uint8_t out[3000];
    fill_ramp(half, 0.0f, 1.0f);
    fill_ramp(half + 1000, 0.0f, 0.5f);
    fill_ramp(half + 2000, 0.0f, 0.25f);
    struct dataset_images images = {
        .n = 1, .c = 3, .h = 20, .w = 50, .is_f16 = true, .images = half};
    assert_int_equal(display_image(&images, 0, out), ADELE_OK);
    assert_in_range(out[1000 + 999], 125, 132); // half as bright as the first channel
    assert_in_range(out[2000 + 999], 61, 67);
    images.c = 2;
    assert_int_equal(display_image(&images, 0, out), ADELE_OK);
    assert_int_equal(out[999], 255);
    assert_int_equal(out[1000 + 999], 255);
}

static void test_memory_may_be_out(void **state) {
    (void)state;
    uint8_t pixels[4] = {0}, out[4];
    const struct dataset_images images = {.n = 1, .c = 1, .h = 2, .w = 2, .images = pixels};
    memory_fail_at(0);
    assert_int_equal(display_image(&images, 0, out), ADELE_NO_MEMORY);
    memory_fail_at(-1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_floats_are_windowed_by_value),
        cmocka_unit_test(test_few_bright_pixels_do_not_matter),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_memory_may_be_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
