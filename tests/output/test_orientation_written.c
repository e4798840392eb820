// SPDX-License-Identifier: MIT
// Data sets whose files are stored in different orders: what is written has the order, position and
// header of its source.
#include "base/memory.h"
#include "data/dataset.h"
#include "data/load.h"
#include "image/nifti.h"
#include "noise/noise.h"
#include "noise/noise_files.h"
#include "output/label_store.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/turned_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

// All bytes of both files but those of one voxel, which has the value.
static void assert_same_but(void *const *state, const char *path, const char *source, int at,
                            int value) {
    size_t n = 0, n_source = 0;
    char *bytes = tiny_nifti_bytes(state, path, &n);
    char *want = tiny_nifti_bytes(state, source, &n_source);
    assert_true(n == n_source);
    if (at >= 0) {
        assert_int_not_equal(want[352 + at], value);
        want[352 + at] = (char)value;
    }
    assert_memory_equal(bytes, want, n);
    memory_free(bytes);
    memory_free(want);
}

// The index of voxel (x, y, z) of the set in a reoriented file.
static int place_in(const struct turned_order *turn, const int voxel[3]) {
    static const int n[3] = {TURNED_NX, TURNED_NY, TURNED_NZ};
    int at[3];
    for (int i = 0; i < 3; i++)
        at[i] = turn->flip[i] ? n[turn->axis[i]] - 1 - voxel[turn->axis[i]] : voxel[turn->axis[i]];
    return at[0] + n[turn->axis[0]] * (at[1] + n[turn->axis[1]] * at[2]);
}

static void exported_labels_have_their_files_own_order(void **state) {
    for (size_t k = 0; k < TURNED_N_ORDERS; k++) {
        const int voxel[3] = {3, 4, 2};
        struct dataset_images images;
        turned_set_write(state, "set");
        turned_write(state, "set", "labelsTr/b.nii", 1, true, turned_orders[k].axis,
                     turned_orders[k].flip);
        // Case c is stored in another orientation than the set, and its label map in a third one.
        turned_write(state, "set", "imagesTr/c_0000.nii", 4, false, turned_orders[0].axis,
                     turned_orders[0].flip);
        turned_write(state, "set", "imagesTr/c_0001.nii", 5, false, turned_orders[1].axis,
                     turned_orders[1].flip);
        turned_write(state, "set", "labelsTr/c.nii", 1, true, turned_orders[k].axis,
                     turned_orders[k].flip);
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        turned_set_load(dataset, &images);
        size_t n = (size_t)images.n * TURNED_PLANE;
        uint8_t *labels = memory_calloc(n, 1);
        memcpy(labels, images.labels, n);
        for (int i = 0; i < 3; i++)
            labels[(i * TURNED_NZ + voxel[2]) * TURNED_PLANE + voxel[1] * TURNED_NX + voxel[0]] = 0;
        assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, labels, images.labels,
                                            scratch_path(state, "out"), NULL),
                         ADELE_OK);
        int at = place_in(&turned_orders[k], voxel);
        assert_same_but(state, "out/labelsTr/a.nii", "set/labelsTr/a.nii",
                        voxel[0] + TURNED_NX * (voxel[1] + TURNED_NY * voxel[2]), 0);
        assert_same_but(state, "out/labelsTr/b.nii", "set/labelsTr/b.nii", at, 0);
        assert_same_but(state, "out/labelsTr/c.nii", "set/labelsTr/c.nii", at, 0);
        memory_free(labels);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
}

// The noise of a turned label map is that of the straight one, turned.
static void noise_has_its_files_own_order(void **state) {
    struct noise_config noise;
    struct noise_report report;
    int n_images = 0;
    noise_config_init(&noise);
    noise.kind = NOISE_FLIP;
    noise.flip_fraction = 0.2;
    for (int is_turned = 0; is_turned < 2; is_turned++) {
        turned_set_write(state, "set");
        if (is_turned)
            turned_write(state, "set", "labelsTr/b.nii", 1, true, turned_orders[4].axis,
                         turned_orders[4].flip);
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        const char *folder = scratch_path(state, is_turned ? "noise_turned" : "noise");
        assert_int_equal(noise_files_write(dataset, &noise, folder, false, &report, &n_images),
                         ADELE_OK);
        dataset_close(dataset);
    }
    size_t n = 0;
    char *plain = tiny_nifti_bytes(state, "noise/labelsTr/b.nii", &n);
    char *turned = tiny_nifti_bytes(state, "noise_turned/labelsTr/b.nii", &n);
    char *source = tiny_nifti_bytes(state, "set/labelsTr/b.nii", &n);
    assert_memory_equal(turned, source, 352);
    int n_changed = 0;
    for (int i = 0; i < TURNED_PLANE * TURNED_NZ; i++) {
        int at =
            place_in(&turned_orders[4],
                     (const int[3]){i % TURNED_NX, i / TURNED_NX % TURNED_NY, i / TURNED_PLANE});
        assert_int_equal(plain[352 + i], turned[352 + at]);
        n_changed += turned[352 + at] != source[352 + at];
    }
    assert_true(n_changed > 10);
    memory_free(plain);
    memory_free(turned);
    memory_free(source);
}

static void predictions_have_their_images_order_and_place(void **state) {
    uint8_t map[TURNED_NZ * TURNED_PLANE];
    float *probabilities = memory_calloc(2 * sizeof map, sizeof *probabilities);
    for (int i = 0; i < TURNED_NZ * TURNED_PLANE; i++)
        map[i] = (uint8_t)(i % 7 % 3);
    turned_set_write(state, "set");
    for (size_t k = 0; k < TURNED_N_ORDERS; k++) {
        static struct tiny_nifti volume, turned;
        turned_volume(2, false, &volume);
        tiny_nifti_turn(&volume, turned_orders[k].axis, turned_orders[k].flip, &turned);
        tiny_nifti_write(state, "set/imagesTr/b_0000.nii", &turned);
        struct dataset_config config = tiny_config(state, "set");
        config.orientation = (struct nifti_codes){"RAS"};
        struct dataset *dataset = tiny_open(&config);
        const struct dataset_case *item = &dataset->cases[SPLIT_TRAIN][1];
        assert_int_equal(item->n_slices, TURNED_NZ);
        assert_int_equal(label_store_save_prediction(dataset, item, TURNED_NZ, TURNED_NY, TURNED_NX,
                                                     map, scratch_path(state, "out")),
                         ADELE_OK);
        struct nifti_volume predicted;
        assert_int_equal(nifti_load(scratch_path(state, "out/b.nii"), 0, &predicted), ADELE_OK);
        struct nifti_geometry image;
        assert_int_equal(
            nifti_probe_geometry(scratch_path(state, "set/imagesTr/b_0000.nii"), &image), ADELE_OK);
        assert_memory_equal(&image, &predicted.geometry, sizeof image);
        int extents[3] = {TURNED_NX, TURNED_NY, TURNED_NZ};
        for (int i = 0; i < TURNED_NZ * TURNED_PLANE; i++)
            for (int c = 0; c < 2; c++)
                probabilities[(i / TURNED_PLANE * 2 + c) * TURNED_PLANE + i % TURNED_PLANE] =
                    (float)(1000 * c + i);
        assert_int_equal(label_store_turn_back(dataset, item, 2, extents, &probabilities),
                         ADELE_OK);
        assert_memory_equal(extents, image.n, sizeof extents);
        int plane = extents[0] * extents[1];
        for (int i = 0; i < TURNED_NZ * TURNED_PLANE; i++) {
            int at =
                place_in(&turned_orders[k], (const int[3]){i % TURNED_NX, i / TURNED_NX % TURNED_NY,
                                                           i / TURNED_PLANE});
            assert_true(predicted.voxels[at] == (float)map[i]);
            for (int c = 0; c < 2; c++)
                assert_true(probabilities[(at / plane * 2 + c) * plane + at % plane] ==
                            (float)(1000 * c + i));
        }
        nifti_deinit(&predicted);
        dataset_close(dataset);
    }
    memory_free(probabilities);
}

static void all_of_it_survives_failing_memory(void **state) {
    turned_set_write(state, "set");
    turned_write(state, "set", "labelsTr/b.nii", 1, true, turned_orders[4].axis,
                 turned_orders[4].flip);
    turned_write(state, "set", "imagesTr/c_0001.nii", 5, false, turned_orders[1].axis,
                 turned_orders[1].flip);
    struct dataset_config config = tiny_config(state, "set");
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK && n < 5000; n++) {
        struct dataset *dataset = NULL;
        struct dataset_images images = {0};
        memory_fail_at(n);
        status = dataset_open(&config, &dataset);
        if (status == ADELE_OK)
            status = dataset_load(dataset, SPLIT_TRAIN, false, &images);
        if (status == ADELE_OK)
            status = label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                        scratch_path(state, "out"), NULL);
        memory_fail_at(-1);
        // The error of another thread must reach this one.
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY || status == ADELE_IO);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
    assert_int_equal(status, ADELE_OK);
    assert_true(n > 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(exported_labels_have_their_files_own_order),
        TEST(noise_has_its_files_own_order),
        TEST(predictions_have_their_images_order_and_place),
        TEST(all_of_it_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
