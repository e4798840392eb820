// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "image/image.h"
#include "support/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

static void test_nearest(void **state) {
    (void)state;
    static const uint8_t in[6] = {1, 2, 3, 4, 5, 6};
    uint8_t larger[4 * 6], smaller[2], same[6];
    resize_nearest_u8(in, 2, 3, larger, 4, 6);
    assert_memory_equal(
        larger,
        ((uint8_t[]){1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 4, 4, 5, 5, 6, 6}), 24);
    resize_nearest_u8(in, 1, 6, smaller, 1, 2);
    assert_memory_equal(smaller, ((uint8_t[]){2, 5}), 2);
    resize_nearest_u8(in, 2, 3, same, 2, 3);
    assert_memory_equal(same, in, 6);
    uint8_t odd[4]; // centres 0.75, 2.25, 3.75, 5.25 of 6
    resize_nearest_u8(in, 1, 6, odd, 1, 4);
    assert_memory_equal(odd, ((uint8_t[]){1, 3, 4, 6}), 4);
}

static void test_linear_enlarges(void **state) {
    (void)state;
    static const float in[2] = {0.0F, 8.0F};
    static const float want[8] = {0, 0, 1, 3, 5, 7, 8, 8};
    float out[8];
    assert_int_equal(resize_linear_f32(in, 1, 2, out, 1, 8), ADELE_OK);
    assert_true(compare_f32("row", out, want, 1, 1, 1, 8, 1e-6, 0));
    assert_int_equal(resize_linear_f32(in, 2, 1, out, 8, 1), ADELE_OK);
    assert_true(compare_f32("column", out, want, 1, 1, 8, 1, 1e-6, 0));
}

static void test_linear_same_size_is_exact(void **state) {
    (void)state;
    static const float in[6] = {0.1F, NAN, 0.3F, -7.0F, 1e30F, 0.7F};
    float out[6];
    assert_int_equal(resize_linear_f32(in, 2, 3, out, 2, 3), ADELE_OK);
    assert_memory_equal(out, in, sizeof in);
}

// A pattern finer than the output's pixels becomes its mean, and the mean of everything stays.
static void test_linear_shrinks_without_aliases(void **state) {
    (void)state;
    float in[64 * 64], out[8 * 8];
    for (int i = 0; i < 64 * 64; ++i)
        in[i] = (float)((i / 64 + i % 64) % 2);
    assert_int_equal(resize_linear_f32(in, 64, 64, out, 8, 8), ADELE_OK);
    for (int i = 0; i < 64; ++i)
        assert_true(fabsf(out[i] - 0.5F) < 1e-3F);
    // Triangle over 4 pixels at scale 2: centre 2.5 - 0.5 with weights 1/8, 3/8, 3/8, 1/8.
    static const float row[6] = {0, 0, 8, 0, 0, 0};
    assert_int_equal(resize_linear_f32(row, 1, 6, out, 1, 3), ADELE_OK);
    static const float want[3] = {8.0F / 7.0F, 3.0F, 0.0F}; // the border pixel lacks one weight
    assert_true(compare_f32("triangle", out, want, 1, 1, 1, 3, 1e-6, 0));
}

// A 4 x 5 plane whose larger and smaller versions OpenCV 5.0.0 computed with INTER_CUBIC in float.
static void make_plane(float plane[20]) {
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < 5; ++c)
            plane[r * 5 + c] = (float)((3 * r * r + 5 * c + 7 * ((r * c) % 4)) % 17 - 6);
}

static void test_cubic_is_opencv(void **state) {
    (void)state;
    static const float want_7x3[21] = {
        -5.2751174F, 4.0F,        1.2190781F, -3.1148157F, 4.3074894F, 0.052085966F, 0.44546413F,
        4.2309585F,  -0.8301883F, 5.151621F,  1.96875F,    2.6701396F, 7.093396F,    -1.5170369F,
        7.031503F,   3.8528445F,  -4.603771F, 8.267519F,   1.043227F,  -6.4960823F,  8.648534F};
    static const float want_3x8[24] = {
        -6.299248F,   -3.3636925F, 0.87818384F, 2.9539552F, 6.012499F,  7.7915287F,
        1.9603848F,   -3.6777852F, 1.1709538F,  6.356367F,  10.499634F, 5.3189697F,
        -0.38735962F, -1.8036804F, 1.8125896F,  5.5866795F, 5.0688457F, 1.7952776F,
        -2.761889F,   -6.278249F,  -1.8119935F, 7.237811F,  8.704214F,  7.402135F};
    float plane[20], out[24];
    make_plane(plane);
    assert_int_equal(resize_cubic_f32(plane, 4, 5, out, 7, 3), ADELE_OK);
    assert_true(compare_f32("7 x 3", out, want_7x3, 1, 1, 7, 3, 5e-6, 0));
    assert_int_equal(resize_cubic_f32(plane, 4, 5, out, 3, 8), ADELE_OK);
    assert_true(compare_f32("3 x 8", out, want_3x8, 1, 1, 3, 8, 5e-6, 0));
    assert_int_equal(resize_cubic_f32(plane, 4, 5, out, 4, 5), ADELE_OK);
    assert_memory_equal(out, plane, sizeof plane);
}

// A mask does not extend beyond the kernel, because noise synthesis tests for > 0.
static void test_cubic_keeps_zero(void **state) {
    (void)state;
    float in[20 * 20] = {0}, out[53 * 47];
    in[10 * 20 + 10] = 1.0F;
    assert_int_equal(resize_cubic_f32(in, 20, 20, out, 53, 47), ADELE_OK);
    int n_set = 0;
    for (int y = 0; y < 53; ++y)
        for (int x = 0; x < 47; ++x) {
            float dy = (float)fabs((y + 0.5) * 20.0 / 53.0 - 10.5);
            float dx = (float)fabs((x + 0.5) * 20.0 / 47.0 - 10.5);
            if (dx > 2.0F || dy > 2.0F)
                assert_true(out[y * 47 + x] == 0.0F);
            n_set += out[y * 47 + x] > 0.0F;
        }
    assert_true(n_set > 20);
}

static void test_refused(void **state) {
    (void)state;
    float plane[4] = {0};
    assert_int_equal(resize_linear_f32(plane, 0, 2, plane, 1, 1), ADELE_INVALID_ARGUMENT);
    assert_int_equal(resize_linear_f32(plane, 2, 2, plane, 1, 32769), ADELE_INVALID_ARGUMENT);
    assert_int_equal(resize_cubic_f32(plane, 2, -2, plane, 1, 1), ADELE_INVALID_ARGUMENT);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    float in[4] = {1, 2, 3, 4}, out[9];
    for (long i = 0; i < 7; ++i) {
        memory_fail_at(i);
        assert_int_equal(resize_linear_f32(in, 2, 2, out, 3, 3), ADELE_NO_MEMORY);
    }
    memory_fail_at(7);
    assert_int_equal(resize_linear_f32(in, 2, 2, out, 3, 3), ADELE_OK);
    for (long i = 0; i < 2; ++i) {
        memory_fail_at(i);
        assert_int_equal(resize_cubic_f32(in, 2, 2, out, 3, 3), ADELE_NO_MEMORY);
    }
    memory_fail_at(-1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_linear_enlarges),
        cmocka_unit_test(test_linear_same_size_is_exact),
        cmocka_unit_test(test_linear_shrinks_without_aliases),
        cmocka_unit_test(test_cubic_is_opencv),
        cmocka_unit_test(test_cubic_keeps_zero),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
