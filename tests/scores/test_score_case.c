// SPDX-License-Identifier: MIT
// What is defined when, and which pixels count.
#include "scores/score_case.h"

#include "base/memory.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 64 };

// Digits are classes, '?' is ignored; both maps (depth, height, width).
static void score(const struct grid *grid, const char *prediction, const char *labels,
                  int n_categories, struct class_score *out) {
    uint8_t maps[2][MOST];
    size_t n = grid_size(grid);
    assert_true(n <= MOST && strlen(prediction) == n && strlen(labels) == n);
    for (size_t i = 0; i < n; i++) {
        maps[0][i] = prediction[i] == '?' ? 255 : (uint8_t)(prediction[i] - '0');
        maps[1][i] = labels[i] == '?' ? 255 : (uint8_t)(labels[i] - '0');
    }
    check_ok(score_case_compute(grid, maps[0], maps[1], n_categories, out));
}

static void assert_lesions(const struct class_score *score, int found, int falses, int missed) {
    assert_int_equal(score->lesions.found, found);
    assert_int_equal(score->lesions.falses, falses);
    assert_int_equal(score->lesions.missed, missed);
}

static const struct grid picture = {{1, 3, 6}, {1, 1, 1}};

static void the_rule_of_what_is_undefined(void **state) {
    (void)state;
    struct class_score scores[5];
    score(&picture,
          "110000"
          "110020"
          "000000",
          "110000"
          "110000"
          "000033",
          5, scores);
    const double *right = scores[1].measures;
    assert_true(right[SCORE_iou] == 1.0 && right[SCORE_dice] == 1.0 && right[SCORE_hd95] == 0.0 &&
                right[SCORE_assd] == 0.0 && right[SCORE_boundary_iou] == 1.0);
    assert_lesions(&scores[1], 1, 0, 0);
    for (int c = 2; c <= 3; c++) { // predicted alone, labelled alone
        const double *one = scores[c].measures;
        assert_true(one[SCORE_iou] == 0.0 && one[SCORE_dice] == 0.0);
        assert_true(one[SCORE_boundary_iou] == 0.0);
        assert_true(isnan(one[SCORE_hd95]) && isnan(one[SCORE_assd]));
    }
    assert_lesions(&scores[2], 0, 1, 0);
    assert_lesions(&scores[3], 0, 0, 1);
    for (int m = 0; m < SCORE_N_MEASURES; m++) // in neither map
        assert_true(isnan(scores[4].measures[m]));
    assert_lesions(&scores[4], 0, 0, 0);
    // The background has IoU and Dice: 11 of 13 + 12 - 11 pixels.
    const double *background = scores[0].measures;
    assert_true(fabs(background[SCORE_iou] - 11.0 / 14.0) <= 1e-15);
    assert_true(fabs(background[SCORE_dice] - 22.0 / 25.0) <= 1e-15);
    assert_true(isnan(background[SCORE_hd95]) && isnan(background[SCORE_boundary_iou]));
    assert_lesions(&scores[0], 0, 0, 0);
}

static void ignored_pixels_are_of_no_class(void **state) {
    (void)state;
    struct class_score scores[2];
    score(&picture,
          "110000"
          "110011"
          "000011",
          "110000"
          "1?00??"
          "0000??",
          2, scores);
    assert_int_equal(scores[1].n_labelled, 3);
    assert_int_equal(scores[1].n_predicted, 3); // without those where the label is ignored
    assert_int_equal(scores[1].n_both, 3);
    assert_true(scores[1].measures[SCORE_dice] == 1.0);
    assert_true(scores[1].measures[SCORE_hd95] == 0.0);
    assert_lesions(&scores[1], 1, 0, 0);
}

static void counts_are_of_the_whole_case(void **state) {
    (void)state;
    struct class_score scores[2];
    score(&(struct grid){{2, 2, 3}, {4.0, 1.0, 1.0}},
          "100000"
          "000001",
          "100000"
          "000000",
          2, scores);
    assert_int_equal(scores[1].n_labelled, 1);
    assert_int_equal(scores[1].n_predicted, 2);
    assert_true(scores[1].measures[SCORE_dice] == 2.0 / 3.0);
    assert_lesions(&scores[1], 1, 1, 0);
    // From the second voxel to the first: 4 along z, 1 along y, 2 along x. The 95th percentile of
    // 0 and that, and the mean of three distances.
    double far = sqrt(16.0 + 1.0 + 4.0);
    assert_true(fabs(scores[1].measures[SCORE_hd95] - 0.95 * far) <= 1e-6);
    assert_true(fabs(scores[1].measures[SCORE_assd] - far / 3.0) <= 1e-6);
}

// All voxels of a class that lies in one slice of a volume are on its surface; the same mask as a
// picture has an inside.
static void one_slice_of_a_volume_is_all_surface(void **state) {
    (void)state;
    static const char *const labels = "111111111111111", *const dot = "000000010000000";
    char prediction[31], label[31];
    struct class_score scores[2];
    double assd[2];
    score(&(struct grid){{1, 3, 5}, {1, 1, 1}}, dot, labels, 2, scores);
    assd[0] = scores[1].measures[SCORE_assd];
    for (int first = 0; first < 2; first++) { // the slice is the last, or the first
        (void)snprintf(prediction, sizeof prediction, "%s%s", first ? dot : "000000000000000",
                       first ? "000000000000000" : dot);
        (void)snprintf(label, sizeof label, "%s%s", first ? labels : "000000000000000",
                       first ? "000000000000000" : labels);
        score(&(struct grid){{2, 3, 5}, {1, 1, 1}}, prediction, label, 2, scores);
        assd[1] = scores[1].measures[SCORE_assd];
        // Picture: 12 voxels of the border, and one to them. Volume: 15, and one to itself.
        double border = 4 * sqrt(5.0) + 4 * sqrt(2.0) + 2 * 2.0 + 2 * 1.0;
        assert_true(fabs(assd[0] - (border + 1.0) / 13.0) <= 1e-6);
        assert_true(fabs(assd[1] - (border + 2 * 1.0) / 16.0) <= 1e-6);
    }
}

static void failed_allocations_are_reported(void **state) {
    (void)state;
    uint8_t map[MOST] = {0};
    struct class_score scores[2];
    memset(map, 1, 8);
    adele_status status = ADELE_NO_MEMORY;
    long i = 0;
    for (; status != ADELE_OK; i++) {
        memory_fail_at(i);
        status = score_case_compute(&(struct grid){{1, 8, 8}, {1, 1, 1}}, map, map, 2, scores);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
    }
    assert_true(i > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_of_what_is_undefined),
        cmocka_unit_test(ignored_pixels_are_of_no_class),
        cmocka_unit_test(counts_are_of_the_whole_case),
        cmocka_unit_test(one_slice_of_a_volume_is_all_surface),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
