// SPDX-License-Identifier: MIT
// Training on patches of images of several sizes: where patches lie and what they hold, scores by
// windows, labels that are corrected and exported at the files' own sizes, resuming.
#include "loader/patches.h"

#include "base/memory.h"
#include "correction/correction_adele.h"
#include "image/image.h"
#include "output/label_store.h"
#include "predict/model.h"
#include "step/training_step.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
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

enum { H = 64, W = 56, PATCH_H = 48, PATCH_W = 40, N_TRAIN = 12 };
#define PATCHES                                                                                    \
    "data.size=[0, 0]", "data.patch=[48, 40]", "correction.source=inference",                      \
        "correction.scales=[1.0]", "correction.veto=0", "correction.min_points=3",                 \
        "correction.r=0.05", "correction.tau=0.34", "correction.while_rising=true",                \
        "correction.flip=false", "train.epochs=10"

static void crop_case(void *const *state, const char *part, const char *name, int height,
                      int width) {
    char path[128];
    static const char *const formats[] = {"set/images%s/%s_0000.png", "set/labels%s/%s.png",
                                          "set/noisy%s/%s.png"};
    for (int i = 0; i < (strcmp(part, "Tr") == 0 ? 3 : 2); i++) {
        (void)snprintf(path, sizeof path, formats[i], part, name);
        tiny_crop(state, path, height, width);
    }
}

// Sizes smaller than a patch in one direction, and larger in both; prime.
static int setup(void **state) {
    if (scratch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(3);
    set.height = H;
    set.width = W;
    set.n_train = N_TRAIN;
    set.noise_px = 3;
    tiny_set_write(scratch_path(state, "set"), &set);
    crop_case(state, "Tr", "train_001", 44, 53);
    crop_case(state, "Tr", "train_002", 61, 38);
    crop_case(state, "Tr", "train_003", 53, 47);
    crop_case(state, "Tr", "val_001", 61, 55);
    crop_case(state, "Ts", "test_002", 47, 56);
    return 0;
}

static void load(void *const *state, const char *const *sets, struct adele_device **device,
                 struct config **config, struct run_data *data) {
    *config = tiny_run_config(state, sets);
    check_ok(adele_device_open("cpu", ADELE_PRECISION_FP32, device));
    check_ok(run_data_load(data, *config, *device, NULL));
}

static void unload(struct adele_device *device, struct config *config, struct run_data *data) {
    run_data_deinit(data);
    config_destroy(config);
    adele_device_close(device);
}

// A pixel of the patch of image i, and what the image has there.
static void check_pixel(const struct run_data *data, const struct patch_place *place, int i, int y,
                        int x) {
    const struct dataset_images *images = &data->images[SPLIT_TRAIN];
    const struct adele_sample_set *set = &data->patches.set; // on the CPU: the host's memory
    int from_y = place->y + y, from_x = place->x + x;
    bool is_inside = from_y >= 0 && from_x >= 0 && from_y < images->origin[i].height &&
                     from_x < images->origin[i].width;
    size_t at = (size_t)((i * PATCH_H + y) * PATCH_W + x);
    size_t from = is_inside ? (size_t)((i * H + from_y) * W + from_x) : 0;
    assert_int_equal(((const uint8_t *)set->images)[at],
                     is_inside ? ((const uint8_t *)images->images)[from]
                               : (uint8_t)(images->mean[i] + 0.5f));
    assert_int_equal(set->labels[at], is_inside ? data->resident[SPLIT_TRAIN].labels[from] : 255);
    assert_int_equal(set->noisy[at], is_inside ? images->labels[from] : 255);
    assert_int_equal(set->truth[at], is_inside ? images->truth[from] : 255);
}

static void patches_are_parts_of_the_images(void **state) {
    struct adele_device *device = NULL;
    struct config *config = NULL;
    struct run_data data;
    int n_different = 0;
    load(state, SETS(PATCHES), &device, &config, &data);
    const struct dataset_images *images = &data.images[SPLIT_TRAIN];
    assert_true(images->n == N_TRAIN && images->h == H && images->w == W);
    assert_true(images->origin[1].height == 44 && images->origin[2].width == 38);
    struct patch_place last[N_TRAIN] = {{0}};
    // A label that a correction has changed reaches the patches.
    data.resident[SPLIT_TRAIN].labels[20 * W + 20] ^= 1;
    for (int epoch = 1; epoch <= 4; epoch++) {
        check_ok(patches_cut(&data, epoch));
        for (int i = 0; i < N_TRAIN; i++) {
            const uint8_t *labels = data.resident[SPLIT_TRAIN].labels + i * H * W;
            struct patch_place place = patch_find_place(&data, labels, i, epoch);
            for (int k = 0; k < PATCH_H * PATCH_W; k++)
                check_pixel(&data, &place, i, k / PATCH_W, k % PATCH_W);
            int h = images->origin[i].height, w = images->origin[i].width;
            assert_true(h < PATCH_H ? place.y == -((PATCH_H - h) / 2)
                                    : place.y >= 0 && place.y <= h - PATCH_H);
            assert_true(w < PATCH_W ? place.x == -((PATCH_W - w) / 2)
                                    : place.x >= 0 && place.x <= w - PATCH_W);
            n_different += epoch > 1 && (place.y != last[i].y || place.x != last[i].x);
            last[i] = place;
        }
    }
    assert_true(n_different >= 3 * N_TRAIN / 2);
    unload(device, config, &data);
}

static bool has_foreground(const uint8_t *labels, const struct patch_place *place,
                           const struct dataset_origin *origin) {
    for (int k = 0; k < PATCH_H * PATCH_W; k++) {
        int y = place->y + k / PATCH_W, x = place->x + k % PATCH_W;
        bool is_inside = y >= 0 && x >= 0 && y < origin->height && x < origin->width;
        if (is_inside && (labels[y * W + x] == 1 || labels[y * W + x] == 2))
            return true;
    }
    return false;
}

// A share of 1: a foreground pixel in the middle, or as near to it as the image's edge allows; 0:
// patches anywhere.
static void a_share_lies_on_foreground(void **state) {
    static const char *const shares[] = {"data.patch_foreground=0", "data.patch_foreground=0.5",
                                         "data.patch_foreground=1"};
    for (int i_share = 0; i_share < 3; i_share++) {
        struct adele_device *device = NULL;
        struct config *config = NULL;
        struct run_data data;
        int n_on = 0, n_middle = 0;
        load(state, SETS(PATCHES, shares[i_share]), &device, &config, &data);
        for (int k = 0; k < 50 * N_TRAIN; k++) {
            const uint8_t *labels = data.resident[SPLIT_TRAIN].labels + k % N_TRAIN * H * W;
            struct patch_place place =
                patch_find_place(&data, labels, k % N_TRAIN, 1 + k / N_TRAIN);
            n_on += place.is_on_foreground;
            const struct dataset_origin *origin = &data.images[SPLIT_TRAIN].origin[k % N_TRAIN];
            bool is_inner = place.y > 0 && place.x > 0 && place.y < origin->height - PATCH_H &&
                            place.x < origin->width - PATCH_W;
            if (!place.is_on_foreground)
                continue;
            assert_true(has_foreground(labels, &place, origin));
            if (!is_inner)
                continue;
            n_middle++;
            uint8_t label = labels[(place.y + PATCH_H / 2) * W + place.x + PATCH_W / 2];
            assert_true(label == 1 || label == 2);
        }
        assert_true(i_share != 0 || n_on == 0);
        assert_true(i_share != 1 || (n_on > 235 && n_on < 365)); // five deviations of 12
        if (i_share == 2 && !(n_on == 50 * N_TRAIN && n_middle >= 1))
            fail_msg("%d of %d on foreground, %d inside", n_on, 50 * N_TRAIN, n_middle);
        unload(device, config, &data);
    }
}

static double miou_of(void *const *state, const char *run) {
    struct model model;
    struct model_options options;
    struct score score;
    enum dataset_split split;
    int n_images = 0;
    model_options_init(&options);
    check_ok(model_load(scratch_path(state, run), NULL, "cpu", &model));
    check_ok(model_evaluate(&model, &options, &score, &n_images, &split));
    model_deinit(&model);
    assert_int_equal(n_images, TINY_SET_TEST);
    return score.miou_foreground;
}

// What the training has counted on padded sets is what the files give, each by itself.
static void scores_are_those_of_the_files(void **state) {
    struct trainer_result result;
    check_ok(tiny_run(state, "scored", false,
                      SETS(PATCHES, "correction.enabled=false", "train.batch=2", "loss.form=plain",
                           "train.optimizer.lr=0.05"),
                      &result));
    double score = miou_of(state, "scored");
    print_message("test mIoU %.4f\n", score);
    assert_true(fabs(score - result.test_miou) <= 1e-12);
    assert_true(score > 0.0); // a network that predicts background alone would prove nothing
}

// Curves that bend, whatever the network has learned: both classes are due at once.
static void bend_curves(struct curves *curves) {
    for (int c = 0; c < curves->n_categories; c++)
        for (int k = 0; k < 6; k++)
            curves->iou[c][k] = 0.5 * (1.0 - exp(-pow(k + 1, 1.2) / 1.5));
    curves->n_values = 6;
}

// What the rule makes of a label: both classes are corrected, every winner of three is above tau.
static int corrected(int label, int prediction, const bool is_present[256]) {
    bool is_allowed = prediction == 0 || is_present[prediction];
    return label != 255 && prediction != 255 && is_allowed ? prediction : label;
}

static void check_corrected(const struct run_data *data, const uint8_t *before,
                            const uint8_t *prediction, int i) {
    const struct dataset_origin *origin = &data->images[SPLIT_TRAIN].origin[i];
    const uint8_t *after = data->resident[SPLIT_TRAIN].labels + i * H * W;
    bool is_present[256] = {false};
    for (int k = 0; k < H * W; k++)
        is_present[before[i * H * W + k]] = true;
    for (int k = 0; k < H * W; k++) {
        int label = before[i * H * W + k];
        bool is_inside = k / W < origin->height && k % W < origin->width;
        assert_int_equal(prediction[i * H * W + k] == 255, !is_inside);
        if (!is_inside)
            assert_int_equal(after[k], 255);
        assert_int_equal(after[k], corrected(label, prediction[i * H * W + k], is_present));
    }
}

// By an untrained network: which pixels change does not matter.
static void labels_are_corrected_inside_the_images(void **state) {
    static uint8_t before[N_TRAIN * H * W], prediction[N_TRAIN * H * W];
    static struct training_step step;
    static struct corrector corrector;
    struct adele_device *device = NULL;
    struct config *config = NULL;
    struct network *network = NULL;
    struct network_config of_network;
    struct run_data data;
    int64_t n_changed = -1;
    load(state, SETS(PATCHES), &device, &config, &data);
    config_network(config, &of_network);
    of_network.n_channels = 1;
    of_network.n_categories = data.n_categories;
    check_ok(network_create(device, &of_network, &network));
    check_ok(training_step_init(&step, &data, network));
    const struct corrector_options options = {network, &step.epochs, step.n_scales};
    check_ok(corrector_init(&corrector, &data, &options));
    check_ok(network_allocate(network));
    memcpy(before, data.resident[SPLIT_TRAIN].labels, sizeof before);
    const struct inference_output output = {.prediction = prediction};
    check_ok(set_inference_run(corrector.adele->inference, &data.resident[SPLIT_TRAIN], &output));
    bend_curves(&corrector.curves);
    check_ok(corrector_run(&corrector, 6, &n_changed));
    assert_true(n_changed > 0);
    for (int i = 0; i < N_TRAIN; i++)
        check_corrected(&data, before, prediction, i);
    corrector_deinit(&corrector);
    training_step_deinit(&step);
    network_destroy(network);
    unload(device, config, &data);
}

// Padded maps of which one pixel of each image has changed.
static void labels_are_exported_at_the_files_size(void **state) {
    struct adele_device *device = NULL;
    struct config *config = NULL;
    struct run_data data;
    static uint8_t labels[N_TRAIN * H * W];
    load(state, SETS(PATCHES), &device, &config, &data);
    const struct dataset_images *images = &data.images[SPLIT_TRAIN];
    memcpy(labels, images->labels, sizeof labels);
    for (int i = 0; i < N_TRAIN; i++) {
        uint8_t *last =
            labels + (i * H + images->origin[i].height - 1) * W + images->origin[i].width - 1;
        *last = (uint8_t)(2 - *last);
    }
    check_ok(label_store_export(data.dataset, SPLIT_TRAIN, images, labels, images->labels,
                                scratch_path(state, "labels"), NULL));
    for (int i = 0; i < N_TRAIN; i++) {
        char name[128];
        struct image file;
        (void)snprintf(name, sizeof name, "labels/labelsTr/train_%03d.png", i);
        check_ok(image_load_label(scratch_path(state, name), 0, &file));
        assert_true(file.height == images->origin[i].height);
        assert_true(file.width == images->origin[i].width);
        for (int k = 0; k < file.height * file.width; k++)
            assert_int_equal(((uint8_t *)file.pixels)[k],
                             labels[(i * H + k / file.width) * W + k % file.width]);
        image_deinit(&file);
    }
    unload(device, config, &data);
}

// As the second time with all augmentation there is.
static void a_resumed_run_is_the_same(void **state) {
    const char *const *const sets[] = {
        SETS(PATCHES),
        SETS(PATCHES, "train.epochs=3", "data.augment.enabled=true", "data.augment.elastic=[6, 16]",
             "data.augment.brightness=0.5", "data.augment.contrast=0.5", "data.augment.gamma=0.5",
             "data.augment.noise=0.5", "data.augment.blur=0.5")};
    static const char *const names[][2] = {{"run", "again"}, {"augmented", "augmented_again"}};
    for (int i = 0; i < 2; i++) {
        check_ok(tiny_run(state, names[i][0], false, sets[i], NULL));
        tiny_run_interrupted(state, names[i][1], 5, sets[i]);
        check_ok(tiny_run(state, names[i][1], true, sets[i], NULL));
        tiny_run_assert_same(state, names[i][0], names[i][1]);
    }
}

// Images on the host, and both augmentations.
static void variants_train_too(void **state) {
    check_ok(tiny_run(state, "affine", false,
                      SETS(PATCHES, "train.epochs=1", "data.augment.enabled=true"), NULL));
    check_ok(tiny_run(state, "voc", false,
                      SETS(PATCHES, "train.epochs=1", "data.augment.enabled=true",
                           "data.augment.kind=voc", "data.augment.hsv=0"),
                      NULL));
    check_ok(tiny_run(state, "host", false, SETS(PATCHES, "data.residency=host"), NULL));
    tiny_run_assert_same(state, "run", "host");
}

static void assert_refused(void *const *state, const char *const *sets, const char *part) {
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    struct config *config = NULL;
    int n = 0;
    while (sets[n])
        n++;
    assert_int_equal(config_parse("tiny.yaml", text, strlen(text), n, sets, &config), ADELE_CONFIG);
    assert_null(config);
    if (!strstr(adele_error_message(), part))
        fail_msg("%s", adele_error_message());
    memory_free(text);
}

static void what_is_refused(void **state) {
    assert_refused(state, SETS(PATCHES, "data.patch=[40, 0]"), "data.patch is [40, 0]");
    assert_refused(state, SETS(PATCHES, "data.patch=[40]"), "data.patch");
    assert_refused(state, SETS(PATCHES, "data.patch=[40, 99999]"), "99999");
    assert_refused(state, SETS(PATCHES, "data.patch_foreground=1.5"), "1.5");
    assert_refused(state, SETS(PATCHES, "data.size=[64, 64]"), "data.size is [64, 64]");
    assert_refused(state, SETS(PATCHES, "correction.source=training_pass"), "training_pass");
    assert_refused(
        state,
        SETS(PATCHES, "data.augment.enabled=true", "data.augment.kind=voc", "data.crop=[32, 32]"),
        "data.crop is [32, 32]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patches_are_parts_of_the_images),
        cmocka_unit_test(a_share_lies_on_foreground),
        cmocka_unit_test(scores_are_those_of_the_files),
        cmocka_unit_test(labels_are_corrected_inside_the_images),
        cmocka_unit_test(labels_are_exported_at_the_files_size),
        cmocka_unit_test(a_resumed_run_is_the_same),
        cmocka_unit_test(variants_train_too),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
