// SPDX-License-Identifier: MIT
// Every kind of problem, planted in a data set and found; and nothing found in a sound one.
#include "base/file.h"
#include "base/memory.h"
#include "data/check_report.h"
#include "data/dataset.h"
#include "image/nifti.h"
#include "support/new_volume.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLANE (TINY_H * TINY_W)

static void run(const struct dataset_config *config, struct check_report *out) {
    if (check_run(config, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

// Exactly one problem: this one.
static void expect(const struct dataset_config *config, enum check_kind kind, bool is_error,
                   const char *what) {
    struct check_report report;
    run(config, &report);
    for (int i = 0; i < report.n_problems; i++)
        if (report.n_problems != 1 || report.problems[i].kind != kind ||
            report.problems[i].is_error != is_error ||
            strstr(report.problems[i].text, what) == NULL)
            print_message("%s: %s\n", check_kind_name(report.problems[i].kind),
                          report.problems[i].text);
    assert_int_equal(report.n_problems, 1);
    assert_int_equal(report.problems[0].kind, kind);
    assert_int_equal(report.problems[0].is_error, is_error);
    assert_non_null(strstr(report.problems[0].text, what));
    assert_true(report.problems[0].hint[0] != '\0');
    check_report_deinit(&report);
    assert_int_equal(report.n_problems, 0);
}

static void sound_sets_have_no_problems(void **state) {
    struct check_report report;
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    run(&config, &report);
    assert_int_equal(report.n_problems, 0);
    assert_int_equal(report.n_files, 10);
    check_report_deinit(&report);
    tiny_img_ann(state, "mm");
    config = tiny_config(state, "mm");
    run(&config, &report);
    assert_int_equal(report.n_problems, 0);
    assert_int_equal(report.n_files, 7);
    check_report_deinit(&report);
}

static void kinds_have_names(void **state) {
    (void)state;
    assert_string_equal(check_kind_name(CHECK_LABEL_OUT_OF_RANGE), "label_out_of_range");
    assert_string_equal(check_kind_name(CHECK_NO_FOREGROUND), "no_foreground");
    assert_string_equal(check_kind_name(CHECK_KINDS), "unknown");
}

static void labels_out_of_range(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    tiny_label_set(state, "set/labelsTr/p4.png", 2, 3, 17);
    expect(&config, CHECK_LABEL_OUT_OF_RANGE, true, "labelsTr/p4.png: pixel (x 3, y 2) is 17");
}

static void sizes_that_differ(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    tiny_label(state, "set/labelsTs/t1.png", TINY_H, TINY_W - 1, 3, false, 0);
    expect(&config, CHECK_SIZE_MISMATCH, true, "labelsTs/t1.png: 6 x 7, but its image");
}

static void spacing_that_differs(void **state) {
    struct nifti_volume volume;
    const float spacing[3] = {0.5f, 0.75f, 5.0f};
    tiny_volumes(state, "set");
    tiny_text(state, "set/splits_final.json", "[{\"train\": [\"v1\"], \"val\": [\"v2\"]}]");
    assert_int_equal(new_volume_init(&volume, TINY_W, TINY_H, TINY_SLICES, spacing), ADELE_OK);
    volume.voxels[7] = 1.0f;
    assert_int_equal(
        new_volume_save(scratch_path(state, "set/labelsTr/v1.nii.gz"), &volume, volume.voxels),
        ADELE_OK);
    nifti_deinit(&volume);
    struct dataset_config config = tiny_config(state, "set");
    struct check_report report;
    run(&config, &report);
    assert_int_equal(report.n_problems, 2); // and the empty test split
    assert_int_equal(report.problems[0].kind, CHECK_GEOMETRY);
    assert_true(report.problems[0].is_error);
    assert_non_null(strstr(report.problems[0].text, "voxels 5.0 against 3.0 mm along z"));
    check_report_deinit(&report);
}

// ---- partners -----------------------------------------------------------------------------------

static void missing_partners_nnunet(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    const char *label = scratch_path(state, "set/labelsTr/p1.png");
    assert_int_equal(unlink(label), 0);
    expect(&config, CHECK_MISSING_PARTNER, true, "labelsTr/p1.png: no mask");
    tiny_label(state, "set/labelsTr/p1.png", TINY_H, TINY_W, 3, false, 0);
    assert_int_equal(unlink(scratch_path(state, "set/imagesTr/p1_0000.png")), 0);
    expect(&config, CHECK_MISSING_PARTNER, true, "case p1 of the train split has no image");
    tiny_picture(state, "set/imagesTr/p1_0000.png", TINY_H, TINY_W, 1, 8, 0);
    // Files that no split names.
    tiny_label(state, "set/labelsTr/p5.png", TINY_H, TINY_W, 3, false, 0);
    expect(&config, CHECK_MISSING_PARTNER, true, "labelsTr/p5.png: a mask without the image");
    assert_int_equal(unlink(scratch_path(state, "set/labelsTr/p5.png")), 0);
    tiny_picture(state, "set/imagesTr/p6_0000.png", TINY_H, TINY_W, 1, 8, 0);
    expect(&config, CHECK_MISSING_PARTNER, true, "imagesTr/p6_0000.png: an image without");
    assert_int_equal(unlink(scratch_path(state, "set/imagesTr/p6_0000.png")), 0);
    // A test set that is labelled in part.
    tiny_picture(state, "set/imagesTs/t2_0000.png", TINY_H, TINY_W, 1, 8, 77);
    expect(&config, CHECK_MISSING_PARTNER, true, "imagesTs/t2_0000.png: no mask, while 1");
}

static void missing_partners_elsewhere(void **state) {
    tiny_img_ann(state, "mm");
    struct dataset_config config = tiny_config(state, "mm");
    tiny_label(state, "mm/ann_dir/val/i9.png", TINY_H, TINY_W, 3, false, 0);
    expect(&config, CHECK_MISSING_PARTNER, true, "ann_dir/val/i9.png: a mask without");
    assert_int_equal(unlink(scratch_path(state, "mm/ann_dir/val/i9.png")), 0);
    assert_int_equal(unlink(scratch_path(state, "mm/ann_dir/train/i1.png")), 0);
    expect(&config, CHECK_MISSING_PARTNER, true, "ann_dir/train/i1.png: no mask");

    tiny_nnunet(state, "set");
    config = tiny_config(state, "set");
    tiny_label(state, "noisy/p1.png", TINY_H, TINY_W, 3, false, 4);
    tiny_label(state, "noisy/p2.png", TINY_H, TINY_W + 1, 3, false, 4);
    config.noisy_labels = scratch_path(state, "noisy");
    struct check_report report;
    run(&config, &report);
    assert_int_equal(report.n_problems, 2);
    assert_int_equal(report.problems[0].kind, CHECK_MISSING_PARTNER);
    assert_non_null(strstr(report.problems[0].text, "p3.png: no noisy label"));
    assert_int_equal(report.problems[1].kind, CHECK_SIZE_MISMATCH);
    assert_non_null(strstr(report.problems[1].text, "noisy/p2.png: 6 x 9"));
    check_report_deinit(&report);

    config.noisy_labels = NULL;
    config.true_labels = scratch_path(state, "noisy");
    run(&config, &report);
    assert_int_equal(report.n_problems, 2); // size of p2, no truth for p3
    assert_int_equal(report.problems[1].kind, CHECK_MISSING_PARTNER);
    assert_false(report.problems[1].is_error);
    check_report_deinit(&report);
}

// ---- cases --------------------------------------------------------------------------------------

// The folder is missing, not the label of each case.
static void a_missing_folder_of_noisy_labels_is_one_problem(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    struct check_report report;
    config.noisy_labels = scratch_path(state, "nonoisy");
    run(&config, &report);
    assert_int_equal(report.n_problems, 1);
    assert_non_null(strstr(report.problems[0].text, "nonoisy: no such folder"));
    check_report_deinit(&report);
}

static void duplicate_cases(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    tiny_text(state, "set/splits_final.json",
              "[{\"train\": [\"p1\", \"p2\", \"p1\"], \"val\": [\"p4\"]}]");
    expect(&config, CHECK_DUPLICATE_CASE, true, "case p1 occurs twice in the train split");
    tiny_text(state, "set/splits_final.json", "[{\"train\": [\"p1\", \"p2\"], \"val\": [\"p4\"]}]");
    tiny_picture(state, "set/imagesTr/p4_0000.png", TINY_H, TINY_W, 1, 8, 1); // that of p2
    expect(&config, CHECK_DUPLICATE_CASE, true, "are the same picture");
}

static void cases_in_two_splits(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    tiny_text(state, "set/splits_final.json",
              "[{\"train\": [\"p1\", \"p2\"], \"val\": [\"p2\", \"p4\"]}]");
    expect(&config, CHECK_PATIENT_IN_TWO_SPLITS, true,
           "case p2 is in both the train and the val split");
}

static void write_cases(void **state, const char *const names[4]) {
    char path[64];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "voc/JPEGImages/%s.png", names[i]);
        tiny_picture(state, path, TINY_H, TINY_W, 3, 8, i);
        (void)snprintf(path, sizeof path, "voc/SegmentationClass/%s.png", names[i]);
        tiny_label(state, path, TINY_H, TINY_W, 3, true, i);
    }
    char list[256];
    (void)snprintf(list, sizeof list, "%s\n%s\n", names[0], names[1]);
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", list);
    (void)snprintf(list, sizeof list, "%s\n", names[2]);
    tiny_text(state, "voc/ImageSets/Segmentation/val.txt", list);
    (void)snprintf(list, sizeof list, "%s\n", names[3]);
    tiny_text(state, "voc/ImageSets/Segmentation/test.txt", list);
}

static void patients_are_read_from_names(void **state) {
    static const char *const slices[] = {"Patient_27_001", "Patient_28_001", "Patient_27_002",
                                         "Patient_29_s3"};
    static const char *const letters[] = {"patient01_a", "patient02_a", "patient01_b",
                                          "patient03_a"};
    static const char *const films[] = {"0016E5-001", "0001TP-001", "0016E5-002", "0006R0-001"};
    static const char *const fine[][4] = {
        {"BRATS_001", "BRATS_002", "BRATS_003", "BRATS_004"},         // the data set's name
        {"2007_000032", "2008_000033", "2007_000039", "2008_000063"}, // years
        {"a1_001", "a1_002", "a1_003", "a1_004"},                     // one name for all
        {"a1_left", "a2_x", "a1_leftright9", "a3"},                   // no slice number
    };
    struct check_report report;
    tiny_text(state, "voc/class_names.txt", "a\nb\nc\n");
    struct dataset_config config = tiny_config(state, "voc");
    write_cases(state, slices);
    expect(&config, CHECK_PATIENT_IN_TWO_SPLITS, true,
           "Patient_27 seems to be in both the train split (Patient_27_001) and the val split "
           "(Patient_27_002)");
    write_cases(state, letters);
    expect(&config, CHECK_PATIENT_IN_TWO_SPLITS, true, "patient01 seems to be in both the train");
    write_cases(state, films);
    expect(&config, CHECK_PATIENT_IN_TWO_SPLITS, false, "0016E5 seems to be in both");
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        write_cases(state, fine[i]);
        run(&config, &report);
        assert_int_equal(report.n_problems, 0);
        check_report_deinit(&report);
    }
}

// ---- files --------------------------------------------------------------------------------------

static void unreadable_files(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    assert_int_equal(truncate(scratch_path(state, "set/imagesTr/p1_0000.png"), 70), 0);
    expect(&config, CHECK_UNREADABLE, true, "imagesTr/p1_0000.png");
    tiny_text(state, "set/labelsTr/p2.png", "no picture");
    struct check_report report;
    run(&config, &report);
    assert_int_equal(report.n_problems, 2);
    assert_int_equal(report.problems[1].kind, CHECK_UNREADABLE);
    check_report_deinit(&report);

    tiny_volumes(state, "vol");
    assert_int_equal(truncate(scratch_path(state, "vol/imagesTr/v1_0000.nii.gz"), 90), 0);
    config = tiny_config(state, "vol");
    run(&config, &report);
    assert_int_equal(report.n_problems, 3); // and two empty splits
    assert_int_equal(report.problems[0].kind, CHECK_UNREADABLE);
    assert_non_null(strstr(report.problems[0].text, "v1_0000.nii.gz"));
    check_report_deinit(&report);
}

static void wrong_channels(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    tiny_picture(state, "set/imagesTr/p3_0000.png", TINY_H, TINY_W, 3, 8, 1);
    expect(&config, CHECK_CHANNELS, true, "p3_0000.png: 3 channels, but the data set has 1");
    tiny_picture(state, "set/imagesTr/p3_0000.png", TINY_H, TINY_W, 1, 8, 2);
    tiny_picture(state, "set/imagesTr/p3_0001.png", TINY_H, TINY_W, 1, 8, 2);
    expect(&config, CHECK_CHANNELS, true, "2 channel files, but dataset.json names 1");
    tiny_voc(state, "voc");
    tiny_picture(state, "voc/JPEGImages/s2.png", TINY_H, TINY_W, 1, 8, 2);
    tiny_text(state, "voc/ImageSets/Segmentation/test.txt", "s3\n");
    tiny_text(state, "voc/ImageSets/Segmentation/val.txt", "s2\n");
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "s1\n");
    config = tiny_config(state, "voc");
    expect(&config, CHECK_READING, false, "s2.png: the picture is gray and becomes RGB");
}

static void empty_splits(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.split[SPLIT_VAL] = "none";
    expect(&config, CHECK_EMPTY_SPLIT, false, "the val split has no cases");
    config.split[SPLIT_VAL] = "imagesTr";
    config.split[SPLIT_TRAIN] = "none";
    expect(&config, CHECK_EMPTY_SPLIT, true, "the train split has no cases");
}

// No warning may send people looking for what they do not need.
static void an_empty_test_split_names_the_other(void **state) {
    struct check_report report;
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.split[SPLIT_TEST] = "none";
    run(&config, &report);
    assert_int_equal(report.n_problems, 1);
    assert_int_equal(report.problems[0].kind, CHECK_EMPTY_SPLIT);
    assert_non_null(strstr(report.problems[0].hint, "adele evaluate RUN --split val"));
    check_report_deinit(&report);
    config.split[SPLIT_VAL] = "none";
    run(&config, &report);
    assert_int_equal(report.n_problems, 2);
    assert_null(strstr(report.problems[1].hint, "--split val"));
    check_report_deinit(&report);
}

// A list that leaves an image out is no error, but it is said.
static void images_without_mask_in_no_list(void **state) {
    tiny_img_ann(state, "mm");
    struct dataset_config config = tiny_config(state, "mm");
    tiny_picture(state, "mm/img_dir/train/i8.png", TINY_H, TINY_W, 3, 8, 8);
    tiny_picture(state, "mm/img_dir/train/i9.png", TINY_H, TINY_W, 3, 8, 9);
    tiny_text(state, "names.txt", "i1\ni2\n");
    config.split[SPLIT_TRAIN] = scratch_path(state, "names.txt");
    expect(&config, CHECK_MISSING_PARTNER, false,
           "mm/img_dir/train: 2 of 4 images have no mask in ann_dir/train and are in no split "
           "(first: i8)");
    // Such a name in the list is an error.
    tiny_text(state, "names.txt", "i1\ni2\ni8\ni9\n");
    struct check_report report;
    run(&config, &report);
    assert_int_equal(report.n_problems, 2);
    assert_true(report.problems[0].is_error && report.problems[1].is_error);
    check_report_deinit(&report);
}

static void voxels_that_are_not_finite(void **state) {
    float voxels[TINY_SLICES * PLANE] = {0};
    tiny_volumes(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    voxels[PLANE] = NAN;
    tiny_volume(state, "set/imagesTr/v1_0000.nii.gz", TINY_SLICES, voxels, 0);
    struct check_report report;
    run(&config, &report);
    assert_int_equal(report.n_problems, 3);
    assert_int_equal(report.problems[0].kind, CHECK_NOT_FINITE);
    assert_true(report.problems[0].is_error);
    assert_non_null(strstr(report.problems[0].text, "voxel (x 0, y 0, z 1) is NaN"));
    check_report_deinit(&report);
}

static void label_maps_without_foreground(void **state) {
    float labels[TINY_SLICES * PLANE] = {0};
    struct check_report report;
    tiny_volumes(state, "vol");
    struct dataset_config config = tiny_config(state, "vol");
    tiny_volume(state, "vol/labelsTr/v2.nii.gz", TINY_SLICES, labels, 0);
    run(&config, &report);
    assert_int_equal(report.n_problems, 3);
    assert_int_equal(report.problems[0].kind, CHECK_NO_FOREGROUND);
    assert_true(report.problems[0].is_error);
    assert_non_null(strstr(report.problems[0].text, "labelsTr/v2.nii.gz: no slice"));
    check_report_deinit(&report);

    tiny_nnunet(state, "set");
    config = tiny_config(state, "set");
    tiny_label(state, "set/labelsTr/p2.png", TINY_H, TINY_W, 1, false, 0);
    expect(&config, CHECK_NO_FOREGROUND, false, "1 of 3 masks of the train split");
    tiny_label(state, "set/labelsTr/p4.png", TINY_H, TINY_W, 1, false, 0);
    tiny_label(state, "set/labelsTr/p2.png", TINY_H, TINY_W, 3, false, 0);
    expect(&config, CHECK_NO_FOREGROUND, true, "1 of 1 masks of the val split");
}

// ---- failures -----------------------------------------------------------------------------------

static void what_cannot_be_looked_at_fails(void **state) {
    struct check_report report;
    struct dataset_config config = tiny_config(state, "absent");
    assert_int_equal(check_run(&config, &report), ADELE_IO);
    assert_int_equal(report.n_problems, 0);
    // Two folders need a configuration.
    tiny_picture(state, "two/images/a.png", TINY_H, TINY_W, 1, 8, 0);
    tiny_label(state, "two/masks/a.png", TINY_H, TINY_W, 2, false, 0);
    config = tiny_config(state, "two");
    assert_int_equal(check_run(&config, &report), ADELE_DATA);
    assert_non_null(
        strstr(adele_error_message(), "images are in the folder images and masks in masks"));
    assert_int_equal(strncmp(adele_error_hint(), "`adele init FOLDER -o own.yaml` ", 32), 0);
    tiny_nnunet(state, "set");
    tiny_text(state, "set/splits_final.json", "[{\"train\": [\"../p1\"], \"val\": []}]");
    config = tiny_config(state, "set");
    assert_int_equal(check_run(&config, &report), ADELE_DATA);
}

static void check_survives_failing_memory(void **state) {
    tiny_nnunet(state, "set");
    tiny_label_set(state, "set/labelsTr/p4.png", 2, 3, 17);
    tiny_text(state, "set/splits_final.json",
              "[{\"train\": [\"p1\", \"p2\"], \"val\": [\"p2\", \"p4\"]}]");
    struct dataset_config config = tiny_config(state, "set");
    struct check_report report;
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK && n < 5000; n++) {
        memory_fail_at(n);
        status = check_run(&config, &report);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
        if (status != ADELE_OK)
            assert_int_equal(report.n_problems, 0);
    }
    assert_int_equal(status, ADELE_OK);
    assert_int_equal(report.n_problems, 2);
    assert_true(n > 100);
    check_report_deinit(&report);
}

// ---- the verb -----------------------------------------------------------------------------------

// Runs `adele check ARGUMENTS`; what it prints goes to scratch/out.
static int run_verb(void **state, const char *arguments) {
    char command[8192];
    if (ADELE_CLI[0] == '\0' || access(ADELE_CLI, X_OK) != 0)
        return -1;
    (void)snprintf(command, sizeof command, "cd '%s' && '%s' check %s > out 2>&1",
                   (const char *)*state, ADELE_CLI, arguments);
    int code = system(command);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -2;
}

static void assert_printed(void **state, const char *what) {
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(scratch_path(state, "out"), 0, &text, &bytes), ADELE_OK);
    if (strstr(text, what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, text);
    memory_free(text);
}

static void the_verb_prints_and_answers(void **state) {
    tiny_nnunet(state, "set");
    int code = run_verb(state, "set");
    if (code == -1) { // a build without the command line
        skip();
        return;
    }
    assert_int_equal(code, 0);
    assert_printed(state, "set: 10 files looked at, 0 errors, 0 warnings\n");
    assert_int_equal(run_verb(state, "set --val none --layout nnunet"), 0);
    assert_printed(state, "warning: empty_split: set: the val split has no cases\n  hint: ");
    tiny_label_set(state, "set/labelsTr/p1.png", 0, 0, 9);
    assert_int_equal(run_verb(state, "set"), 1);
    assert_printed(state, "error: label_out_of_range: set/labelsTr/p1.png: pixel (x 0, y 0) is 9");
    assert_int_equal(run_verb(state, "--json set"), 1);
    assert_printed(state, "\"kind\":\t\"label_out_of_range\"");
    assert_int_equal(run_verb(state, "set --noisy-labels set/labelsTr --true-labels set/labelsTr"),
                     1);
    tiny_text(state, "map.yaml",
              "data:\n  root: elsewhere\n  label_map:\n    - {from: [0], to: 0, name: no}\n"
              "    - {from: [1, 2, 9], to: 1, name: yes}\n");
    assert_int_equal(run_verb(state, "set --label-map map.yaml"), 0);
    assert_int_equal(run_verb(state, "absent"), 1);
    assert_printed(state, "absent: no such folder");
    assert_int_equal(run_verb(state, ""), 2);
    assert_int_equal(run_verb(state, "set set"), 2);
    assert_int_equal(run_verb(state, "set --layout coco"), 2);
    assert_int_equal(run_verb(state, "set --wrong"), 2);
    assert_int_equal(run_verb(state, "--help"), 0);
    assert_printed(state, "--noisy-labels");
    assert_printed(state, "Usage: adele check [OPTION...] DATA|--config=FILE\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(sound_sets_have_no_problems),
        TEST(kinds_have_names),
        TEST(labels_out_of_range),
        TEST(sizes_that_differ),
        TEST(spacing_that_differs),
        TEST(missing_partners_nnunet),
        TEST(missing_partners_elsewhere),
        TEST(a_missing_folder_of_noisy_labels_is_one_problem),
        TEST(duplicate_cases),
        TEST(cases_in_two_splits),
        TEST(patients_are_read_from_names),
        TEST(unreadable_files),
        TEST(wrong_channels),
        TEST(empty_splits),
        TEST(an_empty_test_split_names_the_other),
        TEST(images_without_mask_in_no_list),
        TEST(voxels_that_are_not_finite),
        TEST(label_maps_without_foreground),
        TEST(what_cannot_be_looked_at_fails),
        TEST(check_survives_failing_memory),
        TEST(the_verb_prints_and_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
