// SPDX-License-Identifier: MIT
// Volumes and their labels -> resident arrays: slices, standardization, and what stops the loading.
#include "base/half.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "data/load.h"
#include "support/compare.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>

#define PLANE (TINY_H * TINY_W)

static void slices_are_standardized(void **state) {
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.foreground_slices_only = true;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
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
    tiny_load(dataset, SPLIT_TRAIN, true, &images);
    assert_int_equal(images.n, 2 * TINY_SLICES);
    dataset_images_deinit(&images);
    dataset_close(dataset);

    config.foreground_slices_only = false;
    config.height = config.width = 4;
    dataset = tiny_open(&config);
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
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
    tiny_load(dataset, SPLIT_TRAIN, false, &images);
    assert_int_equal(images.n, 4);
    assert_int_equal(images.origin[0].slice, 1);
    assert_int_equal(images.labels[PLANE + 5], 0);
    assert_int_equal(images.truth[PLANE + 5], 2);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    tiny_volume(state, "set/labelsTr/v1.nii.gz", 3, NULL, 0);
    tiny_refuse_load(&config, "labelsTr/v1.nii.gz: 6 x 8 x 3, but its image");
}

static void one_case_at_a_time(void **state) {
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.foreground_slices_only = true;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images, all;
    tiny_load(dataset, SPLIT_TRAIN, true, &all);
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
    tiny_refuse_load(&config,
                     "v2_0000.nii.gz: voxel (x 1, y 3, z 2) is NaN; 2 voxels are not finite");
    voxels[2 * PLANE + 3 * TINY_W + 1] = 0.0f;
    tiny_volume(state, "set/imagesTr/v2_0000.nii.gz", TINY_SLICES, voxels, 0);
    tiny_refuse_load(&config, "voxel (x 0, y 0, z 3) is infinite; 1 voxel is not finite");
}

static void label_voxels_must_be_categories(void **state) {
    float labels[TINY_SLICES * PLANE] = {0};
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    labels[PLANE + TINY_W + 2] = 1.5f;
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, labels, 0);
    tiny_refuse_load(&config,
                     "voxel (x 2, y 1, z 1) is 1.5, which is not a whole number; 1 such in the "
                     "file, in 1 of 4 slices");
    labels[PLANE + TINY_W + 2] = -1.0f;
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, labels, 0);
    tiny_refuse_load(&config, "voxel (x 2, y 1, z 1) is -1, but classes are 0 to 2");
    labels[PLANE + TINY_W + 2] = 2001.0f;
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, labels, 0);
    tiny_refuse_load(&config, "voxel (x 2, y 1, z 1) is 2001");
    labels[PLANE + TINY_W + 2] = 0.0f;
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, labels, 0);
    tiny_volume(state, "set/labelsTr/v2.nii.gz", TINY_SLICES, labels, 0);
    config.foreground_slices_only = true;
    tiny_refuse_load(&config, "no slice of the train split has foreground");
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
        TEST(slices_are_standardized),
        TEST(noise_does_not_change_the_slices),
        TEST(one_case_at_a_time),
        TEST(voxels_must_be_finite),
        TEST(label_voxels_must_be_categories),
        TEST(folders_load_without_labels),
        TEST(load_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
