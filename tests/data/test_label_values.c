// SPDX-License-Identifier: MIT
// Label maps whose values are not whole numbers, unknown or large: training and `check` report
// value, position and count; such slices are never skipped; and files that are written again keep
// their type, slope, header, and all bytes of what did not change.
#include "base/file.h"
#include "base/memory.h"
#include "data/check.h"
#include "data/dataset.h"
#include "data/label_lookup.h"
#include "data/label_store.h"
#include "data/load.h"
#include "data/noise.h"
#include "data/noise_files.h"
#include "image/byte_order.h"
#include "image/image.h"
#include "image/nifti.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/tiny_nifti.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NX    8
#define NY    6
#define NZ    4
#define PLANE (NX * NY)

static const int extents[3] = {NX, NY, NZ};
static const double sizes[3] = {1.0, 1.0, 3.0};

// NIfTI's codes of the data types, and the bytes of a voxel.
static const struct {
    int code, bytes;
} types[] = {{2, 1},   {256, 1}, {4, 2},  {512, 2},  {8, 4},
             {768, 4}, {16, 4},  {64, 8}, {1024, 8}, {1280, 8}};
#define N_TYPES (sizeof types / sizeof *types)

// A label map with foreground in slices 1 to 3; borrowed until the next call, or write_set.
static struct tiny_nifti *label_map(int datatype) {
    static struct tiny_nifti label;
    tiny_nifti_init(&label, extents, sizes);
    label.datatype = datatype;
    for (int i = 0; i < PLANE * NZ; i++)
        label.values[i] = i / PLANE > 0 && i % NX > 2;
    return &label;
}

// Cases a and b; the label map of a is the given one, that of b a uint8 one.
static void write_set(void *const *state, const struct tiny_nifti *label) {
    static struct tiny_nifti image;
    tiny_text(state, "set/dataset.json",
              "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, \"one\": 1}, "
              "\"file_ending\": \".nii\"}");
    tiny_nifti_init(&image, extents, sizes);
    for (int i = 0; i < PLANE * NZ; i++)
        image.values[i] = i * 31 % 97;
    tiny_nifti_write(state, "set/imagesTr/a_0000.nii", &image);
    tiny_nifti_write(state, "set/imagesTr/b_0000.nii", &image);
    tiny_nifti_write(state, "set/labelsTr/a.nii", label);
    tiny_nifti_write(state, "set/labelsTr/b.nii", label_map(2));
}

static void assert_has(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("'%s' lacks '%s'", text, part);
}

// Loading for training, `check` and noise all fail with the same message, which contains `part`.
static void refuse_all(void *const *state, const struct dataset_config *config, const char *part) {
    struct dataset *dataset = tiny_open(config);
    struct dataset_images images;
    struct check_report report;
    struct noise_config noise;
    struct noise_report realized;
    char message[2048], hint[512];
    int n = 0;
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, false, &images), ADELE_DATA);
    (void)snprintf(message, sizeof message, "%s", adele_error_message());
    (void)snprintf(hint, sizeof hint, "%s", adele_error_hint());
    assert_has(message, part);
    noise_config_init(&noise);
    assert_int_equal(
        noise_files_write(dataset, &noise, scratch_path(state, "noise"), false, &realized, &n),
        ADELE_DATA);
    assert_string_equal(adele_error_message(), message);
    dataset_close(dataset);
    assert_int_equal(check_run(config, &report), ADELE_OK);
    bool is_found = false; // the first: training stops there
    for (int i = 0; i < report.n_problems && !is_found; i++)
        if (report.problems[i].kind == CHECK_LABEL_OUT_OF_RANGE) {
            is_found = true;
            assert_true(report.problems[i].is_error);
            assert_string_equal(report.problems[i].text, message);
            assert_string_equal(report.problems[i].hint, hint);
        }
    assert_true(is_found);
    check_report_deinit(&report);
}

// As for training: slices without foreground are skipped.
static struct dataset_config training_config(void *const *state) {
    struct dataset_config config = tiny_config(state, "set");
    config.foreground_slices_only = true;
    return config;
}

// ---- values that are refused --------------------------------------------------------------------

// A linear resampling left 0.5 and no 1 in slices 2 and 3, which then seemed to have no foreground.
static void half_resampled_slices_are_not_left_out(void **state) {
    struct tiny_nifti *label = label_map(16);
    for (int i = 2 * PLANE; i < 4 * PLANE; i++)
        label->values[i] *= 0.5;
    write_set(state, label);
    struct dataset_config config = training_config(state);
    refuse_all(state, &config,
               "labelsTr/a.nii: voxel (x 3, y 0, z 2) is 0.5, which is not a whole "
               "number; 60 such in the file, in 2 of 4 slices");
    assert_has(adele_error_hint(), "nearest neighbour");
}

static void a_slope_beside_whole_numbers_is_named(void **state) {
    struct tiny_nifti *label = label_map(2);
    label->slope = 12.0 / 255.0;
    for (int i = 0; i < PLANE * NZ; i++)
        label->values[i] *= 21;
    write_set(state, label);
    struct dataset_config config = training_config(state);
    refuse_all(state, &config,
               "voxel (x 3, y 0, z 1) is 0.988235 (21 in the file, times its slope "
               "0.0470588), which is not a whole number; 90 such");
    assert_has(adele_error_hint(), "scl_slope");
    label = label_map(4);
    label->slope = 0.5;
    label->intercept = 0.25;
    write_set(state, label);
    refuse_all(state, &config,
               "is 0.25 (0 in the file, times its slope 0.5 plus its intercept "
               "0.25)");
}

static void what_is_no_number_is_refused(void **state) {
    struct tiny_nifti *label = label_map(64);
    label->values[5] = (double)NAN;
    write_set(state, label);
    struct dataset_config config = training_config(state);
    refuse_all(state, &config,
               "voxel (x 5, y 0, z 0) is NaN, which is not a whole number; 1 such in "
               "the file, in 1 of 4 slices");
    label = label_map(64);
    label->values[5] = (double)INFINITY;
    write_set(state, label);
    refuse_all(state, &config, "voxel (x 5, y 0, z 0) is inf, ");
}

static void large_and_negative_values_are_told(void **state) {
    struct tiny_nifti *label = label_map(8);
    struct dataset_config config = training_config(state);
    for (int i = 0; i < PLANE * NZ; i++)
        label->values[i] *= 70001;
    write_set(state, label);
    refuse_all(state, &config, "voxel (x 3, y 0, z 1) is 70001, but classes are 0 to 1");
    label = label_map(4);
    label->values[PLANE] = -1;
    write_set(state, label);
    refuse_all(state, &config, "voxel (x 0, y 0, z 1) is -1, but classes are 0 to 1");
    label = label_map(1280);
    label->values[2] = 9007199254740992.0; // 2^53
    write_set(state, label);
    refuse_all(state, &config, "voxel (x 2, y 0, z 0) is 9007199254740992, but");
    // Also where a map names other values, and not this one.
    const int from[] = {0, 1};
    const uint8_t to[] = {0, 1};
    config.map = (struct label_map){.n = 2, .from = from, .to = to, .other = -1};
    refuse_all(state, &config, "is 9007199254740992, which data.label_map does not name");
}

// The layout's own labels decide which slices are trained on; theirs are looked at as well.
static void own_labels_beside_noisy_and_true_ones(void **state) {
    struct tiny_nifti *label = label_map(16);
    struct dataset_images images;
    label->values[3 * PLANE + 7] = 0.25;
    write_set(state, label);
    tiny_nifti_write(state, "good/a.nii", label_map(2));
    tiny_nifti_write(state, "good/b.nii", label_map(2));
    struct dataset_config config = training_config(state);
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
    assert_has(adele_error_message(), "labelsTr/p1.png: 9 x 6, but its image");
    dataset_close(dataset);
    assert_int_equal(check_run(&config, &report), ADELE_OK);
    assert_int_equal(report.problems[0].kind, CHECK_SIZE_MISMATCH);
    assert_int_equal(report.problems[1].kind, CHECK_LABEL_OUT_OF_RANGE);
    check_report_deinit(&report);
}

// The place is that of the file, in whatever order the set is read.
static void places_are_those_of_the_file(void **state) {
    static struct tiny_nifti turned;
    struct tiny_nifti *label = label_map(16);
    label->values[2 * PLANE + 3 * NX + 5] = 7.0; // (5, 3, 2)
    tiny_nifti_turn(label, (const int[3]){2, 0, 1}, (const int[3]){1, 0, 0}, &turned);
    write_set(state, &turned);
    struct dataset_config config = training_config(state);
    refuse_all(state, &config, "voxel (x 1, y 5, z 3) is 7, but");
}

// ---- values that are read -----------------------------------------------------------------------

static void load_train(const struct dataset *dataset, struct dataset_images *out) {
    if (dataset_load(dataset, SPLIT_TRAIN, false, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

static void every_data_type_is_read(void **state) {
    for (size_t k = 0; k < N_TYPES; k++) {
        struct dataset_images images;
        write_set(state, label_map(types[k].code));
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        load_train(dataset, &images);
        assert_int_equal(images.n, 2 * NZ);
        for (int i = 0; i < PLANE * NZ; i++)
            assert_int_equal(images.labels[i], i / PLANE > 0 && i % NX > 2);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
}

// What nibabel makes of floats in an int16 header: 32767 with a slope of 1 / 32767.
static void slopes_that_give_whole_numbers_are_read(void **state) {
    struct tiny_nifti *label = label_map(4);
    struct dataset_images images;
    label->slope = 1.0 / 32767.0;
    for (int i = 0; i < PLANE * NZ; i++)
        label->values[i] *= 32767;
    write_set(state, label);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    load_train(dataset, &images);
    assert_memory_equal(images.labels, images.labels + PLANE * NZ, PLANE * NZ);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// Ids of any size go through the map, and come back.
static void large_and_negative_ids_are_mapped(void **state) {
    static const int datatypes[] = {8, 768, 1024, 1280, 64};
    const int from[] = {0, 1, 70001, 2000000011, -1};
    const uint8_t to[] = {0, 0, 1, 2, 255};
    for (size_t k = 0; k < sizeof datatypes / sizeof *datatypes; k++) {
        bool has_sign = datatypes[k] != 768 && datatypes[k] != 1280;
        struct tiny_nifti *label = label_map(datatypes[k]);
        struct dataset_images images;
        for (int i = 0; i < PLANE * NZ; i++)
            label->values[i] *= i % 2 == 0 ? 70001 : 2000000011;
        label->values[1] = has_sign ? -1 : 0;
        write_set(state, label);
        struct dataset_config config = tiny_config(state, "set");
        config.map = (struct label_map){.n = 5, .from = from, .to = to, .other = -1};
        struct dataset *dataset = tiny_open(&config);
        load_train(dataset, &images);
        assert_int_equal(dataset->n_categories, 3);
        for (int i = 2; i < PLANE * NZ; i++)
            assert_int_equal(images.labels[i],
                             i / PLANE > 0 && i % NX > 2 ? (i % 2 == 0 ? 1 : 2) : 0);
        assert_int_equal(images.labels[1], has_sign ? 255 : 0);
        images.labels[0] = 2;
        assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                            scratch_path(state, "out"), NULL),
                         ADELE_OK);
        struct nifti_volume out;
        assert_int_equal(nifti_load_raw(scratch_path(state, "out/labelsTr/a.nii"), 0, &out),
                         ADELE_OK);
        assert_true(nifti_raw_value(&out, 0) == 2000000011.0);
        for (size_t i = 1; i < PLANE * NZ; i++) {
            double id = i % 2 == 0 ? 70001 : 2000000011;
            bool is_foreground = i / PLANE > 0 && i % NX > 2;
            double want = i == 1 && has_sign ? -1.0 : is_foreground ? id : 0.0;
            assert_true(nifti_raw_value(&out, i) == want);
        }
        nifti_deinit(&out);
        // A predicted map has the ids, too: the first of each category.
        uint8_t map[NZ] = {0, 1, 2, 1};
        assert_int_equal(label_store_save_prediction(dataset, &dataset->cases[SPLIT_TRAIN][0], NZ,
                                                     1, 1, map, scratch_path(state, "predicted")),
                         ADELE_OK);
        assert_int_equal(nifti_load_raw(scratch_path(state, "predicted/a.nii"), 0, &out), ADELE_OK);
        for (size_t i = 0; i < PLANE * NZ; i++)
            assert_true(nifti_raw_value(&out, i) ==
                        ((const double[]){0.0, 70001.0, 2000000011.0, 70001.0})[i / PLANE]);
        nifti_deinit(&out);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
}

// dataset.json may name such ids where there is a label_map; without one that is an error.
static void large_ids_in_dataset_json(void **state) {
    const int from[] = {0, 70001};
    const uint8_t to[] = {0, 1};
    struct tiny_nifti *label = label_map(8);
    struct dataset *dataset = NULL;
    for (int i = 0; i < PLANE * NZ; i++)
        label->values[i] *= 70001;
    write_set(state, label);
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
    struct tiny_nifti *label = label_map(1024);
    struct dataset_images images;
    for (int i = 0; i < PLANE * NZ; i++)
        label->values[i] *= 5000000000.0; // beyond 32 bits
    write_set(state, label);
    struct dataset_config config = tiny_config(state, "set");
    config.map = (struct label_map){.n = 1, .from = from, .to = to, .other = 1};
    struct dataset *dataset = tiny_open(&config);
    load_train(dataset, &images);
    assert_memory_equal(images.labels, images.labels + PLANE * NZ, PLANE * NZ);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

// ---- files that are written again ---------------------------------------------------------------

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
    for (size_t k = 0; k < 2 * N_TYPES; k++) {
        int code = types[k / 2].code;
        struct tiny_nifti *label = label_map(code);
        struct dataset_images images;
        bool is_changed = false;
        if (k % 2 == 1) { // 30 in the file is category 1, with an intercept
            label->slope = 0.05;
            label->intercept = -0.5;
            for (int i = 0; i < PLANE * NZ; i++)
                label->values[i] = 10 + 20 * label->values[i];
        } else if (code == 16) {
            label->values[0] = 1e-4; // read as 0, and kept
            label->values[1] = -0.0;
        }
        write_set(state, label);
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        load_train(dataset, &images);
        images.labels[PLANE] = 1;
        assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                            scratch_path(state, "out"), NULL),
                         ADELE_OK);
        assert_kept(state, "out/labelsTr/a.nii", PLANE, types[k / 2].bytes, &is_changed);
        assert_true(is_changed);
        struct nifti_volume out;
        assert_int_equal(nifti_load_raw(scratch_path(state, "out/labelsTr/a.nii"), 0, &out),
                         ADELE_OK);
        assert_int_equal(out.datatype, code);
        assert_true(nifti_is_whole(nifti_raw_value(&out, PLANE), 1.0));
        nifti_deinit(&out);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
}

static void big_endian_files_stay_so(void **state) {
    struct tiny_nifti *label = label_map(4);
    struct dataset_images images;
    write_set(state, label);
    // The same file in the other byte order: only the fields that the reader uses.
    unsigned char bytes[352 + 2 * PLANE * NZ] = {0};
    bytes_put(bytes, 4, true, 348);
    bytes_put(bytes + 40, 2, true, 3);
    for (int i = 0; i < 3; i++) {
        bytes_put(bytes + 42 + 2 * i, 2, true, (uint64_t)extents[i]);
        bytes_put_f32(bytes + 80 + 4 * i, true, (float)sizes[i]);
        bytes_put_f32(bytes + 280 + 20 * i, true, (float)sizes[i]);
    }
    bytes_put(bytes + 70, 2, true, 4);
    bytes_put(bytes + 72, 2, true, 16);
    bytes_put_f32(bytes + 108, true, 352.0F);
    bytes_put(bytes + 254, 2, true, 1);
    memcpy(bytes + 344, "n+1\0", 4);
    for (int i = 0; i < PLANE * NZ; i++)
        bytes_put(bytes + 352 + 2 * i, 2, true, (uint64_t)label->values[i]);
    assert_int_equal(file_write(scratch_path(state, "set/labelsTr/a.nii"), bytes, sizeof bytes),
                     ADELE_OK);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    load_train(dataset, &images);
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
    struct tiny_nifti *label = label_map(4);
    struct dataset_images images;
    const int from[] = {0, 1, 2};
    const uint8_t to[] = {0, 1, 2};
    label->slope = 1.0 / 32767.0;
    for (int i = 0; i < PLANE * NZ; i++)
        label->values[i] *= 32767;
    write_set(state, label);
    struct dataset_config config = tiny_config(state, "set");
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    struct dataset *dataset = tiny_open(&config);
    load_train(dataset, &images);
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
    struct tiny_nifti *label = label_map(1024);
    label->values[0] = 0;
    write_set(state, label);
    memset(label->values, 0, sizeof label->values);
    tiny_nifti_write(state, "set/labelsTr/b.nii", label);
    struct dataset_config config = training_config(state);
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(
        noise_files_write(dataset, &noise, scratch_path(state, "out"), false, &report, &n_images),
        ADELE_OK);
    assert_int_equal(n_images, 3); // slices 1 to 3 of a
    size_t n = 0, n_changed = 0;
    char *bytes = tiny_nifti_bytes(state, "out/labelsTr/a.nii", &n);
    char *source = tiny_nifti_bytes(state, "set/labelsTr/a.nii", &n);
    assert_memory_equal(bytes, source, 352 + 8 * PLANE); // and slice 0
    for (size_t i = PLANE; i < PLANE * NZ; i++) {
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

// ---- pictures of 16 bits ------------------------------------------------------------------------

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
    refuse_all(state, &config,
               "labelsTr/p1.png: pixel (x 1, y 0) is 26001, but classes are 0 "
               "to 2");
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    struct dataset *dataset = tiny_open(&config);
    load_train(dataset, &images);
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
    load_train(dataset, &images);
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
        TEST(half_resampled_slices_are_not_left_out),
        TEST(a_slope_beside_whole_numbers_is_named),
        TEST(what_is_no_number_is_refused),
        TEST(large_and_negative_values_are_told),
        TEST(own_labels_beside_noisy_and_true_ones),
        TEST(sizes_go_before_values),
        TEST(places_are_those_of_the_file),
        TEST(every_data_type_is_read),
        TEST(slopes_that_give_whole_numbers_are_read),
        TEST(large_and_negative_ids_are_mapped),
        TEST(large_ids_in_dataset_json),
        TEST(values_nobody_names_become_the_other_category),
        TEST(exported_labels_keep_their_type_and_bytes),
        TEST(big_endian_files_stay_so),
        TEST(a_type_that_cannot_hold_a_category_is_told),
        TEST(noise_keeps_types_and_bytes),
        TEST(instance_ids_of_pictures_are_mapped),
        TEST(wide_pictures_of_small_values_stay_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
