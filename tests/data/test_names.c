// SPDX-License-Identifier: MIT
// Names and numbers as people and other programs write them: endings, lists, dataset.json, links,
// palettes. Each is read correctly, or the message names what was found.
#include "base/file.h"
#include "data/check_report.h"
#include "data/dataset.h"
#include "data/folder_cache.h"
#include "data/label_lookup.h"
#include "data/load.h"
#include "image/image.h"
#include "noise/noise_files.h"
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

#define PLANE (TINY_H * TINY_W)

static void refuse(const struct dataset_config *config, const char *what, const char *hint) {
    struct dataset *dataset = NULL;
    assert_int_not_equal(dataset_open(config, &dataset), ADELE_OK);
    assert_null(dataset);
    if (strstr(adele_error_message(), what) == NULL || strstr(adele_error_hint(), hint) == NULL)
        fail_msg("\"%s\" is not in: %s\n%s", what, adele_error_message(), adele_error_hint());
}

static void move(void *const *state, const char *from, const char *to) {
    assert_int_equal(rename(scratch_path(state, from), scratch_path(state, to)), 0);
}

static void assert_no_problem(const struct dataset_config *config, int n_files) {
    struct check_report report;
    assert_int_equal(check_run(config, &report), ADELE_OK);
    for (int i = 0; i < report.n_problems; i++)
        if (report.problems[i].is_error)
            fail_msg("%s", report.problems[i].text);
    assert_int_equal(report.n_files, n_files);
    check_report_deinit(&report);
}

// ---- files --------------------------------------------------------------------------------------

static void endings_in_any_case(void **state) {
    tiny_img_ann(state, "mm");
    move(state, "mm/img_dir/train/i1.png", "mm/img_dir/train/i1.Png");
    move(state, "mm/ann_dir/train/i1.png", "mm/ann_dir/train/i1.PNG");
    move(state, "mm/ann_dir/train/i2.png", "mm/ann_dir/train/i2.pNg");
    struct dataset_config config = tiny_config(state, "mm");
    assert_no_problem(&config, 7);
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    assert_string_equal(file_base_name(dataset->cases[SPLIT_TRAIN][0].image_path[0]), "i1.Png");
    assert_string_equal(file_base_name(dataset->cases[SPLIT_TRAIN][1].label_path), "i2.pNg");
    dataset_close(dataset);

    tiny_voc(state, "voc");
    move(state, "voc/JPEGImages/s1.png", "voc/JPEGImages/s1.Jpg"); // the content counts
    move(state, "voc/SegmentationClass/s1.png", "voc/SegmentationClass/s1.PNG");
    config = tiny_config(state, "voc");
    assert_no_problem(&config, 6);

    tiny_nnunet(state, "set");
    move(state, "set/imagesTr/p1_0000.png", "set/imagesTr/p1_0000.PNG");
    move(state, "set/labelsTr/p1.png", "set/labelsTr/p1.Png");
    assert_int_equal(unlink(scratch_path(state, "set/splits_final.json")), 0);
    config = tiny_config(state, "set");
    assert_no_problem(&config, 10);
    dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 4);
    dataset_close(dataset);
}

static void jpeg_label_maps_say_why_they_are_none(void **state) {
    static const char jpeg[] = "\xff\xd8\xff\xe0 nothing more is looked at";
    struct dataset_images images;
    tiny_img_ann(state, "mm");
    for (int i = 1; i <= 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "mm/ann_dir/%s/i%d.png", i < 3 ? "train" : "val", i);
        assert_int_equal(unlink(scratch_path(state, path)), 0);
        memcpy(path + strlen(path) - 3, "jpg", 3);
        assert_int_equal(file_write(scratch_path(state, path), jpeg, sizeof jpeg), ADELE_OK);
    }
    struct dataset_config config = tiny_config(state, "mm");
    struct check_report report;
    assert_int_equal(check_run(&config, &report), ADELE_OK);
    assert_int_equal(report.n_problems, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(report.problems[i].kind, CHECK_UNREADABLE);
    check_report_deinit(&report);
    struct dataset *dataset = tiny_open(&config);
    assert_int_not_equal(dataset_load(dataset, SPLIT_TRAIN, true, &images), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), "i1.jpg: "));
    dataset_close(dataset);
}

static void what_is_there_is_told(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    move(state, "voc/JPEGImages/s1.png", "voc/JPEGImages/s1.webp");
    refuse(&config, "case s1 of the train split has no image in JPEGImages; s1.webp is there",
           "; or is this folder not the data set that the split was made for?");
    move(state, "voc/JPEGImages/s1.webp", "voc/JPEGImages/S1.png");
    refuse(&config, "S1.png is there, in other letter case", "");
    // "ü" in one code point, as most keyboards give it, and in two, as macOS stores it.
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "K\xc3\xbche\n");
    move(state, "voc/JPEGImages/S1.png", "voc/JPEGImages/Ku\xcc\x88he.png");
    refuse(&config, "Ku\xcc\x88he.png is there, which looks the same but is spelled in other bytes",
           "");
    move(state, "voc/JPEGImages/Ku\xcc\x88he.png", "voc/JPEGImages/K\xc3\xbche.png");
    move(state, "voc/SegmentationClass/s1.png", "voc/SegmentationClass/Ku\xcc\x88he.png");
    refuse(&config, "no mask for", "");
    assert_non_null(strstr(adele_error_message(), "composed against decomposed Unicode"));
    move(state, "voc/SegmentationClass/Ku\xcc\x88he.png", "voc/SegmentationClass/K\xc3\xbche.png");
    assert_no_problem(&config, 4);
}

// Where a case before it was found, the folder is the right one.
static void a_wrong_folder_is_doubted_at_its_first_case(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "s1\ns9\n");
    refuse(&config, "case s9 of the train split has no image", "take the case out of the split");
    assert_null(strstr(adele_error_hint(), "or is this folder"));
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "s9\ns1\n");
    refuse(&config, "case s9 of the train split has no image", "or is this folder not the data");
}

static void names_that_look_alike(void **state) {
    (void)state;
    assert_true(names_look_alike("na\xc3\xafve.\xc3\xa9", "nai\xcc\x88ve.e\xcc\x81"));
    assert_true(names_look_alike("nai\xcc\x88ve.\xc3\xa9", "na\xc3\xafve.e\xcc\x81"));
    assert_true(names_look_alike("\xe1\xba\xad", "a\xcc\xa3\xcc\x82")); // two marks
    assert_true(names_look_alike("\xed\x95\x9c", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"));
    assert_true(names_look_alike("\xe3\x81\x8c", "\xe3\x81\x8b\xe3\x82\x99"));
    assert_true(names_look_alike("IM01", "im01"));
    assert_false(names_look_alike("na\xc3\xafve", "naive"));
    assert_false(names_look_alike("a", "b"));
    assert_false(names_look_alike("a\xcc\x81", "a"));
    assert_false(names_look_alike("\xe9\x9b\xaa", "\xe9\x9b\xa8")); // two Chinese characters
    assert_false(names_look_alike("\xc3", "\xe9\x9b"));             // no UTF-8
}

static void links_out_of_the_folder(void **state) {
    tiny_nnunet(state, "set");
    assert_int_equal(file_make_directory(scratch_path(state, "store")), ADELE_OK);
    move(state, "set/imagesTr/p1_0000.png", "store/p1_0000.png");
    assert_int_equal(
        symlink("../../store/p1_0000.png", scratch_path(state, "set/imagesTr/p1_0000.png")), 0);
    struct dataset_config config = tiny_config(state, "set");
    refuse(&config, "a symbolic link leads out of", "data.follow_links: true");
    config.follow_links = true;
    assert_no_problem(&config, 10);
}

// ---- lists --------------------------------------------------------------------------------------

static void lists_with_endings_and_marks(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "\xef\xbb\xbfs1.png\r\ns2.JPG\r\n");
    tiny_text(state, "voc/ImageSets/Segmentation/val.txt", "\xef\xbb\xbf\r\ns3\r\n");
    tiny_text(state, "voc/class_names.txt", "\xef\xbb\xbf_background_\r\nsky\r\ncar\r\n");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    assert_string_equal(dataset->cases[SPLIT_TRAIN][0].name, "s1");
    assert_string_equal(dataset->cases[SPLIT_TRAIN][1].name, "s2");
    assert_non_null(dataset->cases[SPLIT_TRAIN][1].label_path);
    assert_string_equal(dataset->cases[SPLIT_VAL][0].name, "s3");
    assert_string_equal(dataset->category_names[0], "_background_");
    dataset_close(dataset);
    // Both ways of writing one case are that case.
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "s1.png\ns1\n");
    refuse(&config, "case s1 occurs twice", "");
    // A name that ends like a file is kept when there is such a file.
    tiny_picture(state, "voc/JPEGImages/s1.png.png", TINY_H, TINY_W, 3, 8, 1);
    tiny_label(state, "voc/SegmentationClass/s1.png.png", TINY_H, TINY_W, 3, true, 1);
    dataset = tiny_open(&config);
    assert_string_equal(dataset->cases[SPLIT_TRAIN][0].name, "s1.png");
    dataset_close(dataset);
    assert_int_equal(file_write(scratch_path(state, "voc/ImageSets/Segmentation/train.txt"),
                                "\xff\xfes\0001\0\n\0", 8),
                     ADELE_OK);
    refuse(&config, "train.txt: not a text file, but UTF-16", "UTF-8");
}

static void json_with_marks(void **state) {
    tiny_nnunet(state, "set");
    tiny_text(state, "set/splits_final.json",
              "\xef\xbb\xbf[{\"train\": [\"p1\", \"p2\"],\r\n \"val\": [\"p3\"]}]\r\n");
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    dataset_close(dataset);
}

static void names_of_values(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    // labelme's first line is the name of -1.
    tiny_text(state, "voc/class_names.txt", "__ignore__\n_background_\nsky\ncar\n");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_categories, 3);
    assert_string_equal(dataset->category_names[0], "_background_");
    assert_int_equal(label_lookup_category(dataset->lookup, 2), 2);
    assert_int_equal(label_lookup_category(dataset->lookup, 255), LABEL_IGNORE);
    dataset_close(dataset);
    tiny_text(state, "voc/class_names.txt", "_background_\n__ignore__\nsky\n");
    refuse(&config, "class_names.txt: line 2 is __ignore__", "Put __ignore__ first");
    tiny_text(state, "voc/class_names.txt", "sky\nbackground\ncar\n");
    refuse(&config, "line 2 names value 1 \"background\"; the background is value 0", "label_map");
    int from[] = {1, 0, 2};
    uint8_t to[] = {0, 1, 2};
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    dataset = tiny_open(&config);
    assert_string_equal(dataset->category_names[0], "background");
    assert_string_equal(dataset->category_names[1], "sky");
    dataset_close(dataset);
}

// ---- dataset.json -------------------------------------------------------------------------------

static void write_json(void *const *state, const char *channels, const char *labels,
                       const char *more) {
    char text[1024];
    (void)snprintf(text, sizeof text, "{%s, \"labels\": %s, %s}", channels, labels, more);
    tiny_text(state, "set/dataset.json", text);
}

#define CHANNELS "\"channel_names\": {\"0\": \"X-ray\"}"
#define ENDING   "\"file_ending\": \".png\""

static void labels_as_they_are_written(void **state) {
    static const char *const ways[] = {
        "{\"background\": 0, \"lung\": 1, \"heart\": 2}",
        "{\"background\": \"0\", \"lung\": \"1\", \"heart\": \"2\"}",
        "{\"0\": \"background\", \"1\": \"lung\", \"2\": \"heart\"}"};
    static const char *const channels[] = {CHANNELS, "\"channel_names\": [\"X-ray\"]",
                                           "\"modality\": [\"X-ray\"]"};
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    for (int i = 0; i < 3; i++) {
        write_json(state, channels[i], ways[i], ENDING);
        struct dataset *dataset = tiny_open(&config);
        assert_int_equal(dataset->n_channels, 1);
        assert_int_equal(dataset->n_categories, 3);
        assert_string_equal(dataset->category_names[2], "heart");
        dataset_close(dataset);
    }
    write_json(state, CHANNELS, "{\"lung\": 0, \"background\": 1, \"heart\": 2}", ENDING);
    refuse(&config, "labels: \"background\" has the value 1; the background is 0", "label_map");
    write_json(state, CHANNELS, "{\"0\": \"lung\", \"1\": \"Background\"}", ENDING);
    refuse(&config, "labels: \"Background\" has the value 1; the background is 0", "label_map");
    write_json(state, CHANNELS, ways[0],
               ENDING
               ", \"dataset\": {\"q7\": {\"images\": [\"../q7.png\"], \"label\": \"l.png\"}}");
    refuse(&config, "\"dataset\" lists the files of 1 cases (the first is \"q7\")", "imagesTr");
}

static void regions(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    write_json(state, CHANNELS, "{\"background\": 0, \"whole\": [1, 2], \"core\": [2]}",
               ENDING ", \"regions_class_order\": [1, 2]");
    refuse(&config, "\"whole\" is a region, a list of 2 values", "data.label_map");
    // A map defines the categories of the values.
    int from[] = {0, 1, 2};
    uint8_t to[] = {0, 1, 1};
    const char *const names[] = {"background", "whole"};
    config.map = (struct label_map){
        .n = 3, .from = from, .to = to, .other = -1, .n_names = 2, .names = names};
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    assert_int_equal(dataset->n_categories, 2);
    assert_string_equal(dataset->category_names[1], "whole");
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, true, &images), ADELE_OK);
    for (int i = 0; i < PLANE; i++)
        assert_int_equal(images.labels[i], tiny_label_value(i / TINY_W, i % TINY_W, 0, 3) > 0);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void images_without_channel_numbers(void **state) {
    tiny_volumes(state, "set");
    move(state, "set/imagesTr/v1_0000.nii.gz", "set/imagesTr/v1.nii.gz");
    move(state, "set/imagesTr/v2_0000.nii.gz", "set/imagesTr/v2.nii.gz");
    struct dataset_config config = tiny_config(state, "set");
    assert_no_problem(&config, 4);
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    assert_string_equal(dataset->cases[SPLIT_TRAIN][0].name, "v1");
    assert_non_null(dataset->cases[SPLIT_TRAIN][0].label_path);
    dataset_close(dataset);
    // Files with another ending than file_ending.
    for (int i = 1; i <= 2; i++) {
        char from[64], to[64];
        (void)snprintf(from, sizeof from, "set/imagesTr/v%d.nii.gz", i);
        (void)snprintf(to, sizeof to, "set/imagesTr/v%d_0000.nii", i);
        move(state, from, to);
    }
    refuse(
        &config,
        "images are expected in imagesTr as NAME_0000.nii.gz; the folder contains 2 entries, the "
        "first is v1_0000.nii",
        "file_ending in dataset.json");
}

// ---- palettes -----------------------------------------------------------------------------------

// Index i has the gray or colour colors[i]; `values` are the indices of the first pixels.
static void write_indexed(void *const *state, const char *path, const uint8_t colors[3][3],
                          int n_colors) {
    struct image picture;
    assert_int_equal(image_init(&picture, TINY_W, TINY_H, 1, 8), ADELE_OK);
    for (int i = 0; i < PLANE; i++)
        ((uint8_t *)picture.pixels)[i] = (uint8_t)(i % n_colors);
    picture.palette.n = n_colors;
    memcpy(picture.palette.rgb, colors, (size_t)n_colors * 3);
    assert_int_equal(image_save_png(scratch_path(state, path), &picture), ADELE_OK);
    image_deinit(&picture);
}

static void refuse_palettes(void *const *state, const char *what) {
    struct dataset_config config = tiny_config(state, "voc");
    struct check_report report;
    int n = 0;
    assert_int_equal(check_run(&config, &report), ADELE_OK);
    for (int i = 0; i < report.n_problems; i++)
        n += report.problems[i].kind == CHECK_PALETTE && report.problems[i].is_error &&
             strstr(report.problems[i].text, what) != NULL;
    assert_true(n > 0);
    check_report_deinit(&report);
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, true, &images), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), what));
    dataset_close(dataset);
    dataset = tiny_open(&config); // case by case, as evaluate does
    adele_status status = ADELE_OK;
    for (int i = 0; i < 2 && status == ADELE_OK; i++) {
        status = dataset_load_case(dataset, SPLIT_TRAIN, i, &images);
        if (status == ADELE_OK)
            dataset_images_deinit(&images);
    }
    assert_int_equal(status, ADELE_DATA);
    struct noise_config noise;
    struct noise_report noise_report;
    noise_config_init(&noise);
    noise.kind = NOISE_FLIP;
    dataset_close(dataset);
    dataset = tiny_open(&config);
    assert_int_equal(
        noise_files_write(dataset, &noise, scratch_path(state, "noisy"), false, &noise_report, &n),
        ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), what));
    dataset_close(dataset);
}

static void palettes(void **state) {
    static const uint8_t colors[3][3] = {{0, 0, 0}, {128, 0, 0}, {0, 128, 0}};
    static const uint8_t other[3][3] = {{0, 0, 0}, {0, 128, 0}, {128, 0, 0}};
    static const uint8_t unused[3][3] = {{0, 0, 0}, {128, 0, 0}, {9, 9, 9}};
    static const uint8_t grays[3][3] = {{0, 0, 0}, {2, 2, 2}, {1, 1, 1}};
    static const uint8_t shown[3][3] = {{0, 0, 0}, {128, 128, 128}, {255, 255, 255}};
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    for (int i = 1; i <= 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "voc/SegmentationClass/s%d.png", i);
        write_indexed(state, path, colors, 3);
    }
    assert_no_problem(&config, 6);
    // Colours of unused indices do not matter.
    write_indexed(state, "voc/SegmentationClass/s2.png", unused, 2);
    assert_no_problem(&config, 6);
    write_indexed(state, "voc/SegmentationClass/s2.png", other, 3);
    refuse_palettes(state, "s2.png: the palette shows index 1 in the colour (0, 128, 0), that of");
    // Consistent in all files, but still not what the colours show.
    for (int i = 1; i <= 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "voc/SegmentationClass/s%d.png", i);
        write_indexed(state, path, grays, 3);
    }
    refuse_palettes(state, "s1.png: the palette shows index 2 as the gray 1");
    // Grays for the eye.
    for (int i = 1; i <= 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "voc/SegmentationClass/s%d.png", i);
        write_indexed(state, path, shown, 3);
    }
    assert_no_problem(&config, 6);
}

// ---- categories of two sets ---------------------------------------------------------------------

static void categories_go_by_their_names(void **state) {
    char *const asked[] = {"background", "Heart", "_lung_"};
    char *const others[] = {"background", "liver", "lung"};
    tiny_nnunet(state, "set"); // background, lung 1, heart 2
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    assert_int_equal(dataset_match_categories(dataset, 3, asked), ADELE_OK);
    assert_string_equal(dataset->category_names[1], "Heart");
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, true, &images), ADELE_OK);
    for (int i = 0; i < PLANE; i++) {
        int value = tiny_label_value(i / TINY_W, i % TINY_W, 0, 3);
        assert_int_equal(images.labels[i], value == 0 ? 0 : 3 - value);
    }
    // What is written has the set's own values again.
    assert_int_equal(label_store_save_prediction(dataset, &dataset->cases[SPLIT_TRAIN][0], 1,
                                                 TINY_H, TINY_W, images.labels,
                                                 scratch_path(state, "out")),
                     ADELE_OK);
    struct image label;
    assert_int_equal(image_load_label(scratch_path(state, "out/p1.png"), 0, &label), ADELE_OK);
    for (int i = 0; i < PLANE; i++)
        assert_int_equal(((uint8_t *)label.pixels)[i],
                         tiny_label_value(i / TINY_W, i % TINY_W, 0, 3));
    image_deinit(&label);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    dataset = tiny_open(&config);
    assert_int_equal(dataset_match_categories(dataset, 3, others), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(),
                           "has 3 classes, the model has 3, of other names: background, lung, "
                           "heart; the model's: background, liver, lung"));
    assert_int_equal(dataset_match_categories(dataset, 2, asked), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "has 3 classes, the model has 2: background"));
    dataset_close(dataset);
}

// The model's label_map makes 1 "heart", which is 2 here.
static void a_map_for_another_numbering(void **state) {
    int from[] = {0, 1, 2};
    uint8_t to[] = {0, 1, 2};
    const char *const names[] = {"background", "heart", "lung"};
    char *const asked[] = {"background", "heart", "lung"};
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.map = (struct label_map){
        .n = 3, .from = from, .to = to, .other = -1, .n_names = 3, .names = names};
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset_match_categories(dataset, 3, asked), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(),
                           "data.label_map makes the value 1 \"heart\", but here it is \"lung\", "
                           "and \"heart\" is 2"));
    dataset_close(dataset);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(endings_in_any_case),
                                       TEST(jpeg_label_maps_say_why_they_are_none),
                                       TEST(what_is_there_is_told),
                                       TEST(a_wrong_folder_is_doubted_at_its_first_case),
                                       cmocka_unit_test(names_that_look_alike),
                                       TEST(links_out_of_the_folder),
                                       TEST(lists_with_endings_and_marks),
                                       TEST(json_with_marks),
                                       TEST(names_of_values),
                                       TEST(labels_as_they_are_written),
                                       TEST(regions),
                                       TEST(images_without_channel_numbers),
                                       TEST(palettes),
                                       TEST(categories_go_by_their_names),
                                       TEST(a_map_for_another_numbering)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
