// SPDX-License-Identifier: MIT
#include "audit/doubt.h"

#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOLERANCE 1e-6

static void assert_near(double got, double want) {
    if (!(fabs(got - want) <= TOLERANCE))
        fail_msg("%.9g instead of %.9g", got, want);
}

static struct doubt_region found[64];
static int n_found;

static adele_status keep(void *context, const struct doubt_region *region) {
    (void)context;
    assert_true(n_found < 64);
    found[n_found++] = *region;
    return ADELE_OK;
}

static adele_status refuse(void *context, const struct doubt_region *region) {
    (void)context;
    (void)region;
    return ADELE_DATA;
}

static void find(struct doubt *doubt, const struct doubt_image *image, double confidence,
                 int n_pixels) {
    struct doubt_limits limits = {confidence, n_pixels};
    n_found = 0;
    assert_int_equal(doubt_find_regions(doubt, image, &limits, keep, NULL), ADELE_OK);
}

// ---- score --------------------------------------------------------------------------------------

static void the_score_is_the_expected_iou_of_each_class(void **state) {
    (void)state;
    // Two classes, six pixels, the last is ignored.
    const uint8_t labels[6] = {0, 0, 0, 1, 1, 255};
    const float p[12] = {0.9f, 0.8f, 0.3f, 0.4f, 0.1f, 0.5f,  //
                         0.1f, 0.2f, 0.7f, 0.6f, 0.9f, 0.5f}; //
    struct doubt_image image = {2, 2, 3, labels, p};
    struct doubt doubt = {0};
    struct doubt_score score;
    assert_int_equal(doubt_score(&doubt, &image, &score), ADELE_OK);
    // Of class 0: 2.0 of its own three pixels, 0.5 outside; predicted in two of its own. Of class
    // 1: 1.5 of two, 1.0 outside; predicted in its own and in one more. q is the mean of both.
    assert_near(score.of_class[0], 2.0 / 3.25);
    assert_near(score.of_class[1], 1.75 / 3.0);
    assert_near(score.score, 1.755 / 3.005);
    assert_int_equal(score.worst_class, 1);
    assert_near(score.worst_score, 1.75 / 3.0);
    assert_int_equal(score.n_pixels, 5);
    assert_int_equal(score.overlap[0].n_labelled, 3);
    assert_int_equal(score.overlap[0].n_predicted,
                     2); // where the label is ignored, it does not count
    assert_int_equal(score.overlap[1].n_predicted, 3);
    const uint8_t prediction[6] = {0, 0, 1, 1, 1, 0}; // of equal ones the first
    assert_memory_equal(doubt.prediction, prediction, 6);
    doubt_deinit(&doubt);
}

static void classes_that_are_nowhere_do_not_count(void **state) {
    (void)state;
    const uint8_t labels[2] = {0, 0};
    const float p[8] = {0.5f, 0.3f, 0.2f, 0.4f, 0.2f, 0.2f, 0.1f, 0.1f};
    struct doubt_image image = {4, 1, 2, labels, p};
    struct doubt doubt = {0};
    struct doubt_score score;
    assert_int_equal(doubt_score(&doubt, &image, &score), ADELE_OK);
    assert_near(score.of_class[0], (0.75 + 0.15) / 2.0);
    assert_near(score.of_class[1], 0.0); // predicted, not labelled
    assert_true(isnan(score.of_class[2]) && isnan(score.of_class[3]));
    assert_near(score.score, 0.002 / (0.8 + 0.002)); // a thousandth of two pixels agrees
    doubt_deinit(&doubt);
}

static void the_background_counts_where_it_is_alone(void **state) {
    (void)state;
    const uint8_t labels[2] = {0, 0};
    const float p[4] = {0.9f, 0.7f, 0.1f, 0.3f};
    struct doubt_image image = {2, 1, 2, labels, p};
    struct doubt doubt = {0};
    struct doubt_score score;
    assert_int_equal(doubt_score(&doubt, &image, &score), ADELE_OK);
    assert_near(score.of_class[0], 0.9);
    assert_near(score.score, 1.802 / 2.002);
    assert_int_equal(score.worst_class, 0);
    doubt_deinit(&doubt);
}

// One pixel more than the label's says less of a large image than a missed object does.
static void a_stray_pixel_is_less_doubtful_than_a_missed_object(void **state) {
    (void)state;
    enum { SIZE = 100 };
    static uint8_t labels[SIZE * SIZE];
    static float p[2 * SIZE * SIZE];
    double scores[2];
    struct doubt_image image = {2, SIZE, SIZE, labels, p};
    struct doubt doubt = {0};
    for (int side = 1, k = 0; k < 2; side = 20, k++) {
        struct doubt_score score;
        for (int i = 0; i < SIZE * SIZE; i++) {
            bool is_object = i / SIZE < side && i % SIZE < side;
            p[i] = is_object ? 0.0f : 1.0f;
            p[SIZE * SIZE + i] = is_object ? 1.0f : 0.0f;
        }
        assert_int_equal(doubt_score(&doubt, &image, &score), ADELE_OK);
        scores[k] = score.score;
    }
    assert_near(scores[0], 10.0 / 11.0);
    assert_near(scores[1], 10.0 / 410.0);
    doubt_deinit(&doubt);
}

static void a_bias_above_one_is_taken_from_outside_of_the_label_first(void **state) {
    (void)state;
    struct doubt_score score = {.n_pixels = 1000, .overlap = {{0}, {80.0, 40.0, 100, 120}}};
    const double none[2] = {1.0, 1.0}, some[2] = {1.0, 1.2}, much[2] = {1.0, 2.0};
    doubt_pool(&score, 2, NULL);
    assert_near(score.of_class[1], 80.0 / 140.0);
    double without = score.score;
    doubt_pool(&score, 2, none);
    assert_true(score.score <= without && score.score >= without);
    doubt_pool(&score, 2, some); // 20 of 120 are too many
    assert_near(score.of_class[1], 80.0 / 120.0);
    assert_near(score.score, 81.0 / 121.0);
    assert_near(score.worst_score, 80.0 / 120.0);
    doubt_pool(&score, 2, much); // 60: the 40 outside and 20 inside
    assert_near(score.of_class[1], 60.0 / 100.0);
}

static void a_bias_below_one_adds_inside_of_the_label_first(void **state) {
    (void)state;
    struct doubt_score score = {.n_pixels = 1000, .overlap = {{0}, {60.0, 20.0, 100, 80}}};
    const double some[2] = {1.0, 0.8}, much[2] = {1.0, 0.5};
    doubt_pool(&score, 2, some); // 20 are missing
    assert_near(score.of_class[1], 80.0 / 120.0);
    assert_near(score.score, 81.0 / 121.0);
    doubt_pool(&score, 2, much); // 80 are missing: 40 inside and 40 outside
    assert_near(score.of_class[1], 100.0 / 160.0);
    score.overlap[1] = (struct doubt_overlap){0.0, 0.0, 4, 0};
    doubt_pool(&score, 2, much); // nothing is predicted
    assert_near(score.of_class[1], 0.0);
}

static void without_a_pixel_that_counts_nothing_is_doubtful(void **state) {
    (void)state;
    const uint8_t labels[2] = {255, 255};
    const float p[4] = {0.5f, 0.3f, 0.5f, 0.7f};
    struct doubt_image image = {2, 1, 2, labels, p};
    struct doubt doubt = {0};
    struct doubt_score score;
    assert_int_equal(doubt_score(&doubt, &image, &score), ADELE_OK);
    assert_near(score.score, 1.0);
    assert_int_equal(score.worst_class, -1);
    assert_int_equal(score.n_pixels, 0);
    find(&doubt, &image, 0.0, 1);
    assert_int_equal(n_found, 0);
    doubt_deinit(&doubt);
}

// ---- regions ------------------------------------------------------------------------------------

enum { MAP_H = 5, MAP_W = 6, MAP = MAP_H * MAP_W, MAP_CLASSES = 3 };

// Probabilities whose largest is `strength` in 256ths, for the class in the picture.
static void paint(const char *classes, int strength, float *p) {
    for (int i = 0; i < MAP; i++)
        for (int c = 0; c < MAP_CLASSES; c++)
            p[c * MAP + i] =
                c == classes[i] - '0' ? (float)strength / 256.0f : (float)(256 - strength) / 512.0f;
}

static void read_labels(const char *text, uint8_t *labels) {
    for (int i = 0; i < MAP; i++)
        labels[i] = text[i] == '-' ? 255 : (uint8_t)(text[i] - '0');
}

static void regions_touch_at_corners_and_have_one_pair_of_classes(void **state) {
    (void)state;
    uint8_t labels[MAP];
    float p[MAP_CLASSES * MAP];
    read_labels("000000"
                "000000"
                "001100"
                "000000"
                "0-0000",
                labels);
    paint("100000" // 0 -> 1 at the corner, its neighbour below to the right too
          "010000"
          "002200" // 1 -> 2, two pixels
          "000002" // 0 -> 2
          "010010",
          128, p); // 1 is at an ignored pixel; the last touches (3, 5) at a corner, but is 0 -> 1
    struct doubt_image image = {MAP_CLASSES, MAP_H, MAP_W, labels, p};
    struct doubt doubt = {0};
    struct doubt_score score;
    assert_int_equal(doubt_score(&doubt, &image, &score), ADELE_OK);
    find(&doubt, &image, 0.5, 1);
    const struct doubt_region want[] = {{0, 0, 2, 2, 0, 1, 2, 0.5, 0.5},
                                        {2, 2, 2, 1, 1, 2, 2, 0.5, 0.5},
                                        {5, 3, 1, 1, 0, 2, 1, 0.5, 0.25},
                                        {4, 4, 1, 1, 0, 1, 1, 0.5, 0.25}};
    assert_int_equal(n_found, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(found[i].x, want[i].x);
        assert_int_equal(found[i].y, want[i].y);
        assert_int_equal(found[i].width, want[i].width);
        assert_int_equal(found[i].height, want[i].height);
        assert_int_equal(found[i].from, want[i].from);
        assert_int_equal(found[i].to, want[i].to);
        assert_int_equal(found[i].n_pixels, want[i].n_pixels);
        assert_near(found[i].confidence, want[i].confidence);
        assert_near(found[i].doubt, want[i].doubt);
    }
    int n = 0;
    for (int i = 0; i < MAP; i++)
        n += doubt.is_doubtful[i];
    assert_int_equal(n, 6);
    assert_int_equal(doubt.is_doubtful[0] + doubt.is_doubtful[MAP_W + 1], 2);
    doubt_deinit(&doubt);
}

static void regions_below_a_limit_are_not_doubtful(void **state) {
    (void)state;
    uint8_t labels[MAP];
    float p[MAP_CLASSES * MAP];
    read_labels("000000000000000000000000000000", labels);
    paint("110000"
          "110000"
          "000000"
          "000011"
          "000000",
          192, p);
    struct doubt_image image = {MAP_CLASSES, MAP_H, MAP_W, labels, p};
    struct doubt doubt = {0};
    struct doubt_score score;
    assert_int_equal(doubt_score(&doubt, &image, &score), ADELE_OK);
    find(&doubt, &image, 0.75, 2); // 192 / 256
    assert_int_equal(n_found, 2);
    find(&doubt, &image, 0.75, 3);
    assert_int_equal(n_found, 1);
    assert_int_equal(doubt.is_doubtful[0], 1);
    assert_int_equal(doubt.is_doubtful[3 * MAP_W + 4], 0);
    find(&doubt, &image, 0.76, 1);
    assert_int_equal(n_found, 0);
    assert_int_equal(doubt.is_doubtful[0], 0);
    struct doubt_limits limits = {0.0, 1};
    assert_int_equal(doubt_find_regions(&doubt, &image, &limits, refuse, NULL), ADELE_DATA);
    doubt_deinit(&doubt);
}

// A spiral of one pixel's width would overflow the stack of a recursive search.
static void a_region_may_be_as_large_as_the_image(void **state) {
    (void)state;
    enum { SIZE = 512 };
    size_t n = (size_t)SIZE * SIZE;
    uint8_t *labels = calloc(n, 1);
    float *p = malloc(2 * n * sizeof *p);
    assert_true(labels && p);
    for (size_t i = 0; i < n; i++) {
        p[i] = 0.25f;
        p[n + i] = 0.75f;
    }
    struct doubt_image image = {2, SIZE, SIZE, labels, p};
    struct doubt doubt = {0};
    struct doubt_score score;
    assert_int_equal(doubt_score(&doubt, &image, &score), ADELE_OK);
    find(&doubt, &image, 0.5, 1);
    assert_int_equal(n_found, 1);
    assert_int_equal(found[0].n_pixels, n);
    assert_int_equal(found[0].width, SIZE);
    assert_int_equal(found[0].height, SIZE);
    assert_near(found[0].doubt, 0.5 * (double)n);
    doubt_deinit(&doubt);
    free(labels);
    free(p);
}

static void a_failed_allocation_is_reported_and_leaves_nothing(void **state) {
    (void)state;
    const uint8_t labels[2] = {0, 1};
    const float p[4] = {0.5f, 0.3f, 0.5f, 0.7f};
    struct doubt_image image = {2, 1, 2, labels, p};
    for (long i = 0; i < 3; i++) {
        struct doubt doubt = {0};
        struct doubt_score score;
        memory_fail_at(i);
        adele_status status = doubt_score(&doubt, &image, &score);
        memory_fail_at(-1);
        assert_int_equal(status, ADELE_NO_MEMORY);
        assert_int_equal(doubt.capacity, 0);
        doubt_deinit(&doubt);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_score_is_the_expected_iou_of_each_class),
        cmocka_unit_test(classes_that_are_nowhere_do_not_count),
        cmocka_unit_test(the_background_counts_where_it_is_alone),
        cmocka_unit_test(a_stray_pixel_is_less_doubtful_than_a_missed_object),
        cmocka_unit_test(a_bias_above_one_is_taken_from_outside_of_the_label_first),
        cmocka_unit_test(a_bias_below_one_adds_inside_of_the_label_first),
        cmocka_unit_test(without_a_pixel_that_counts_nothing_is_doubtful),
        cmocka_unit_test(regions_touch_at_corners_and_have_one_pair_of_classes),
        cmocka_unit_test(regions_below_a_limit_are_not_doubtful),
        cmocka_unit_test(a_region_may_be_as_large_as_the_image),
        cmocka_unit_test(a_failed_allocation_is_reported_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
