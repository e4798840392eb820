// SPDX-License-Identifier: MIT
// Label maps back into files: what did not change is byte for byte the source's, what changed has
// the new category, in the input's own layout and type.
#include "base/file.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "data/load.h"
#include "image/image.h"
#include "image/nifti.h"
#include "output/changes.h"
#include "output/label_store.h"
#include "support/compare.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLANE (TINY_H * TINY_W)

static void load_train(const struct dataset *dataset, struct dataset_images *out) {
    if (dataset_load(dataset, SPLIT_TRAIN, false, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

static void export_labels(void **state, const struct dataset *dataset,
                          const struct dataset_images *images, const uint8_t *labels,
                          const uint8_t *before, const char *folder) {
    if (label_store_export(dataset, SPLIT_TRAIN, images, labels, before,
                           scratch_path(state, folder), NULL) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

static uint8_t *copy_labels(const struct dataset_images *images) {
    size_t bytes = (size_t)images->n * (size_t)images->h * (size_t)images->w;
    uint8_t *copy = memory_calloc(bytes, 1);
    assert_non_null(copy);
    memcpy(copy, images->labels, bytes);
    return copy;
}

static void assert_text(void **state, const char *path, const char *want) {
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(scratch_path(state, path), 0, &text, &bytes), ADELE_OK);
    assert_string_equal(text, want);
    memory_free(text);
}

static void assert_same_labels(void **state, const char *a, const char *b) {
    struct image left, right;
    assert_int_equal(image_load_label(scratch_path(state, a), 0, &left), ADELE_OK);
    assert_int_equal(image_load_label(scratch_path(state, b), 0, &right), ADELE_OK);
    assert_int_equal(left.width, right.width);
    assert_int_equal(left.height, right.height);
    assert_true(compare_bytes("labels", left.pixels, right.pixels,
                              (size_t)left.width * (size_t)left.height));
    assert_int_equal(left.palette.n, right.palette.n);
    assert_memory_equal(left.palette.rgb, right.palette.rgb, (size_t)left.palette.n * 3);
    image_deinit(&left);
    image_deinit(&right);
}

// ---- pictures -----------------------------------------------------------------------------------

static void unchanged_maps_give_the_source_back(void **state) {
    tiny_voc(state, "voc");
    // A resident size that no pixel survives, and values that label_map merges.
    struct dataset_config config = tiny_config(state, "voc");
    int from[] = {0, 1, 2};
    uint8_t to[] = {0, 1, 1};
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    config.height = config.width = 3;
    tiny_label_set(state, "voc/SegmentationClass/s1.png", 2, 2, 255);
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_train(dataset, &images);
    export_labels(state, dataset, &images, images.labels, images.labels, "out");
    assert_same_labels(state, "out/SegmentationClass/s1.png", "voc/SegmentationClass/s1.png");
    assert_same_labels(state, "out/SegmentationClass/s2.png", "voc/SegmentationClass/s2.png");
    assert_text(state, "out/changes.csv",
                "case,slice,changed_pixels,changed_fraction\ns1,0,0,0.000000\ns2,0,0,0.000000\n");
    export_labels(state, dataset, &images, images.labels, NULL, "again");
    assert_same_labels(state, "again/SegmentationClass/s1.png", "voc/SegmentationClass/s1.png");
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void changed_pixels_have_the_new_category(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_train(dataset, &images);
    uint8_t *labels = copy_labels(&images);
    // p2 (seed 1): pixel (0, 0) is 1; p3 (seed 2): pixels (0, 0) and (0, 1) are 2.
    labels[PLANE] = 0;
    labels[2 * PLANE] = 1;
    labels[2 * PLANE + 1] = 255;
    export_labels(state, dataset, &images, labels, images.labels, "out");
    assert_same_labels(state, "out/labelsTr/p1.png", "set/labelsTr/p1.png");
    tiny_label_set(state, "set/labelsTr/p2.png", 0, 0, 0);
    assert_same_labels(state, "out/labelsTr/p2.png", "set/labelsTr/p2.png");
    tiny_label_set(state, "set/labelsTr/p3.png", 0, 0, 1);
    tiny_label_set(state, "set/labelsTr/p3.png", 0, 1, 255);
    assert_same_labels(state, "out/labelsTr/p3.png", "set/labelsTr/p3.png");
    assert_text(state, "out/changes.csv",
                "case,slice,changed_pixels,changed_fraction,lung->background,heart->lung,"
                "heart->ignore\n"
                "p3,0,2,0.041667,0,1,1\n"
                "p2,0,1,0.020833,1,0,0\n"
                "p1,0,0,0.000000,0,0,0\n");
    memory_free(labels);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void resized_maps_change_their_own_pixels_only(void **state) {
    tiny_img_ann(state, "mm");
    struct dataset_config config = tiny_config(state, "mm");
    config.height = TINY_H / 2;
    config.width = TINY_W / 2;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_train(dataset, &images);
    uint8_t *labels = copy_labels(&images);
    // Blocks of 2 x 2 of one class in the file (test_label_project has finer ones).
    for (int k = 0; k < TINY_H * TINY_W; k++) {
        int y = k / TINY_W, x = k % TINY_W;
        tiny_label_set(state, "mm/ann_dir/train/i1.png", y, x,
                       labels[(y / 2) * (TINY_W / 2) + x / 2]);
    }
    labels[0] = (uint8_t)((labels[0] + 1) % 3);
    export_labels(state, dataset, &images, labels, NULL, "out");
    for (int k = 0; k < 4; k++)
        tiny_label_set(state, "mm/ann_dir/train/i1.png", k / 2, k % 2, labels[0]);
    assert_same_labels(state, "out/ann_dir/train/i1.png", "mm/ann_dir/train/i1.png");
    memory_free(labels);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void values_are_mapped_back(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    int from[] = {2, 1};
    uint8_t to[] = {1, 1};
    config.map = (struct label_map){.n = 2, .from = from, .to = to, .other = 0};
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_train(dataset, &images);
    uint8_t *labels = copy_labels(&images);
    assert_int_equal(labels[0], 0);
    labels[0] = 1;     // the first `from` of category 1 is 2
    labels[PLANE] = 0; // the value that the map does not name
    export_labels(state, dataset, &images, labels, images.labels, "out");
    tiny_label_set(state, "set/labelsTr/p1.png", 0, 0, 2);
    tiny_label_set(state, "set/labelsTr/p2.png", 0, 0, 0);
    assert_same_labels(state, "out/labelsTr/p1.png", "set/labelsTr/p1.png");
    assert_same_labels(state, "out/labelsTr/p2.png", "set/labelsTr/p2.png");
    memory_free(labels);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void short_palettes_are_continued(void **state) {
    struct image picture;
    tiny_voc(state, "voc");
    assert_int_equal(image_init(&picture, TINY_W, TINY_H, 1, 8), ADELE_OK);
    picture.palette.n = 2;
    picture.palette.rgb[1][0] = 200;
    assert_int_equal(image_save_png(scratch_path(state, "voc/SegmentationClass/s1.png"), &picture),
                     ADELE_OK);
    image_deinit(&picture);
    struct dataset_config config = tiny_config(state, "voc");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_train(dataset, &images);
    uint8_t *labels = copy_labels(&images);
    labels[3] = 2;
    export_labels(state, dataset, &images, labels, images.labels, "out");
    assert_int_equal(
        image_load_label(scratch_path(state, "out/SegmentationClass/s1.png"), 0, &picture),
        ADELE_OK);
    assert_int_equal(((const uint8_t *)picture.pixels)[3], 2);
    assert_true(picture.palette.n >= 3);
    assert_int_equal(picture.palette.rgb[1][0], 200);
    assert_int_equal(picture.palette.rgb[2][1], 128); // VOC's green
    image_deinit(&picture);
    memory_free(labels);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// ---- volumes ------------------------------------------------------------------------------------

static void load_volume(void **state, const char *path, struct nifti_volume *out) {
    assert_int_equal(nifti_load(scratch_path(state, path), 0, out), ADELE_OK);
}

static void volumes_keep_geometry_and_other_slices(void **state) {
    struct nifti_volume source, exported;
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.foreground_slices_only = true;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_train(dataset, &images);
    uint8_t *labels = copy_labels(&images);
    labels[PLANE + 5] = 1; // slice 2 of v1, was 2
    export_labels(state, dataset, &images, labels, images.labels, "out");
    load_volume(state, "set/labelsTr/v1.nii.gz", &source);
    load_volume(state, "out/labelsTr/v1.nii.gz", &exported);
    assert_int_equal(exported.nz, TINY_SLICES);
    assert_true(compare_bytes("spacing", exported.spacing, source.spacing, sizeof source.spacing));
    source.voxels[2 * PLANE + 5] = 1.0f;
    assert_true(compare_bytes("voxels", exported.voxels, source.voxels,
                              sizeof(float) * TINY_SLICES * PLANE));
    nifti_deinit(&source);
    nifti_deinit(&exported);
    assert_text(state, "out/changes.csv",
                "case,slice,changed_pixels,changed_fraction,aorta->heart\nv1,2,1,0.020833,1\n"
                "v1,1,0,0.000000,0\nv2,1,0,0.000000,0\nv2,2,0,0.000000,0\n");
    memory_free(labels);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void values_beyond_255_survive(void **state) {
    struct nifti_volume source, exported;
    float values[TINY_SLICES * PLANE] = {0};
    tiny_volumes(state, "set");
    for (int i = 0; i < PLANE; i++)
        values[PLANE + i] = (float)(i % 3) * 1000.0f;
    tiny_volume(state, "set/labelsTr/v1.nii.gz", TINY_SLICES, values, 0);
    tiny_volume(state, "set/labelsTr/v2.nii.gz", TINY_SLICES, values, 0);
    struct dataset_config config = tiny_config(state, "set");
    int from[] = {0, 1000, 2000};
    uint8_t to[] = {0, 1, 2};
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_train(dataset, &images);
    uint8_t *labels = copy_labels(&images);
    labels[3 * PLANE + 7] = 2;
    export_labels(state, dataset, &images, labels, images.labels, "out");
    load_volume(state, "set/labelsTr/v1.nii.gz", &source);
    load_volume(state, "out/labelsTr/v1.nii.gz", &exported);
    source.voxels[3 * PLANE + 7] = 2000.0f;
    assert_true(compare_bytes("voxels", exported.voxels, source.voxels,
                              sizeof(float) * TINY_SLICES * PLANE));
    nifti_deinit(&source);
    nifti_deinit(&exported);
    memory_free(labels);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// ---- what stops an export -----------------------------------------------------------------------

static void exports_that_cannot_be(void **state) {
    tiny_img_ann(state, "mm");
    struct dataset_config config = tiny_config(state, "mm");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    assert_int_equal(dataset_load(dataset, SPLIT_TEST, true, &images), ADELE_OK);
    uint8_t labels[2 * PLANE] = {0};
    assert_int_equal(label_store_export(dataset, SPLIT_TEST, &images, labels, NULL,
                                        scratch_path(state, "out"), NULL),
                     ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "i4 of the test split has no mask"));
    dataset_images_deinit(&images);
    load_train(dataset, &images);
    tiny_text(state, "file", "in the way");
    assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, labels, NULL,
                                        scratch_path(state, "file"), NULL),
                     ADELE_IO);
    images.origin[1].i_case = 7;
    assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, labels, NULL,
                                        scratch_path(state, "out"), NULL),
                     ADELE_INVALID_ARGUMENT);
    images.origin[1].i_case = 1;
    images.origin[1].slice = 3;
    assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, labels, NULL,
                                        scratch_path(state, "out"), NULL),
                     ADELE_DATA);
    dataset_images_deinit(&images);
    dataset_close(dataset);

    // A value that no 8-bit file can hold.
    int from[] = {0, 1, 2, 900};
    uint8_t to[] = {0, 1, 1, 2};
    config.map = (struct label_map){.n = 4, .from = from, .to = to, .other = -1};
    dataset = tiny_open(&config);
    load_train(dataset, &images);
    memset(labels, 2, sizeof labels);
    assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, labels, images.labels,
                                        scratch_path(state, "out"), NULL),
                     ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "value 900 does not fit"));
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void export_survives_failing_memory(void **state) {
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.height = config.width = 4;
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    load_train(dataset, &images);
    uint8_t *labels = copy_labels(&images);
    labels[3] = (uint8_t)!labels[3];
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK && n < 5000; n++) {
        memory_fail_at(n);
        status = label_store_export(dataset, SPLIT_TRAIN, &images, labels, NULL,
                                    scratch_path(state, "out"), NULL);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
    }
    assert_int_equal(status, ADELE_OK);
    assert_true(n > 20);
    memory_free(labels);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// ---- predictions --------------------------------------------------------------------------------

static void predictions_have_the_source_size(void **state) {
    struct image picture;
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    struct dataset *dataset = tiny_open(&config);
    const uint8_t map[4] = {0, 1, 2, 255}; // 2 x 2
    const struct dataset_case *item = &dataset->cases[SPLIT_VAL][0];
    assert_int_equal(
        label_store_save_prediction(dataset, item, 1, 2, 2, map, scratch_path(state, "out")),
        ADELE_OK);
    assert_int_equal(image_load_label(scratch_path(state, "out/s3.png"), 0, &picture), ADELE_OK);
    assert_int_equal(picture.width, TINY_W);
    assert_int_equal(picture.palette.n, 256);
    assert_int_equal(picture.palette.rgb[1][0], 128);
    for (int i = 0; i < PLANE; i++) {
        int quarter = (i / TINY_W >= TINY_H / 2) * 2 + (i % TINY_W >= TINY_W / 2);
        assert_int_equal(((const uint8_t *)picture.pixels)[i], map[quarter]);
    }
    image_deinit(&picture);
    assert_int_equal(
        label_store_save_prediction(dataset, item, 2, 1, 1, map, scratch_path(state, "out")),
        ADELE_INVALID_ARGUMENT);
    dataset_close(dataset);
}

static void predicted_volumes_have_the_image_header(void **state) {
    struct nifti_volume source, predicted;
    uint8_t map[TINY_SLICES];
    for (int i = 0; i < TINY_SLICES; i++)
        map[i] = (uint8_t)i;
    tiny_volume(state, "in/v_0000.nii", TINY_SLICES, NULL, 1);
    struct dataset *dataset = NULL;
    assert_int_equal(dataset_open_folder(scratch_path(state, "in"), 1, NULL, &dataset), ADELE_OK);
    assert_int_equal(label_store_save_prediction(dataset, &dataset->cases[SPLIT_TEST][0],
                                                 TINY_SLICES, 1, 1, map,
                                                 scratch_path(state, "out")),
                     ADELE_OK);
    load_volume(state, "in/v_0000.nii", &source);
    load_volume(state, "out/v.nii", &predicted);
    assert_true(compare_bytes("spacing", predicted.spacing, source.spacing, sizeof source.spacing));
    for (int i = 0; i < TINY_SLICES * PLANE; i++)
        assert_true(predicted.voxels[i] == (float)(i / PLANE));
    nifti_deinit(&source);
    nifti_deinit(&predicted);
    assert_int_equal(unlink(scratch_path(state, "in/v_0000.nii")), 0);
    assert_int_equal(label_store_save_prediction(dataset, &dataset->cases[SPLIT_TEST][0],
                                                 TINY_SLICES, 1, 1, map,
                                                 scratch_path(state, "out")),
                     ADELE_IO);
    dataset_close(dataset);
}

// ---- changes.csv --------------------------------------------------------------------------------

static void odd_names_are_quoted(void **state) {
    struct changes changes;
    char *names[] = {"a \"b\"", "c,d"};
    const uint8_t before[2] = {0, 7}, after[2] = {1, 7};
    assert_int_equal(changes_init(&changes), ADELE_OK);
    assert_int_equal(changes_add(&changes, "x,y", 3, before, after, 2), ADELE_OK);
    assert_int_equal(changes_add(&changes, "a", 0, after, before, 1), ADELE_OK);
    const uint8_t other[1] = {9}, same[1] = {0};
    assert_int_equal(changes_add(&changes, "b", 2, other, same, 1), ADELE_OK);
    assert_int_equal(changes_add(&changes, "b", 1, other, same, 1), ADELE_OK);
    assert_int_equal(changes_save(&changes, 2, names, scratch_path(state, ".")), ADELE_OK);
    assert_text(state, "changes.csv",
                "case,slice,changed_pixels,changed_fraction,\"a \"\"b\"\"->c,d\","
                "\"c,d->a \"\"b\"\"\",\"category_9->a \"\"b\"\"\"\n"
                "a,0,1,1.000000,0,1,0\n"
                "b,1,1,1.000000,0,0,1\n"
                "b,2,1,1.000000,0,0,1\n"
                "\"x,y\",3,1,0.500000,1,0,0\n");
    changes_deinit(&changes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(unchanged_maps_give_the_source_back),
        TEST(changed_pixels_have_the_new_category),
        TEST(resized_maps_change_their_own_pixels_only),
        TEST(values_are_mapped_back),
        TEST(short_palettes_are_continued),
        TEST(volumes_keep_geometry_and_other_slices),
        TEST(values_beyond_255_survive),
        TEST(exports_that_cannot_be),
        TEST(export_survives_failing_memory),
        TEST(predictions_have_the_source_size),
        TEST(predicted_volumes_have_the_image_header),
        TEST(odd_names_are_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
