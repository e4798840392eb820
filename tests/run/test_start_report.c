// SPDX-License-Identifier: MIT
// What a run says of itself before its first step, compared with what the files hold.
#include "support/tiny_run.h"

#include "base/file.h"
#include "base/memory.h"
#include "correction/correction_ensemble.h"
#include "correction/correction_plan.h"
#include "image/image.h"
#include "support/scratch.h"
#include "support/tiny_nifti.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    int n_calls, n_steps, stop_after; // steps; stop_after 0: never
    struct adele_train_start start;   // its pointers are not valid any more
    double shares[3];
    char class_names[64], run_folder[512], noise[40];
};

static void see_start(void *context, const struct adele_train_start *start) {
    struct seen *seen = context;
    seen->n_calls++;
    assert_int_equal(seen->n_steps, 0);
    assert_int_equal(start->n_classes, 3);
    seen->start = *start;
    memcpy(seen->shares, start->class_shares, sizeof seen->shares);
    (void)snprintf(seen->class_names, sizeof seen->class_names, "%s %s %s", start->class_names[0],
                   start->class_names[1], start->class_names[2]);
    (void)snprintf(seen->run_folder, sizeof seen->run_folder, "%s", start->run_folder);
    (void)snprintf(seen->noise, sizeof seen->noise, "%s", start->noise ? start->noise : "-");
    assert_string_equal(start->network, "unet");
    assert_string_equal(start->backbone, "");
    assert_string_equal(start->layout, "nnunet");
    assert_string_equal(start->precision, "fp32");
    assert_int_equal(strncmp(start->device, "cpu: ", 5), 0);
}

static void see_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    (void)epoch;
    (void)n_epochs;
    (void)step;
    (void)n_steps;
    ((struct seen *)context)->n_steps++;
}

static bool should_stop(void *context) {
    const struct seen *seen = context;
    return seen->stop_after > 0 && seen->n_steps >= seen->stop_after;
}

static adele_status run_config(void *const *state, struct config *config, const char *name,
                               bool resume, struct seen *seen) {
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, name),
                                      .resume = resume,
                                      .device = "cpu",
                                      .on_start = see_start,
                                      .on_step = see_step,
                                      .should_stop = should_stop,
                                      .context = seen};
    struct trainer_result result;
    adele_status status = trainer_run(&options, &result);
    config_destroy(config);
    if (seen->n_calls != 1)
        fail_msg("%d calls: %s", seen->n_calls, adele_error_message());
    return status;
}

static adele_status run(void *const *state, const char *name, bool resume, struct seen *seen,
                        const char *const *sets) {
    return run_config(state, tiny_run_config(state, sets), name, resume, seen);
}

static void sizes_are_those_of_the_set(void **state) {
    struct seen seen = {.stop_after = 1};
    assert_int_equal(run(state, "sizes", false, &seen, NULL), ADELE_INTERRUPTED);
    const struct adele_train_start *start = &seen.start;
    assert_string_equal(seen.run_folder, scratch_path(state, "sizes"));
    assert_int_equal(start->train.n_cases, TINY_SET_TRAIN);
    assert_int_equal(start->train.n_images, TINY_SET_TRAIN);
    assert_int_equal(start->val.n_cases, TINY_SET_VAL);
    assert_int_equal(start->test.n_images, TINY_SET_TEST);
    assert_int_equal(start->height, 32);
    assert_int_equal(start->width, 28);
    assert_int_equal(start->crop_height, 32);
    assert_int_equal(start->min_file_height, 32);
    assert_int_equal(start->max_file_width, 28);
    assert_int_equal(start->n_channels, 1);
    assert_string_equal(seen.class_names, "background disc box");
    assert_int_equal(start->batch, 4);
    assert_int_equal(start->n_epochs, 5);
    assert_int_equal(start->n_steps, 5);
    assert_int_equal(start->n_steps_total, 25);
    assert_int_equal(start->n_last_images, 2);
    assert_int_equal(start->n_dropped_images, 0);
    assert_int_equal(start->n_done_steps, 0);
}

// The test split may be left out, images may be resized, and a step may train on crops.
static void sizes_follow_the_configuration(void **state) {
    struct seen seen = {.stop_after = 1};
    assert_int_equal(
        run(state, "resized", false, &seen,
            SETS("data.size=[48, 40]", "data.crop=[32, 36]", "train.drop_last=true",
                 "train.evaluate_test=false", "data.augment={enabled: true, kind: voc, hsv: 0}",
                 "correction.enabled=false")),
        ADELE_INTERRUPTED);
    const struct adele_train_start *start = &seen.start;
    assert_int_equal(start->test.n_cases, TINY_SET_TEST); // there, but not evaluated
    assert_int_equal(start->test.n_images, 0);
    assert_int_equal(start->height, 48);
    assert_int_equal(start->width, 40);
    assert_int_equal(start->crop_height, 32);
    assert_int_equal(start->crop_width, 36);
    assert_int_equal(start->max_file_height, 32);
    assert_int_equal(start->min_file_width, 28);
    assert_int_equal(start->n_steps, 4);
    assert_int_equal(start->n_dropped_images, 2);
}

// Foreground of class 1 + i in the slices first .. last of a volume of 6.
static void write_volume(void *const *state, const char *name, int i, int first, int last) {
    static struct tiny_nifti volume;
    char path[64];
    tiny_nifti_init(&volume, (const int[]){28, 32, 6}, (const double[]){1.0, 1.0, 2.0});
    for (int k = 0; k < 28 * 32 * 6; k++)
        volume.values[k] = k % 97;
    (void)snprintf(path, sizeof path, "volumes/imagesTr/%s_0000.nii.gz", name);
    tiny_nifti_write(state, path, &volume);
    memset(volume.values, 0, sizeof volume.values);
    for (int z = first; z <= last; z++)
        volume.values[(z * 32 + 16) * 28 + 14] = 1 + i;
    (void)snprintf(path, sizeof path, "volumes/labelsTr/%s.nii.gz", name);
    tiny_nifti_write(state, path, &volume);
}

// A case is a volume, an image one of its slices that has foreground.
static void slices_are_counted(void **state) {
    static const char json[] = "{\"channel_names\": {\"0\": \"T1\"}, \"labels\": {\"background\": "
                               "0, \"disc\": 1, \"box\": 2}, \"file_ending\": \".nii.gz\"}\n";
    write_volume(state, "a", 0, 1, 4);
    write_volume(state, "b", 1, 2, 3);
    check_ok(file_write(scratch_path(state, "volumes/dataset.json"), json, strlen(json)));
    char *text = tiny_set_config(scratch_path(state, "volumes"), NULL);
    struct config *config = NULL;
    struct seen seen = {.stop_after = 1};
    check_ok(config_parse("tiny.yaml", text, strlen(text), 0, NULL, &config));
    memory_free(text);
    assert_int_equal(run_config(state, config, "volumes_run", false, &seen), ADELE_INTERRUPTED);
    assert_int_equal(seen.start.train.n_cases, 2);
    assert_int_equal(seen.start.train.n_images, 6);
    assert_int_equal(seen.start.val.n_cases, 0);
    assert_int_equal(seen.start.height, 32);
    assert_int_equal(seen.start.max_file_height, 32);
    assert_int_equal(seen.start.width, 28);
    assert_true(fabs(seen.shares[1] - 4.0 / (6 * 32 * 28)) <= 1e-12);
    assert_true(fabs(seen.shares[2] - 2.0 / (6 * 32 * 28)) <= 1e-12);
}

// The training labels are the noisy ones; some pixels are ignored.
static void shares_are_counted_in_the_labels(void **state) {
    int64_t counts[256] = {0}, n_pixels = 0;
    for (int i = 0; i < TINY_SET_TRAIN; i++) {
        char name[64];
        struct image image;
        (void)snprintf(name, sizeof name, "set/noisyTr/train_%03d.png", i);
        check_ok(image_load_label(scratch_path(state, name), 0, &image));
        uint8_t *pixels = image.pixels;
        if (i == 0) { // rewritten with ignored pixels
            memset(pixels, 255, 28);
            check_ok(image_save_png(scratch_path(state, name), &image));
        }
        for (int k = 0; k < 32 * 28; k++, n_pixels++)
            counts[pixels[k]]++;
        image_deinit(&image);
    }
    assert_int_equal(counts[255], 28);
    struct seen seen = {.stop_after = 1};
    assert_int_equal(run(state, "shares", false, &seen, NULL), ADELE_INTERRUPTED);
    for (int c = 0; c < 3; c++) {
        double want = (double)counts[c] / (double)(n_pixels - 28);
        if (!(fabs(seen.shares[c] - want) <= 1e-12))
            fail_msg("class %d: %g, counted %g", c, seen.shares[c], want);
    }
    assert_true(counts[1] > 0 && counts[2] > 0);
    assert_true(fabs(seen.start.ignored_share - 28.0 / (double)n_pixels) <= 1e-12);
}

// Two convolutions of 3 x 3 with a batch norm each.
static int64_t double_conv(int64_t c_in, int64_t c_middle, int64_t c_out) {
    return 9 * c_in * c_middle + 3 * c_middle + 9 * c_middle * c_out + 3 * c_out;
}

static int64_t unet_parameters(int64_t c_in, int64_t w, int64_t n_classes) {
    return double_conv(c_in, w, w) + double_conv(w, 2 * w, 2 * w) +
           double_conv(2 * w, 4 * w, 4 * w) + double_conv(4 * w, 8 * w, 8 * w) +
           double_conv(8 * w, 8 * w, 8 * w) + double_conv(16 * w, 8 * w, 4 * w) +
           double_conv(8 * w, 4 * w, 2 * w) + double_conv(4 * w, 2 * w, w) +
           double_conv(2 * w, w, w) + w * n_classes + n_classes;
}

static void the_network_is_counted(void **state) {
    struct seen four = {.stop_after = 1}, eight = {.stop_after = 1}, wide = {.stop_after = 1};
    assert_int_equal(run(state, "four", false, &four, NULL), ADELE_INTERRUPTED);
    assert_int_equal(run(state, "eight", false, &eight, SETS("train.batch=8")), ADELE_INTERRUPTED);
    assert_int_equal(run(state, "wide", false, &wide, SETS("model.width=8")), ADELE_INTERRUPTED);
    assert_int_equal(four.start.n_parameters, unet_parameters(1, 4, 3));
    assert_int_equal(wide.start.n_parameters, unet_parameters(1, 8, 3));
    double ratio = eight.start.step_flops / four.start.step_flops;
    if (!(fabs(ratio - 2.0) <= 1e-9))
        fail_msg("8 images have %g times the operations of 4", ratio);
    // Weights, gradients and momenta, and what a larger batch takes beside them.
    size_t arenas = 3 * sizeof(float) * (size_t)four.start.n_parameters;
    assert_true(four.start.planned_bytes > arenas);
    assert_true(eight.start.planned_bytes > four.start.planned_bytes);
    assert_true(four.start.available_bytes > four.start.planned_bytes);
}

// With what was corrected before.
static void a_resumed_run_says_where(void **state) {
    struct seen first = {.stop_after = 17}, second = {0};
    assert_int_equal(run(state, "resumed", false, &first, NULL), ADELE_INTERRUPTED);
    assert_true(first.start.n_corrected_pixels == 0);
    assert_int_equal(run(state, "resumed", true, &second, NULL), ADELE_OK);
    assert_int_equal(second.start.n_done_steps, 17);
    assert_int_equal(second.start.n_steps_total, 25);
    assert_int_equal(second.n_steps, 8);
    double corrected = tiny_run_metric(state, "resumed", 3, "correction/changed_pixels");
    assert_true(corrected > 0.0);
    assert_true((double)second.start.n_corrected_pixels == corrected);
}

// ---- when labels will be corrected --------------------------------------------------------------

struct planned {
    const char *sets[6];
    int n_epochs, kept_epoch;
    const char *correction, *warning; // "": none
};

// Of a run that has not begun to train: nothing is computed.
// `gate_epoch`: at whose end the gate has kept all classes; 0: it has not.
static void assert_planned(void *const *state, const struct planned *planned, int gate_epoch) {
    struct config *config = tiny_run_config(state, planned->sets);
    struct run_data data = {.config = config, .n_categories = 3};
    const struct epoch_plan epochs = {
        .n_epochs = planned->n_epochs, .n_steps_total = 100L * planned->n_epochs, .batch = 4};
    struct corrector *corrector = test_calloc(1, sizeof *corrector);
    static struct correction_ensemble ensemble;
    uint16_t maps = 0; // there are some
    struct correction_plan plan;
    corrector->data = &data;
    corrector->epochs = &epochs;
    corrector->ensemble = &ensemble;
    ensemble.ensemble = (struct ensemble){
        .data = &data, .epochs = &epochs, .maps = &maps, .kept_epoch = planned->kept_epoch};
    ensemble.gate.records[1].epoch = gate_epoch;
    ensemble.gate.records[2].epoch = gate_epoch;
    correction_plan_describe(corrector, &plan);
    assert_string_equal(plan.when, planned->correction);
    if (planned->warning[0] == '\0')
        assert_string_equal(plan.warning, "");
    else if (strstr(plan.warning, planned->warning) == NULL)
        fail_msg("'%s' is not in '%s'", planned->warning, plan.warning);
    test_free(corrector);
    config_destroy(config);
}

#define ENSEMBLE  "correction.method=ensemble"
#define PER_CLASS "per class, when its training IoU flattens"

static void corrections_are_announced(void **state) {
    static const struct planned cases[] = {
        {{NULL}, 24, 0, PER_CLASS, ""},
        {{NULL}, 11, 0, PER_CLASS, "11 values of the IoU curves (one every epoch) are few"},
        {{NULL}, 2, 0, PER_CLASS, "below 3 nothing is corrected"},
        {{"correction.pipeline=voc"}, 12, 0, PER_CLASS, ""},
        {{"correction.pipeline=voc", "correction.interval=200"},
         12,
         0,
         PER_CLASS,
         "6 values of the IoU curves (one every correction.interval steps) are few"},
        {{"correction.per_category=false"},
         24,
         0,
         "all classes, when the training IoU of the first one flattens",
         ""},
        {{"correction.per_category=false", "correction.all_from=mean"},
         24,
         0,
         "all classes, when their mean training IoU flattens",
         ""},
        {{"correction.enabled=false"}, 2, 0, "nothing (correction.enabled: false)", ""},
        {{ENSEMBLE}, 24, 0, "once, after epoch 8 of 24, from the ensemble", ""},
        {{ENSEMBLE},
         12,
         0,
         "once, after epoch 4 of 12, from the ensemble",
         "4 epochs before the correction are few"},
        {{ENSEMBLE, "correction.at=1"},
         9,
         0,
         "once, after epoch 9 of 9, from the ensemble",
         "nothing is trained on the corrected labels"},
        {{ENSEMBLE}, 48, 8, "once, after epoch 8 of 48, from the ensemble", ""},
        {{ENSEMBLE},
         6,
         8,
         "nothing: the run ends after epoch 6, and the ensemble corrects after 8",
         "no label will be corrected; raise train.epochs above 8"},
        {{ENSEMBLE, "correction.timing=onset"},
         24,
         0,
         "each class once, when its training IoU flattens, from the ensemble",
         ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_planned(state, &cases[i], 0);
    // A resumed run whose gate has kept all classes has corrected nothing.
    static const struct planned kept = {{ENSEMBLE},
                                        24,
                                        0,
                                        "nothing: after epoch 4 every class was kept by the gate",
                                        "no label will be corrected in the epochs that follow"};
    assert_planned(state, &kept, 4);
}

static void noise_is_announced(void **state) {
    struct seen seen = {.stop_after = 1}, none = {.stop_after = 1};
    assert_int_equal(
        run(state, "noise", false, &seen,
            SETS("data.noisy_labels=", "data.noise.kind=boundary", "data.noise.target_miou=0.7")),
        ADELE_INTERRUPTED);
    assert_string_equal(seen.noise, "boundary");
    assert_true(fabs(seen.start.noise_miou - 0.7) <= 0.05);
    assert_int_equal(run(state, "no_noise", false, &none, NULL), ADELE_INTERRUPTED);
    assert_string_equal(none.noise, "-");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_those_of_the_set),
        cmocka_unit_test(sizes_follow_the_configuration),
        cmocka_unit_test(slices_are_counted),
        cmocka_unit_test(the_network_is_counted),
        cmocka_unit_test(a_resumed_run_says_where),
        cmocka_unit_test(corrections_are_announced),
        cmocka_unit_test(noise_is_announced),
        cmocka_unit_test(shares_are_counted_in_the_labels), // changes a file of the set
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
