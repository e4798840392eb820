// SPDX-License-Identifier: MIT
// Noise for a data set on disk: files of several sizes, the report, refusals.
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "image/image.h"
#include "noise/noise_files.h"
#include "support/noise_scene.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SIZE   NOISE_SCENE_SIZE
#define PIXELS (SIZE * SIZE)

static void save_map(const char *folder, const char *name, int height, int width, int i) {
    struct image picture = {0};
    uint8_t map[PIXELS];
    char path[4096];
    noise_scene_draw(i, map);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(image_init(&picture, width, height, 1, 8), ADELE_OK);
    resize_nearest_u8(map, SIZE, SIZE, picture.pixels, height, width);
    assert_int_equal(image_save_png(path, &picture), ADELE_OK);
    image_deinit(&picture);
}

// nnU-Net folders with maps of two sizes.
static void save_dataset(void **state, const char *root) {
    static const char json[] =
        "{\"channel_names\": {\"0\": \"x\"}, \"labels\": {\"background\": 0, "
        "\"disc\": 1, \"bar\": 2, \"block\": 3}, \"numTraining\": 4, "
        "\"file_ending\": \".png\"}";
    char path[4096], images[4096], labels[4096];
    (void)state;
    snprintf(images, sizeof images, "%s/imagesTr", root);
    snprintf(labels, sizeof labels, "%s/labelsTr", root);
    snprintf(path, sizeof path, "%s/dataset.json", root);
    assert_int_equal(file_make_directory(images), ADELE_OK);
    assert_int_equal(file_make_directory(labels), ADELE_OK);
    assert_int_equal(file_write(path, json, sizeof json - 1), ADELE_OK);
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "a%d_0000.png", i);
        save_map(images, name, SIZE + 8 * (i % 2), SIZE, i);
        snprintf(name, sizeof name, "a%d.png", i);
        save_map(labels, name, SIZE + 8 * (i % 2), SIZE, i);
    }
}

static void open_dataset(const char *root, struct dataset **out) {
    struct dataset_config config = {.root = root, .layout = LAYOUT_NNUNET};
    config.map.other = -1;
    if (dataset_open(&config, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

static void test_files(void **state) {
    const char *root = scratch_path(state, "data"), *folder = scratch_path(state, "noisy");
    struct dataset *dataset = NULL;
    struct noise_config config;
    struct noise_report report;
    struct image clean = {0}, noisy = {0};
    char path[4096];
    cJSON *json = NULL;
    int n_images = 0;
    save_dataset(state, root);
    open_dataset(root, &dataset);
    noise_config_init(&config);
    config.seed = 5;
    if (noise_files_write(dataset, &config, folder, false, &report, &n_images) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    assert_int_equal(n_images, dataset->n_cases[SPLIT_TRAIN]);
    for (int i = 0; i < n_images; i++) {
        const struct dataset_case *item = &dataset->cases[SPLIT_TRAIN][i];
        snprintf(path, sizeof path, "%s/labelsTr/%s.png", folder, item->name);
        assert_int_equal(image_load_label(item->label_path, 0, &clean), ADELE_OK);
        assert_int_equal(image_load_label(path, 0, &noisy), ADELE_OK);
        assert_true(clean.width == noisy.width && clean.height == noisy.height);
        assert_memory_not_equal(clean.pixels, noisy.pixels,
                                (size_t)clean.width * (size_t)clean.height);
        image_deinit(&clean);
        image_deinit(&noisy);
    }
    snprintf(path, sizeof path, "%s/noise.json", folder);
    assert_int_equal(json_read(path, &json), ADELE_OK);
    const cJSON *miou = cJSON_GetObjectItemCaseSensitive(json, "miou_foreground");
    assert_true(cJSON_IsNumber(miou) && fabs(miou->valuedouble - report.miou_foreground) <= 1e-12);
    const cJSON *iou = cJSON_GetObjectItemCaseSensitive(json, "iou");
    assert_true(cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(iou, "block")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "target_miou")));
    cJSON_Delete(json);
    snprintf(path, sizeof path, "%s/changes.csv", folder);
    char *text = NULL;
    size_t bytes = 0;
    int n_lines = 0;
    assert_int_equal(file_read(path, 0, &text, &bytes), ADELE_OK);
    for (size_t i = 0; i < bytes; i++)
        n_lines += text[i] == '\n';
    assert_int_equal(n_lines, n_images + 1);
    memory_free(text);
    dataset_close(dataset);
}

// The report has the number that the kind takes, and no other kind's.
static void test_shape_numbers(void **state) {
    static const char *const names[NOISE_N_KINDS] = {
        [NOISE_BOUNDARY] = "outward",        [NOISE_COARSE] = "corners",
        [NOISE_MISSING] = "object_fraction", [NOISE_EXTRA] = "object_fraction",
        [NOISE_CONFUSE] = "object_fraction", [NOISE_SHIFT] = "shift_fraction"};
    const char *root = scratch_path(state, "data");
    struct dataset *dataset = NULL;
    save_dataset(state, root);
    open_dataset(root, &dataset);
    for (int kind = NOISE_UNDER_OVER; kind < NOISE_N_KINDS; kind++) {
        struct noise_config config;
        struct noise_report report;
        char path[4096];
        cJSON *json = NULL;
        int n_images = 0;
        noise_config_init(&config);
        config.kind = kind;
        snprintf(path, sizeof path, "%s/%s", scratch_path(state, "noisy"), noise_kind_names[kind]);
        assert_int_equal(noise_files_write(dataset, &config, path, false, &report, &n_images),
                         ADELE_OK);
        snprintf(path + strlen(path), sizeof path - strlen(path), "/noise.json");
        assert_int_equal(json_read(path, &json), ADELE_OK);
        for (int other = NOISE_BOUNDARY; other < NOISE_N_KINDS; other++)
            assert_int_equal(cJSON_HasObjectItem(json, names[other]),
                             names[kind] != NULL && strcmp(names[kind], names[other]) == 0);
        cJSON_Delete(json);
    }
    dataset_close(dataset);
}

static void test_files_refusals(void **state) {
    const char *root = scratch_path(state, "data");
    struct dataset *dataset = NULL;
    struct noise_config config;
    struct noise_report report;
    int n_images = 0;
    char path[4096];
    save_dataset(state, root);
    open_dataset(root, &dataset);
    noise_config_init(&config);
    assert_int_equal(noise_files_write(dataset, &config, root, false, &report, &n_images),
                     ADELE_INVALID_ARGUMENT);
    // A file where the folder should be.
    assert_int_equal(file_write(scratch_path(state, "file"), "x", 1), ADELE_OK);
    snprintf(path, sizeof path, "%s/x", scratch_path(state, "file"));
    assert_int_equal(noise_files_write(dataset, &config, path, false, &report, &n_images),
                     ADELE_IO);
    // A label map that is cut off.
    const char *label = dataset->cases[SPLIT_TRAIN][0].label_path;
    assert_int_equal(file_write(label, "\x89PNG\r\n\x1a\n", 8), ADELE_OK);
    assert_int_not_equal(noise_files_write(dataset, &config, scratch_path(state, "noisy"), false,
                                           &report, &n_images),
                         ADELE_OK);
    assert_non_null(strstr(adele_error_message(), dataset->cases[SPLIT_TRAIN][0].name));
    dataset_close(dataset);
}

static void test_files_out_of_memory(void **state) {
    const char *root = scratch_path(state, "data"), *folder = scratch_path(state, "noisy");
    struct dataset *dataset = NULL;
    struct noise_config config;
    struct noise_report report;
    int n_images = 0, n_failed = 0;
    save_dataset(state, root);
    open_dataset(root, &dataset);
    noise_config_init(&config);
    // Each try overwrites what the one before left. A stride keeps the loop short; it is prime, so
    // that it meets every kind of place.
    for (long n = 0;; n += 7) {
        memory_fail_at(n);
        adele_status status = noise_files_write(dataset, &config, folder, true, &report, &n_images);
        memory_fail_at(-1);
        if (status == ADELE_OK)
            break;
        n_failed++;
    }
    assert_true(n_failed > 10);
    dataset_close(dataset);
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(noise_kind_names[NOISE_NONE], "none");
    assert_string_equal(noise_kind_names[NOISE_UNDER_OVER], "under-over");
    assert_string_equal(noise_kind_names[NOISE_FLIP], "flip");
    assert_string_equal(noise_kind_names[NOISE_MIXED], "mixed");
    for (int kind = 0; kind < NOISE_N_KINDS; kind++)
        assert_non_null(noise_kind_names[kind]);
    assert_null(noise_kind_names[NOISE_N_KINDS]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_files, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_shape_numbers, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_files_refusals, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_files_out_of_memory, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
