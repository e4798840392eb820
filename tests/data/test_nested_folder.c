// SPDX-License-Identifier: MIT
// Folders of folders, as Cityscapes and sets with a folder for each patient have them.
#include "data/nested_folder.h"

#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void write_case(void *const *state, const char *image, const char *mask, int seed) {
    tiny_picture(state, image, TINY_H, TINY_W, 3, 8, seed);
    if (mask != NULL)
        tiny_label(state, mask, TINY_H, TINY_W, 3, false, seed);
}

static void cityscapes(void **state) {
    write_case(state, "city/img_dir/train/ulm/ulm_01_leftImg8bit.png",
               "city/ann_dir/train/ulm/ulm_01_gtFine_labelTrainIds.png", 1);
    write_case(state, "city/img_dir/train/bonn/bonn_01_leftImg8bit.png",
               "city/ann_dir/train/bonn/bonn_01_gtFine_labelIds.png", 2);
    write_case(state, "city/img_dir/val/bonn/bonn_02_leftImg8bit.png",
               "city/ann_dir/val/bonn/bonn_02_gtFine_labelTrainIds.png", 3);
    // Other masks of the same image, which hold no classes.
    write_case(state, "city/ann_dir/train/ulm/ulm_01_gtFine_color.png", NULL, 4);
    tiny_text(state, "city/classes.txt", "road\ncar\nsky\n");
    struct dataset_config config = tiny_config(state, "city");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "bonn_01", "/train/bonn/bonn_01_leftImg8bit.png",
                     "/train/bonn/bonn_01_gtFine_labelIds.png");
    tiny_assert_case(dataset, SPLIT_TRAIN, 1, "ulm_01", "/train/ulm/ulm_01_leftImg8bit.png",
                     "/train/ulm/ulm_01_gtFine_labelTrainIds.png");
    tiny_assert_case(dataset, SPLIT_VAL, 0, "bonn_02", "/val/bonn/bonn_02_leftImg8bit.png",
                     "/val/bonn/bonn_02_gtFine_labelTrainIds.png");
    dataset_close(dataset);
    // Lists name them alike.
    tiny_text(state, "city/one.txt", "ulm_01\n");
    config.split[SPLIT_TRAIN] = "one.txt";
    dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 1);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "ulm_01", "/train/ulm/ulm_01_leftImg8bit.png",
                     "/train/ulm/ulm_01_gtFine_labelTrainIds.png");
    dataset_close(dataset);
}

// The same names in each folder: the folder's name makes them different.
static void a_folder_for_each_patient(void **state) {
    static const char *const names[] = {"anna", "ben"};
    char image[80], mask[80];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(image, sizeof image, "people/img_dir/%s/%d.png", names[i / 2], i % 2);
        (void)snprintf(mask, sizeof mask, "people/ann_dir/%s/%d.png", names[i / 2], i % 2);
        write_case(state, image, mask, i);
    }
    tiny_text(state, "people/classes.txt", "background\na\nb\n");
    struct dataset_config config = tiny_config(state, "people");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 4);
    tiny_assert_case(dataset, SPLIT_TRAIN, 1, "anna_1", "/img_dir/anna/1.png",
                     "/ann_dir/anna/1.png");
    tiny_assert_case(dataset, SPLIT_TRAIN, 2, "ben_0", "/img_dir/ben/0.png", "/ann_dir/ben/0.png");
    dataset_close(dataset);
    // Two files that would have one name are an error, not one of them.
    write_case(state, "people/img_dir/anna/anna_1.png", "people/ann_dir/anna/anna_1.png", 5);
    tiny_refuse(&config, ADELE_DATA, "anna_1 occurs twice");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cityscapes),
        cmocka_unit_test(a_folder_for_each_patient),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
