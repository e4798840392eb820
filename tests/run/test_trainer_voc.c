// SPDX-License-Identifier: MIT
// Training as the VOC pipeline does it: by iterations, with crops, curves by intervals of
// iterations, learned scale weights, and a correction from the original labels each epoch.
#include "base/json.h"
#include "base/safetensors.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// An epoch of the tiny set has 5 steps: 23 end in the fifth, and intervals of 3 lie across epochs.
#define VOC                                                                                        \
    "correction.pipeline=voc", "train.schedule=poly", "train.iterations=23",                       \
        "correction.interval=3", "correction.tau=0.3", "correction.guard=false",                   \
        "correction.scales=[1.0, 1.5]", "data.augment.enabled=true", "data.augment.hsv=0",         \
        "data.crop=[32, 28]", "loss.learn_scale_weights=true", "loss.scales=[1.0, 1.5]"

static struct safetensors *open_last(void *const *state, const char *run) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", scratch_path(state, run));
    struct safetensors *file = NULL;
    check_ok(safetensors_open(path, &file));
    return file;
}

static double number_of(const struct safetensors *file, const char *key) {
    const char *text = safetensors_metadata(file, key);
    assert_non_null(text);
    return strtod(text, NULL);
}

static void iterations_end_in_an_epoch(void **state) {
    struct trainer_result result;
    check_ok(tiny_run(state, "voc", false, SETS(VOC), &result));
    assert_int_equal(result.n_epochs, 5);
    struct safetensors *file = open_last(state, "voc");
    assert_true(number_of(file, "step") == 23.0);
    const struct safetensors_entry *curves = safetensors_find(file, "curves");
    assert_int_equal(curves->shape[0], 7);
    const float *weights = safetensors_find(file, "scale_weights")->data;
    assert_true(weights[0] != 0.0f && weights[1] != 0.0f);
    safetensors_close(file);
    // Corrected, and each time anew from the original labels.
    cJSON *manifest = NULL;
    check_ok(json_read(scratch_path(state, "voc/labels/manifest.json"), &manifest));
    assert_true(cJSON_GetArraySize(manifest) >= 1);
    cJSON_Delete(manifest);
}

// 20 steps are four epochs: the same bytes either way, the falling rate included.
static void iterations_of_whole_epochs_are_epochs(void **state) {
    check_ok(tiny_run(state, "epochs", false,
                      SETS("train.schedule=poly", "train.epochs=4", "loss.scales=[1.0]"), NULL));
    check_ok(tiny_run(
        state, "iterations", false,
        SETS("train.schedule=poly", "train.epochs=1", "train.iterations=20", "loss.scales=[1.0]"),
        NULL));
    tiny_run_assert_same(state, "epochs", "iterations");
}

// Counts of two epochs: their IoU lies between those of the two (a mean of fractions by their
// denominators), and is neither.
static void intervals_span_epochs(void **state) {
    const char *const *sets =
        SETS("correction.enabled=false", "correction.pipeline=voc", "correction.interval=10",
             "train.iterations=20", "loss.scales=[1.0]");
    check_ok(tiny_run(state, "spans", false, sets, NULL));
    struct safetensors *file = open_last(state, "spans");
    const struct safetensors_entry *curves = safetensors_find(file, "curves");
    assert_int_equal(curves->shape[0], 2);
    const double *values = curves->data;
    static const char *const names[] = {"background", "disc", "box"};
    for (int i = 0; i < 2; i++)
        for (int c = 0; c < 3; c++) {
            char name[64];
            (void)snprintf(name, sizeof name, "train/pred_vs_noisy/iou/%s", names[c]);
            double a = tiny_run_metric(state, "spans", 2 * i + 1, name);
            double b = tiny_run_metric(state, "spans", 2 * i + 2, name), value = values[3 * i + c];
            bool is_between = value > fmin(a, b) && value < fmax(a, b);
            if (!(is_between || (c > 0 && a == b && value == a)))
                fail_msg("%s, value %d: %g is not between %g and %g", names[c], i, value, a, b);
        }
    safetensors_close(file);
}

// ---- interrupted --------------------------------------------------------------------------------

struct stopper {
    int n_left;
};

static bool stop_after(void *context) {
    struct stopper *stopper = context;
    return stopper->n_left-- == 0;
}

// In the middle of an epoch and of an interval, at the end of either, and before the first step.
static void stopped_and_resumed_is_the_same(void **state) {
    static const int moments[] = {0, 7, 2, 1, 6, 6};
    struct config *config = tiny_run_config(state, SETS(VOC));
    struct stopper stopper;
    struct trainer_result result;
    struct trainer_options options = {.config = config,
                                      .resume = true,
                                      .device = "cpu",
                                      .should_stop = stop_after,
                                      .context = &stopper};
    adele_status status = ADELE_INTERRUPTED;
    for (size_t i = 0; status == ADELE_INTERRUPTED; i++) {
        options.run_folder = scratch_path(state, "stopped");
        stopper.n_left = i < sizeof moments / sizeof *moments ? moments[i] : 1000;
        status = trainer_run(&options, &result);
    }
    check_ok(status);
    config_destroy(config);
    tiny_run_assert_same(state, "voc", "stopped");
}

static void a_shorter_run_is_not_resumed(void **state) {
    assert_int_equal(tiny_run(state, "voc", true, SETS(VOC, "train.iterations=22"), NULL),
                     ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "step 23"));
}

// ---- what cannot be -----------------------------------------------------------------------------

static void colours_of_gray_images_cannot_be_moved(void **state) {
    assert_int_equal(tiny_run(state, "gray", false, SETS(VOC, "data.augment.hsv=10"), NULL),
                     ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "data.augment.hsv is 10"));
    assert_int_equal(tiny_run(state, "gray", false, SETS(VOC, "data.normalize=imagenet"), NULL),
                     ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "data.normalize: imagenet is for RGB"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iterations_end_in_an_epoch),
        cmocka_unit_test(iterations_of_whole_epochs_are_epochs),
        cmocka_unit_test(intervals_span_epochs),
        cmocka_unit_test(stopped_and_resumed_is_the_same),
        cmocka_unit_test(a_shorter_run_is_not_resumed),
        cmocka_unit_test(colours_of_gray_images_cannot_be_moved),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
