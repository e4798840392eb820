// SPDX-License-Identifier: MIT
// Sets of pictures of mixed kinds: gray among RGB, RGB that is gray, narrow 16-bit values, TIFF and
// BMP, pictures on their side, JPEGs with stray bytes. Each is read correctly and logged once, or
// refused with what was found.
#include "base/file.h"
#include "base/half.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/check_report.h"
#include "data/dataset.h"
#include "data/load.h"
#include "image/image.h"
#include "output/label_store.h"
#include "support/raw_png.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>
#include <unistd.h>

#define PLANE (TINY_H * TINY_W)

// ---- messages ----------------------------------------------------------------------------------

struct said {
    int n;
    char lines[16][1024];
};

static void hear(void *context, enum log_level level, const char *line) {
    struct said *said = context;
    (void)level;
    assert_true(said->n < 16);
    (void)snprintf(said->lines[said->n++], sizeof said->lines[0], "%s", line);
}

static int count_lines(const struct said *said, const char *what) {
    int n = 0;
    for (int i = 0; i < said->n; i++)
        n += strstr(said->lines[i], what) != NULL;
    return n;
}

static void load(const struct dataset *dataset, enum dataset_split split,
                 struct dataset_images *out) {
    if (dataset_load(dataset, split, true, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

static void expect_warning(const struct dataset_config *config, const char *what) {
    struct check_report report;
    int n = 0;
    assert_int_equal(check_run(config, &report), ADELE_OK);
    for (int i = 0; i < report.n_problems; i++)
        n += report.problems[i].kind == CHECK_READING && !report.problems[i].is_error &&
             strstr(report.problems[i].text, what) != NULL;
    if (n != 1)
        fail_msg("%d times: %s", n, what);
    check_report_deinit(&report);
}

static void expect_error(const struct dataset_config *config, enum check_kind kind,
                         const char *what) {
    struct check_report report;
    int n = 0;
    assert_int_equal(check_run(config, &report), ADELE_OK);
    for (int i = 0; i < report.n_problems; i++) {
        n += report.problems[i].kind == kind && report.problems[i].is_error &&
             strstr(report.problems[i].text, what) != NULL;
        if (n == 0)
            print_message("%s\n", report.problems[i].text);
    }
    check_report_deinit(&report);
    assert_true(n > 0);
    struct dataset *dataset = tiny_open(config);
    struct dataset_images images;
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, true, &images), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), what));
    dataset_close(dataset);
}

// ---- channels -----------------------------------------------------------------------------------

// The gray ones come first, last or between: one RGB picture makes the set RGB.
static void gray_among_rgb(void **state) {
    static const char *const gray[2][2] = {{"i1", "i2"}, {"i1", "i1"}};
    for (int turn = 0; turn < 2; turn++) {
        struct said said = {0};
        char name[64];
        tiny_img_ann(state, "mm");
        for (int i = 0; i < 2; i++) {
            (void)snprintf(name, sizeof name, "mm/img_dir/train/%s.png", gray[turn][i]);
            tiny_picture(state, name, TINY_H, TINY_W, 1, 8, 40);
        }
        struct dataset_config config = tiny_config(state, "mm");
        struct dataset *dataset = tiny_open(&config);
        struct dataset_images images;
        log_set_sink(hear, &said);
        load(dataset, SPLIT_TRAIN, &images);
        log_set_sink(NULL, NULL);
        assert_int_equal(images.c, 3);
        const uint8_t *pixels = images.images;
        for (int i = 0; i < PLANE; i++) {
            assert_int_equal(pixels[i], pixels[PLANE + i]);
            assert_int_equal(pixels[i], pixels[2 * PLANE + i]);
            assert_int_equal(pixels[i], (i * 37 + 40 * 11) % 251);
        }
        assert_int_equal(said.n, 1);
        assert_int_equal(count_lines(&said, "are gray and become"), turn == 0);
        assert_int_equal(count_lines(&said, "i1.png: the picture is gray and becomes"), turn);
        dataset_images_deinit(&images);
        dataset_close(dataset);
        expect_warning(&config, turn == 0 ? "2 pictures of the train split are gray" : "i1.png");
    }
}

static void write_gray_rgb(void *const *state, const char *path, int n_bits, int seed) {
    struct image picture;
    assert_int_equal(image_init(&picture, TINY_W, TINY_H, 3, n_bits), ADELE_OK);
    for (int i = 0; i < PLANE * 3; i++) {
        int value = (i / 3 * 37 + seed * 11) % 251;
        if (n_bits == 16)
            ((uint16_t *)picture.pixels)[i] = (uint16_t)(value * 257);
        else
            ((uint8_t *)picture.pixels)[i] = (uint8_t)value;
    }
    assert_int_equal(image_save_png(scratch_path(state, path), &picture), ADELE_OK);
    image_deinit(&picture);
}

static void rgb_that_is_gray(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    struct said said = {0};
    for (int i = 1; i <= 3; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "set/imagesTr/p%d_0000.png", i);
        write_gray_rgb(state, name, 8, i - 1);
    }
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images, one;
    log_set_sink(hear, &said);
    load(dataset, SPLIT_TRAIN, &images);
    for (int i = 0; i < 3; i++) { // case by case, as predict and evaluate go
        assert_int_equal(dataset_load_case(dataset, SPLIT_TRAIN, i, &one), ADELE_OK);
        dataset_images_deinit(&one);
    }
    log_set_sink(NULL, NULL);
    assert_int_equal(images.c, 1);
    for (int i = 0; i < PLANE; i++)
        assert_int_equal(((uint8_t *)images.images)[i], i * 37 % 251);
    assert_int_equal(count_lines(&said, "3 pictures of the train split are RGB but gray"), 1);
    assert_int_equal(count_lines(&said, "p1_0000.png: the picture is RGB but gray"), 1);
    assert_int_equal(said.n, 2);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    expect_warning(&config, "3 pictures of the train split are RGB but gray in every pixel");

    // One pixel of colour is enough.
    tiny_picture(state, "set/imagesTr/p3_0000.png", TINY_H, TINY_W, 3, 8, 0);
    expect_error(&config, CHECK_CHANNELS,
                 "p3_0000.png: 3 channels, but the data set has 1: not all of it is gray, pixel "
                 "(x 0, y 0) is (0, 37, 74)");
}

// Three channels of nnU-Net are three files or one RGB file: a single gray file is neither.
static void a_missing_channel_is_no_gray_picture(void **state) {
    tiny_nnunet(state, "set");
    tiny_text(state, "set/dataset.json",
              "{\"channel_names\": {\"0\": \"T1\", \"1\": \"T2\", \"2\": \"FLAIR\"}, \"labels\": "
              "{\"background\": 0, \"lung\": 1, \"heart\": 2}, \"file_ending\": \".png\"}");
    struct dataset_config config = tiny_config(state, "set");
    expect_error(&config, CHECK_CHANNELS, "p1_0000.png: 1 channel, but the data set has 3");
}

static void folders_for_prediction(void **state) {
    struct said said = {0};
    struct dataset *dataset = NULL;
    struct dataset_images images;
    struct dataset_config config = {.map = {.other = -1}, .height = TINY_H, .width = TINY_W};
    tiny_picture(state, "in/a.png", TINY_H, TINY_W, 1, 8, 1);
    tiny_picture(state, "in/b.png", TINY_H, TINY_W, 3, 8, 2);
    log_set_sink(hear, &said);
    assert_int_equal(dataset_open_folder(scratch_path(state, "in"), 3, &config, &dataset),
                     ADELE_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dataset_load_case(dataset, SPLIT_TEST, i, &images), ADELE_OK);
        assert_int_equal(images.c, 3);
        dataset_images_deinit(&images);
    }
    assert_int_equal(count_lines(&said, "in/a.png: the picture is gray and becomes RGB"), 1);
    dataset_close(dataset);
    write_gray_rgb(state, "in/b.png", 8, 2);
    assert_int_equal(dataset_open_folder(scratch_path(state, "in"), 1, &config, &dataset),
                     ADELE_OK);
    assert_int_equal(dataset_load_case(dataset, SPLIT_TEST, 1, &images), ADELE_OK);
    assert_int_equal(images.c, 1);
    assert_int_equal(count_lines(&said, "in/b.png: the picture is RGB but gray"), 1);
    log_set_sink(NULL, NULL);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// ---- 16 bits ------------------------------------------------------------------------------------

// 30000 to 30010: divided by 257 they are one half float, standardized they are eleven.
static void narrow_values_of_16_bits(void **state) {
    for (int normalize = NORMALIZE_IMAGE; normalize <= NORMALIZE_IMAGENET; normalize++) {
        int channels = normalize == NORMALIZE_IMAGE ? 1 : 3;
        tiny_img_ann(state, "mm");
        for (int i = 1; i <= 2; i++) {
            struct image picture;
            char name[64];
            assert_int_equal(image_init(&picture, TINY_W, TINY_H, channels, 16), ADELE_OK);
            for (int k = 0; k < PLANE * channels; k++)
                ((uint16_t *)picture.pixels)[k] = (uint16_t)(30000 + k / channels % 11);
            (void)snprintf(name, sizeof name, "mm/img_dir/train/i%d.png", i);
            assert_int_equal(image_save_png(scratch_path(state, name), &picture), ADELE_OK);
            image_deinit(&picture);
        }
        struct dataset_config config = tiny_config(state, "mm");
        config.split[SPLIT_VAL] = config.split[SPLIT_TEST] = "none";
        config.normalize = (enum image_normalize)normalize;
        struct dataset *dataset = tiny_open(&config);
        struct dataset_images images;
        load(dataset, SPLIT_TRAIN, &images);
        assert_true(images.is_f16);
        double mean = 0.0, squares = 0.0;
        for (int k = 0; k < PLANE; k++)
            mean += (30000 + k % 11) / (double)PLANE;
        for (int k = 0; k < PLANE; k++)
            squares += pow(30000 + k % 11 - mean, 2.0) / PLANE;
        const uint16_t *pixels = images.images;
        for (int k = 0; k < PLANE; k++) {
            double value = half_to_float(pixels[k]);
            double want = (30000 + k % 11 - mean) / sqrt(squares);
            if (normalize == NORMALIZE_IMAGENET) // for all pictures the same, at any contrast
                want = ((30000 + k % 11) / 257.0 / 255.0 - 0.485) / 0.229;
            assert_true(fabs(value - want) <= 2e-3);
            if (normalize == NORMALIZE_IMAGE)
                assert_true(k % 11 == 0 || pixels[k] != pixels[k - 1]);
        }
        assert_true(images.mean[0] == 0.0f && images.inv_std[0] == 1.0f);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
}

// ---- orientation --------------------------------------------------------------------------------

static void write_turned(void *const *state, const char *path, int height, int width,
                         int orientation) {
    static const uint8_t exif[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0};
    uint8_t block[32] = {0}, rows[PLANE * 3];
    memcpy(block, exif, sizeof exif);
    block[sizeof exif] = (uint8_t)orientation;
    for (int i = 0; i < height * width * 3; i++)
        rows[i] = (uint8_t)(i / 3);
    struct raw_png png = {.width = width,
                          .height = height,
                          .bits = 8,
                          .color_type = 2,
                          .rows = rows,
                          .extra = "eXIf",
                          .extra_data = block,
                          .extra_bytes = sizeof block};
    raw_png_write(scratch_path(state, path), &png);
}

static void pictures_on_their_side(void **state) {
    struct said said = {0};
    struct dataset_images images;
    tiny_img_ann(state, "mm");
    struct dataset_config config = tiny_config(state, "mm");
    // Stored upside down: the picture is loaded as viewers show it, like the mask.
    write_turned(state, "mm/img_dir/train/i1.png", TINY_H, TINY_W, 3);
    struct dataset *dataset = tiny_open(&config);
    log_set_sink(hear, &said);
    load(dataset, SPLIT_TRAIN, &images);
    log_set_sink(NULL, NULL);
    for (int i = 0; i < PLANE; i++)
        assert_int_equal(((uint8_t *)images.images)[i], PLANE - 1 - i);
    assert_int_equal(
        count_lines(&said, "i1.png: the picture is turned according to its orientation"), 1);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    // Stored on its side, with an upright mask.
    write_turned(state, "mm/img_dir/train/i1.png", TINY_W, TINY_H, 6);
    dataset = tiny_open(&config);
    load(dataset, SPLIT_TRAIN, &images);
    for (int y = 0; y < TINY_H; y++)
        for (int x = 0; x < TINY_W; x++)
            assert_int_equal(((uint8_t *)images.images)[y * TINY_W + x],
                             (TINY_W - 1 - x) * TINY_H + y);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    // The mask was drawn on the picture as it is stored.
    write_turned(state, "mm/img_dir/train/i1.png", TINY_H, TINY_W, 6);
    expect_error(&config, CHECK_SIZE_MISMATCH,
                 "its orientation (Exif, 6) turns it, and the mask fits the picture as it is "
                 "stored");
    // No orientation, and still on its side.
    write_turned(state, "mm/img_dir/train/i1.png", TINY_W, TINY_H, 1);
    expect_error(&config, CHECK_SIZE_MISMATCH,
                 "they fit only when one of them is turned by 90 degrees");
}

// ---- files --------------------------------------------------------------------------------------

static void write_jpeg(void *const *state, const char *path, size_t n_stray, bool in_header) {
    uint8_t pixels[PLANE * 3];
    unsigned char *bytes = NULL, file[4096];
    unsigned long n = 0;
    for (int i = 0; i < PLANE * 3; i++)
        pixels[i] = (uint8_t)(60 + i);
    tjhandle handle = tjInitCompress();
    assert_int_equal(
        tjCompress2(handle, pixels, TINY_W, 0, TINY_H, TJPF_RGB, &bytes, &n, TJSAMP_444, 95, 0), 0);
    size_t at = in_header ? 20 : n - 2; // behind the first segment, or before the end
    assert_true(n + n_stray <= sizeof file);
    memcpy(file, bytes, at);
    memset(file + at, 0, n_stray);
    memcpy(file + at + n_stray, bytes + at, n - at);
    assert_int_equal(file_write(scratch_path(state, path), file, n + n_stray), ADELE_OK);
    tjFree(bytes);
    tjDestroy(handle);
}

static void jpegs_with_stray_bytes(void **state) {
    for (int in_header = 0; in_header < 2; in_header++) {
        struct said said = {0};
        struct dataset_images images;
        struct image whole;
        tiny_img_ann(state, "mm");
        struct dataset_config config = tiny_config(state, "mm");
        for (int i = 1; i <= 2; i++)
            write_jpeg(state, i == 1 ? "mm/img_dir/train/i1.png" : "mm/img_dir/train/i2.png", 17,
                       in_header != 0);
        write_jpeg(state, "whole.jpg", 0, false);
        assert_int_equal(image_load(scratch_path(state, "whole.jpg"), 0, &whole), ADELE_OK);
        assert_int_equal(whole.notes, 0);
        struct dataset *dataset = tiny_open(&config);
        log_set_sink(hear, &said);
        load(dataset, SPLIT_TRAIN, &images);
        log_set_sink(NULL, NULL);
        for (int i = 0; i < PLANE; i++)
            assert_int_equal(((uint8_t *)images.images)[i], ((uint8_t *)whole.pixels)[i * 3]);
        assert_int_equal(count_lines(&said, "2 pictures of the train split have stray bytes"), 1);
        image_deinit(&whole);
        dataset_images_deinit(&images);
        dataset_close(dataset);
        expect_warning(&config, "2 pictures of the train split have stray bytes in their JPEG");
    }
}

// 24 bits, rows from the top.
static void write_bmp(void *const *state, const char *path, const uint8_t *rgb) {
    uint8_t file[54 + TINY_H * TINY_W * 3] = {'B', 'M'};
    file[10] = 54;
    file[14] = 40;
    file[18] = TINY_W;
    memset(file + 22, 0xff, 4);
    file[22] = (uint8_t)(256 - TINY_H);
    file[26] = 1;
    file[28] = 24;
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < 3; c++)
            file[54 + 3 * i + c] = rgb[3 * i + 2 - c];
    assert_int_equal(file_write(scratch_path(state, path), file, sizeof file), ADELE_OK);
}

// .bmp pictures with .bmp masks, beside .png ones; the corrected labels of such a set are PNG.
static void bmp_sets(void **state) {
    uint8_t rgb[PLANE * 3], gray[PLANE * 3];
    tiny_img_ann(state, "mm");
    for (int i = 0; i < PLANE * 3; i++) {
        rgb[i] = (uint8_t)(i * 5);
        gray[i] = (uint8_t)(i / 3 % 3);
    }
    write_bmp(state, "mm/img_dir/train/i1.bmp", rgb);
    write_bmp(state, "mm/ann_dir/train/i1.bmp", gray);
    assert_int_equal(unlink(scratch_path(state, "mm/img_dir/train/i1.png")), 0);
    assert_int_equal(unlink(scratch_path(state, "mm/ann_dir/train/i1.png")), 0);
    struct dataset_config config = tiny_config(state, "mm");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load(dataset, SPLIT_TRAIN, &images);
    assert_int_equal(images.n, 2);
    for (int i = 0; i < PLANE; i++) {
        for (int c = 0; c < 3; c++)
            assert_int_equal(((uint8_t *)images.images)[c * PLANE + i], rgb[3 * i + c]);
        assert_int_equal(images.labels[i], i % 3);
    }
    assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                        scratch_path(state, "out"), NULL),
                     ADELE_OK);
    struct image label;
    assert_int_equal(image_load_label(scratch_path(state, "out/ann_dir/train/i1.png"), 0, &label),
                     ADELE_OK);
    assert_memory_equal(label.pixels, images.labels, PLANE);
    image_deinit(&label);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// Pictures of five kinds to predict on: four are read, the fifth is named.
static void a_folder_of_many_kinds(void **state) {
    struct said said = {0};
    struct dataset *dataset = NULL;
    struct dataset_config config = {.map = {.other = -1}};
    uint8_t rgb[PLANE * 3] = {0};
    tiny_picture(state, "in/a.PNG", TINY_H, TINY_W, 3, 8, 1);
    write_jpeg(state, "in/b.Jpg", 0, false);
    write_bmp(state, "in/c.bmp", rgb);
    tiny_text(state, "in/d.webp", "RIFF");
    log_set_sink(hear, &said);
    assert_int_equal(dataset_open_folder(scratch_path(state, "in"), 3, &config, &dataset),
                     ADELE_OK);
    log_set_sink(NULL, NULL);
    assert_int_equal(dataset->n_cases[SPLIT_TEST], 3);
    for (int i = 0; i < 3; i++) {
        struct dataset_images images;
        assert_int_equal(dataset_load_case(dataset, SPLIT_TEST, i, &images), ADELE_OK);
        assert_int_equal(images.c, 3);
        dataset_images_deinit(&images);
    }
    assert_int_equal(
        count_lines(&said, "1 file is skipped because of an unsupported kind (d.webp)"), 1);
    dataset_close(dataset);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(gray_among_rgb),
                                       TEST(rgb_that_is_gray),
                                       TEST(a_missing_channel_is_no_gray_picture),
                                       TEST(folders_for_prediction),
                                       TEST(narrow_values_of_16_bits),
                                       TEST(pictures_on_their_side),
                                       TEST(jpegs_with_stray_bytes),
                                       TEST(bmp_sets),
                                       TEST(a_folder_of_many_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
