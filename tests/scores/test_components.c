// SPDX-License-Identifier: MIT
// Connected components in order of their first voxels, corners included.
#include "scores/surface_distance.h"

#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// Letters of `want` are the expected components, from 'a' on; '.' is outside of the mask.
static void assert_components(const int n[3], const char *want, uint32_t n_wanted) {
    struct grid grid = {{n[0], n[1], n[2]}, {1, 1, 1}};
    uint8_t mask[128];
    uint32_t labels[128], found = 0;
    assert_int_equal(strlen(want), grid_size(&grid));
    for (size_t i = 0; i < grid_size(&grid); i++)
        mask[i] = want[i] != '.' ? 7 : 0;
    check_ok(components_label(mask, &grid, labels, &found));
    for (size_t i = 0; i < grid_size(&grid); i++) {
        char got = labels[i] == 0 ? '.' : (char)('a' + labels[i] - 1);
        if (got != want[i])
            fail_msg("voxel %zu: '%c', not '%c'", i, got, want[i]);
    }
    assert_int_equal(found, n_wanted);
}

static void corners_connect(void **state) {
    (void)state;
    assert_components((int[]){1, 4, 7},
                      "a....b."
                      ".a..b.."
                      "....b.c"
                      "dd..b.c",
                      4);
}

// The arms of a U, and of a comb, meet only in the last row.
static void what_meets_late_is_one(void **state) {
    (void)state;
    assert_components((int[]){1, 4, 9},
                      "a.a.a.b.b"
                      "a.a.a.b.b"
                      "a.a.a.b.b"
                      "aaaaa.bbb",
                      2);
}

static void a_spiral_is_one(void **state) {
    (void)state;
    assert_components((int[]){1, 7, 7},
                      "aaaaaaa"
                      "......a"
                      "aaaaa.a"
                      "a...a.a"
                      "a.aaa.a"
                      "a.....a"
                      "aaaaaaa",
                      1);
}

static void volumes_connect_across_corners_of_voxels(void **state) {
    (void)state;
    // Slice by slice: (0,0,0) and (1,1,1) touch at a corner; (2,0,2) touches (1,1,1) too.
    assert_components((int[]){3, 3, 3},
                      "a.."
                      "..."
                      "..."
                      "..."
                      ".a."
                      "..."
                      "..a"
                      "..."
                      "...",
                      1);
    assert_components((int[]){3, 1, 4},
                      "a..b"
                      "...b"
                      "c...",
                      3);
}

static void nothing_has_no_component(void **state) {
    (void)state;
    assert_components((int[]){1, 2, 3}, "......", 0);
    assert_components((int[]){1, 1, 1}, "a", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corners_connect),
        cmocka_unit_test(what_meets_late_is_one),
        cmocka_unit_test(a_spiral_is_one),
        cmocka_unit_test(volumes_connect_across_corners_of_voxels),
        cmocka_unit_test(nothing_has_no_component),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
