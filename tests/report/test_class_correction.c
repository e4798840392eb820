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

#define MEASURED                                                                                   \
    "A correction takes predictions whose IoU with each other is more than 0.12 above that with "  \
    "the labels (correction.veto). Nearest to that was epoch 4: 0.905 with each other, 0.800 "     \
    "with the labels, a difference of 0.105."

static void classes_that_were_never_corrected(void **state) {
    (void)state;
    assert_explained(FIVE "\"onset_epoch\": 2, \"corrected_epochs\": [], \"due_epoch\": 3, " VETO,
                     "never corrected, because its labels look clean. " MEASURED
                     " Lower correction.veto only where you know that the masks are wrong.");
    assert_explained(
        FIVE "\"onset_epoch\": 2, \"due_epoch\": 3, \"veto\": {\"epoch\": 4, "
             "\"iou_with_itself\": null, \"iou_with_labels\": null, \"margin\": 0.12}",
        "never corrected, because its labels look clean. The network did not predict the class, so "
        "that its labels could not be compared with predictions. Lower correction.veto only where "
        "you know that the masks are wrong.");
    assert_explained(FIVE "\"onset_epoch\": 2, \"due_epoch\": 3, \"veto\": null",
                     "not corrected yet: its correction is due since epoch 3.");
    assert_explained(FIVE "\"onset_epoch\": 9, \"corrected_epochs\": [], \"due_epoch\": null",
                     "never corrected, because the run ended before that: its curve of 5 values "
                     "has its onset at epoch 9, and the correction follows after epoch 10. Raise "
                     "train.epochs, or lower correction.r.");
    assert_explained("\"iou\": [0.1, 0.2], \"onset_epoch\": null, \"corrected_epochs\": []",
                     "never corrected, because its curve has 2 values, and an onset takes 3. Raise "
                     "train.epochs.");
    assert_explained("\"iou\": [0.1], \"onset_epoch\": null",
                     "never corrected, because its curve has 1 value, and an onset takes 3. Raise "
                     "train.epochs.");
    assert_explained("\"iou\": [0.1, null, 0.3], \"onset_epoch\": null",
                     "never corrected, because its curve lacks a value: in some epoch the class "
                     "was neither labelled nor predicted.");
    assert_explained(FIVE "\"onset_epoch\": null",
                     "never corrected, because its curve of 5 values shows no onset: it still "
                     "rises, or does not change. Raise train.epochs, or try another "
                     "train.optimizer.lr.");
}

// Whatever the fit, the veto or the gate make of a curve that ends at 0.
static void classes_that_were_not_learned(void **state) {
    static const char *const others[] = {"\"onset_epoch\": 43", "\"due_epoch\": 3, " VETO,
                                         "\"gate\": {\"epoch\": 8, \"known\": 0.1}"}; // ensemble
    struct class_correction class;
    char category[400], want[400];
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        (void)snprintf(category, sizeof category, "\"iou\": [0.09, 0.13, 0, 0, 0.009], %s",
                       others[i]);
        (void)snprintf(
            want, sizeof want,
            "never corrected, because the network has not learned it: it predicts the class almost "
            "nowhere in the training images, and the last 3 of the 5 values of its curve are below "
            "0.01. Raise train.optimizer.lr or train.epochs%s.",
            i == 2 ? ""
                   : "; on small sets train.optimizer.name: adamw with a rate of 0.001 takes fewer "
                     "epochs");
        assert_explained(category, want);
    }
    // Two values are too few, and three of eight are a network that may come back; corrections,
    // and runs that correct nothing, are said as before.
    static const char *const learned[] = {"[0, 0]", "[0, 0, 0, 0.02]",
                                          "[0.1, 0.1, 0.1, 0.1, 0.1, 0, 0, 0]"};
    for (size_t i = 0; i < sizeof learned / sizeof *learned; i++) {
        (void)snprintf(category, sizeof category, "\"iou\": %s", learned[i]);
        assert_true(read_class(RULE, category, &class));
        assert_null(strstr(class.explanation, "not learned"));
        assert_int_equal(class.n_not_learned, 0);
    }
    assert_true(read_class(
        RULE, "\"iou\": [0.1, 0, 0, 0], \"onset_epoch\": 1, \"corrected_epochs\": [2]", &class));
    assert_string_equal(class.explanation, "");
    assert_false(read_class("\"corrects\": false,", "\"iou\": [0, 0, 0]", &class));
    assert_int_equal(class.n_not_learned, 3);
    assert_string_equal(class.name, "heart");
}

static void classes_that_were_corrected_later(void **state) {
    (void)state;
    assert_explained(FIVE "\"onset_epoch\": 3, \"corrected_epochs\": [4, 5], \"due_epoch\": 4", "");
    assert_explained(
        FIVE "\"onset_epoch\": 1, \"corrected_epochs\": [4], \"due_epoch\": 4, \"veto\": null",
        "first corrected after epoch 4. Its whole curve has the onset at epoch 1, but the onset is "
        "computed anew after each epoch, and epoch 4 was the first by whose values it had passed.");
    assert_explained(
        FIVE "\"onset_epoch\": 1, \"corrected_epochs\": [5], \"due_epoch\": 3, " VETO,
        "first corrected after epoch 5. Its whole curve has the onset at epoch 1, but the onset is "
        "computed anew after each epoch, and epoch 3 was the first by whose values it had passed. "
        "From then until epoch 4 its labels looked clean. " MEASURED);
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
        "never corrected: after epoch 8 the labels are not clearly wrong: they agree with the "
        "network's averaged prediction (IoU 0.925) by 0.025 more than its two decisions, by "
        "probability and by area, agree with each other (0.20 less is needed); areas deviate by "
        "0.040 "
        "(0.10), and 0.350 of the differing pixels lie on one side of the contour in their image "
        "(0.85); labels are clearly wrong where the first, or both of the others, are reached. "
        "Set correction.gate: learned where you know that its masks are wrong.");
    assert_explained(
        FIVE "\"onset_epoch\": null, \"corrected_epochs\": [], " GATE("0.4", "0.9", "false"),
        "never corrected: after epoch 8 the network has not learned the class: 0.400 of its "
        "probability lies at pixels where it is above one half, 0.55 is needed. Train longer "
        "(train.epochs), or raise correction.at: but the later a correction is, the more wrong "
        "masks the network has learned by heart.");
    assert_explained(
        FIVE "\"onset_epoch\": null, \"corrected_epochs\": [], " GATE("null", "null", "false"),
        "never corrected: after epoch 8 the network gives the class no probability.");
#define FIXED RULE "\"ensemble_epoch\": 8,"
    assert_true(read_class(
        FIXED, FIVE "\"onset_epoch\": 2, \"corrected_epochs\": [8], " GATE("0.95", "0.95", "true"),
        &class));
    assert_string_equal(class.explanation, "");
    assert_int_equal(class.first_epoch, 8);
    assert_true(read_class(FIXED, FIVE "\"onset_epoch\": 2, \"corrected_epochs\": []", &class));
    assert_string_equal(class.explanation,
                        "not corrected yet: the ensemble corrects after epoch 8.");
    assert_true(read_class(FIXED "\"has_ended\": true,",
                           FIVE "\"onset_epoch\": 2, \"corrected_epochs\": []", &class));
    assert_string_equal(class.explanation,
                        "never corrected, because the run ended before epoch 8, after which the "
                        "ensemble corrects. Lower correction.at, or raise train.patience.");
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
        cmocka_unit_test_teardown(classes_that_were_not_learned, free_parsed),
        cmocka_unit_test_teardown(classes_that_were_corrected_later, free_parsed),
        cmocka_unit_test_teardown(classes_of_the_ensemble, free_parsed),
        cmocka_unit_test_teardown(nothing_is_said_of_other_runs, free_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
