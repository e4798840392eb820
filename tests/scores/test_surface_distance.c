// SPDX-License-Identifier: MIT
// Pairs of masks whose numbers SimpleITK and scipy gave: tests/scores/oracle_scores.py measured
// them (LabelContour, SignedMaurerDistanceMap beside distance_transform_edt, BinaryErode,
// LabelOverlapMeasures, ConnectedComponent).
#include "scores/surface_distance.h"

#include "base/memory.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_VOXELS = 4096 };

// The voxels with 4 dz^2 (in volumes) + dy^2 + dx^2 <= r2 around (z, y, x); is 0 after the last.
struct ball {
    int z, y, x, r2;
};

static void draw(const struct grid *grid, const struct ball *balls, uint8_t *out) {
    memset(out, 0, MOST_VOXELS);
    assert_true(grid_size(grid) <= MOST_VOXELS);
    for (; balls->r2 > 0; balls++)
        for (size_t i = 0; i < grid_size(grid); i++) {
            int x = (int)(i % (size_t)grid->n[2]) - balls->x;
            int y = (int)(i / (size_t)grid->n[2] % (size_t)grid->n[1]) - balls->y;
            int z = (int)(i / (size_t)grid->n[2] / (size_t)grid->n[1]) - balls->z;
            out[i] |= 4 * z * z + y * y + x * x <= balls->r2;
        }
}

struct pair {
    const char *name;
    struct grid grid;
    int width; // of the boundary
    struct ball a[4], b[5];
    double hd95, assd, boundary_iou;
    struct lesion_counts lesions;
};
#define PICTURE                                                                                    \
    { 1, 24, 32 }
static const struct pair pairs[] = {
    {"two discs",
     {PICTURE, {1, 1, 1}},
     1,
     {{0, 10, 12, 49}},
     {{0, 12, 15, 36}},
     4.30001450409,
     2.20778724055,
     0.0666666666667,
     {1, 0, 0}},
    {"pixels that are not square",
     {PICTURE, {1, 2.5, 0.75}},
     2,
     {{0, 10, 12, 49}},
     {{0, 12, 15, 36}},
     6.36920300588,
     2.55821165853,
     0.158620689655,
     {1, 0, 0}},
    {"at the border",
     {PICTURE, {1, 1, 1}},
     1,
     {{0, 0, 0, 100}},
     {{0, 2, 1, 100}},
     2.2360679775,
     0.709350862701,
     0.344262295082,
     {1, 0, 0}},
    {"a volume in mm",
     {{9, 14, 17}, {3, 1.2, 0.8}},
     1,
     {{4, 6, 8, 25}},
     {{5, 7, 8, 20}},
     3.32866339542,
     1.35248549523,
     0.166666666667,
     {1, 0, 0}},
    {"lesions: one found by two, one found, one missed; one false",
     {PICTURE, {1, 1, 1}},
     1,
     {{0, 6, 6, 9}, {0, 17, 8, 9}, {0, 12, 24, 16}},
     {{0, 6, 8, 4}, {0, 12, 21, 2}, {0, 12, 27, 2}, {0, 20, 28, 4}},
     11.1061015088,
     3.13884798665,
     0.113402061856,
     {2, 1, 1}},
};

static void assert_near(const char *name, const char *what, double got, double want) {
    if (!(fabs(got - want) <= 1e-6 * fabs(want)))
        fail_msg("%s: %s %.12g, not %.12g", name, what, got, want);
}

static void the_numbers_of_simpleitk(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const struct pair *pair = &pairs[i];
        uint8_t a[MOST_VOXELS], b[MOST_VOXELS];
        struct surface_distance distance, back;
        struct lesion_counts lesions;
        double iou;
        draw(&pair->grid, pair->a, a);
        draw(&pair->grid, pair->b, b);
        check_ok(surface_distance(a, b, &pair->grid, &distance));
        assert_near(pair->name, "HD95", distance.hd95, pair->hd95);
        assert_near(pair->name, "ASSD", distance.mean, pair->assd);
        check_ok(surface_distance(b, a, &pair->grid, &back));
        assert_near(pair->name, "HD95 of the exchanged masks", back.hd95, distance.hd95);
        assert_near(pair->name, "ASSD of the exchanged masks", back.mean, distance.mean);
        check_ok(boundary_iou(a, b, &pair->grid, pair->width, &iou));
        assert_near(pair->name, "boundary IoU", iou, pair->boundary_iou);
        check_ok(lesions_count(a, b, &pair->grid, &lesions));
        assert_int_equal(lesions.found, pair->lesions.found);
        assert_int_equal(lesions.falses, pair->lesions.falses);
        assert_int_equal(lesions.missed, pair->lesions.missed);
    }
}

static void equal_masks_have_no_distance(void **state) {
    (void)state;
    const struct pair *pair = &pairs[3];
    uint8_t a[MOST_VOXELS];
    struct surface_distance distance;
    double iou;
    draw(&pair->grid, pair->a, a);
    check_ok(surface_distance(a, a, &pair->grid, &distance));
    assert_true(distance.hd95 == 0.0 && distance.mean == 0.0);
    check_ok(boundary_iou(a, a, &pair->grid, 1, &iou));
    assert_true(iou == 1.0);
}

static void an_empty_mask_has_no_distance_at_all(void **state) {
    (void)state;
    const struct pair *pair = &pairs[0];
    uint8_t a[MOST_VOXELS], none[MOST_VOXELS] = {0};
    struct surface_distance distance;
    struct lesion_counts lesions;
    double iou;
    draw(&pair->grid, pair->a, a);
    for (int k = 0; k < 3; k++) {
        const uint8_t *first = k == 0 ? a : none, *second = k == 1 ? a : none;
        check_ok(surface_distance(first, second, &pair->grid, &distance));
        assert_true(isnan(distance.hd95) && isnan(distance.mean));
        check_ok(boundary_iou(first, second, &pair->grid, 1, &iou));
        assert_true(k == 2 ? isnan(iou) : iou == 0.0);
        check_ok(lesions_count(first, second, &pair->grid, &lesions));
        assert_int_equal(lesions.found, 0);
        assert_int_equal(lesions.missed, k == 0);
        assert_int_equal(lesions.falses, k == 1);
    }
}

// Two voxels 3 apart along each axis in turn, and 1 x 1 x 1 voxel: no axis counts as a surface.
static void single_voxels(void **state) {
    (void)state;
    for (int axis = 0; axis < 3; axis++) {
        struct grid grid = {{1, 1, 1}, {5.0, 2.0, 0.5}};
        uint8_t a[4] = {1, 0, 0, 0}, b[4] = {0, 0, 0, 1};
        struct surface_distance distance;
        grid.n[axis] = 4;
        check_ok(surface_distance(a, b, &grid, &distance));
        assert_true(distance.hd95 == 3 * grid.spacing[axis]);
        assert_true(distance.mean == 3 * grid.spacing[axis]);
    }
}

// A 5 x 5 square fills the picture: outside of the grid counts as outside of the mask.
static void the_border_of_the_picture_is_a_boundary(void **state) {
    (void)state;
    struct grid grid = {{1, 5, 5}, {1, 1, 1}};
    uint8_t a[25], b[25];
    double iou;
    memset(a, 1, sizeof a);
    memset(b, 1, sizeof b);
    b[12] = 0; // in the middle, two pixels from the border
    check_ok(boundary_iou(a, b, &grid, 1, &iou));
    assert_near("hole", "boundary IoU", iou, 16.0 / 24.0); // b's boundary is all of b
}

static void failed_allocations_are_reported(void **state) {
    (void)state;
    const struct pair *pair = &pairs[0];
    uint8_t a[MOST_VOXELS], b[MOST_VOXELS];
    draw(&pair->grid, pair->a, a);
    draw(&pair->grid, pair->b, b);
    for (int kind = 0; kind < 3; kind++) {
        long i = 0;
        for (adele_status status = ADELE_NO_MEMORY; status != ADELE_OK; i++) {
            struct surface_distance distance;
            struct lesion_counts lesions;
            double iou;
            memory_fail_at(i);
            status = kind == 0   ? surface_distance(a, b, &pair->grid, &distance)
                     : kind == 1 ? boundary_iou(a, b, &pair->grid, 1, &iou)
                                 : lesions_count(a, b, &pair->grid, &lesions);
            memory_fail_at(-1);
            assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
        }
        assert_true(i > 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_of_simpleitk),
        cmocka_unit_test(equal_masks_have_no_distance),
        cmocka_unit_test(an_empty_mask_has_no_distance_at_all),
        cmocka_unit_test(single_voxels),
        cmocka_unit_test(the_border_of_the_picture_is_a_boundary),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
