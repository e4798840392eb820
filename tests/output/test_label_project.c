// SPDX-License-Identifier: MIT
// Corrected classes at the size of the file: maps in memory are half as large here.
#include "output/label_project.h"

#include "data/label_lookup.h"
#include "image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

enum { SMALL = 6, LARGE = 2 * SMALL };

// A file of which the columns from `from` up to, not including, `to` are of class 1.
static void fill_file(uint8_t *file, int from, int to) {
    for (int k = 0; k < LARGE * LARGE; k++)
        file[k] = k % LARGE >= from && k % LARGE < to;
}

static void fill_map(uint8_t *map, int from, int to) {
    for (int k = 0; k < SMALL * SMALL; k++)
        map[k] = k % SMALL >= from && k % SMALL < to;
}

static void assert_columns(const uint8_t *file, int from, int to) {
    uint8_t want[LARGE * LARGE];
    fill_file(want, from, to);
    for (int k = 0; k < LARGE * LARGE; k++)
        if (file[k] != want[k])
            fail_msg("row %d, column %d: %d, wanted %d", k / LARGE, k % LARGE, file[k], want[k]);
}

static void project(const uint8_t *file, const uint8_t *before, const uint8_t *after,
                    uint8_t *out) {
    const struct label_change change = {before, after, SMALL, SMALL};
    label_project(&change, file, LARGE, LARGE, out);
}

// The contour lies inside of a pixel in memory, of which the nearest pixel of the file is outside.
static void an_old_contour_leaves_nothing_behind(void **state) {
    (void)state;
    uint8_t file[LARGE * LARGE], before[SMALL * SMALL], after[SMALL * SMALL], out[LARGE * LARGE];
    fill_file(file, 2, 9); // column 8 belongs to column 4 in memory, which reads column 9
    resize_nearest_u8(file, LARGE, LARGE, before, SMALL, SMALL);
    assert_int_equal(before[3], 1);
    assert_int_equal(before[4], 0);
    fill_map(after, 1, 3); // the class shrinks by a column in memory
    project(file, before, after, out);
    assert_columns(out, 2, 6);
}

static void a_growing_class_leaves_no_holes(void **state) {
    (void)state;
    uint8_t file[LARGE * LARGE], before[SMALL * SMALL], after[SMALL * SMALL], out[LARGE * LARGE];
    fill_file(file, 2, 7); // column 3 in memory reads column 7, which is not of the class
    file[7] = 0;
    resize_nearest_u8(file, LARGE, LARGE, before, SMALL, SMALL);
    assert_int_equal(before[3], 0);
    fill_map(after, 1, 5);
    project(file, before, after, out);
    assert_columns(out, 2, 10);
    // The other way round: single pixels of the background inside of a pixel that has the class.
    fill_file(file, 3, 8); // column 2 belongs to column 1 in memory, which reads column 3
    resize_nearest_u8(file, LARGE, LARGE, before, SMALL, SMALL);
    assert_int_equal(before[1], 1);
    fill_map(after, 0, 4);
    project(file, before, after, out);
    assert_columns(out, 0, 8);
}

// Nothing changed around them.
static void details_that_the_map_never_had_stay(void **state) {
    (void)state;
    uint8_t file[LARGE * LARGE], before[SMALL * SMALL], after[SMALL * SMALL], out[LARGE * LARGE];
    fill_file(file, 0, 4);
    file[4 * LARGE + 8] = 2; // a single pixel, which the map does not read
    file[6 * LARGE + 10] = LABEL_IGNORE;
    resize_nearest_u8(file, LARGE, LARGE, before, SMALL, SMALL);
    assert_null(memchr(before, 2, sizeof before));
    fill_map(after, 0, 5);
    project(file, before, after, out);
    assert_int_equal(out[4 * LARGE + 8], 2); // inside of a pixel that changed from 0 to 1
    assert_int_equal(out[4 * LARGE + 9], 1);
    fill_map(after, 0, SMALL);
    project(file, before, after, out);
    assert_int_equal(out[6 * LARGE + 10], LABEL_IGNORE); // this one too
    assert_int_equal(out[6 * LARGE + 11], 1);
    memcpy(after, before, sizeof after);
    after[0] = 0;
    project(file, before, after, out);
    assert_int_equal(out[4 * LARGE + 8], 2);
    assert_int_equal(out[6 * LARGE + 10], LABEL_IGNORE);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[LARGE + 1], 0);
    assert_int_equal(out[2], 1);
}

// Where the contour did not move, the file's own, finer one stays.
static void a_contour_that_stays_keeps_its_pixels(void **state) {
    (void)state;
    uint8_t file[LARGE * LARGE], before[SMALL * SMALL], after[SMALL * SMALL], out[LARGE * LARGE];
    fill_file(file, 2, 9);
    resize_nearest_u8(file, LARGE, LARGE, before, SMALL, SMALL);
    memcpy(after, before, sizeof after);
    after[5 * SMALL + 5] = 1; // elsewhere
    project(file, before, after, out);
    for (int y = 0; y < 8; y++)
        assert_memory_equal(out + (size_t)y * LARGE, file + (size_t)y * LARGE, LARGE);
}

// Class 2, which is kept, ends in the file within pixels in memory that become 1.
static void a_kept_class_keeps_its_pixels_at_the_border(void **state) {
    (void)state;
    uint8_t file[LARGE * LARGE], before[SMALL * SMALL], after[SMALL * SMALL], out[LARGE * LARGE];
    for (int k = 0; k < LARGE * LARGE; k++)
        file[k] = k % LARGE < 5 ? 2 : 0; // column 4 belongs to column 2 in memory, which reads 5
    resize_nearest_u8(file, LARGE, LARGE, before, SMALL, SMALL);
    assert_int_equal(before[1], 2);
    assert_int_equal(before[2], 0);
    for (int k = 0; k < SMALL * SMALL; k++)
        after[k] = before[k] == 2 ? 2 : k % SMALL < 4 ? 1 : 0;
    project(file, before, after, out);
    for (int k = 0; k < LARGE * LARGE; k++)
        assert_int_equal(out[k], k % LARGE < 5 ? 2 : k % LARGE < 8 ? 1 : 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_contour_leaves_nothing_behind),
        cmocka_unit_test(a_growing_class_leaves_no_holes),
        cmocka_unit_test(details_that_the_map_never_had_stay),
        cmocka_unit_test(a_contour_that_stays_keeps_its_pixels),
        cmocka_unit_test(a_kept_class_keeps_its_pixels_at_the_border),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
