// SPDX-License-Identifier: MIT
// Label files that are written again: they keep their type, slope, header, and all bytes of what
// did not change; ids of any size go through data.label_map and come back.
#include "base/file.h"
#include "base/memory.h"
#include "data/load.h"
#include "image/byte_order.h"
#include "image/image.h"
#include "image/nifti.h"
#include "noise/noise.h"
#include "noise/noise_files.h"
#include "output/label_store.h"
#include "support/label_set.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

// Ids of any size go through the map, and come back.
static void large_and_negative_ids_are_mapped(void **state) {
    static const int datatypes[] = {8, 768, 1024, 1280, 64};
    const int from[] = {0, 1, 70001, 2000000011, -1};
    const uint8_t to[] = {0, 0, 1, 2, 255};
    for (size_t k = 0; k < sizeof datatypes / sizeof *datatypes; k++) {
        bool has_sign = datatypes[k] != 768 && datatypes[k] != 1280;
        struct tiny_nifti *label = label_set_map(datatypes[k]);
        struct dataset_images images;
        for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
            label->values[i] *= i % 2 == 0 ? 70001 : 2000000011;
        label->values[1] = has_sign ? -1 : 0;
        label_set_write(state, label);
        struct dataset_config config = tiny_config(state, "set");
        config.map = (struct label_map){.n = 5, .from = from, .to = to, .other = -1};
        struct dataset *dataset = tiny_open(&config);
        label_set_load(dataset, &images);
        assert_int_equal(dataset->n_categories, 3);
        for (int i = 2; i < LABEL_PLANE * LABEL_NZ; i++)
            assert_int_equal(images.labels[i],
                             i / LABEL_PLANE > 0 && i % LABEL_NX > 2 ? (i % 2 == 0 ? 1 : 2) : 0);
        assert_int_equal(images.labels[1], has_sign ? 255 : 0);
        images.labels[0] = 2;
        assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                            scratch_path(state, "out"), NULL),
                         ADELE_OK);
        struct nifti_volume out;
        assert_int_equal(nifti_load_raw(scratch_path(state, "out/labelsTr/a.nii"), 0, &out),
                         ADELE_OK);
        assert_true(nifti_raw_value(&out, 0) == 2000000011.0);
        for (size_t i = 1; i < LABEL_PLANE * LABEL_NZ; i++) {
            double id = i % 2 == 0 ? 70001 : 2000000011;
            bool is_foreground = i / LABEL_PLANE > 0 && i % LABEL_NX > 2;
            double want = i == 1 && has_sign ? -1.0 : is_foreground ? id : 0.0;
            assert_true(nifti_raw_value(&out, i) == want);
        }
        nifti_deinit(&out);
        // A predicted map has the ids, too: the first of each category.
        uint8_t map[LABEL_NZ] = {0, 1, 2, 1};
        assert_int_equal(label_store_save_prediction(dataset, &dataset->cases[SPLIT_TRAIN][0],
                                                     LABEL_NZ, 1, 1, map,
                                                     scratch_path(state, "predicted")),
                         ADELE_OK);
        assert_int_equal(nifti_load_raw(scratch_path(state, "predicted/a.nii"), 0, &out), ADELE_OK);
        for (size_t i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
            assert_true(nifti_raw_value(&out, i) ==
                        ((const double[]){0.0, 70001.0, 2000000011.0, 70001.0})[i / LABEL_PLANE]);
        nifti_deinit(&out);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
}

// The header, and each voxel but the given one, are byte for byte those of the source.
static void assert_kept(void *const *state, const char *path, size_t voxel, int n_bytes,
                        bool *is_changed) {
    size_t n = 0, n_source = 0;
    char *bytes = tiny_nifti_bytes(state, path, &n);
    char *source = tiny_nifti_bytes(state, "set/labelsTr/a.nii", &n_source);
    size_t at = 352 + voxel * (size_t)n_bytes;
    assert_true(n == n_source);
    *is_changed = memcmp(bytes + at, source + at, (size_t)n_bytes) != 0;
    memcpy(bytes + at, source + at, (size_t)n_bytes);
    assert_memory_equal(bytes, source, n);
    memory_free(bytes);
    memory_free(source);
}

static void exported_labels_keep_their_type_and_bytes(void **state) {
    for (size_t k = 0; k < 2 * LABEL_SET_TYPES; k++) {
        int code = label_set_types[k / 2].code;
        struct tiny_nifti *label = label_set_map(code);
        struct dataset_images images;
        bool is_changed = false;
        if (k % 2 == 1) { // 30 in the file is category 1, with an intercept
            label->slope = 0.05;
            label->intercept = -0.5;
            for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
                label->values[i] = 10 + 20 * label->values[i];
        } else if (code == 16) {
            label->values[0] = 1e-4; // read as 0, and kept
            label->values[1] = -0.0;
        }
        label_set_write(state, label);
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        label_set_load(dataset, &images);
        images.labels[LABEL_PLANE] = 1;
        assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                            scratch_path(state, "out"), NULL),
                         ADELE_OK);
        assert_kept(state, "out/labelsTr/a.nii", LABEL_PLANE, label_set_types[k / 2].bytes,
                    &is_changed);
        assert_true(is_changed);
        struct nifti_volume out;
        assert_int_equal(nifti_load_raw(scratch_path(state, "out/labelsTr/a.nii"), 0, &out),
                         ADELE_OK);
        assert_int_equal(out.datatype, code);
        assert_true(nifti_is_whole(nifti_raw_value(&out, LABEL_PLANE), 1.0));
        nifti_deinit(&out);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
}

static void big_endian_files_stay_so(void **state) {
    struct tiny_nifti *label = label_set_map(4);
    struct dataset_images images;
    label_set_write(state, label);
    // The same file in the other byte order: only the fields that the reader uses.
    unsigned char bytes[352 + 2 * LABEL_PLANE * LABEL_NZ] = {0};
    bytes_put(bytes, 4, true, 348);
    bytes_put(bytes + 40, 2, true, 3);
    for (int i = 0; i < 3; i++) {
        bytes_put(bytes + 42 + 2 * i, 2, true, (uint64_t)label_set_extents[i]);
        bytes_put_f32(bytes + 80 + 4 * i, true, (float)label_set_sizes[i]);
        bytes_put_f32(bytes + 280 + 20 * i, true, (float)label_set_sizes[i]);
    }
    bytes_put(bytes + 70, 2, true, 4);
    bytes_put(bytes + 72, 2, true, 16);
    bytes_put_f32(bytes + 108, true, 352.0F);
    bytes_put(bytes + 254, 2, true, 1);
    memcpy(bytes + 344, "n+1\0", 4);
    for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
        bytes_put(bytes + 352 + 2 * i, 2, true, (uint64_t)label->values[i]);
    assert_int_equal(file_write(scratch_path(state, "set/labelsTr/a.nii"), bytes, sizeof bytes),
                     ADELE_OK);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    label_set_load(dataset, &images);
    images.labels[0] = 1;
    assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                        scratch_path(state, "out"), NULL),
                     ADELE_OK);
    size_t n = 0;
    char *out = tiny_nifti_bytes(state, "out/labelsTr/a.nii", &n);
    bytes_put(bytes + 352, 2, true, 1);
    assert_int_equal(n, sizeof bytes);
    assert_memory_equal(out, bytes, n);
    memory_free(out);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

static void a_type_that_cannot_hold_a_category_is_told(void **state) {
    struct tiny_nifti *label = label_set_map(4);
    struct dataset_images images;
    const int from[] = {0, 1, 2};
    const uint8_t to[] = {0, 1, 2};
    label->slope = 1.0 / 32767.0;
    for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
        label->values[i] *= 32767;
    label_set_write(state, label);
    struct dataset_config config = tiny_config(state, "set");
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    struct dataset *dataset = tiny_open(&config);
    label_set_load(dataset, &images);
    images.labels[0] = 2; // 65534 in the file
    assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                        scratch_path(state, "out"), NULL),
                     ADELE_DATA);
    assert_has(adele_error_message(), "out/labelsTr/a.nii: value 2 does not fit into the file's "
                                      "data type (int16 with the slope 3.05185e-05)");
    assert_false(file_exists(scratch_path(state, "out/labelsTr/a.nii")));
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// Noise changes some voxels of int64 and of scaled files, and nothing else; a volume without
// foreground is there too, as it is.
static void noise_keeps_types_and_bytes(void **state) {
    struct noise_config noise;
    struct noise_report report;
    int n_images = 0;
    noise_config_init(&noise);
    noise.kind = NOISE_FLIP;
    noise.flip_fraction = 0.1;
    struct tiny_nifti *label = label_set_map(1024);
    label->values[0] = 0;
    label_set_write(state, label);
    memset(label->values, 0, sizeof label->values);
    tiny_nifti_write(state, "set/labelsTr/b.nii", label);
    struct dataset_config config = label_set_training_config(state);
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(
        noise_files_write(dataset, &noise, scratch_path(state, "out"), false, &report, &n_images),
        ADELE_OK);
    assert_int_equal(n_images, 3); // slices 1 to 3 of a
    size_t n = 0, n_changed = 0;
    char *bytes = tiny_nifti_bytes(state, "out/labelsTr/a.nii", &n);
    char *source = tiny_nifti_bytes(state, "set/labelsTr/a.nii", &n);
    assert_memory_equal(bytes, source, 352 + 8 * LABEL_PLANE); // and slice 0
    for (size_t i = LABEL_PLANE; i < LABEL_PLANE * LABEL_NZ; i++) {
        int64_t before = bytes_get_i64((unsigned char *)source + 352 + 8 * i, false);
        int64_t after = bytes_get_i64((unsigned char *)bytes + 352 + 8 * i, false);
        assert_true(after == before || after == 1 - before);
        n_changed += after != before;
    }
    assert_true(n_changed > 5);
    memory_free(bytes);
    memory_free(source);
    bytes = tiny_nifti_bytes(state, "out/labelsTr/b.nii", &n);
    source = tiny_nifti_bytes(state, "set/labelsTr/b.nii", &n);
    assert_memory_equal(bytes, source, n);
    memory_free(bytes);
    memory_free(source);
    dataset_close(dataset);
}

static void wide_label(void *const *state, const char *path) {
    struct image picture;
    assert_int_equal(image_init(&picture, TINY_W, TINY_H, 1, 16), ADELE_OK);
    for (int i = 0; i < TINY_H * TINY_W; i++)
        ((uint16_t *)picture.pixels)[i] = i % 3 == 1 ? 26001 : i % 3 == 2 ? 26002 : 0;
    assert_int_equal(image_save_png(scratch_path(state, path), &picture), ADELE_OK);
    image_deinit(&picture);
}

static void instance_ids_of_pictures_are_mapped(void **state) {
    const int from[] = {0, 26001, 26002};
    const uint8_t to[] = {0, 1, 2};
    struct dataset_images images;
    struct image picture;
    tiny_nnunet(state, "set");
    wide_label(state, "set/labelsTr/p1.png");
    wide_label(state, "set/labelsTr/p2.png");
    wide_label(state, "set/labelsTr/p3.png");
    struct dataset_config config = tiny_config(state, "set");
    label_set_refuse(state, &config,
                     "labelsTr/p1.png: pixel (x 1, y 0) is 26001, but classes are 0 "
                     "to 2");
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    struct dataset *dataset = tiny_open(&config);
    label_set_load(dataset, &images);
    for (int i = 0; i < TINY_H * TINY_W; i++)
        assert_int_equal(images.labels[i], i % 3);
    images.labels[0] = 2;
    assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                        scratch_path(state, "out"), NULL),
                     ADELE_OK);
    assert_int_equal(image_load(scratch_path(state, "out/labelsTr/p1.png"), 0, &picture), ADELE_OK);
    assert_int_equal(picture.n_bits, 16);
    const uint16_t *pixels = picture.pixels;
    assert_int_equal(pixels[0], 26002);
    for (int i = 1; i < TINY_H * TINY_W; i++)
        assert_int_equal(pixels[i], i % 3 == 1 ? 26001 : i % 3 == 2 ? 26002 : 0);
    image_deinit(&picture);
    // Predictions get the ids too, whatever the picture's own kind is.
    const uint8_t map[3] = {0, 1, 2};
    const struct dataset_case *item = &dataset->cases[SPLIT_TRAIN][0];
    assert_int_equal(
        label_store_save_prediction(dataset, item, 1, 1, 3, map, scratch_path(state, "predicted")),
        ADELE_OK);
    assert_int_equal(image_load_label(scratch_path(state, "predicted/p1.png"), 0, &picture),
                     ADELE_OK);
    assert_int_equal(picture.n_bits, 16);
    assert_int_equal(((uint16_t *)picture.pixels)[0], 0);
    assert_int_equal(((uint16_t *)picture.pixels)[TINY_W - 1], 26002);
    image_deinit(&picture);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// 16-bit files of small values: trained on without a map, and written with 16 bits again.
static void wide_pictures_of_small_values_stay_wide(void **state) {
    struct dataset_images images;
    struct image picture;
    tiny_nnunet(state, "set");
    assert_int_equal(image_init(&picture, TINY_W, TINY_H, 1, 16), ADELE_OK);
    for (int i = 0; i < TINY_H * TINY_W; i++)
        ((uint16_t *)picture.pixels)[i] = (uint16_t)(i % 3);
    assert_int_equal(image_save_png(scratch_path(state, "set/labelsTr/p1.png"), &picture),
                     ADELE_OK);
    image_deinit(&picture);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    label_set_load(dataset, &images);
    assert_int_equal(images.labels[2], 2);
    assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                        scratch_path(state, "out"), NULL),
                     ADELE_OK);
    assert_int_equal(image_load(scratch_path(state, "out/labelsTr/p1.png"), 0, &picture), ADELE_OK);
    assert_int_equal(picture.n_bits, 16);
    image_deinit(&picture);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(large_and_negative_ids_are_mapped),
        TEST(exported_labels_keep_their_type_and_bytes),
        TEST(big_endian_files_stay_so),
        TEST(a_type_that_cannot_hold_a_category_is_told),
        TEST(noise_keeps_types_and_bytes),
        TEST(instance_ids_of_pictures_are_mapped),
        TEST(wide_pictures_of_small_values_stay_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
