// SPDX-License-Identifier: MIT
// Files -> resident arrays: values, sizes, standardization, slices, and what stops the loading.
#include "base/file.h"
#include "base/half.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "data/load.h"
#include "image/image.h"
#include "image/nifti.h"
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

static void load_set(const struct dataset *dataset, enum dataset_split split, bool keep_empty,
                     struct dataset_images *out) {
    if (dataset_load(dataset, split, keep_empty, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

static void refuse_load(const struct dataset_config *config, const char *what) {
    struct dataset *dataset = tiny_open(config);
    struct dataset_images images;
    assert_int_not_equal(dataset_load(dataset, SPLIT_TRAIN, false, &images), ADELE_OK);
    assert_null(images.images);
    if (strstr(adele_error_message(), what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, adele_error_message());
    assert_true(adele_error_hint()[0] != '\0');
    dataset_close(dataset);
}

static int tiny_pixel(int i, int seed) {
    return (i * 37 + seed * 11) % 251;
}

// ---- pictures -----------------------------------------------------------------------------------

static void gray_pictures_as_they_are(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_set(dataset, SPLIT_TRAIN, false, &images);
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
    load_set(dataset, SPLIT_VAL, false, &images);
    assert_int_equal(images.c, 3);
    for (int channel = 0; channel < 3; channel++)
        for (int i = 0; i < PLANE; i++)
            assert_int_equal(((const uint8_t *)images.images)[channel * PLANE + i],
                             tiny_pixel(i * 3 + channel, 3));
    dataset_images_deinit(&images);
    load_set(dataset, SPLIT_TEST, false, &images); // empty, and no error
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
    load_set(dataset, SPLIT_TRAIN, false, &images);
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
    refuse_load(&config, "p1_0001.png: 6 x 9 x 1, but");
    assert_int_equal(unlink(scratch_path(state, "set/imagesTr/p1_0001.png")), 0);
    refuse_load(&config, "p1_0000.png: 1 channel, but the data set has 2");
}

static void sizes_are_brought_to_one(void **state) {
    tiny_nnunet(state, "set");
    tiny_picture(state, "set/imagesTr/p2_0000.png", 12, 16, 1, 8, 1);
    tiny_label(state, "set/labelsTr/p2.png", 12, 16, 3, false, 1);
    struct dataset_config config = tiny_config(state, "set");
    refuse_load(&config, "p2_0000.png: 12 x 16, but");
    config.height = 3;
    config.width = 4;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_set(dataset, SPLIT_TRAIN, false, &images);
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
    load_set(dataset, SPLIT_TRAIN, false, &images);
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
    load_set(dataset, SPLIT_TRAIN, false, &images);
    for (int i = 0; i < PLANE; i++) {
        assert_int_equal(images.labels[PLANE + i], tiny_label_value(i / TINY_W, i % TINY_W, 9, 2));
        assert_int_equal(images.truth[PLANE + i], tiny_label_value(i / TINY_W, i % TINY_W, 1, 3));
    }
    dataset_images_deinit(&images);
    load_set(dataset, SPLIT_VAL, true, &images);
    assert_null(images.truth);
    assert_int_equal(images.labels[0], tiny_label_value(0, 0, 3, 3));
    dataset_images_deinit(&images);
    dataset_close(dataset);

    // True labels of one case only: elsewhere nothing is known.
    tiny_label(state, "truth/p2.png", TINY_H, TINY_W, 2, false, 4);
    config.noisy_labels = NULL;
    config.true_labels = scratch_path(state, "truth");
    dataset = tiny_open(&config);
    load_set(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.truth[0], 255);
    assert_int_equal(images.truth[PLANE], tiny_label_value(0, 0, 4, 2));
    assert_int_equal(images.truth[2 * PLANE], 255);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    tiny_label(state, "truth/p2.png", TINY_H, TINY_W, 7, false, 4);
    config.true_labels = scratch_path(state, "truth");
    refuse_load(&config, "truth/p2.png: pixel");
}

static void unlabelled_images_have_no_labels(void **state) {
    tiny_img_ann(state, "mm");
    struct dataset_config config = tiny_config(state, "mm");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_set(dataset, SPLIT_TEST, true, &images);
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
    load_set(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.labels[PLANE + 4 * TINY_W + 5], 255);
    dataset_images_deinit(&images);
    dataset_close(dataset);

    tiny_label_set(state, "set/labelsTr/p2.png", 1, 6, 3);
    tiny_label_set(state, "set/labelsTr/p2.png", 2, 0, 9);
    refuse_load(&config, "labelsTr/p2.png: pixel (x 6, y 1) is 3, but classes are 0 to 2 (255 = "
                         "ignored); 2 such");
    int from[] = {0, 1, 3};
    uint8_t to[] = {0, 1, 1};
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    refuse_load(&config, "which data.label_map does not name");
    config.map.other = 255;
    dataset = tiny_open(&config);
    load_set(dataset, SPLIT_TRAIN, false, &images);
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
    load_set(dataset, SPLIT_TRAIN, false, &images);
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
    refuse_load(&config, "labelsTr/p3.png: 6 x 10, but its image");
    // The first of several bad cases is named, whatever the threads do.
    assert_int_equal(truncate(scratch_path(state, "set/imagesTr/p2_0000.png"), 60), 0);
    for (int i = 0; i < 20; i++)
        refuse_load(&config, "p2_0000.png");
    tiny_picture(state, "set/imagesTr/p1_0000.png", TINY_H, TINY_W, 3, 8, 1);
    refuse_load(&config, "p1_0000.png: 3 channels, but the data set has 1");
    config.memory_limit = 20;
    refuse_load(&config, "p1_0000.png");
}

// ---- volumes ------------------------------------------------------------------------------------

static void slices_are_standardized(void **state) {
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.foreground_slices_only = true;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_set(dataset, SPLIT_TRAIN, false, &images);
    assert_true(images.is_f16);
    assert_int_equal(images.n, 4); // slices 1 and 2 of two volumes
    for (int i = 0; i < 4; i++) {
        assert_int_equal(images.origin[i].i_case, i / 2);
        assert_int_equal(images.origin[i].slice, 1 + i % 2);
        assert_true(images.mean[i] == 0.0f && images.inv_std[i] == 1.0f);
        double sum = 0.0, squares = 0.0;
        for (int k = 0; k < PLANE; k++) {
            double value = half_to_float(((const uint16_t *)images.images)[i * PLANE + k]);
            sum += value;
            squares += value * value;
        }
        assert_true(fabs(sum / PLANE) <= 1e-3);
        assert_true(fabs(squares / PLANE - 1.0) <= 2e-3);
    }
    assert_int_equal(images.labels[PLANE + 5], 2);
    assert_int_equal(images.labels[PLANE + 4], 0);
    dataset_images_deinit(&images);
    load_set(dataset, SPLIT_TRAIN, true, &images);
    assert_int_equal(images.n, 2 * TINY_SLICES);
    dataset_images_deinit(&images);
    dataset_close(dataset);

    config.foreground_slices_only = false;
    config.height = config.width = 4;
    dataset = tiny_open(&config);
    load_set(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.n, 2 * TINY_SLICES);
    assert_int_equal(images.h, 4);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void noise_does_not_change_the_slices(void **state) {
    float labels[TINY_SLICES * PLANE] = {0};
    tiny_volumes(state, "set");
    labels[0] = 1.0f; // foreground where there was none, and none where there was
    tiny_volume(state, "noisy/v1.nii.gz", TINY_SLICES, labels, 0);
    tiny_volume(state, "noisy/v2.nii.gz", TINY_SLICES, labels, 0);
    struct dataset_config config = tiny_config(state, "set");
    config.foreground_slices_only = true;
    config.noisy_labels = scratch_path(state, "noisy");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_set(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.n, 4);
    assert_int_equal(images.origin[0].slice, 1);
    assert_int_equal(images.labels[PLANE + 5], 0);
    assert_int_equal(images.truth[PLANE + 5], 2);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    tiny_volume(state, "set/labelsTr/v1.nii.gz", 3, NULL, 0);
    refuse_load(&config, "labelsTr/v1.nii.gz: 6 x 8 x 3, but its image");
}

static void one_case_at_a_time(void **state) {
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.foreground_slices_only = true;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images, all;
    load_set(dataset, SPLIT_TRAIN, true, &all);
    assert_int_equal(dataset_load_case(dataset, SPLIT_TRAIN, 1, &images), ADELE_OK);
    assert_int_equal(images.n, TINY_SLICES); // prediction needs every slice
    assert_int_equal(images.origin[2].i_case, 1);
    assert_int_equal(images.origin[2].slice, 2);
    assert_true(compare_bytes("voxels", images.images,
                              (const uint16_t *)all.images + TINY_SLICES * PLANE,
                              sizeof(uint16_t) * TINY_SLICES * PLANE));
    dataset_images_deinit(&images);
    dataset_images_deinit(&all);
    assert_int_equal(dataset_load_case(dataset, SPLIT_TRAIN, 2, &images), ADELE_INVALID_ARGUMENT);
    assert_int_equal(dataset_load_case(dataset, SPLIT_VAL, 0, &images), ADELE_INVALID_ARGUMENT);
    dataset_close(dataset);
}

static void voxels_must_be_finite(void **state) {
    float voxels[TINY_SLICES * PLANE] = {0};
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    voxels[2 * PLANE + 3 * TINY_W + 1] = NAN;
    voxels[3 * PLANE] = -INFINITY;
    tiny_volume(state, "set/imagesTr/v2_0000.nii.gz", TINY_SLICES, voxels, 0);
    refuse_load(&config, "v2_0000.nii.gz: voxel (x 1, y 3, z 2) is NaN; 2 voxels are not finite");
    voxels[2 * PLANE + 3 * TINY_W + 1] = 0.0f;
    tiny_volume(state, "set/imagesTr/v2_0000.nii.gz", TINY_SLICES, voxels, 0);
    refuse_load(&config, "voxel (x 0, y 0, z 3) is infinite; 1 voxel is not finite");
}

static void label_voxels_must_be_categories(void **state) {
    float labels[TINY_SLICES * PLANE] = {0};
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    labels[PLANE + TINY_W + 2] = 1.5f;
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, labels, 0);
    refuse_load(&config, "voxel (x 2, y 1, z 1) is 1.5, which is not a whole number; 1 such in the "
                         "file, in 1 of 4 slices");
    labels[PLANE + TINY_W + 2] = -1.0f;
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, labels, 0);
    refuse_load(&config, "voxel (x 2, y 1, z 1) is -1, but classes are 0 to 2");
    labels[PLANE + TINY_W + 2] = 2001.0f;
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, labels, 0);
    refuse_load(&config, "voxel (x 2, y 1, z 1) is 2001");
    labels[PLANE + TINY_W + 2] = 0.0f;
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, labels, 0);
    tiny_volume(state, "set/labelsTr/v2.nii.gz", TINY_SLICES, labels, 0);
    config.foreground_slices_only = true;
    refuse_load(&config, "no slice of the train split has foreground");
}

static void folders_load_without_labels(void **state) {
    tiny_volume(state, "in/v_0000.nii.gz", TINY_SLICES, NULL, 1);
    struct dataset_config config = {.height = 5, .width = 7};
    struct dataset *dataset = NULL;
    struct dataset_images images;
    assert_int_equal(dataset_open_folder(scratch_path(state, "in"), 1, &config, &dataset),
                     ADELE_OK);
    assert_int_equal(dataset_load_case(dataset, SPLIT_TEST, 0, &images), ADELE_OK);
    assert_int_equal(images.n, TINY_SLICES);
    assert_int_equal(images.h, 5);
    assert_int_equal(images.w, 7);
    assert_null(images.labels);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// ---- threads and memory -------------------------------------------------------------------------

static void threads_change_nothing(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    config.height = 5;
    config.width = 5;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images one, many;
    int n_threads = omp_get_max_threads();
    omp_set_num_threads(1);
    load_set(dataset, SPLIT_TRAIN, false, &one);
    omp_set_num_threads(4);
    load_set(dataset, SPLIT_TRAIN, false, &many);
    omp_set_num_threads(n_threads);
    assert_true(compare_bytes("images", many.images, one.images, 2 * 3 * 25));
    assert_true(compare_bytes("labels", many.labels, one.labels, 2 * 25));
    assert_true(compare_bytes("mean", many.mean, one.mean, 6 * sizeof *one.mean));
    dataset_images_deinit(&one);
    dataset_images_deinit(&many);
    dataset_close(dataset);
}

static void load_survives_failing_memory(void **state) {
    tiny_volumes(state, "set");
    float labels[TINY_SLICES * PLANE] = {0};
    tiny_volume(state, "noisy/v1.nii.gz", TINY_SLICES, labels, 0);
    tiny_volume(state, "noisy/v2.nii.gz", TINY_SLICES, labels, 0);
    struct dataset_config config = tiny_config(state, "set");
    config.foreground_slices_only = true;
    config.noisy_labels = scratch_path(state, "noisy");
    config.height = config.width = 5;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    int n_threads = omp_get_max_threads();
    omp_set_num_threads(1);
    // A case that fails once is read again for its message, and that succeeds here.
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK && n < 5000; n++) {
        memory_fail_at(n);
        status = dataset_load(dataset, SPLIT_TRAIN, false, &images);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY || status == ADELE_IO);
        assert_true((status == ADELE_OK) == (images.images != NULL));
        dataset_images_deinit(&images);
    }
    omp_set_num_threads(n_threads);
    assert_int_equal(status, ADELE_OK);
    assert_true(n > 30);
    dataset_close(dataset);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(gray_pictures_as_they_are),
        TEST(channels_become_planes),
        TEST(channel_files_are_stacked),
        TEST(sizes_are_brought_to_one),
        TEST(constant_pictures_become_zero),
        TEST(noisy_labels_are_trained_on),
        TEST(unlabelled_images_have_no_labels),
        TEST(label_values_are_checked),
        TEST(the_ignore_label_becomes_255),
        TEST(wrong_files_stop_the_loading),
        TEST(slices_are_standardized),
        TEST(noise_does_not_change_the_slices),
        TEST(one_case_at_a_time),
        TEST(voxels_must_be_finite),
        TEST(label_voxels_must_be_categories),
        TEST(folders_load_without_labels),
        TEST(threads_change_nothing),
        TEST(load_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
