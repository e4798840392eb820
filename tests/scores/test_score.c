// SPDX-License-Identifier: MIT
#include "scores/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TOLERANCE 1e-15

static void assert_near(double got, double want) {
    if (!(fabs(got - want) <= TOLERANCE))
        fail_msg("%.17g instead of %.17g", got, want);
}

// Category c: `both` pixels in both maps, of `predicted` and `labelled` ones.
static void set_counts(int64_t counts[3 * 256], int c, int both, int predicted, int labelled) {
    counts[c] = both;
    counts[256 + c] = predicted;
    counts[512 + c] = labelled;
}

static void scores_are_those_of_a_person_with_a_pencil(void **state) {
    (void)state;
    int64_t counts[3 * 256] = {0};
    struct score score;
    set_counts(counts, 0, 6, 8, 10); // IoU 6 / 12, Dice 12 / 18
    set_counts(counts, 1, 1, 2, 3);  // IoU 1 / 4, Dice 2 / 5
    set_counts(counts, 2, 5, 5, 5);  // the same in both
    score_compute(counts, 3, &score);
    assert_int_equal(score.n_categories, 3);
    assert_near(score.iou[0], 0.5);
    assert_near(score.iou[1], 0.25);
    assert_near(score.iou[2], 1.0);
    assert_near(score.dice[0], 2.0 / 3.0);
    assert_near(score.dice[1], 0.4);
    assert_near(score.dice[2], 1.0);
    assert_near(score.miou, 1.75 / 3.0);
    assert_near(score.miou_foreground, 0.625);
    assert_near(score.dice_foreground, 0.7);
}

static void a_category_in_neither_map_is_left_out_and_a_missed_one_counts_as_zero(void **state) {
    (void)state;
    int64_t counts[3 * 256] = {0};
    struct score score;
    set_counts(counts, 0, 4, 4, 8); // 0.5
    set_counts(counts, 2, 0, 0, 4); // labelled, never predicted
    set_counts(counts, 3, 0, 3, 0); // predicted, never labelled
    set_counts(counts, 4, 2, 2, 2);
    score_compute(counts, 5, &score);
    assert_true(isnan(score.iou[1]) && isnan(score.dice[1]));
    assert_near(score.iou[2], 0.0);
    assert_near(score.iou[3], 0.0);
    assert_near(score.miou, 1.5 / 4.0);
    assert_near(score.miou_foreground, 1.0 / 3.0);
    assert_near(score.dice_foreground, 1.0 / 3.0);
}

static void without_any_pixel_there_is_no_mean(void **state) {
    (void)state;
    int64_t counts[3 * 256] = {0};
    struct score score;
    score_compute(counts, 3, &score);
    assert_true(isnan(score.miou) && isnan(score.miou_foreground) && isnan(score.dice_foreground));
    set_counts(counts, 0, 9, 9, 9); // the background alone is no foreground
    score_compute(counts, 3, &score);
    assert_near(score.iou[0], 1.0);
    assert_true(isnan(score.miou) && isnan(score.miou_foreground) && isnan(score.dice_foreground));
}

static void counts_beyond_32_bits_are_whole(void **state) {
    (void)state;
    int64_t counts[3 * 256] = {0};
    struct score score;
    counts[1] = (int64_t)1 << 40;
    counts[256 + 1] = (int64_t)1 << 41;
    counts[512 + 1] = (int64_t)1 << 40;
    score_compute(counts, 2, &score);
    assert_near(score.iou[1], 0.5);
}

static void json_has_the_documented_keys_and_null_for_what_is_not_there(void **state) {
    (void)state;
    static const char *const keys[] = {"split", "images",          "classes", "iou",
                                       "miou",  "miou_foreground", "dice",    "dice_foreground"};
    char *const names[3] = {"background", "lung", "heart"};
    int64_t counts[3 * 256] = {0};
    struct score score;
    set_counts(counts, 0, 1, 2, 2);
    set_counts(counts, 2, 1, 1, 2);
    score_compute(counts, 3, &score);
    cJSON *json = score_to_json(&score, "val", 7, names);
    assert_int_equal(cJSON_GetArraySize(json), 8);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_true(cJSON_HasObjectItem(json, keys[i]));
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "split")), "val");
    assert_int_equal(cJSON_GetObjectItem(json, "images")->valueint, 7);
    assert_string_equal(
        cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "classes"), 2)), "heart");
    const cJSON *iou = cJSON_GetObjectItem(json, "iou"), *dice = cJSON_GetObjectItem(json, "dice");
    assert_int_equal(cJSON_GetArraySize(iou), 3);
    assert_true(cJSON_IsNull(cJSON_GetArrayItem(iou, 1)));
    assert_true(cJSON_IsNull(cJSON_GetArrayItem(dice, 1)));
    assert_near(cJSON_GetArrayItem(iou, 2)->valuedouble, 0.5);
    assert_near(cJSON_GetObjectItem(json, "miou_foreground")->valuedouble, 0.5);
    cJSON_Delete(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_a_person_with_a_pencil),
        cmocka_unit_test(a_category_in_neither_map_is_left_out_and_a_missed_one_counts_as_zero),
        cmocka_unit_test(without_any_pixel_there_is_no_mean),
        cmocka_unit_test(counts_beyond_32_bits_are_whole),
        cmocka_unit_test(json_has_the_documented_keys_and_null_for_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
