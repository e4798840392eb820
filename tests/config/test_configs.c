// SPDX-License-Identifier: MIT
// The configurations that are ready to run: each is read, and says what its name says.
#include "base/file.h"
#include "config/config.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct config *load(const char *name) {
    char path[4096];
    struct config *config = NULL;
    (void)snprintf(path, sizeof path, PROJECT_DIR "/configs/%s", name);
    if (config_load(path, 0, NULL, &config) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return config;
}

static void each_is_read(void **state) {
    (void)state;
    struct file_list list;
    int n_read = 0;
    check_ok(file_list_directory(PROJECT_DIR "/configs", &list));
    for (int i = 0; i < list.n; i++) {
        if (!file_has_suffix(list.names[i], ".yaml"))
            continue;
        config_destroy(load(list.names[i]));
        n_read++;
    }
    file_list_deinit(&list);
    assert_true(n_read >= 10);
}

// Four that differ in loss and correction alone.
static void camvid_variants_differ_in_the_method_alone(void **state) {
    (void)state;
    struct config *adele = load("camvid_adele.yaml");
    assert_true(adele->correction.enabled && adele->correction.per_category);
    assert_int_equal(adele->correction.pipeline, ONSET_VOC);
    static const char *const names[] = {"camvid_baseline.yaml", "camvid_consistency.yaml",
                                        "camvid_all_at_once.yaml"};
    for (int i = 0; i < 3; i++) {
        struct config *c = load(names[i]);
        assert_int_equal(c->loss.form, i == 0 ? ADELE_LOSS_PLAIN : ADELE_LOSS_PROGRAM);
        assert_int_equal(c->correction.enabled, i == 2);
        assert_int_equal(c->correction.per_category, i != 2);
        assert_memory_equal(&c->data.augment, &adele->data.augment, sizeof c->data.augment);
        assert_memory_equal(&c->data.noise, &adele->data.noise, sizeof c->data.noise);
        assert_memory_equal(&c->train, &adele->train, sizeof c->train);
        assert_string_equal(c->model.name, adele->model.name);
        assert_int_equal(c->model.width, adele->model.width);
        config_destroy(c);
    }
    config_destroy(adele);
}

// The ensemble's presets have the data, noise and network of ADELE's, and train plainly.
static void ensembles_train_plainly_on_the_same_data(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"jsrt_unet_ensemble.yaml", "jsrt_unet_adele.yaml"},
        {"jsrt_unet_ensemble_onset.yaml", "jsrt_unet_adele.yaml"},
        {"demo_ensemble.yaml", "demo_adele.yaml"},
        {"camvid_ensemble.yaml", "camvid_adele.yaml"},
        {"camvid_ensemble_onset.yaml", "camvid_adele.yaml"},
        {"voc_resnet38_ensemble.yaml", "voc_resnet38_adele.yaml"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct config *c = load(names[i][0]), *adele = load(names[i][1]);
        assert_true(c->correction.enabled && c->correction.method == METHOD_ENSEMBLE);
        assert_int_equal(c->correction.timing == TIMING_ONSET,
                         strstr(names[i][0], "onset") != NULL);
        assert_true(c->train.average && c->train.evaluate_averaged);
        assert_true(c->correction.beta == 0.9 && c->correction.guide == 0.06);
        assert_int_equal(c->loss.form, ADELE_LOSS_PLAIN);
        assert_true(c->loss.n_scales == 1 && c->loss.scales[0] == 1.0);
        assert_memory_equal(&c->data.noise, &adele->data.noise, sizeof c->data.noise);
        assert_memory_equal(c->data.size, adele->data.size, sizeof c->data.size);
        assert_string_equal(c->model.name, adele->model.name);
        assert_int_equal(c->model.width, adele->model.width);
        assert_int_equal(c->train.batch, adele->train.batch);
        config_destroy(c);
        config_destroy(adele);
    }
}

// The trial's rates; the demo's runs have the same number of epochs.
static void ensembles_have_the_trials_rates(void **state) {
    (void)state;
    static const char *const names[] = {"jsrt_unet_ensemble.yaml", "demo_ensemble.yaml",
                                        "camvid_ensemble.yaml"};
    struct config *demo = load("demo_baseline.yaml");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct config *c = load(names[i]);
        assert_true(c->train.lr == 0.05 && c->train.momentum == 0.9);
        assert_int_equal(c->train.schedule, SCHEDULE_CONSTANT);
        if (i < 2)
            assert_int_equal(c->train.epochs, i == 0 ? 24 : demo->train.epochs);
        config_destroy(c);
    }
    config_destroy(demo);
}

// METHOD section 5, the column of PASCAL VOC.
static void voc_is_the_papers(void **state) {
    (void)state;
    struct config *c = load("voc_resnet38_adele.yaml");
    assert_string_equal(c->model.name, "deeplabv1");
    assert_int_equal(c->train.iterations, 20000);
    assert_int_equal(c->train.batch, 10);
    assert_true(c->train.lr == 0.001 && c->train.momentum == 0.9);
    assert_true(c->train.weight_decay == 0.0005 && c->train.poly_power == 0.9);
    assert_int_equal(c->train.schedule, SCHEDULE_POLY);
    assert_int_equal(c->data.crop[0], 448);
    assert_int_equal(c->data.crop[1], 448);
    assert_int_equal(c->data.normalize, NORMALIZE_IMAGENET);
    assert_int_equal(c->data.augment.kind, ADELE_AUGMENT_VOC);
    assert_true(c->data.augment.scale_low == 0.5 && c->data.augment.scale_high == 1.5);
    assert_true(c->data.augment.flip == 0.5 && c->data.augment.hsv == 10.0);
    assert_true(c->loss.divisor == 1.0 && c->loss.learn_scale_weights);
    assert_int_equal(c->correction.interval, 100);
    assert_int_equal(c->correction.every, 1);
    assert_int_equal(c->correction.base, BASE_ORIGINAL);
    assert_int_equal(c->correction.rule, ADELE_CORRECT_SINGLE);
    assert_true(c->correction.tau == 0.8 && c->correction.temperature == 3.0);
    assert_true(c->correction.guard && c->correction.flip);
    config_destroy(c);
}

// The presets named after the paper have its rule; what is written without them does not.
static void the_papers_presets_have_its_rule(void **state) {
    (void)state;
    static const char *const names[] = {"jsrt_unet_adele.yaml",    "jsrt_unet_all_at_once.yaml",
                                        "demo_adele.yaml",         "camvid_adele.yaml",
                                        "camvid_all_at_once.yaml", "voc_resnet38_adele.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct config *c = load(names[i]);
        assert_int_equal(c->correction.min_points, 3);
        assert_true(c->correction.while_rising && c->correction.veto == 0.0);
        config_destroy(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_read),
        cmocka_unit_test(camvid_variants_differ_in_the_method_alone),
        cmocka_unit_test(ensembles_train_plainly_on_the_same_data),
        cmocka_unit_test(ensembles_have_the_trials_rates),
        cmocka_unit_test(voc_is_the_papers),
        cmocka_unit_test(the_papers_presets_have_its_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
