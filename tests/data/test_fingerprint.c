// SPDX-License-Identifier: MIT
// The fingerprint of data sets whose numbers are known, and that it stays short for many cases.
#include "base/file.h"
#include "base/memory.h"
#include "data/check_report.h"
#include "data/dataset.h"
#include "data/fingerprint.h"
#include "image/image.h"
#include "support/program.h"
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
#include <unistd.h>

static const int map_from[] = {0, 200};
static const uint8_t map_to[] = {0, 1};
static const char *const map_names[] = {"ground", "cell"};

static void write_gray(void *const *state, const char *path, int width, int height, int n_bits,
                       int first, int step) {
    struct image image;
    tiny_text(state, path, ""); // makes the folder
    assert_int_equal(image_init(&image, width, height, 1, n_bits), ADELE_OK);
    for (int i = 0; i < width * height; i++) {
        if (n_bits == 16)
            ((uint16_t *)image.pixels)[i] = (uint16_t)(first + i * step);
        else
            ((uint8_t *)image.pixels)[i] = (uint8_t)(first + i * step);
    }
    assert_int_equal(image_save_png(scratch_path(state, path), &image), ADELE_OK);
    image_deinit(&image);
}

// The first n pixels have the value, the others 0.
static void write_mask(void *const *state, const char *path, int width, int height, int n,
                       int value) {
    struct image image;
    tiny_text(state, path, "");
    assert_int_equal(image_init(&image, width, height, 1, 8), ADELE_OK);
    for (int i = 0; i < n; i++)
        ((uint8_t *)image.pixels)[i] = (uint8_t)value;
    assert_int_equal(image_save_png(scratch_path(state, path), &image), ADELE_OK);
    image_deinit(&image);
}

static struct dataset_config two_folders(void *const *state, const char *root) {
    struct dataset_config config = tiny_config(state, root);
    config.image_folder = "images";
    config.mask_folder = "masks";
    config.map = (struct label_map){
        .n = 2, .from = map_from, .to = map_to, .other = -1, .n_names = 2, .names = map_names};
    return config;
}

static struct adele_fingerprint *take(const struct dataset_config *config) {
    struct dataset *dataset = tiny_open(config);
    struct adele_fingerprint *fingerprint = NULL;
    if (fingerprint_dataset(dataset, &fingerprint) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    dataset_close(dataset);
    return fingerprint;
}

static void assert_near(double value, double want, double tolerance) {
    if (!(fabs(value - want) <= tolerance))
        fail_msg("%.10g, wanted %.10g within %g", value, want, tolerance);
}

static void assert_range(const struct adele_range *range, double low, double median, double high) {
    assert_near(range->low, low, 1e-6);
    assert_near(range->median, median, 1e-6);
    assert_near(range->high, high, 1e-6);
}

static bool is_odd(const struct adele_fingerprint *fingerprint, const char *part) {
    for (int i = 0; i < fingerprint->n_odd; i++)
        if (strstr(fingerprint->odd[i], part) != NULL)
            return true;
    return false;
}

// ---- numbers ------------------------------------------------------------------------------------

static void pictures_are_measured(void **state) {
    static const double percentiles[] = {0.15, 3.75, 8.5, 13.25, 16.85}; // of 0..7 and 10..17
    write_gray(state, "set/images/a.png", 4, 2, 8, 0, 1);
    write_gray(state, "set/images/b.png", 2, 4, 8, 10, 1);
    write_mask(state, "set/masks/a.png", 4, 2, 3, 200);
    write_mask(state, "set/masks/b.png", 2, 4, 1, 200);
    struct dataset_config config = two_folders(state, "set");
    struct adele_fingerprint *found = take(&config);
    assert_string_equal(found->layout, "img_ann");
    assert_int_equal(found->n_cases[0], 2);
    assert_int_equal(found->n_cases[1] + found->n_cases[2], 0);
    assert_int_equal(found->n_channels, 1);
    assert_int_equal(found->n_bits, 8);
    assert_range(&found->extents[0], 2, 2, 4);
    assert_range(&found->extents[1], 2, 2, 4);
    assert_range(&found->extents[2], 1, 1, 1);
    assert_int_equal(found->n_sizes, 2);
    assert_int_equal(found->n_common, 1);
    for (int k = 0; k < ADELE_N_PERCENTILES; k++)
        assert_near(found->intensity[0][k], percentiles[k], 1e-12);
    assert_int_equal(found->n_masks, 2);
    assert_int_equal(found->n_classes, 2);
    assert_string_equal(found->classes[1].name, "cell");
    assert_near(found->classes[1].share, 0.25, 1e-12);
    assert_near(found->classes[0].share, 0.75, 1e-12);
    assert_int_equal(found->classes[1].n_cases, 2);
    assert_int_equal(found->n_values, 2);
    assert_int_equal(found->values[1].value, 200);
    assert_near(found->values[1].share, 0.25, 1e-12);
    assert_int_equal(found->n_odd, 1);
    assert_string_equal(found->odd[0], "few images: 2 for training; a network needs some dozens");
    fingerprint_destroy(found);
}

static void ignored_pixels_are_not_of_a_class(void **state) {
    write_gray(state, "set/images/a.png", 4, 2, 8, 0, 1);
    write_mask(state, "set/masks/a.png", 4, 2, 4, 255);
    write_gray(state, "set/images/b.png", 4, 2, 8, 0, 1);
    write_mask(state, "set/masks/b.png", 4, 2, 3, 200);
    struct dataset_config config = two_folders(state, "set");
    struct adele_fingerprint *found = take(&config);
    assert_near(found->ignored_share, 0.25, 1e-12);
    assert_near(found->classes[1].share, 0.25, 1e-12); // 3 of 12
    assert_int_equal(found->classes[1].n_cases, 1);
    assert_int_equal(found->n_values, 3);
    assert_true(is_odd(found, "1 of 2 masks hold no foreground (first: "));
    fingerprint_destroy(found);
}

static void wide_pictures_keep_their_scale(void **state) {
    write_gray(state, "set/images/a.png", 5, 1, 16, 1000, 5000);
    write_mask(state, "set/masks/a.png", 5, 1, 2, 200);
    struct dataset_config config = two_folders(state, "set");
    struct adele_fingerprint *found = take(&config);
    assert_int_equal(found->n_bits, 16);
    assert_near(found->intensity[0][2], 11000.0, 0.01); // read as floats of 257ths
    fingerprint_destroy(found);
    write_gray(state, "set/images/b.png", 5, 1, 8, 0, 1);
    write_mask(state, "set/masks/b.png", 5, 1, 2, 200);
    found = take(&config);
    assert_int_equal(found->n_bits, 8);
    assert_true(is_odd(found, "pictures of 8 and of 16 bits are mixed: 1 and 1"));
    fingerprint_destroy(found);
}

static void volumes_have_spacings(void **state) {
    static struct tiny_nifti volume;
    const int n[3] = {5, 4, 3};
    const double spacings[2][3] = {{0.5, 0.5, 1.0}, {0.5, 0.5, 2.0}};
    tiny_text(state, "set/dataset.json",
              "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, \"heart\": 1}, "
              "\"file_ending\": \".nii.gz\"}");
    for (int i = 0; i < 2; i++) {
        char path[64];
        tiny_nifti_init(&volume, n, spacings[i]);
        for (int k = 0; k < 60; k++)
            volume.values[k] = 10.0 * k - 100.0;
        (void)snprintf(path, sizeof path, "set/imagesTr/v%d_0000.nii.gz", i);
        tiny_nifti_write(state, path, &volume);
        for (int k = 0; k < 60; k++)
            volume.values[k] = k < 6;
        (void)snprintf(path, sizeof path, "set/labelsTr/v%d.nii.gz", i);
        tiny_nifti_write(state, path, &volume);
    }
    struct dataset_config config = tiny_config(state, "set");
    struct adele_fingerprint *found = take(&config);
    assert_true(found->is_volume != 0);
    assert_range(&found->extents[2], 3, 3, 3);
    assert_range(&found->spacing[0], 0.5, 0.5, 0.5);
    assert_range(&found->spacing[2], 1.0, 1.0, 2.0);
    assert_near(found->intensity[0][2], 195.0, 1e-9);
    assert_near(found->classes[1].share, 0.1, 1e-12);
    assert_true(is_odd(found, "voxels differ in size: 1 to 2 mm along z"));
    fingerprint_destroy(found);
}

// A large image is sampled; the same sample each time, and close to the whole.
static void large_images_are_sampled(void **state) {
    write_gray(state, "set/images/a.png", 1500, 1500, 16, 0, 7919); // all of 0..65535, mixed
    write_mask(state, "set/masks/a.png", 1500, 1500, 1000, 200);
    struct dataset_config config = two_folders(state, "set");
    struct adele_fingerprint *first = take(&config), *second = take(&config);
    for (int k = 0; k < ADELE_N_PERCENTILES; k++) {
        static const double percents[] = {0.01, 0.25, 0.5, 0.75, 0.99};
        assert_near(first->intensity[0][k], 65535.0 * percents[k], 200.0);
        assert_true(first->intensity[0][k] == second->intensity[0][k]);
    }
    fingerprint_destroy(first);
    fingerprint_destroy(second);
}

// ---- what is odd --------------------------------------------------------------------------------

static void odd_things_are_named(void **state) {
    for (int i = 0; i < 30; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "set/images/case%02d.png", i);
        write_gray(state, path, 40, 50, 8, 0, i == 3 ? 0 : 1);
        (void)snprintf(path, sizeof path, "set/masks/case%02d.png", i);
        write_mask(state, path, i == 4 ? 50 : 40, i == 4 ? 40 : 50, i == 7 ? 5 : 0, 200);
    }
    write_mask(state, "set/masks/case09.png", 40, 50, 3, 90);
    struct dataset_config config = two_folders(state, "set");
    struct adele_fingerprint *found = take(&config);
    assert_false(is_odd(found, "few images"));
    assert_true(is_odd(found, "1 of 30 images have one value everywhere (first: "));
    assert_true(is_odd(found, "case03.png"));
    assert_true(is_odd(found, "1 of 30 masks differ in size from the image (first: "));
    assert_true(is_odd(found, "29 of 30 masks hold no foreground (first: "));
    assert_true(is_odd(found, "rare classes: cell (0.0083 % of the pixels, in 1 of 30 masks)"));
    assert_true(is_odd(found, "values in masks that are no class: 90 (in 1 of 30 masks)"));
    fingerprint_destroy(found);
}

static void files_that_cannot_be_read_are_counted(void **state) {
    write_gray(state, "set/images/a.png", 4, 2, 8, 0, 1);
    write_mask(state, "set/masks/a.png", 4, 2, 3, 200);
    tiny_text(state, "set/images/b.png", "no picture");
    write_mask(state, "set/masks/b.png", 5, 3, 3, 200); // not the size of a.png
    write_gray(state, "set/images/c.png", 4, 2, 8, 0, 1);
    tiny_text(state, "set/masks/c.png", "no mask");
    struct dataset_config config = two_folders(state, "set");
    struct adele_fingerprint *found = take(&config);
    assert_true(is_odd(found, "2 of 3 cases have a file that cannot be read (first: "));
    assert_false(is_odd(found, "differ in size"));
    assert_int_equal(found->n_masks, 2);
    fingerprint_destroy(found);
    // `adele check` gives the same fingerprint, and the problems beside it.
    struct check_report report;
    assert_int_equal(check_run(&config, &report), ADELE_OK);
    assert_true(is_odd(report.fingerprint, "2 of 3 cases have a file that cannot be read"));
    assert_false(is_odd(report.fingerprint, "differ in size"));
    check_report_deinit(&report);
}

// Without its image a case is not blamed for its mask too.
static void images_that_are_not_there_are_named(void **state) {
    tiny_voc(state, "voc");
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "s8\ns1\ns2\n");
    struct dataset_config config = tiny_config(state, "voc");
    struct check_report report;
    assert_int_equal(check_run(&config, &report), ADELE_OK);
    assert_true(is_odd(report.fingerprint, "1 of 4 cases have no image (first: s8)"));
    assert_false(is_odd(report.fingerprint, "have no mask"));
    check_report_deinit(&report);
    assert_int_equal(unlink(scratch_path(state, "voc/SegmentationClass/s2.png")), 0);
    assert_int_equal(check_run(&config, &report), ADELE_OK);
    assert_true(is_odd(report.fingerprint, "1 of 4 cases have no mask (first: "));
    assert_true(is_odd(report.fingerprint, "voc/JPEGImages/s2.png)"));
    check_report_deinit(&report);
}

// The page stays short: 300 masks with 300 different values, and as many classes.
static void many_cases_are_a_short_page(void **state) {
    enum { N = 200 };
    struct program_result result;
    char names[N * 16] = "", path[64];
    for (int i = 0; i < N; i++) {
        size_t used = strlen(names);
        (void)snprintf(names + used, sizeof names - used, "class%d\n", i);
        (void)snprintf(path, sizeof path, "set/img_dir/train/x%03d.png", i);
        write_gray(state, path, 4 + i % 50, 4 + i % 7, 8, 0, 1);
        (void)snprintf(path, sizeof path, "set/ann_dir/train/x%03d.png", i);
        write_mask(state, path, 4 + i % 50, 4 + i % 7, 5, i);
    }
    tiny_text(state, "set/classes.txt", names);
    program_run((const char *const[]){ADELE_CLI, "check", scratch_path(state, "set"), NULL},
                &result);
    assert_int_equal(result.code, 0);
    int n_lines = 0;
    for (const char *line = result.out; *line != '\0'; line = strchr(line, '\n') + 1) {
        n_lines++;
        if (strcspn(line, "\n") > 1000)
            fail_msg("a line of %zu characters", strcspn(line, "\n"));
    }
    assert_true(n_lines < 60);
    assert_non_null(strstr(result.out, "layout img_ann, 200 train, 0 val, 0 test cases\n"));
    assert_non_null(strstr(result.out, " and 170 more classes\n"));
    assert_non_null(strstr(result.out, "... 199 (200 values)"));
    assert_non_null(strstr(result.out, ", and 194 more\n")); // rare classes
    program_result_deinit(&result);
}

static void every_allocation_may_fail(void **state) {
    write_gray(state, "set/images/a.png", 4, 2, 8, 0, 1);
    write_mask(state, "set/masks/a.png", 4, 2, 3, 90);
    struct dataset_config config = two_folders(state, "set");
    struct dataset *dataset = tiny_open(&config);
    struct adele_fingerprint *found = NULL;
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK; n++) {
        memory_fail_at(n);
        status = fingerprint_dataset(dataset, &found);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || (status == ADELE_NO_MEMORY && found == NULL));
    }
    assert_true(n > 10);
    assert_true(is_odd(found, "values in masks that are no class: 90"));
    fingerprint_destroy(found);
    dataset_close(dataset);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pictures_are_measured),
        TEST(ignored_pixels_are_not_of_a_class),
        TEST(wide_pictures_keep_their_scale),
        TEST(volumes_have_spacings),
        TEST(large_images_are_sampled),
        TEST(odd_things_are_named),
        TEST(files_that_cannot_be_read_are_counted),
        TEST(images_that_are_not_there_are_named),
        TEST(many_cases_are_a_short_page),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
