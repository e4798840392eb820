// SPDX-License-Identifier: MIT
// Folders as people have them, and folders that fit nothing.
#include "base/memory.h"
#include "data/folder_guess.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void write_files(void *const *state, const char *folder, int n, const char *ending) {
    for (int i = 0; i < n; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/x%d%s", folder, i, ending);
        tiny_text(state, path, "");
    }
}

static void expect(void *const *state, const char *root, enum dataset_layout layout,
                   const char *images, const char *masks) {
    struct folder_guess found;
    if (folder_guess(scratch_path(state, root), &found) != ADELE_OK)
        fail_msg("%s: %s", root, adele_error_message());
    assert_int_equal(found.layout, layout);
    assert_string_equal(found.image_folder, images);
    assert_string_equal(found.mask_folder, masks);
}

static void the_layouts_are_found(void **state) {
    tiny_nnunet(state, "nnunet");
    expect(state, "nnunet", LAYOUT_NNUNET, "", "");
    tiny_voc(state, "voc");
    expect(state, "voc", LAYOUT_VOC, "", "");
    tiny_img_ann(state, "mm");
    expect(state, "mm", LAYOUT_IMG_ANN, "", "");
}

static void two_folders_are_found(void **state) {
    static const char *const names[][2] = {{"images", "masks"},
                                           {"imgs", "labels"},
                                           {"Image", "Ground_Truth"},
                                           {"JPEGImages", "SegmentationClass"}, // without lists
                                           {"train_images", "train_masks"},
                                           {"x", "gt"},
                                           {"2018", "annotations"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char root[32], path[128];
        (void)snprintf(root, sizeof root, "set%zu", i);
        (void)snprintf(path, sizeof path, "%s/%s", root, names[i][0]);
        write_files(state, path, 4, ".jpg");
        (void)snprintf(path, sizeof path, "%s/%s", root, names[i][1]);
        write_files(state, path, 3, ".png");
        (void)snprintf(path, sizeof path, "%s/previews", root); // shares fewer names
        write_files(state, path, 2, ".png");
        expect(state, root, LAYOUT_IMG_ANN, names[i][0], names[i][1]);
    }
}

static void folders_of_splits_are_found(void **state) {
    write_files(state, "inside/images/train", 2, ".png");
    write_files(state, "inside/images/val", 1, ".png");
    write_files(state, "inside/labels/train", 2, ".png");
    write_files(state, "inside/labels/val", 1, ".png");
    expect(state, "inside", LAYOUT_IMG_ANN, "images", "labels");
    write_files(state, "around/train/images", 2, ".tif");
    write_files(state, "around/train/masks", 2, ".tif");
    write_files(state, "around/val/images", 2, ".tif");
    write_files(state, "around/val/masks", 2, ".tif");
    expect(state, "around", LAYOUT_IMG_ANN, "{split}/images", "{split}/masks");
}

static void write_masks(void *const *state, const char *folder, int n, const char *suffix) {
    char ending[32];
    (void)snprintf(ending, sizeof ending, "%s.png", suffix);
    write_files(state, folder, n, ending);
}

static void expect_suffix(void *const *state, const char *root, const char *images,
                          const char *masks, const char *suffix) {
    struct folder_guess found;
    expect(state, root, LAYOUT_IMG_ANN, images, masks);
    assert_int_equal(folder_guess(scratch_path(state, root), &found), ADELE_OK);
    assert_string_equal(found.mask_suffix, suffix);
}

static void suffixes_of_masks_are_found(void **state) {
    write_files(state, "two/scans", 3, ".jpg");
    write_masks(state, "two/outlines", 3, "_mask");
    expect_suffix(state, "two", "scans", "outlines", "_mask");
    write_files(state, "isic/images", 3, ".jpg");
    write_masks(state, "isic/masks", 3, "_segmentation");
    expect_suffix(state, "isic", "images", "masks", "_segmentation");
    write_files(state, "same/benign", 3, ".png");
    write_masks(state, "same/benign", 2, "_mask");
    expect_suffix(state, "same", "benign", "benign", "_mask");
    write_files(state, "root", 3, ".png");
    write_masks(state, "root", 3, "_gt");
    expect_suffix(state, "root", ".", ".", "_gt");
    // The same names need none.
    write_files(state, "plain/images", 3, ".png");
    write_files(state, "plain/masks", 3, ".png");
    write_masks(state, "plain/masks", 3, "_mask");
    expect_suffix(state, "plain", "images", "masks", "");
}

static void refuse(void *const *state, const char *root, adele_status status, const char *what) {
    struct folder_guess found;
    assert_int_equal(folder_guess(scratch_path(state, root), &found), status);
    if (strstr(adele_error_message(), what) == NULL)
        fail_msg("'%s' does not say '%s'", adele_error_message(), what);
    assert_true(adele_error_hint()[0] != '\0');
}

static void what_fits_nothing_is_described(void **state) {
    refuse(state, "none", ADELE_IO, "no such folder");
    tiny_text(state, "file", "");
    refuse(state, "file", ADELE_IO, "not a folder");
    write_files(state, "flat", 3, ".png");
    write_files(state, "flat", 2, ".txt");
    refuse(state, "flat", ADELE_DATA, "it holds 0 folders and 5 files, 3 of them images; ");
    write_files(state, "other/images", 2, ".png");
    write_files(state, "other/labels", 2, ".txt"); // boxes of a detector
    refuse(state, "other", ADELE_DATA, "it holds 2 folders (images, labels) and 0 files");
    // Folders of the right names, but nothing in them.
    tiny_text(state, "bare/images/x", "");
    tiny_text(state, "bare/masks/x", "");
    assert_int_equal(unlink(scratch_path(state, "bare/images/x")), 0);
    refuse(state, "bare", ADELE_DATA, "2 folders (images: empty, masks) and 0 files");
    assert_int_equal(unlink(scratch_path(state, "bare/masks/x")), 0);
    refuse(state, "bare", ADELE_DATA, "2 folders (images: empty, masks: empty) and 0 files");
    assert_null(strstr(adele_error_message(), "must be named"));
    assert_non_null(strstr(adele_error_hint(), "Copy the files there"));
    write_files(state, "names/images", 2, ".png");
    write_files(state, "names/second", 2, ".png");
    refuse(state, "names", ADELE_DATA, "one must be named like masks or labels");
    for (int i = 0; i < 9; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "many/d%d", i);
        write_files(state, path, 1, ".dat");
    }
    refuse(state, "many", ADELE_DATA, "9 folders (d0, d1, d2, d3, d4, d5, ...)");
}

static void every_allocation_may_fail(void **state) {
    write_files(state, "set/images", 2, ".png");
    write_files(state, "set/masks", 2, ".png");
    write_files(state, "bad/images", 2, ".png");
    for (int turn = 0; turn < 2; turn++) {
        const char *root = scratch_path(state, turn == 0 ? "set" : "bad");
        adele_status status = ADELE_NO_MEMORY;
        struct folder_guess found;
        long n = 0;
        for (; status == ADELE_NO_MEMORY; n++) {
            memory_fail_at(n);
            status = folder_guess(root, &found);
            memory_fail_at(-1);
        }
        assert_int_equal(status, turn == 0 ? ADELE_OK : ADELE_DATA);
        assert_true(n > 5);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_layouts_are_found),       TEST(two_folders_are_found),
        TEST(folders_of_splits_are_found), TEST(what_fits_nothing_is_described),
        TEST(suffixes_of_masks_are_found), TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
