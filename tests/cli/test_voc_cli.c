// SPDX-License-Identifier: MIT
// Pascal VOC from the command line: three small cases of different sizes, with palette labels, are
// trained on by each DeepLab, scored with and without scales, flips and CRF, and predicted.
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "image/image.h"
#include "support/program.h"
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

#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

enum { N = 3, CATEGORIES = 4 };
static const int sizes[N][2] = {{48, 64}, {61, 40}, {48, 64}}; // height, width
static const char *const names[N] = {"2007_000001", "2007_000002", "2007_000003"};

static void assert_done(struct program_result *result) {
    if (result->code != 0)
        fail_msg("exit code %d\n%s%s", result->code, result->out, result->err);
    program_result_deinit(result);
}

static void write_text(void *const *state, const char *name, const char *text) {
    check_ok(file_write(scratch_path(state, name), text, strlen(text)));
}

// Blocks of the categories' colours, with a border of 255 between them as VOC draws it.
static void write_case(void *const *state, int i) {
    static const uint8_t colours[CATEGORIES][3] = {
        {40, 40, 40}, {220, 60, 60}, {60, 200, 60}, {70, 70, 230}};
    struct random_stream stream;
    struct image picture, labels;
    char name[64];
    int height = sizes[i][0], width = sizes[i][1];
    random_stream_init(&stream, 7, RANDOM_TEST, 0, (uint32_t)i);
    check_ok(image_init(&picture, width, height, 3, 8));
    check_ok(image_init(&labels, width, height, 1, 8));
    image_palette_voc(&labels.palette);
    for (int at = 0; at < height * width; at++) {
        int y = at / width, x = at % width, block = (y / 20 + 2 * (x / 20) + i) % CATEGORIES;
        bool is_border = y % 20 == 0 || x % 20 == 0;
        ((uint8_t *)labels.pixels)[at] = is_border ? 255 : (uint8_t)block;
        for (int c = 0; c < 3; c++)
            ((uint8_t *)picture.pixels)[3 * at + c] =
                (uint8_t)(colours[block][c] + random_below(&stream, 20));
    }
    (void)snprintf(name, sizeof name, "voc/JPEGImages/%s.png", names[i]);
    check_ok(image_save_png(scratch_path(state, name), &picture));
    (void)snprintf(name, sizeof name, "voc/SegmentationClass/%s.png", names[i]);
    check_ok(image_save_png(scratch_path(state, name), &labels));
    image_deinit(&picture);
    image_deinit(&labels);
}

static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || scratch_setup(state) != 0)
        return -1;
    if (setenv("LSAN_OPTIONS", "suppressions=" PROJECT_DIR "/tests/lsan.supp", 0) != 0)
        return -1;
    static const char *const folders[] = {"voc/JPEGImages", "voc/SegmentationClass",
                                          "voc/ImageSets/Segmentation"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        check_ok(file_make_directory(scratch_path(state, folders[i])));
    for (int i = 0; i < N; i++)
        write_case(state, i);
    write_text(state, "voc/class_names.txt", "background\nred\ngreen\nblue\n");
    write_text(state, "voc/ImageSets/Segmentation/train.txt", "2007_000001\n2007_000002\n");
    write_text(state, "voc/ImageSets/Segmentation/val.txt", "2007_000003\n");
    write_text(state, "voc.yaml",
               "data: {root: none, size: [48, 64], crop: [40, 40], normalize: imagenet,\n"
               "       augment: {enabled: true}}\n"
               "model: {name: deeplabv1, backbone: resnet18, width: 4, rate: 2}\n"
               "train: {iterations: 6, batch: 2, schedule: poly, optimizer: {lr: 0.01, momentum: "
               "0.9}}\n"
               "loss: {scales: [1.0, 0.7], learn_scale_weights: true}\n"
               "correction: {pipeline: voc, interval: 1, r: 0.05, tau: 0.3, crf_from_epoch: 1,\n"
               "             scales: [1.0, 0.75], min_points: 3, while_rising: true, veto: 0}\n");
    return 0;
}

// data.root=FOLDER; borrowed until the next call.
static const char *root_of(void *const *state) {
    static char text[4096];
    (void)snprintf(text, sizeof text, "data.root=%s", scratch_path(state, "voc"));
    return text;
}

static void train(void *const *state, const char *run, const char *set) {
    struct program_result result;
    ADELE(&result, "train", scratch_path(state, "voc.yaml"), "--device=cpu", "--run",
          scratch_path(state, run), "--set", root_of(state), "--set", set);
    assert_done(&result);
}

// Every file of JPEGImages has a mask of its own size and VOC's colours.
static void assert_masks(void *const *state, const char *folder, int first) {
    for (int i = first; i < N; i++) {
        struct image mask;
        char name[128];
        (void)snprintf(name, sizeof name, "%s/%s.png", folder, names[i]);
        check_ok(image_load_label(scratch_path(state, name), 0, &mask));
        assert_int_equal(mask.height, sizes[i][0]);
        assert_int_equal(mask.width, sizes[i][1]);
        assert_true(mask.palette.n >= CATEGORIES);
        assert_memory_equal(mask.palette.rgb[1], ((uint8_t[3]){128, 0, 0}), 3);
        for (int at = 0; at < mask.height * mask.width; at++)
            assert_in_range(((uint8_t *)mask.pixels)[at], 0, CATEGORIES - 1);
        image_deinit(&mask);
    }
}

static void trained_scored_and_predicted(void **state) {
    struct program_result result;
    cJSON *json = NULL;
    train(state, "run", "train.seed=1");
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--device=cpu", "--split=val");
    assert_non_null(strstr(result.out, "val split, 1 images"));
    assert_done(&result);
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--device=cpu", "--split=val", "--flip",
          "--scales=0.5,0.75,1,1.25,1.5,1.75", "--crf=2", "--json", scratch_path(state, "e.json"),
          "--save-masks", scratch_path(state, "val_masks"));
    assert_done(&result);
    check_ok(json_read(scratch_path(state, "e.json"), &json));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "iou")), CATEGORIES);
    cJSON_Delete(json);
    assert_masks(state, "val_masks", 2);
    ADELE(&result, "predict", scratch_path(state, "run"), "--device=cpu", "-i",
          scratch_path(state, "voc/JPEGImages"), "-o", scratch_path(state, "masks"), "--flip",
          "--scales=0.75,1,1.25", "--crf=1");
    assert_non_null(strstr(result.out, "3 mask(s)"));
    assert_done(&result);
    assert_masks(state, "masks", 0);
    ADELE(&result, "labels", scratch_path(state, "run"), "-o", scratch_path(state, "labels"));
    assert_done(&result);
}

// The validation file has the training's size, so the scores are the run's own. Rates are in the
// checkpoint: a network built with others would have the same tensors, and answer differently.
static void each_head_and_its_rate_come_back(void **state) {
    static const char *const heads[] = {"model.name=deeplabv1", "model.name=deeplabv2",
                                        "model.name=deeplabv3"};
    struct program_result result;
    for (int i = 0; i < 3; i++) {
        char run[16];
        cJSON *json = NULL;
        (void)snprintf(run, sizeof run, "head%d", i);
        train(state, run, heads[i]);
        ADELE(&result, "evaluate", scratch_path(state, run), "--device=cpu", "--split=val",
              "--overwrite", "--json", scratch_path(state, "head.json"));
        assert_done(&result);
        check_ok(json_read(scratch_path(state, "head.json"), &json));
        double got = cJSON_GetObjectItem(json, "miou")->valuedouble;
        double want = tiny_run_metric(state, run, 6, "val/pred_vs_true/miou");
        if (!(fabs(got - want) <= 1e-12))
            fail_msg("%s: mIoU %.15g, the run's own %.15g", heads[i], got, want);
        cJSON_Delete(json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trained_scored_and_predicted),
        cmocka_unit_test(each_head_and_its_rate_come_back),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
