// SPDX-License-Identifier: MIT
// Literal classes of an onset.json, and what is said of them.
#include "report/class_correction.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static cJSON *parsed;

static int free_parsed(void **state) {
    (void)state;
    cJSON_Delete(parsed);
    parsed = NULL;
    return 0;
}

// The class of a file with these members of the object and of the class.
static bool read_class(const char *members, const char *category, struct class_correction *out) {
    char text[2048];
    (void)snprintf(text, sizeof text, "{%s \"categories\": [{\"name\": \"heart\", %s}]}", members,
                   category);
    cJSON_Delete(parsed);
    parsed = cJSON_Parse(text);
    assert_non_null(parsed);
    return class_correction_read(
        parsed, cJSON_GetObjectItemCaseSensitive(parsed, "categories")->child, out);
}

#define RULE "\"corrects\": true, \"min_points\": 3,"
#define FIVE "\"iou\": [0.1, 0.4, 0.5, 0.55, 0.6],"
#define VETO                                                                                       \
    "\"veto\": {\"n_epochs\": 2, \"epoch\": 4, \"iou_with_itself\": 0.905, \"iou_with_labels\": "  \
    "0.8, \"margin\": 0.12, \"is_early\": false}"

static void assert_explained(const char *category, const char *explanation) {
    struct class_correction class;
    assert_true(read_class(RULE, category, &class));
    assert_string_equal(class.name, "heart");
    assert_string_equal(class.explanation, explanation);
}

static void classes_that_were_never_corrected(void **state) {
    (void)state;
    assert_explained(
        FIVE "\"onset_epoch\": 2, \"corrected_epochs\": [], \"due_epoch\": 3, " VETO,
        "never corrected: its labels look clean: after epoch 4 its predictions agreed with each "
        "other (IoU 0.905) by 0.105 more than with the labels (IoU 0.800), and a correction takes "
        "more than 0.12 (correction.veto); lower correction.veto only where you know that the "
        "masks are wrong");
    assert_explained(FIVE "\"onset_epoch\": 9, \"corrected_epochs\": [], \"due_epoch\": null",
                     "never corrected: by the curve of 5 values its onset is epoch 9, so that it "
                     "would be corrected after epoch 10; more train.epochs, or a lower "
                     "correction.r");
    assert_explained("\"iou\": [0.1, 0.2], \"onset_epoch\": null, \"corrected_epochs\": []",
                     "never corrected: its curve has 2 values, and an onset takes 3; more "
                     "train.epochs");
    assert_explained("\"iou\": [0.1], \"onset_epoch\": null",
                     "never corrected: its curve has 1 value, and an onset takes 3; more "
                     "train.epochs");
    assert_explained("\"iou\": [0.1, null, 0.3], \"onset_epoch\": null",
                     "never corrected: its curve lacks a value, because in some epoch the class "
                     "was neither labelled nor predicted");
    assert_explained(FIVE "\"onset_epoch\": null",
                     "never corrected: its curve of 5 values shows no onset, because it still "
                     "rises or does not change; more train.epochs, or another train.optimizer.lr");
}

static void classes_that_were_corrected_later(void **state) {
    (void)state;
    assert_explained(FIVE "\"onset_epoch\": 3, \"corrected_epochs\": [4, 5], \"due_epoch\": 4", "");
    assert_explained(
        FIVE "\"onset_epoch\": 1, \"corrected_epochs\": [4], \"due_epoch\": 4, \"veto\": null",
        "first corrected after epoch 4; the fit to all values gives onset 1, but the onset is "
        "computed anew after each epoch, and after epoch 4 it had passed by the values so far");
    assert_explained(
        FIVE "\"onset_epoch\": 1, \"corrected_epochs\": [5], \"due_epoch\": 3, " VETO,
        "first corrected after epoch 5; the fit to all values gives onset 1, but the onset is "
        "computed anew after each epoch, and after epoch 3 it had passed by the values so far; "
        "until epoch 4 the labels looked clean: after epoch 4 its predictions agreed with each "
        "other (IoU 0.905) by 0.105 more than with the labels (IoU 0.800), and a correction takes "
        "more than 0.12 (correction.veto)");
}

#define GATE(known, one_sided, corrects)                                                           \
    "\"gate\": {\"epoch\": 8, \"known\": " known                                                   \
    ", \"area_deviation\": 0.04, \"one_sided\": " one_sided                                        \
    ", \"iou_of_decisions\": 0.9, \"iou_with_labels\": 0.925, \"corrects\": " corrects "}"

// With the method ensemble, the epoch of the correction is that of correction.at.
static void classes_of_the_ensemble(void **state) {
    struct class_correction class;
    (void)state;
    assert_explained(
        FIVE "\"onset_epoch\": 2, \"corrected_epochs\": [], \"due_epoch\": 3, " GATE("0.95", "0.35",
                                                                                     "false"),
        "never corrected: after epoch 8 its labels looked clean: the areas deviated by 0.040, and "
        "of the pixels in which labels and ensemble differ 0.350 lay on one side within their "
        "image (a correction takes 0.10 and 0.85, or an IoU with the labels, here 0.925, that is "
        "0.20 below that of the ensemble's two decisions, here 0.900); correction.gate: false "
        "only where you know that the masks are wrong");
    assert_explained(
        FIVE "\"onset_epoch\": null, \"corrected_epochs\": [], " GATE("0.4", "0.9", "false"),
        "never corrected: after epoch 8 the ensemble did not know the class well "
        "enough: 0.400 of its probability lay at pixels where it is above one half, "
        "and a correction takes 0.55; more train.epochs, or a higher correction.at");
    assert_explained(
        FIVE "\"onset_epoch\": null, \"corrected_epochs\": [], " GATE("null", "null", "false"),
        "never corrected: after epoch 8 neither the labels nor the ensemble had the class");
#define FIXED RULE "\"ensemble_epoch\": 8,"
    assert_true(read_class(
        FIXED, FIVE "\"onset_epoch\": 2, \"corrected_epochs\": [8], " GATE("0.95", "0.95", "true"),
        &class));
    assert_string_equal(class.explanation, "");
    assert_int_equal(class.first_epoch, 8);
    assert_true(read_class(FIXED, FIVE "\"onset_epoch\": 2, \"corrected_epochs\": []", &class));
    assert_string_equal(class.explanation,
                        "not corrected yet: the ensemble corrects after epoch 8");
    assert_true(read_class(FIXED "\"has_ended\": true,",
                           FIVE "\"onset_epoch\": 2, \"corrected_epochs\": []", &class));
    assert_string_equal(class.explanation,
                        "never corrected: the run ended before epoch 8, after which the ensemble "
                        "corrects; a lower correction.at, or a larger train.patience");
}

static void nothing_is_said_of_other_runs(void **state) {
    struct class_correction class;
    (void)state;
    assert_false(read_class("\"corrects\": false,", FIVE "\"onset_epoch\": null", &class));
    assert_false(read_class("", FIVE "\"onset_epoch\": null", &class)); // an earlier version
    assert_false(class_correction_read(parsed, NULL, &class));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(classes_that_were_never_corrected, free_parsed),
        cmocka_unit_test_teardown(classes_that_were_corrected_later, free_parsed),
        cmocka_unit_test_teardown(classes_of_the_ensemble, free_parsed),
        cmocka_unit_test_teardown(nothing_is_said_of_other_runs, free_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
