// SPDX-License-Identifier: MIT
// The layouts: what is found, what is refused. VOC is in test_layout_voc.c.
#include "base/file.h"
#include "base/memory.h"
#include "data/load.h"
#include "output/label_store.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// ---- nnU-Net ------------------------------------------------------------------------------------

static void nnunet_is_found_with_its_folds(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set/");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->layout, LAYOUT_NNUNET);
    assert_int_equal(dataset->n_categories, 3);
    assert_string_equal(dataset->category_names[2], "heart");
    assert_int_equal(dataset->n_channels, 1);
    assert_string_equal(dataset->file_ending, ".png");
    assert_false(dataset->is_volume);
    assert_false(dataset->has_palette);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 3);
    tiny_assert_case(dataset, SPLIT_TRAIN, 2, "p3", "set/imagesTr/p3_0000.png", "labelsTr/p3.png");
    assert_int_equal(dataset->n_cases[SPLIT_VAL], 1);
    tiny_assert_case(dataset, SPLIT_VAL, 0, "p4", "imagesTr/p4_0000.png", "labelsTr/p4.png");
    tiny_assert_case(dataset, SPLIT_TEST, 0, "t1", "imagesTs/t1_0000.png", "labelsTs/t1.png");
    dataset_close(dataset);

    config.split[SPLIT_TRAIN] = "fold1"; // val follows the fold
    dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "p2", "p2", "p2");
    assert_int_equal(dataset->n_cases[SPLIT_VAL], 2);
    tiny_assert_case(dataset, SPLIT_VAL, 1, "p3", "p3", "p3");
    dataset_close(dataset);

    config.split[SPLIT_TRAIN] = "imagesTr";
    config.split[SPLIT_VAL] = "imagesTs";
    config.split[SPLIT_TEST] = "none";
    dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 4);
    tiny_assert_case(dataset, SPLIT_VAL, 0, "t1", "imagesTs/t1_0000.png", "labelsTs/t1.png");
    assert_int_equal(dataset->n_cases[SPLIT_TEST], 0);
    dataset_close(dataset);
}

static void nnunet_without_splits_trains_on_all(void **state) {
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    assert_true(dataset->is_volume);
    assert_string_equal(dataset->file_ending, ".nii.gz");
    assert_string_equal(dataset->category_names[1], "heart");
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    assert_int_equal(dataset->cases[SPLIT_TRAIN][1].n_slices, TINY_SLICES);
    assert_int_equal(dataset->n_cases[SPLIT_VAL], 0);
    assert_int_equal(dataset->n_cases[SPLIT_TEST], 0);
    dataset_close(dataset);

    tiny_text(state, "one.txt", "v1\n");
    char one[512];
    (void)strcpy(one, scratch_path(state, "one.txt"));
    config.split[SPLIT_TRAIN] = config.split[SPLIT_VAL] = one;
    dataset = tiny_open(&config); // one volume may both train and validate
    assert_int_equal(dataset->n_cases[SPLIT_VAL], 1);
    dataset_close(dataset);
}

static void nnunet_channels_and_ignore_label(void **state) {
    tiny_nnunet(state, "set");
    tiny_text(state, "set/dataset.json",
              "{\"channel_names\": {\"0\": \"a\", \"1\": \"b\"}, \"labels\": {\"background\": 0, "
              "\"lung\": 1, \"ignore\": 2}, \"file_ending\": \".png\"}");
    struct dataset_config config = tiny_config(state, "set");
    config.split[SPLIT_TRAIN] = "train.txt"; // inside the data set
    config.split[SPLIT_VAL] = config.split[SPLIT_TEST] = "none";
    tiny_text(state, "set/train.txt", "p1\n");
    tiny_picture(state, "set/imagesTr/p1_0001.png", TINY_H, TINY_W, 1, 8, 3);
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->cases[SPLIT_TRAIN][0].n_files, 2);
    assert_null(dataset->cases[SPLIT_TRAIN][0].image_path[2]);
    assert_int_equal(dataset->n_categories, 2);
    assert_int_equal(dataset->ignore_value, 2);
    dataset_close(dataset);
    tiny_picture(state, "set/imagesTr/p1_0002.png", TINY_H, TINY_W, 1, 8, 3);
    tiny_refuse(&config, ADELE_DATA, "3 channel files, but dataset.json names 2");
}

static void nnunet_bad_dataset_json(void **state) {
    static const struct {
        const char *text;
        adele_status status;
        const char *what;
    } bad[] = {
        {"{", ADELE_FORMAT, "dataset.json"},
        {"{\"labels\": {\"a\": 0}}", ADELE_DATA, "channel_names"},
        {"{\"channel_names\": {\"0\": \"x\"}}", ADELE_DATA, "labels"},
        {"{\"channel_names\": {\"0\": \"x\"}, \"labels\": {\"a\": 0, \"b\": 2}, "
         "\"file_ending\": \".png\"}",
         ADELE_DATA, "no label has the value 1"},
        {"{\"channel_names\": {\"0\": \"x\"}, \"labels\": {\"a\": 0, \"b\": 0}, "
         "\"file_ending\": \".png\"}",
         ADELE_DATA, "both have the value 0"},
        {"{\"channel_names\": {\"0\": \"x\"}, \"labels\": {\"a\": 0, \"b\": [1, 2]}, "
         "\"file_ending\": \".png\"}",
         ADELE_DATA, "\"b\" is a region, a list of 2 values"},
        {"{\"channel_names\": {\"0\": \"x\"}, \"labels\": {\"a\": 0, \"b\": 1.5}, "
         "\"file_ending\": \".png\"}",
         ADELE_DATA, "\"b\" has no value"},
        {"{\"channel_names\": {\"0\": \"x\"}, \"labels\": {\"a\": 0, \"\\u001b[2J\": 1}, "
         "\"file_ending\": \".png\"}",
         ADELE_DATA, "contains a control character"},
        {"{\"modality\": {\"0\": \"x\"}, \"labels\": {\"zero\": \"a\"}, "
         "\"file_ending\": \".png\"}",
         ADELE_DATA, "\"zero\" has no value"},
        {"{\"channel_names\": {\"0\": \"x\"}, \"labels\": {\"a\": 0}, \"file_ending\": \".png\"}",
         ADELE_DATA, "at least 2"},
        {"{\"channel_names\": {\"0\": \"x\"}, \"labels\": {\"a\": 0}, \"file_ending\": \".jpg\"}",
         ADELE_UNSUPPORTED, ".tif"},
    };
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tiny_text(state, "set/dataset.json", bad[i].text);
        tiny_refuse(&config, bad[i].status, bad[i].what);
    }
    assert_int_equal(unlink(scratch_path(state, "set/dataset.json")), 0);
    tiny_refuse(&config, ADELE_IO, "dataset.json: no such file");
}

static void nnunet_bad_splits(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.split[SPLIT_TRAIN] = "fold2";
    tiny_refuse(&config, ADELE_DATA, "fold 2");
    config.split[SPLIT_TRAIN] = "training";
    tiny_refuse(&config, ADELE_CONFIG, "\"training\" is not a list");
    config.split[SPLIT_TRAIN] = "absent.txt";
    tiny_refuse(&config, ADELE_IO, "absent.txt");
    config.split[SPLIT_TRAIN] = "none";
    tiny_refuse(&config, ADELE_DATA, "train split has no cases");
    config.split[SPLIT_TRAIN] = NULL;
    tiny_text(state, "set/splits_final.json", "[{\"train\": [\"p1\", 2], \"val\": []}]");
    tiny_refuse(&config, ADELE_DATA, "not a string");
    tiny_text(state, "set/splits_final.json", "[{\"train\": [\"p1\", \"p1\"], \"val\": []}]");
    tiny_refuse(&config, ADELE_DATA, "p1 occurs twice in the train split");
    tiny_text(state, "set/splits_final.json", "[{\"train\": [\"p1\", \"p9\"], \"val\": []}]");
    tiny_refuse(&config, ADELE_DATA, "case p9 of the train split has no image");
    assert_int_equal(unlink(scratch_path(state, "set/splits_final.json")), 0);
    config.split[SPLIT_TRAIN] = "fold0";
    tiny_refuse(&config, ADELE_IO, "splits_final.json: no such file");
    config.split[SPLIT_TRAIN] = NULL;
    assert_int_equal(unlink(scratch_path(state, "set/labelsTr/p2.png")), 0);
    tiny_refuse(&config, ADELE_DATA, "labelsTr/p2.png: no mask");
}

// ---- hostile names ------------------------------------------------------------------------------

static void names_that_leave_the_folder_are_refused(void **state) {
    static const char *const names[] = {"../p1",   "/etc/passwd", "a/b",  "..",
                                        ".hidden", "a\\\\b",      "x..y", "a\\u0001b"};
    char json[256];
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(json, sizeof json, "[{\"train\": [\"%s\"], \"val\": []}]", names[i]);
        tiny_text(state, "set/splits_final.json", json);
        tiny_refuse(&config, ADELE_DATA, "is not the name of a case");
    }
    tiny_text(state, "list.txt", "p1\n../../etc/passwd\n");
    char list[512];
    (void)strcpy(list, scratch_path(state, "list.txt"));
    config.split[SPLIT_TRAIN] = list;
    tiny_refuse(&config, ADELE_DATA,
                "list.txt: line 2: \"../../etc/passwd\" is not the name of a case");
    assert_int_equal(file_write(list, "p1\n\0p2", 6), ADELE_OK);
    tiny_refuse(&config, ADELE_FORMAT, "not a text file");
}

static void links_that_leave_the_folder_are_refused(void **state) {
    tiny_nnunet(state, "set");
    tiny_picture(state, "set2/p1_0000.png", TINY_H, TINY_W, 1, 8, 0);
    struct dataset_config config = tiny_config(state, "set");
    const char *image = scratch_path(state, "set/imagesTr/p1_0000.png");
    assert_int_equal(unlink(image), 0);
    // "set2" begins like "set", and is outside all the same.
    assert_int_equal(symlink("../../set2/p1_0000.png", image), 0);
    tiny_refuse(&config, ADELE_DATA, "a symbolic link leads out of");
    assert_int_equal(unlink(image), 0);
    assert_int_equal(symlink("nowhere.png", image), 0);
    tiny_refuse(&config, ADELE_IO, "cannot be resolved");
    assert_int_equal(unlink(image), 0);
    assert_int_equal(symlink("p2_0000.png", image), 0); // within the set
    struct dataset *dataset = tiny_open(&config);
    dataset_close(dataset);
    // The root itself may be a link.
    assert_int_equal(symlink("set", scratch_path(state, "alias")), 0);
    struct dataset_config alias = tiny_config(state, "alias");
    dataset = tiny_open(&alias);
    dataset_close(dataset);
}

// ---- img_dir / ann_dir --------------------------------------------------------------------------

static void img_ann_is_found(void **state) {
    tiny_img_ann(state, "mm");
    tiny_text(state, "mm/img_dir/train/notes.md", "no picture");
    struct dataset_config config = tiny_config(state, "mm");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->layout, LAYOUT_IMG_ANN);
    assert_int_equal(dataset->n_categories, 3);
    assert_string_equal(dataset->category_names[0], "road");
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "i1", "img_dir/train/i1.png", "ann_dir/train/i1.png");
    tiny_assert_case(dataset, SPLIT_VAL, 0, "i3", "img_dir/val/i3.png", "ann_dir/val/i3.png");
    tiny_assert_case(dataset, SPLIT_TEST, 0, "i4", "img_dir/test/i4.png", NULL);
    dataset_close(dataset);

    config.split[SPLIT_TRAIN] = "val";
    config.split[SPLIT_VAL] = "list.txt"; // a case of any folder
    tiny_text(state, "mm/list.txt", "i2\n");
    dataset = tiny_open(&config);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "i3", "img_dir/val/i3.png", "ann_dir/val/i3.png");
    tiny_assert_case(dataset, SPLIT_VAL, 0, "i2", "img_dir/train/i2.png", "ann_dir/train/i2.png");
    dataset_close(dataset);
}

static void img_ann_refuses(void **state) {
    tiny_img_ann(state, "mm");
    struct dataset_config config = tiny_config(state, "mm");
    config.split[SPLIT_TRAIN] = "night";
    tiny_refuse(&config, ADELE_IO, "img_dir/night: no such folder");
    config.split[SPLIT_TRAIN] = NULL;
    tiny_picture(state, "mm/img_dir/train/i1.jpg", TINY_H, TINY_W, 3, 8, 1);
    tiny_refuse(&config, ADELE_DATA, "i1 occurs twice");
    assert_int_equal(unlink(scratch_path(state, "mm/img_dir/train/i1.jpg")), 0);
    assert_int_equal(unlink(scratch_path(state, "mm/classes.txt")), 0);
    tiny_refuse(&config, ADELE_DATA, "classes.txt: no such file");
    // A label_map defines the categories.
    int from[] = {0, 1, 2};
    uint8_t to[] = {0, 1, 1};
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_categories, 2);
    assert_string_equal(dataset->category_names[1], "category_1");
    dataset_close(dataset);
}

static void write_two_folders(void **state, const char *images, const char *masks) {
    for (int i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "two/%s/c%d.png", images, i);
        tiny_picture(state, path, TINY_H, TINY_W, 1, 8, i);
        (void)snprintf(path, sizeof path, "two/%s/c%d.png", masks, i);
        tiny_label(state, path, TINY_H, TINY_W, 3, false, i);
    }
}

static struct dataset_config two_folders(void **state, const char *images, const char *masks) {
    struct dataset_config config = tiny_config(state, "two");
    config.image_folder = images;
    config.mask_folder = masks;
    return config;
}

static void two_folders_of_any_names_are_read(void **state) {
    tiny_text(state, "two/classes.txt", "ground\ncell\nedge\n");
    tiny_text(state, "two/val.txt", "c2\n");
    write_two_folders(state, "pictures", "drawn/masks");
    struct dataset_config config = two_folders(state, "pictures/", "drawn/masks");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->layout, LAYOUT_IMG_ANN);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 3); // all files, where no split is named
    assert_int_equal(dataset->n_cases[SPLIT_VAL], 0);
    assert_string_equal(dataset_label_folder(dataset, SPLIT_TRAIN, dataset->cases[SPLIT_TRAIN]),
                        "drawn/masks");
    dataset_close(dataset);
    config.image_folder = "pictures";
    config.split[SPLIT_VAL] = "val.txt";
    dataset = tiny_open(&config);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "c0", "pictures/c0.png", "drawn/masks/c0.png");
    tiny_assert_case(dataset, SPLIT_VAL, 0, "c2", "pictures/c2.png", "drawn/masks/c2.png");
    dataset_close(dataset);
    // With folders of the splits inside of them.
    write_two_folders(state, "images/train", "masks/train");
    write_two_folders(state, "images/val", "masks/val");
    config = two_folders(state, "images", "masks");
    dataset = tiny_open(&config);
    tiny_assert_case(dataset, SPLIT_TRAIN, 1, "c1", "images/train/c1.png", "masks/train/c1.png");
    tiny_assert_case(dataset, SPLIT_VAL, 1, "c1", "images/val/c1.png", "masks/val/c1.png");
    assert_string_equal(dataset_label_folder(dataset, SPLIT_VAL, dataset->cases[SPLIT_VAL]),
                        "masks/val");
    dataset_close(dataset);
    // And around them.
    write_two_folders(state, "test/img", "test/gt");
    write_two_folders(state, "train/img", "train/gt");
    config = two_folders(state, "{split}/img", "{split}/gt");
    dataset = tiny_open(&config);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "c0", "train/img/c0.png", "train/gt/c0.png");
    tiny_assert_case(dataset, SPLIT_TEST, 0, "c0", "test/img/c0.png", "test/gt/c0.png");
    assert_int_equal(dataset->n_cases[SPLIT_VAL], 0);
    dataset_close(dataset);
}

static void masks_may_have_a_suffix(void **state) {
    tiny_text(state, "two/classes.txt", "ground\ncell\nedge\n");
    for (int i = 0; i < 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "two/all/c%d.png", i);
        tiny_picture(state, path, TINY_H, TINY_W, 1, 8, i);
        (void)snprintf(path, sizeof path, "two/all/c%d_mask.png", i);
        tiny_label(state, path, TINY_H, TINY_W, 3, false, i);
        (void)snprintf(path, sizeof path, "noisy/c%d_mask.png", i);
        tiny_label(state, path, TINY_H, TINY_W, 3, false, i + 1);
    }
    tiny_text(state, "two/train.txt", "c0\nc1\n"); // the folder lists masks as well
    char noisy[4096];
    (void)snprintf(noisy, sizeof noisy, "%s", scratch_path(state, "noisy"));
    struct dataset_config config = two_folders(state, "all", "all");
    config.mask_suffix = "_mask";
    config.split[SPLIT_TRAIN] = "train.txt";
    config.noisy_labels = noisy;
    struct dataset *dataset = tiny_open(&config);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "c0", "all/c0.png", "all/c0_mask.png");
    assert_non_null(strstr(dataset->cases[SPLIT_TRAIN][1].noisy_path, "noisy/c1_mask.png"));
    char *name = label_store_name(dataset, SPLIT_TRAIN, &dataset->cases[SPLIT_TRAIN][0]);
    assert_string_equal(name, "all/c0_mask.png");
    memory_free(name);
    dataset_close(dataset);
    config.mask_suffix = "/x";
    tiny_refuse(&config, ADELE_CONFIG, "data.mask_suffix: \"/x\" is not the end of a file's name");
    config.mask_suffix = "_gt";
    config.noisy_labels = NULL;
    tiny_refuse(&config, ADELE_DATA, "all/c0_gt.png: no mask for ");
}

static void two_folders_are_refused(void **state) {
    write_two_folders(state, "images", "masks");
    tiny_text(state, "two/classes.txt", "ground\ncell\nedge\n");
    struct dataset_config config = two_folders(state, "../two/images", "masks");
    tiny_refuse(&config, ADELE_CONFIG, "data.image_folder: \"../two/images\" is not the path of a");
    config = two_folders(state, "images", "/masks");
    tiny_refuse(&config, ADELE_CONFIG, "data.mask_folder: \"/masks\"");
    config = two_folders(state, "image", "masks");
    tiny_refuse(&config, ADELE_IO, "two/image: no such folder");
    config = two_folders(state, "images", "mask");
    tiny_refuse(&config, ADELE_DATA, "two/mask/c0.png: no mask for ");
    assert_int_equal(unlink(scratch_path(state, "two/classes.txt")), 0);
    config = two_folders(state, "images", "masks");
    tiny_refuse(&config, ADELE_DATA, "classes.txt: no such file");
}

// ---- plain folders ------------------------------------------------------------------------------

static struct dataset *open_folder(void **state, const char *folder, int n_channels) {
    struct dataset *dataset = NULL;
    if (dataset_open_folder(scratch_path(state, folder), n_channels, NULL, &dataset) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return dataset;
}

static void refuse_folder(void **state, const char *folder, int n_channels, const char *what) {
    struct dataset *dataset = NULL;
    assert_int_not_equal(
        dataset_open_folder(scratch_path(state, folder), n_channels, NULL, &dataset), ADELE_OK);
    assert_null(dataset);
    if (strstr(adele_error_message(), what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, adele_error_message());
}

static void folders_of_pictures(void **state) {
    tiny_picture(state, "in/a.png", TINY_H, TINY_W, 1, 8, 1);
    tiny_picture(state, "in/b_0000.png", TINY_H, TINY_W, 1, 8, 2);
    tiny_text(state, "in/readme.txt", "no picture");
    struct dataset *dataset = open_folder(state, "in", 1);
    assert_int_equal(dataset->n_cases[SPLIT_TEST], 2);
    assert_string_equal(dataset->cases[SPLIT_TEST][0].name, "a");
    assert_string_equal(dataset->cases[SPLIT_TEST][1].name, "b"); // nnU-Net's way
    dataset_close(dataset);
    // A film: each frame is a case.
    tiny_picture(state, "in/b_0001.png", TINY_H, TINY_W, 1, 8, 3);
    dataset = open_folder(state, "in", 1);
    assert_int_equal(dataset->n_cases[SPLIT_TEST], 3);
    assert_string_equal(dataset->cases[SPLIT_TEST][1].name, "b_0000");
    assert_string_equal(dataset->cases[SPLIT_TEST][2].name, "b_0001");
    dataset_close(dataset);
    refuse_folder(state, "in", 2, "a.png: 1 channel, but the model takes 2");
    assert_int_equal(unlink(scratch_path(state, "in/a.png")), 0);
    dataset = open_folder(state, "in", 2); // two channels of one case
    assert_int_equal(dataset->n_cases[SPLIT_TEST], 1);
    assert_string_equal(dataset->cases[SPLIT_TEST][0].name, "b");
    assert_int_equal(dataset->cases[SPLIT_TEST][0].n_files, 2);
    dataset_close(dataset);
    refuse_folder(state, "in", 3, "b_0002.png is not there");
    tiny_picture(state, "in/c.png", TINY_H, TINY_W, 3, 8, 3);
    dataset = open_folder(state, "in", 1); // it may be gray in every pixel; this one is not
    struct dataset_images images;
    assert_int_equal(dataset_load_case(dataset, SPLIT_TEST, 2, &images), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "c.png: 3 channels, but the data set has 1"));
    dataset_close(dataset);
    tiny_picture(state, "in/c.jpg", TINY_H, TINY_W, 1, 8, 3);
    tiny_picture(state, "in/c.png", TINY_H, TINY_W, 1, 8, 3);
    refuse_folder(state, "in", 1, "are both the case c");
    refuse_folder(state, "absent", 1, "no such folder");
    refuse_folder(state, "in", 9, "9 channels");
}

static void folders_of_volumes(void **state) {
    tiny_volume(state, "in/v_0000.nii.gz", TINY_SLICES, NULL, 1);
    struct dataset *dataset = open_folder(state, "in", 1);
    assert_true(dataset->is_volume);
    assert_string_equal(dataset->file_ending, ".nii.gz");
    assert_string_equal(dataset->cases[SPLIT_TEST][0].name, "v");
    assert_int_equal(dataset->cases[SPLIT_TEST][0].n_slices, TINY_SLICES);
    dataset_close(dataset);
    tiny_picture(state, "in/z.png", TINY_H, TINY_W, 1, 8, 3);
    refuse_folder(state, "in", 1, "both pictures and volumes");
    assert_int_equal(file_make_directory(scratch_path(state, "empty")), ADELE_OK);
    refuse_folder(state, "empty", 1, "no image");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nnunet_is_found_with_its_folds),
        TEST(nnunet_without_splits_trains_on_all),
        TEST(nnunet_channels_and_ignore_label),
        TEST(nnunet_bad_dataset_json),
        TEST(nnunet_bad_splits),
        TEST(names_that_leave_the_folder_are_refused),
        TEST(links_that_leave_the_folder_are_refused),
        TEST(img_ann_is_found),
        TEST(img_ann_refuses),
        TEST(two_folders_of_any_names_are_read),
        TEST(masks_may_have_a_suffix),
        TEST(two_folders_are_refused),
        TEST(folders_of_pictures),
        TEST(folders_of_volumes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
