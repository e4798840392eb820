// SPDX-License-Identifier: MIT
// A VOC folder with a folder of pseudo-labels beside it, and what can be wrong with that: `adele
// check` and training name it, before the first step.
#include "base/file.h"
#include "base/memory.h"
#include "data/check_report.h"
#include "data/dataset.h"
#include "data/load.h"
#include "image/image.h"
#include "run/trainer.h"
#include "support/scratch.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N_CASES 3
#define SIZE    32

static void make_folder(void *const *state, const char *name) {
    check_ok(file_make_directory(scratch_path(state, name)));
}

static void write_text(void *const *state, const char *name, const char *text) {
    check_ok(file_write(scratch_path(state, name), text, strlen(text)));
}

// Gray: 0 in the left half, `value` beyond. RGB: each channel with values of its own, and `value`
// added, so that no two pictures are the same.
static void write_picture(void *const *state, const char *path, int n_channels, int size,
                          int value) {
    struct image picture;
    check_ok(image_init(&picture, size, size, n_channels, 8));
    for (int i = 0; i < size * size * n_channels; i++) {
        int c = i % n_channels, x = i / n_channels % size;
        ((uint8_t *)picture.pixels)[i] =
            (uint8_t)(n_channels > 1 ? (c + 1) * (x < size / 2 ? 40 : 80) + value
                                     : (x < size / 2 ? 0 : value));
    }
    check_ok(image_save_png(scratch_path(state, path), &picture));
    image_deinit(&picture);
}

static int setup(void **state) {
    if (scratch_setup(state) != 0)
        return -1;
    static const char *const folders[] = {"voc/JPEGImages", "voc/SegmentationClass",
                                          "voc/ImageSets/Segmentation", "pseudo"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        make_folder(state, folders[i]);
    write_text(state, "voc/class_names.txt", "background\nthing\n");
    write_text(state, "voc/ImageSets/Segmentation/train.txt", "a\nb\nc\n");
    for (int i = 0; i < N_CASES; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "voc/JPEGImages/%c.png", 'a' + i);
        write_picture(state, path, 3, SIZE, i);
        (void)snprintf(path, sizeof path, "voc/SegmentationClass/%c.png", 'a' + i);
        write_picture(state, path, 1, SIZE, 1);
        (void)snprintf(path, sizeof path, "pseudo/%c.png", 'a' + i);
        write_picture(state, path, 1, SIZE, 1);
    }
    return 0;
}

static adele_status train(void *const *state, const char *run) {
    char text[8192];
    (void)snprintf(text, sizeof text,
                   "data: {root: %s, noisy_labels: %s, size: [32, 32], normalize: imagenet,\n"
                   "       crop: [32, 32], augment: {enabled: true}}\n"
                   "model: {width: 2}\n"
                   "train: {iterations: 2, batch: 3}\n"
                   "loss: {form: plain}\n"
                   "correction: {pipeline: voc, scales: [1.0]}\n",
                   scratch_path(state, "voc"), scratch_path(state, "pseudo"));
    struct config *config = NULL;
    check_ok(config_parse("voc.yaml", text, strlen(text), 0, NULL, &config));
    struct trainer_result result;
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, run), .device = "cpu"};
    adele_status status = trainer_run(&options, &result);
    config_destroy(config);
    return status;
}

// Both report it: `words` are in the message of the run, and `check` has one error of that kind.
static void assert_named(void *const *state, enum check_kind kind, const char *const *words) {
    char root[4096], pseudo[4096];
    (void)snprintf(root, sizeof root, "%s", scratch_path(state, "voc"));
    (void)snprintf(pseudo, sizeof pseudo, "%s", scratch_path(state, "pseudo"));
    struct dataset_config config = {.root = root, .noisy_labels = pseudo, .map = {.other = -1}};
    struct check_report report = {0};
    check_ok(check_run(&config, &report));
    int n_errors = 0;
    for (int i = 0; i < report.n_problems; i++) {
        if (!report.problems[i].is_error)
            continue;
        n_errors++;
        assert_int_equal(report.problems[i].kind, kind);
        for (int k = 0; words[k] != NULL; k++)
            if (strstr(report.problems[i].text, words[k]) == NULL)
                fail_msg("\"%s\" lacks \"%s\"", report.problems[i].text, words[k]);
        assert_true(report.problems[i].hint[0] != '\0');
    }
    assert_int_equal(n_errors, 1);
    check_report_deinit(&report);
    assert_int_not_equal(train(state, "bad"), ADELE_OK);
    for (int k = 0; words[k] != NULL; k++)
        if (strstr(adele_error_message(), words[k]) == NULL)
            fail_msg("\"%s\" lacks \"%s\"", adele_error_message(), words[k]);
    assert_true(adele_error_hint()[0] != '\0');
    assert_false(file_exists(scratch_path(state, "bad/metrics.jsonl"))); // before the first step
}

static void a_complete_folder_trains(void **state) {
    check_ok(train(state, "good"));
    struct dataset_config config = {.normalize = NORMALIZE_IMAGENET, .map = {.other = -1}};
    char root[4096];
    (void)snprintf(root, sizeof root, "%s", scratch_path(state, "voc"));
    config.root = root;
    struct dataset *dataset = NULL;
    struct dataset_images images;
    check_ok(dataset_open(&config, &dataset));
    check_ok(dataset_load(dataset, SPLIT_TRAIN, true, &images));
    static const double mean[] = {123.675, 116.28, 103.53};
    static const double inv_std[] = {1.0 / 58.395, 1.0 / 57.12, 1.0 / 57.375};
    for (int i = 0; i < N_CASES * 3; i++) {
        assert_true(fabs((double)images.mean[i] - mean[i % 3]) <= 1e-4);
        assert_true(fabs((double)images.inv_std[i] - inv_std[i % 3]) <= 1e-8);
    }
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void a_missing_label_is_named(void **state) {
    check_ok(file_remove_tree(scratch_path(state, "pseudo/b.png")));
    assert_named(state, CHECK_MISSING_PARTNER,
                 (const char *const[]){"pseudo/b.png", "no noisy label", NULL});
    write_picture(state, "pseudo/b.png", 1, SIZE, 1);
}

static void another_size_is_named(void **state) {
    write_picture(state, "pseudo/b.png", 1, SIZE - 2, 1);
    assert_named(state, CHECK_SIZE_MISMATCH,
                 (const char *const[]){"pseudo/b.png", "30 x 30", "32 x 32", NULL});
    write_picture(state, "pseudo/b.png", 1, SIZE, 1);
}

static void a_category_beyond_is_named(void **state) {
    write_picture(state, "pseudo/b.png", 1, SIZE, 7);
    assert_named(state, CHECK_LABEL_OUT_OF_RANGE,
                 (const char *const[]){"pseudo/b.png", "pixel (x 16, y 0) is 7", "0 to 1", NULL});
    write_picture(state, "pseudo/b.png", 1, SIZE, 1);
}

static void a_missing_folder_is_named(void **state) {
    char pseudo[4096];
    (void)snprintf(pseudo, sizeof pseudo, "%s", scratch_path(state, "pseudo"));
    char *moved = memory_printf("%s.away", pseudo);
    assert_int_equal(rename(pseudo, moved), 0);
    assert_int_not_equal(train(state, "bad"), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), "pseudo"));
    assert_int_equal(rename(moved, pseudo), 0);
    memory_free(moved);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_complete_folder_trains),  cmocka_unit_test(a_missing_label_is_named),
        cmocka_unit_test(another_size_is_named),     cmocka_unit_test(a_category_beyond_is_named),
        cmocka_unit_test(a_missing_folder_is_named),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
