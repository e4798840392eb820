// SPDX-License-Identifier: MIT
// Pictures and their labels -> resident arrays: values, sizes, and what stops the loading.
// test_load_volumes has volumes.
#include "base/half.h"
#include "data/dataset.h"
#include "data/load.h"
#include "image/image.h"
#include "support/compare.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLANE (TINY_H * TINY_W)

static int tiny_pixel(int i, int seed) {
    return (i * 37 + seed * 11) % 251;
}

// ---- pictures -----------------------------------------------------------------------------------

static void gray_pictures_as_they_are(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.n, 3);
    assert_int_equal(images.c, 1);
    assert_int_equal(images.h, TINY_H);
    assert_int_equal(images.w, TINY_W);
    assert_false(images.is_f16);
    assert_null(images.truth);
    for (int image = 0; image < 3; image++) {
        const uint8_t *pixels = (const uint8_t *)images.images + image * PLANE;
        double sum = 0.0, squares = 0.0;
        for (int i = 0; i < PLANE; i++) {
            assert_int_equal(pixels[i], tiny_pixel(i, image));
            assert_int_equal(images.labels[image * PLANE + i],
                             tiny_label_value(i / TINY_W, i % TINY_W, image, 3));
            sum += pixels[i];
            squares += (double)pixels[i] * pixels[i];
        }
        double mean = sum / PLANE, deviation = sqrt(squares / PLANE - mean * mean);
        float got[2] = {images.mean[image], images.inv_std[image]};
        float want[2] = {(float)mean, (float)(1.0 / deviation)};
        assert_true(compare_f32("mean, inv_std", got, want, 1, 1, 1, 2, 0.0, 1e-5));
        assert_int_equal(images.origin[image].i_case, image);
        assert_int_equal(images.origin[image].slice, 0);
        assert_int_equal(images.origin[image].height, TINY_H);
        assert_int_equal(images.origin[image].width, TINY_W);
    }
    dataset_images_deinit(&images);
    assert_null(images.labels);
    dataset_close(dataset);
}

static void channels_become_planes(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_VAL, false, &images);
    assert_int_equal(images.c, 3);
    for (int channel = 0; channel < 3; channel++)
        for (int i = 0; i < PLANE; i++)
            assert_int_equal(((const uint8_t *)images.images)[channel * PLANE + i],
                             tiny_pixel(i * 3 + channel, 3));
    dataset_images_deinit(&images);
    tiny_load(dataset, SPLIT_TEST, false, &images); // empty, and no error
    assert_int_equal(images.n, 0);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void channel_files_are_stacked(void **state) {
    tiny_nnunet(state, "set");
    tiny_text(state, "set/dataset.json",
              "{\"channel_names\": {\"0\": \"a\", \"1\": \"b\"}, \"labels\": {\"background\": 0, "
              "\"lung\": 1, \"heart\": 2}, \"file_ending\": \".png\"}");
    tiny_text(state, "set/list.txt", "p1");
    tiny_picture(state, "set/imagesTr/p1_0001.png", TINY_H, TINY_W, 1, 16, 50);
    struct dataset_config config = tiny_config(state, "set");
    config.split[SPLIT_TRAIN] = "list.txt";
    config.split[SPLIT_VAL] = config.split[SPLIT_TEST] = "none";
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.c, 2);
    assert_true(images.is_f16);                     // one file has 16 bits
    for (int channel = 0; channel < 2; channel++) { // standardized before they are narrowed
        const uint16_t *pixels = (const uint16_t *)images.images + (ptrdiff_t)channel * PLANE;
        double mean = 0.0, squares = 0.0;
        for (int i = 0; i < PLANE; i++)
            mean += tiny_pixel(i, 50 * channel) / (double)PLANE;
        for (int i = 0; i < PLANE; i++)
            squares += pow(tiny_pixel(i, 50 * channel) - mean, 2.0);
        for (int i = 0; i < PLANE; i++) {
            double want = (tiny_pixel(i, 50 * channel) - mean) / sqrt(squares / PLANE);
            assert_true(fabs(half_to_float(pixels[i]) - want) <= 1e-3);
        }
        assert_true(images.mean[channel] == 0.0f && images.inv_std[channel] == 1.0f);
    }
    dataset_images_deinit(&images);
    dataset_close(dataset);
    tiny_picture(state, "set/imagesTr/p1_0001.png", TINY_H, TINY_W + 1, 1, 8, 50);
    tiny_refuse_load(&config, "p1_0001.png: 6 x 9 x 1, but");
    assert_int_equal(unlink(scratch_path(state, "set/imagesTr/p1_0001.png")), 0);
    tiny_refuse_load(&config, "p1_0000.png: 1 channel, but the data set has 2");
}

static void sizes_are_brought_to_one(void **state) {
    tiny_nnunet(state, "set");
    tiny_picture(state, "set/imagesTr/p2_0000.png", 12, 16, 1, 8, 1);
    tiny_label(state, "set/labelsTr/p2.png", 12, 16, 3, false, 1);
    struct dataset_config config = tiny_config(state, "set");
    tiny_refuse_load(&config, "p2_0000.png: 12 x 16, but");
    config.height = 3;
    config.width = 4;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.h, 3);
    assert_int_equal(images.origin[1].height, 12);
    assert_int_equal(images.origin[1].width, 16);
    // The image as the resize of its own tests gives it, rounded; the labels nearest.
    float raw[12 * 16], small[12];
    uint8_t label[12 * 16], small_label[12];
    for (int i = 0; i < 12 * 16; i++) {
        raw[i] = (float)tiny_pixel(i, 1);
        label[i] = tiny_label_value(i / 16, i % 16, 1, 3);
    }
    assert_int_equal(resize_linear_f32(raw, 12, 16, small, 3, 4), ADELE_OK);
    resize_nearest_u8(label, 12, 16, small_label, 3, 4);
    for (int i = 0; i < 12; i++)
        assert_int_equal(((const uint8_t *)images.images)[12 + i], (int)(small[i] + 0.5f));
    assert_true(compare_bytes("labels", images.labels + 12, small_label, 12));
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void constant_pictures_become_zero(void **state) {
    struct image picture;
    tiny_nnunet(state, "set");
    assert_int_equal(image_init(&picture, TINY_W, TINY_H, 1, 8), ADELE_OK);
    memset(picture.pixels, 77, PLANE);
    assert_int_equal(image_save_png(scratch_path(state, "set/imagesTr/p1_0000.png"), &picture),
                     ADELE_OK);
    image_deinit(&picture);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    assert_true(images.mean[0] == 77.0f && images.inv_std[0] == 1.0f);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// ---- labels -------------------------------------------------------------------------------------

static void noisy_labels_are_trained_on(void **state) {
    tiny_nnunet(state, "set");
    for (int i = 1; i <= 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "noisy/p%d.png", i);
        tiny_label(state, name, TINY_H, TINY_W, 2, false, i + 7);
    }
    struct dataset_config config = tiny_config(state, "set");
    config.noisy_labels = scratch_path(state, "noisy");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    for (int i = 0; i < PLANE; i++) {
        assert_int_equal(images.labels[PLANE + i], tiny_label_value(i / TINY_W, i % TINY_W, 9, 2));
        assert_int_equal(images.truth[PLANE + i], tiny_label_value(i / TINY_W, i % TINY_W, 1, 3));
    }
    dataset_images_deinit(&images);
    tiny_load(dataset, SPLIT_VAL, true, &images);
    assert_null(images.truth);
    assert_int_equal(images.labels[0], tiny_label_value(0, 0, 3, 3));
    dataset_images_deinit(&images);
    dataset_close(dataset);

    // True labels of one case only: elsewhere nothing is known.
    tiny_label(state, "truth/p2.png", TINY_H, TINY_W, 2, false, 4);
    config.noisy_labels = NULL;
    config.true_labels = scratch_path(state, "truth");
    dataset = tiny_open(&config);
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.truth[0], 255);
    assert_int_equal(images.truth[PLANE], tiny_label_value(0, 0, 4, 2));
    assert_int_equal(images.truth[2 * PLANE], 255);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    tiny_label(state, "truth/p2.png", TINY_H, TINY_W, 7, false, 4);
    config.true_labels = scratch_path(state, "truth");
    tiny_refuse_load(&config, "truth/p2.png: pixel");
}

static void unlabelled_images_have_no_labels(void **state) {
    tiny_img_ann(state, "mm");
    struct dataset_config config = tiny_config(state, "mm");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_TEST, true, &images);
    assert_int_equal(images.n, 1);
    assert_null(images.labels);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void label_values_are_checked(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    tiny_label_set(state, "set/labelsTr/p2.png", 4, 5, 255);
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.labels[PLANE + 4 * TINY_W + 5], 255);
    dataset_images_deinit(&images);
    dataset_close(dataset);

    tiny_label_set(state, "set/labelsTr/p2.png", 1, 6, 3);
    tiny_label_set(state, "set/labelsTr/p2.png", 2, 0, 9);
    tiny_refuse_load(&config,
                     "labelsTr/p2.png: pixel (x 6, y 1) is 3, but classes are 0 to 2 (255 = "
                     "ignored); 2 such");
    int from[] = {0, 1, 3};
    uint8_t to[] = {0, 1, 1};
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    tiny_refuse_load(&config, "which data.label_map does not name");
    config.map.other = 255;
    dataset = tiny_open(&config);
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.labels[PLANE + TINY_W + 6], 1);
    assert_int_equal(images.labels[PLANE + 2 * TINY_W], 255);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void the_ignore_label_becomes_255(void **state) {
    tiny_nnunet(state, "set");
    tiny_text(state, "set/dataset.json",
              "{\"channel_names\": {\"0\": \"a\"}, \"labels\": {\"background\": 0, "
              "\"lung\": 1, \"ignore\": 2}, \"file_ending\": \".png\"}");
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    for (int i = 0; i < PLANE; i++) {
        uint8_t value = tiny_label_value(i / TINY_W, i % TINY_W, 0, 3);
        assert_int_equal(images.labels[i], value == 2 ? 255 : value);
    }
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void wrong_files_stop_the_loading(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    tiny_label(state, "set/labelsTr/p3.png", TINY_H, TINY_W + 2, 3, false, 1);
    tiny_refuse_load(&config, "labelsTr/p3.png: 6 x 10, but its image");
    // The first of several bad cases is named, whatever the threads do.
    assert_int_equal(truncate(scratch_path(state, "set/imagesTr/p2_0000.png"), 60), 0);
    for (int i = 0; i < 20; i++)
        tiny_refuse_load(&config, "p2_0000.png");
    tiny_picture(state, "set/imagesTr/p1_0000.png", TINY_H, TINY_W, 3, 8, 1);
    tiny_refuse_load(&config, "p1_0000.png: 3 channels, but the data set has 1");
    config.memory_limit = 20;
    tiny_refuse_load(&config, "p1_0000.png");
}

// ---- threads ------------------------------------------------------------------------------------

static void threads_change_nothing(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    config.height = 5;
    config.width = 5;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images one, many;
    int n_threads = omp_get_max_threads();
    omp_set_num_threads(1);
    tiny_load(dataset, SPLIT_TRAIN, false, &one);
    omp_set_num_threads(4);
    tiny_load(dataset, SPLIT_TRAIN, false, &many);
    omp_set_num_threads(n_threads);
    assert_true(compare_bytes("images", many.images, one.images, 2 * 3 * 25));
    assert_true(compare_bytes("labels", many.labels, one.labels, 2 * 25));
    assert_true(compare_bytes("mean", many.mean, one.mean, 6 * sizeof *one.mean));
    dataset_images_deinit(&one);
    dataset_images_deinit(&many);
    dataset_close(dataset);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(gray_pictures_as_they_are),        TEST(channels_become_planes),
        TEST(channel_files_are_stacked),        TEST(sizes_are_brought_to_one),
        TEST(constant_pictures_become_zero),    TEST(noisy_labels_are_trained_on),
        TEST(unlabelled_images_have_no_labels), TEST(label_values_are_checked),
        TEST(the_ignore_label_becomes_255),     TEST(wrong_files_stop_the_loading),
        TEST(threads_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
