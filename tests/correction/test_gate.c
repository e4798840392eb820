// SPDX-License-Identifier: MIT
// The gate's rule on literal counts, and at each of its thresholds.
#include "correction/gate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// A class whose contours were drawn too large or too small, in two images. In the first, 60 of the
// 100 pixels of the plain decision are labelled and none else; in the second 140 are, the 100 among
// them. The decision by area is the plain one but for 10 pixels.
static struct gate_counts drawn_askew(void) {
    struct gate_counts counts = {.labelled = 200,
                                 .plain = 200,
                                 .decided = 200,
                                 .plain_labelled = 160,
                                 .plain_decided = 190,
                                 .mass = 200 * (int64_t)GATE_UNIT,
                                 .sure_mass = 150 * (int64_t)GATE_UNIT};
    counts.deviation = gate_deviation(&counts, 60, 100) + gate_deviation(&counts, 140, 100);
    return counts;
}

static void assert_near(double value, double expected) {
    assert_true(fabs(value - expected) <= 1e-12);
}

static bool corrects(const struct gate_counts *counts) {
    struct gate_result result;
    gate_decide(counts, false, &result);
    return result.corrects;
}

static void wrong_contours_are_corrected(void **state) {
    struct gate_counts counts = drawn_askew();
    struct gate_result result;
    (void)state;
    gate_decide(&counts, false, &result);
    assert_near(result.known, 0.75);
    assert_near(result.deviation, 0.4); // 40 pixels of each image, of 200
    assert_near(result.one_sided, 1.0); // the maps differ in no others
    assert_near(result.with_labels, 160.0 / 240.0);
    assert_near(result.with_decided, 190.0 / 210.0);
    assert_true(result.corrects);
}

// The same shares of differing pixels, but half of them on each side in either image.
static void mistakes_of_the_network_are_not(void **state) {
    struct gate_counts counts = drawn_askew();
    struct gate_result result;
    (void)state;
    counts.deviation = gate_deviation(&counts, 98, 100) + gate_deviation(&counts, 102, 100);
    counts.plain_labelled = 180;
    gate_decide(&counts, false, &result);
    assert_near(result.deviation, 0.02);
    assert_near(result.one_sided, 0.1);
    assert_near(result.with_labels, 180.0 / 220.0);
    assert_false(result.corrects);
}

// A class of which the ensemble draws a tenth more everywhere than the labels: its areas agree.
static void a_general_bias_is_no_deviation(void **state) {
    const struct gate_counts total = {.labelled = 300, .plain = 330};
    (void)state;
    assert_int_equal(gate_deviation(&total, 100, 110), 0);
    assert_int_equal(gate_deviation(&total, 200, 220), 0);
    assert_int_equal(gate_deviation(&total, 100, 120), 9); // 120 / 1.1 = 109.1
    assert_int_equal(gate_deviation(&(struct gate_counts){.labelled = 5}, 5, 0), 0);
}

static void each_threshold_decides(void **state) {
    struct gate_counts counts = drawn_askew();
    (void)state;
    counts.sure_mass = (int64_t)(0.551 * (double)counts.mass);
    assert_true(corrects(&counts));
    counts.sure_mass = (int64_t)(0.549 * (double)counts.mass);
    assert_false(corrects(&counts)); // not known

    counts = drawn_askew();
    counts.plain_decided = 172; // IoU 0.754: not far from that with the labels
    assert_true(corrects(&counts));
    counts.deviation = 69; // of 80 differing pixels
    assert_true(corrects(&counts));
    counts.deviation = 67;
    assert_false(corrects(&counts));
    counts.labelled = counts.plain = counts.decided = 2000;
    counts.plain_labelled = 1899;
    counts.deviation = 199; // of 202 differing pixels, but only a tenth of the area
    counts.mass *= 10;
    counts.sure_mass = counts.mass;
    counts.plain_decided = 1990;
    assert_false(corrects(&counts));
    counts.deviation = 201;
    assert_true(corrects(&counts));
}

// Errors on both sides, such as contours that were moved: by the agreement alone.
static void labels_far_from_both_decisions_are_corrected(void **state) {
    struct gate_counts counts = drawn_askew();
    (void)state;
    counts.deviation = 0;
    counts.plain_labelled = 165; // IoU 0.702; that of the decisions is 0.905
    assert_true(corrects(&counts));
    counts.plain_labelled = 166; // 0.709
    assert_false(corrects(&counts));
}

// Areas are scaled and rounded, so that their deviation may be more than all differing pixels.
static void a_share_is_at_most_one(void **state) {
    struct gate_counts counts = drawn_askew();
    struct gate_result result;
    (void)state;
    counts.deviation = 96; // of 80 differing pixels
    gate_decide(&counts, false, &result);
    assert_true(result.one_sided == 1.0 && result.corrects);
}

static void a_class_without_pixels_is_left_alone(void **state) {
    struct gate_counts counts = {0};
    struct gate_result result;
    (void)state;
    gate_decide(&counts, false, &result);
    assert_true(isnan(result.known) && isnan(result.deviation) && isnan(result.one_sided));
    assert_true(isnan(result.with_labels) && isnan(result.with_decided));
    assert_false(result.corrects);
    counts = drawn_askew();
    counts.labelled = counts.plain_labelled = 0;
    assert_false(corrects(&counts));
    counts = drawn_askew();
    counts.plain = counts.plain_labelled = counts.plain_decided = counts.deviation = 0;
    assert_false(corrects(&counts));
}

// correction.gate: learned. What is not learned, or not there, is left alone.
static void all_that_is_learned_may_be_taken(void **state) {
    struct gate_counts counts = drawn_askew();
    struct gate_result result;
    (void)state;
    counts.deviation = 0;
    counts.plain_labelled = 166;
    gate_decide(&counts, false, &result);
    assert_true(!result.corrects && gate_looks_clean(&result));
    gate_decide(&counts, true, &result);
    assert_true(result.corrects);
    counts.sure_mass = (int64_t)(0.549 * (double)counts.mass);
    gate_decide(&counts, true, &result);
    assert_true(!result.corrects && !gate_looks_clean(&result));
    counts = (struct gate_counts){.labelled = 5};
    gate_decide(&counts, true, &result);
    assert_true(!result.corrects && !gate_looks_clean(&result));
}

static void assert_explained(const struct gate_counts *counts, const char *want) {
    struct gate_result result;
    char text[GATE_TEXT];
    gate_decide(counts, false, &result);
    gate_explain(&result, text, sizeof text);
    assert_string_equal(text, want);
}

// What was corrected though its labels are not clearly wrong.
static void the_words_name_the_gate_of_learned_classes(void **state) {
    struct gate_counts counts = drawn_askew();
    struct gate_result result;
    char text[GATE_TEXT];
    (void)state;
    counts.deviation = 0;
    counts.plain_labelled = 166;
    gate_decide(&counts, true, &result);
    gate_explain(&result, text, sizeof text);
    assert_non_null(strstr(text, "the network has learned the class (correction.gate: learned), "
                                 "though the labels are not clearly wrong: "));
    counts = drawn_askew();
    gate_decide(&counts, true, &result);
    gate_explain(&result, text, sizeof text);
    assert_ptr_equal(strstr(text, "the labels are clearly wrong: "), text);
}

static void the_words_say_what_is_needed(void **state) {
    struct gate_counts counts = drawn_askew();
    (void)state;
    assert_explained(
        &counts,
        "the labels are clearly wrong: they agree with the network's averaged prediction (IoU "
        "0.667) by 0.238 less than its two decisions, by probability and by area, agree with each "
        "other (0.20 less is needed); areas deviate by 0.400 (0.10), and 1.000 of the differing "
        "pixels "
        "lie on one side of the contour in their image (0.85); labels are clearly wrong where the "
        "first, or both of the others, are reached");
    counts.deviation = 0;
    counts.plain_labelled = 166;
    assert_explained(
        &counts,
        "the labels are not clearly wrong: they agree with the network's averaged prediction (IoU "
        "0.709) by 0.195 less than its two decisions, by probability and by area, agree with each "
        "other (0.20 less is needed); areas deviate by 0.000 (0.10), and 0.000 of the differing "
        "pixels "
        "lie on one side of the contour in their image (0.85); labels are clearly wrong where the "
        "first, or both of the others, are reached");
    counts.sure_mass = counts.mass / 2;
    assert_explained(&counts,
                     "the network has not learned the class: 0.500 of its probability lies "
                     "at pixels where it is above one half, 0.55 is needed");
    counts = (struct gate_counts){.labelled = 5};
    assert_explained(&counts, "the network gives the class no probability");
    counts = (struct gate_counts){0};
    assert_explained(&counts, "no label has the class");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_contours_are_corrected),
        cmocka_unit_test(mistakes_of_the_network_are_not),
        cmocka_unit_test(a_general_bias_is_no_deviation),
        cmocka_unit_test(each_threshold_decides),
        cmocka_unit_test(labels_far_from_both_decisions_are_corrected),
        cmocka_unit_test(a_share_is_at_most_one),
        cmocka_unit_test(all_that_is_learned_may_be_taken),
        cmocka_unit_test(the_words_say_what_is_needed),
        cmocka_unit_test(the_words_name_the_gate_of_learned_classes),
        cmocka_unit_test(a_class_without_pixels_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
