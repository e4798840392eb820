// SPDX-License-Identifier: MIT
// Masks of 0 and 255, in every way that people save them: named by check, refused by train and
// noise, read right with the two lines of label_map that check prints.
#include "data/foreground.h"

#include "base/file.h"
#include "config/config.h"
#include "data/check_report.h"
#include "data/dataset.h"
#include "data/load.h"
#include "image/image.h"
#include "noise/noise_files.h"
#include "run/trainer.h"
#include "support/raw_png.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define H TINY_H
#define W TINY_W

enum kind { GRAY, RGB, GRAY_ALPHA, RGB_ALPHA, ONLY_ALPHA, ONLY_ALPHA_WHITE };

static bool is_inside(int y, int x, int seed) {
    return y >= 1 && y < 4 && x >= 2 + seed % 2 && x < 5;
}

// A mask whose shape has `value`, saved in one of the ways.
static void write_mask(void *const *state, const char *path, enum kind kind, uint8_t value,
                       int seed) {
    static const int color_types[] = {0, 2, 4, 6, 4, 6}, channels[] = {1, 3, 2, 4, 2, 4};
    uint8_t rows[H * W * 4];
    int n = channels[kind];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < n; c++) {
                bool is_alpha = c == n - 1 && (n == 2 || n == 4), in = is_inside(y, x, seed);
                uint8_t shape = in ? value : 0, all = kind == ONLY_ALPHA_WHITE ? 255 : 0;
                uint8_t color = kind >= ONLY_ALPHA ? all : shape;
                uint8_t alpha = kind >= ONLY_ALPHA ? shape : 255;
                rows[(y * W + x) * n + c] = is_alpha ? alpha : color;
            }
    struct raw_png png = {
        .width = W, .height = H, .bits = 8, .color_type = color_types[kind], .rows = rows};
    raw_png_write(scratch_path(state, path), &png);
}

// Categories "background" and "disc", 4 training cases of which the last `n_other` have masks of
// the other kind, one for validation.
static void write_set(void *const *state, enum kind kind, uint8_t value, int n_other,
                      uint8_t other) {
    char path[64];
    tiny_text(state, "set/classes.txt", "background\ndisc\n");
    for (int i = 0; i < 5; i++) {
        const char *split = i < 4 ? "train" : "val";
        (void)snprintf(path, sizeof path, "set/img_dir/%s/a%d.png", split, i);
        tiny_picture(state, path, H, W, 3, 8, i);
        (void)snprintf(path, sizeof path, "set/ann_dir/%s/a%d.png", split, i);
        tiny_text(state, path, ""); // makes the folder
        write_mask(state, path, kind, i < 4 && i >= 4 - n_other ? other : value, i);
    }
}

static void run(const struct dataset_config *config, struct check_report *out) {
    if (check_run(config, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

static const struct check_problem *find(const struct check_report *report, enum check_kind kind) {
    for (int i = 0; i < report->n_problems; i++)
        if (report->problems[i].kind == kind)
            return &report->problems[i];
    fail_msg("no problem of the kind %s", check_kind_name(kind));
    return NULL;
}

static void train_refuses(void *const *state, const char *what, const char *hint) {
    char text[4400], run_folder[4200];
    (void)snprintf(text, sizeof text,
                   "data: {root: \"%s\", size: [32, 32]}\nmodel: {width: 4}\ntrain: {epochs: 1}\n",
                   scratch_path(state, "set"));
    tiny_text(state, "train.yaml", text);
    (void)snprintf(run_folder, sizeof run_folder, "%s", scratch_path(state, "run"));
    struct config *config = NULL;
    struct trainer_result result;
    assert_int_equal(config_load(scratch_path(state, "train.yaml"), 0, NULL, &config), ADELE_OK);
    struct trainer_options options = {.config = config, .run_folder = run_folder, .device = "cpu"};
    assert_int_equal(trainer_run(&options, &result), ADELE_DATA);
    if (strstr(adele_error_message(), what) == NULL || strstr(adele_error_hint(), hint) == NULL)
        fail_msg("%s\n%s", adele_error_message(), adele_error_hint());
    config_destroy(config);
}

static void noise_refuses(void *const *state, const char *what) {
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = NULL;
    struct noise_config noise;
    struct noise_report report;
    int n = 0;
    noise_config_init(&noise);
    assert_int_equal(dataset_open(&config, &dataset), ADELE_OK);
    noise.kind = NOISE_UNDER_OVER;
    assert_int_equal(
        noise_files_write(dataset, &noise, scratch_path(state, "noisy"), false, &report, &n),
        ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), what));
    assert_false(file_exists(scratch_path(state, "noisy")));
    dataset_close(dataset);
}

static void masks_of_0_and_255(void **state) {
    static const enum kind kinds[] = {GRAY, RGB, GRAY_ALPHA, RGB_ALPHA};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        write_set(state, kinds[i], 255, 0, 0);
        struct dataset_config config = tiny_config(state, "set");
        struct check_report report;
        run(&config, &report);
        const struct check_problem *problem = find(&report, CHECK_NO_FOREGROUND);
        assert_true(problem->is_error);
        assert_non_null(strstr(problem->text, "ann_dir/train/a0.png: 4 of 4 masks of the "
                                              "train split contain only background and 255, "
                                              "which means \"ignored\" here"));
        assert_non_null(strstr(problem->hint, "\n        - {from: 0, to: 0, name: background}"
                                              "\n        - {from: 255, to: 1, name: disc}"));
        check_report_deinit(&report);
        train_refuses(state, "4 of 4 masks of the train split contain only background",
                      "data.label_map: [{from: 0, to: 0, name: background}, "
                      "{from: 255, to: 1, name: disc}]");
        noise_refuses(state, "255, which means \"ignored\" here");
    }
}

// Only the validation's masks are of the other kind: its scores would be those of nothing.
static void one_split_alone(void **state) {
    write_set(state, GRAY, 1, 0, 0);
    write_mask(state, "set/ann_dir/val/a4.png", GRAY, 255, 4);
    train_refuses(state, "ann_dir/val/a4.png: 1 of 1 masks of the val split contain", "255");
    write_mask(state, "set/ann_dir/val/a4.png", GRAY, 0, 4);
    train_refuses(state,
                  "ann_dir/val/a4.png: 1 of 1 masks of the val split contain only background",
                  "Check the masks");
}

static void one_annotator_among_several(void **state) {
    struct check_report report;
    write_set(state, GRAY, 1, 1, 255);
    struct dataset_config config = tiny_config(state, "set");
    run(&config, &report);
    const struct check_problem *problem = find(&report, CHECK_NO_FOREGROUND);
    assert_true(problem->is_error);
    assert_non_null(strstr(problem->text, "ann_dir/train/a3.png: contains only 0 and 255, as 1 "
                                          "of 4 masks of the train split do"));
    assert_non_null(strstr(problem->hint, "- {from: [1, 255], to: 1, name: disc}"));
    check_report_deinit(&report);
    train_refuses(state, "ann_dir/train/a3.png: contains only 0 and 255, as 1 of 4",
                  "from: [1, 255]");

    // When label maps with foreground contain 255 too, it is assumed to mean "ignored".
    tiny_label_set(state, "set/ann_dir/train/a0.png", 0, 0, 255);
    run(&config, &report);
    assert_false(find(&report, CHECK_NO_FOREGROUND)->is_error);
    assert_non_null(strstr(find(&report, CHECK_NO_FOREGROUND)->text, "contains only background"));
    check_report_deinit(&report);

    // The same when a map defines it.
    tiny_label_set(state, "set/ann_dir/train/a0.png", 0, 0, 0);
    const int from[] = {0, 1, 255};
    const uint8_t to[] = {0, 1, 255};
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    run(&config, &report);
    assert_false(find(&report, CHECK_NO_FOREGROUND)->is_error);
    check_report_deinit(&report);
}

static void shapes_in_the_alpha_channel(void **state) {
    static const struct {
        enum kind kind;
        const char *what;
    } cases[] = {{ONLY_ALPHA, "a0.png: every pixel is 0, and the shape is in the alpha channel"},
                 {ONLY_ALPHA_WHITE, "a0.png: every pixel is 255, and the shape is in the alpha"}};
    for (int i = 0; i < 2; i++) {
        struct check_report report;
        write_set(state, cases[i].kind, 255, 0, 0);
        struct dataset_config config = tiny_config(state, "set");
        run(&config, &report);
        assert_non_null(strstr(find(&report, CHECK_UNREADABLE)->text, cases[i].what));
        assert_non_null(strstr(find(&report, CHECK_UNREADABLE)->hint, "alpha"));
        check_report_deinit(&report);
        train_refuses(state, cases[i].what, "Save the alpha channel as a gray PNG");
    }
}

// The two lines of YAML, as they are printed.
static void the_map_makes_255_a_category(void **state) {
    char text[4600];
    struct config *config = NULL;
    struct dataset_config data;
    struct dataset *dataset = NULL;
    struct dataset_images images;
    write_set(state, RGB, 255, 0, 0);
    (void)snprintf(text, sizeof text,
                   "data:\n  root: \"%s\"\n  label_map:\n"
                   "    - {from: 0, to: 0, name: background}\n"
                   "    - {from: 255, to: 1, name: disc}\n",
                   scratch_path(state, "set"));
    tiny_text(state, "map.yaml", text);
    assert_int_equal(config_load(scratch_path(state, "map.yaml"), 0, NULL, &config), ADELE_OK);
    config_dataset(config, &data);
    data.height = H;
    data.width = W;
    struct check_report report;
    run(&data, &report);
    assert_int_equal(report.n_problems, 1); // the empty test split
    check_report_deinit(&report);
    assert_int_equal(dataset_open(&data, &dataset), ADELE_OK);
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, true, &images), ADELE_OK);
    assert_int_equal(foreground_require(dataset, SPLIT_TRAIN, &images), ADELE_OK);
    for (int i = 0; i < images.n; i++)
        for (int k = 0; k < H * W; k++)
            assert_int_equal(images.labels[i * H * W + k], is_inside(k / W, k % W, i));
    dataset_images_deinit(&images);
    dataset_close(dataset);
    config_destroy(config);
}

static void volumes_of_0_and_255(void **state) {
    float labels[TINY_SLICES * H * W] = {0};
    labels[H * W + 5] = 255.0f;
    tiny_volumes(state, "set");
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, labels, 0);
    tiny_volume(state, "set/labelsTr/v2.nii.gz", TINY_SLICES, labels, 0);
    struct dataset_config config = tiny_config(state, "set");
    struct check_report report;
    run(&config, &report);
    const struct check_problem *problem = find(&report, CHECK_NO_FOREGROUND);
    assert_non_null(strstr(problem->text, "v1.nii.gz: no slice has foreground, but 255, which"));
    assert_non_null(strstr(problem->hint, "- {from: 255, to: 1, name: heart}\n        - {from: 2"));
    check_report_deinit(&report);
    train_refuses(state, "v1.nii.gz: no slice of the train split has foreground, but 255",
                  "from: 255");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(masks_of_0_and_255),           TEST(one_split_alone),
        TEST(one_annotator_among_several),  TEST(shapes_in_the_alpha_channel),
        TEST(the_map_makes_255_a_category), TEST(volumes_of_0_and_255)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
