// SPDX-License-Identifier: MIT
// Label maps whose values are not whole numbers, unknown or large: training, `check` and noise
// report value, position and count, and such slices are never skipped; what is a class by its slope
// or its data type is read.
#include "base/file.h"
#include "data/check_report.h"
#include "data/dataset.h"
#include "data/load.h"
#include "support/label_set.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

// A linear resampling left 0.5 and no 1 in slices 2 and 3, which then seemed to have no foreground.
static void half_resampled_slices_are_not_left_out(void **state) {
    struct tiny_nifti *label = label_set_map(16);
    for (int i = 2 * LABEL_PLANE; i < 4 * LABEL_PLANE; i++)
        label->values[i] *= 0.5;
    label_set_write(state, label);
    struct dataset_config config = label_set_training_config(state);
    label_set_refuse(state, &config,
                     "labelsTr/a.nii: voxel (x 3, y 0, z 2) is 0.5, which is not a whole "
                     "number; 60 such in the file, in 2 of 4 slices");
    assert_has(adele_error_hint(), "nearest neighbour");
}

static void a_slope_beside_whole_numbers_is_named(void **state) {
    struct tiny_nifti *label = label_set_map(2);
    label->slope = 12.0 / 255.0;
    for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
        label->values[i] *= 21;
    label_set_write(state, label);
    struct dataset_config config = label_set_training_config(state);
    label_set_refuse(state, &config,
                     "voxel (x 3, y 0, z 1) is 0.988235 (21 in the file, times its slope "
                     "0.0470588), which is not a whole number; 90 such");
    assert_has(adele_error_hint(), "scl_slope");
    label = label_set_map(4);
    label->slope = 0.5;
    label->intercept = 0.25;
    label_set_write(state, label);
    label_set_refuse(state, &config,
                     "is 0.25 (0 in the file, times its slope 0.5 plus its intercept "
                     "0.25)");
}

static void what_is_no_number_is_refused(void **state) {
    struct tiny_nifti *label = label_set_map(64);
    label->values[5] = (double)NAN;
    label_set_write(state, label);
    struct dataset_config config = label_set_training_config(state);
    label_set_refuse(state, &config,
                     "voxel (x 5, y 0, z 0) is NaN, which is not a whole number; 1 such in "
                     "the file, in 1 of 4 slices");
    label = label_set_map(64);
    label->values[5] = (double)INFINITY;
    label_set_write(state, label);
    label_set_refuse(state, &config, "voxel (x 5, y 0, z 0) is inf, ");
}

static void large_and_negative_values_are_told(void **state) {
    struct tiny_nifti *label = label_set_map(8);
    struct dataset_config config = label_set_training_config(state);
    for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
        label->values[i] *= 70001;
    label_set_write(state, label);
    label_set_refuse(state, &config, "voxel (x 3, y 0, z 1) is 70001, but classes are 0 to 1");
    label = label_set_map(4);
    label->values[LABEL_PLANE] = -1;
    label_set_write(state, label);
    label_set_refuse(state, &config, "voxel (x 0, y 0, z 1) is -1, but classes are 0 to 1");
    label = label_set_map(1280);
    label->values[2] = 9007199254740992.0; // 2^53
    label_set_write(state, label);
    label_set_refuse(state, &config, "voxel (x 2, y 0, z 0) is 9007199254740992, but");
    // Also where a map names other values, and not this one.
    const int from[] = {0, 1};
    const uint8_t to[] = {0, 1};
    config.map = (struct label_map){.n = 2, .from = from, .to = to, .other = -1};
    label_set_refuse(state, &config, "is 9007199254740992, which data.label_map does not name");
}

// The layout's own labels decide which slices are trained on; theirs are looked at as well.
static void own_labels_beside_noisy_and_true_ones(void **state) {
    struct tiny_nifti *label = label_set_map(16);
    struct dataset_images images;
    label->values[3 * LABEL_PLANE + 7] = 0.25;
    label_set_write(state, label);
    tiny_nifti_write(state, "good/a.nii", label_set_map(2));
    tiny_nifti_write(state, "good/b.nii", label_set_map(2));
    struct dataset_config config = label_set_training_config(state);
    config.noisy_labels = scratch_path(state, "good");
    config.true_labels = scratch_path(state, "good");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, false, &images), ADELE_DATA);
    assert_has(adele_error_message(), "labelsTr/a.nii: voxel (x 7, y 0, z 3) is 0.25");
    dataset_close(dataset);
}

// A picture with another size and unknown values: both messages are about the size.
static void sizes_go_before_values(void **state) {
    struct dataset_images images;
    struct check_report report;
    tiny_nnunet(state, "set");
    tiny_label(state, "set/labelsTr/p1.png", TINY_H, TINY_W + 1, 9, false, 0);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, false, &images), ADELE_DATA);
    assert_has(adele_error_message(), "labelsTr/p1.png: 6 x 9, but its image");
    dataset_close(dataset);
    assert_int_equal(check_run(&config, &report), ADELE_OK);
    assert_int_equal(report.problems[0].kind, CHECK_SIZE_MISMATCH);
    assert_int_equal(report.problems[1].kind, CHECK_LABEL_OUT_OF_RANGE);
    check_report_deinit(&report);
}

// The place is that of the file, in whatever order the set is read.
static void places_are_those_of_the_file(void **state) {
    static struct tiny_nifti turned;
    struct tiny_nifti *label = label_set_map(16);
    label->values[2 * LABEL_PLANE + 3 * LABEL_NX + 5] = 7.0; // (5, 3, 2)
    tiny_nifti_turn(label, (const int[3]){2, 0, 1}, (const int[3]){1, 0, 0}, &turned);
    label_set_write(state, &turned);
    struct dataset_config config = label_set_training_config(state);
    label_set_refuse(state, &config, "voxel (x 1, y 5, z 3) is 7, but");
}

static void every_data_type_is_read(void **state) {
    for (size_t k = 0; k < LABEL_SET_TYPES; k++) {
        struct dataset_images images;
        label_set_write(state, label_set_map(label_set_types[k].code));
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        label_set_load(dataset, &images);
        assert_int_equal(images.n, 2 * LABEL_NZ);
        for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
            assert_int_equal(images.labels[i], i / LABEL_PLANE > 0 && i % LABEL_NX > 2);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
}

// What nibabel makes of floats in an int16 header: 32767 with a slope of 1 / 32767.
static void slopes_that_give_whole_numbers_are_read(void **state) {
    struct tiny_nifti *label = label_set_map(4);
    struct dataset_images images;
    label->slope = 1.0 / 32767.0;
    for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
        label->values[i] *= 32767;
    label_set_write(state, label);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    label_set_load(dataset, &images);
    assert_memory_equal(images.labels, images.labels + LABEL_PLANE * LABEL_NZ,
                        LABEL_PLANE * LABEL_NZ);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// dataset.json may name such ids where there is a label_map; without one that is an error.
static void large_ids_in_dataset_json(void **state) {
    const int from[] = {0, 70001};
    const uint8_t to[] = {0, 1};
    struct tiny_nifti *label = label_set_map(8);
    struct dataset *dataset = NULL;
    for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
        label->values[i] *= 70001;
    label_set_write(state, label);
    tiny_text(
        state, "set/dataset.json",
        "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, \"one\": 70001}, "
        "\"file_ending\": \".nii\"}");
    struct dataset_config config = tiny_config(state, "set");
    assert_int_equal(dataset_open(&config, &dataset), ADELE_DATA);
    assert_has(adele_error_message(), "\"one\" has the value 70001");
    config.map = (struct label_map){.n = 2, .from = from, .to = to, .other = -1};
    dataset = tiny_open(&config);
    assert_int_equal(dataset->n_categories, 2);
    dataset_close(dataset);
}

static void values_nobody_names_become_the_other_category(void **state) {
    const int from[] = {0};
    const uint8_t to[] = {0};
    struct tiny_nifti *label = label_set_map(1024);
    struct dataset_images images;
    for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
        label->values[i] *= 5000000000.0; // beyond 32 bits
    label_set_write(state, label);
    struct dataset_config config = tiny_config(state, "set");
    config.map = (struct label_map){.n = 1, .from = from, .to = to, .other = 1};
    struct dataset *dataset = tiny_open(&config);
    label_set_load(dataset, &images);
    assert_memory_equal(images.labels, images.labels + LABEL_PLANE * LABEL_NZ,
                        LABEL_PLANE * LABEL_NZ);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(half_resampled_slices_are_not_left_out),
        TEST(a_slope_beside_whole_numbers_is_named),
        TEST(what_is_no_number_is_refused),
        TEST(large_and_negative_values_are_told),
        TEST(own_labels_beside_noisy_and_true_ones),
        TEST(sizes_go_before_values),
        TEST(places_are_those_of_the_file),
        TEST(every_data_type_is_read),
        TEST(slopes_that_give_whole_numbers_are_read),
        TEST(large_ids_in_dataset_json),
        TEST(values_nobody_names_become_the_other_category),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
