// SPDX-License-Identifier: MIT
// adele init on folders as people have them, up to a training with what it has written.
#include "base/file.h"
#include "base/memory.h"
#include "config/config.h"
#include "image/image.h"
#include "support/init_cases.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/tiny_set.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// ---- folders that train -------------------------------------------------------------------------

static void pictures_and_masks_of_255_train(void **state) {
    struct program_result result;
    for (int i = 0; i < 40; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "s%02d_%d", i / 4, i % 4);
        init_case(state, "my cells/images", "my cells/masks", name, i, 255);
    }
    ADELE(&result, "init", scratch_path(state, "my cells"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu", "--seed", "3");
    assert_non_null(strstr(result.out, "layout img_ann, 32 train, 8 val, 0 test cases\n"));
    assert_non_null(strstr(result.out, "  masks    40; values 0, 255\n"));
    assert_non_null(strstr(result.out, "class 1  foreground: 14.1 % of the pixels, in 40 of 40"));
    init_done(&result, "adele train ");
    struct config *config = init_load(state, "c.yaml");
    assert_int_equal(config->data.n_map_names, 2);
    assert_string_equal(config->data.map_names[0], "background");
    assert_string_equal(config->data.map_names[1], "foreground");
    assert_string_equal(config->data.root, scratch_path(state, "my cells"));
    assert_int_equal(config->data.size[0], 32);
    assert_int_equal(config->data.size[1], 32);
    assert_int_equal(config->train.batch, 5);
    assert_int_equal((int)config->train.seed, 3);
    config_destroy(config);
    assert_int_equal(init_count_lines(state, "c_train.txt"), 32);
    assert_int_equal(init_count_lines(state, "c_val.txt"), 8);
    init_train(state, "c.yaml", "run");
    // There are no test cases.
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--device=cpu");
    init_done(&result, "val split, 8 images\n");
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--device=cpu", "--split=test");
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "the test split is empty"));
    assert_non_null(strstr(result.err, "--split val"));
    program_result_deinit(&result);
    // 255 is a class here, so that it cannot say "ignored"; a value that no class has can.
    ADELE(&result, "audit", scratch_path(state, "run"), "--device=cpu", "--mask-doubtful=255", "-o",
          scratch_path(state, "audit 255"));
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "value 255 in its label files are of class foreground"));
    program_result_deinit(&result);
    ADELE(&result, "audit", scratch_path(state, "run"), "--device=cpu", "--mask-doubtful=254", "-o",
          scratch_path(state, "audit 254"));
    assert_non_null(strstr(result.out, "masks with value 254 in the doubtful regions: "));
    assert_non_null(strstr(result.out, "/audit 254/masks\n"));
    assert_non_null(strstr(result.out, "needs {from: 254, to: 255} in data.label_map\n"));
    // Each share says of which pixels it is.
    assert_non_null(strstr(result.out, " doubtful regions hold "));
    assert_non_null(strstr(result.out, " % of the labelled pixels\n"));
    assert_non_null(strstr(result.out, "  doubtful, of the labelled pixels of the class\n"));
    // The names of the five most doubtful ones, and what was left out.
    assert_non_null(strstr(result.out, "most doubtful 1: s"));
    assert_non_null(strstr(result.out, "most doubtful 5: s"));
    assert_null(strstr(result.out, "most doubtful 6: "));
    assert_non_null(strstr(result.out, ", lowest class foreground with 0."));
    assert_non_null(strstr(result.out, "regions of fewer pixels than a 20,000th of the image's, or "
                                       "than 4, are not counted (--min-pixels)\n"));
    init_done(&result, "most doubtful first: ");
    // The labels come back under the folder's own name, with its own values.
    ADELE(&result, "labels", scratch_path(state, "run"), "-o", scratch_path(state, "labels"));
    init_done(&result, "");
    struct image label;
    char *list = NULL, path[64];
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, "c_train.txt"), 0, &list, &bytes));
    (void)snprintf(path, sizeof path, "labels/masks/%.*s.png", (int)strcspn(list, "\n"), list);
    memory_free(list);
    check_ok(image_load_label(scratch_path(state, path), 0, &label));
    for (int i = 0; i < 32 * 32; i++) {
        int value = ((uint8_t *)label.pixels)[i];
        assert_true(value == 0 || value == 255);
    }
    image_deinit(&label);
}

static void assert_in_file(void *const *state, const char *path, const char *part) {
    char *text = NULL;
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, path), 0, &text, &bytes));
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in\n%s", part, text);
    memory_free(text);
}

// Files of several sizes have a usual one only.
static void the_configuration_says_of_which_size_the_files_are(void **state) {
    struct program_result result;
    for (int i = 0; i < 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "case%d_", i);
        init_sized_case(state, "same/images", "same/masks", name, i, 1, 48, 40);
        init_sized_case(state, "mixed/images", "mixed/masks", name, i, 1, i < 3 ? 50 : 48, 40);
    }
    ADELE(&result, "init", scratch_path(state, "same"), "-o", scratch_path(state, "s.yaml"),
          "--device=cpu");
    init_done(&result, "written:");
    assert_in_file(state, "s.yaml", "; the files have 40 x 48, and masks come out at that size\n");
    assert_in_file(state, "s.yaml", "\n  seed: 0\n  optimizer: {name: adamw, lr: 0.001} # ");
    struct config *config = init_load(state, "s.yaml");
    assert_int_equal(config->train.optimizer, OPTIMIZER_ADAMW);
    assert_true(config->train.lr == 0.001);
    config_destroy(config);
    ADELE(&result, "init", scratch_path(state, "mixed"), "-o", scratch_path(state, "m.yaml"),
          "--device=cpu");
    init_done(&result, "written:");
    assert_in_file(
        state, "m.yaml",
        "; the files have about 40 x 48 (median), and masks come out at their own size\n");
}

// The settings that the method was measured with, and whole images alone.
static void a_configuration_of_the_ensemble_trains(void **state) {
    struct program_result result;
    for (int i = 0; i < 8; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "case%d_", i);
        init_sized_case(state, "set/images", "set/masks", name, i, 1, 600, 72);
    }
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "e.yaml"),
          "--device=cpu", "--method=ensemble");
    init_done(&result, "written:");
    struct config *config = init_load(state, "e.yaml");
    assert_true(config_has_ensemble(config));
    assert_int_equal(config->train.optimizer, OPTIMIZER_SGD);
    assert_true(config->train.lr == 0.05 && config->train.momentum == 0.9);
    assert_int_equal(config->loss.form, ADELE_LOSS_PLAIN);
    assert_int_equal(config->loss.n_scales, 1);
    assert_int_equal(config->data.patch[0], 0);
    config_destroy(config);
    ADELE(&result, "check", "--config", scratch_path(state, "e.yaml"));
    assert_null(strstr(result.err, "was measured with"));
    init_done(&result, " 0 errors");
    init_train(state, "e.yaml", "run");
    // The configuration of the other method, with another method alone.
    char *yaml = NULL, *method = NULL, *text = NULL;
    size_t bytes = 0;
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "a.yaml"),
          "--device=cpu");
    init_done(&result, "written:");
    check_ok(file_read(scratch_path(state, "a.yaml"), 0, &yaml, &bytes));
    method = strstr(yaml, "correction: {");
    assert_non_null(method);
    method[0] = '\0';
    char *sized = strstr(yaml, "  size: [0, 0]"), *model = strstr(yaml, "model: {");
    assert_true(sized != NULL && model != NULL);
    sized[0] = '\0';
    text = memory_printf("%s  size: [32, 128]\n%scorrection: {method: ensemble}\n", yaml, model);
    tiny_text(state, "a.yaml", text);
    memory_free(text);
    memory_free(yaml);
    ADELE(&result, "check", "--config", scratch_path(state, "a.yaml"));
    assert_non_null(strstr(result.err, "warning: this run has loss: {form: official} at 3 scales "
                                       "and train.optimizer: {name: adamw, lr: 0.001}, but "));
    init_done(&result, " 0 errors");
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "w.yaml"),
          "--device=cpu", "--method=other");
    assert_int_equal(result.code, 2);
    program_result_deinit(&result);
}

// Of several sizes; whole ones would lose four fifths of each side.
static void large_pictures_train_in_patches(void **state) {
    struct program_result result;
    char *yaml = NULL;
    size_t bytes = 0;
    for (int i = 0; i < 8; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "case%d_", i); // no patients
        init_sized_case(state, "large/images", "large/masks", name, i, 1, i % 3 == 0 ? 640 : 600,
                        72);
    }
    ADELE(&result, "init", scratch_path(state, "large"), "-o", scratch_path(state, "l.yaml"),
          "--device=cpu");
    init_done(&result, "layout img_ann, ");
    check_ok(file_read(scratch_path(state, "l.yaml"), 0, &yaml, &bytes));
    assert_non_null(strstr(yaml,
                           "  # The files have 72 x 600 (height x width), more than a training "
                           "takes as a whole: it sees random patches.\n  # size: [32, 128] "
                           "without patch trains on whole images: faster, and coarser.\n"
                           "  size: [0, 0] # the files' own\n  patch: [64, 128] # "));
    memory_free(yaml);
    struct config *config = init_load(state, "l.yaml");
    assert_int_equal(config->data.patch[0], 64);
    assert_int_equal(config->data.patch[1], 128);
    assert_int_equal(config->correction.source, SOURCE_INFERENCE);
    assert_true(config->correction.enabled);
    config_destroy(config);
    init_train(state, "l.yaml", "large_run");
    // The other way that the comment names.
    ADELE(&result, "train", scratch_path(state, "l.yaml"), "--run", scratch_path(state, "whole"),
          "--set", "train.epochs=1", "--set", "data.patch=[0, 0]", "--set", "data.size=[32, 128]",
          "--device=cpu");
    init_done(&result, "done: 1 epoch in ");
}

static void volumes_train(void **state) {
    struct program_result result;
    tiny_volumes(state, "set");
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "v.yaml"),
          "--device=cpu");
    assert_non_null(strstr(result.out, "layout nnunet, 1 train, 1 val, 0 test cases\n"));
    assert_non_null(
        strstr(result.out, "  images   1 channel; 6 x 8 x 4 (height x width x slices)\n"));
    assert_non_null(strstr(result.out, "  voxels   0.75 x 0.5 x 3 mm\n"));
    init_done(&result, "class 2  aorta: ");
    struct config *config = init_load(state, "v.yaml");
    assert_int_equal(config->data.n_label_map, 0);
    config_destroy(config);
    init_train(state, "v.yaml", "run");
}

static void the_splits_of_a_data_set_stay(void **state) {
    struct program_result result;
    struct tiny_set set = tiny_set_default(3);
    tiny_set_write(scratch_path(state, "set"), &set);
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "n.yaml"),
          "--device=cpu");
    init_done(&result, "layout nnunet, 18 train, 3 val, 3 test cases\n");
    assert_false(file_exists(scratch_path(state, "n_train.txt")));
    struct config *config = init_load(state, "n.yaml");
    assert_null(config->data.split[SPLIT_TRAIN]);
    config_destroy(config);
    init_train(state, "n.yaml", "run");
}

static void voc_and_mmsegmentation_are_described(void **state) {
    struct program_result result;
    tiny_voc(state, "voc");
    ADELE(&result, "init", scratch_path(state, "voc"), "-o", scratch_path(state, "voc.yaml"),
          "--device=cpu");
    init_done(&result, "layout voc, 2 train, 1 val, 0 test cases\n  images   3 channels, 8 bits");
    config_destroy(init_load(state, "voc.yaml"));
    init_train(state, "voc.yaml", "run_voc");
    tiny_img_ann(state, "mm");
    ADELE(&result, "init", scratch_path(state, "mm"), "-o", scratch_path(state, "mm.yaml"),
          "--device=cpu");
    init_done(&result, "layout img_ann, 2 train, 1 val, 1 test cases\n");
    config_destroy(init_load(state, "mm.yaml"));
    init_train(state, "mm.yaml", "run_mm");
}

// Images without a mask are left out of the lists.
static void incomplete_cases_are_left_out(void **state) {
    struct program_result result;
    for (int i = 0; i < 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%d", i);
        init_case(state, "set/imgs", "set/labels", name, i, 1);
    }
    assert_int_equal(unlink(scratch_path(state, "set/labels/x4.png")), 0);
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    assert_non_null(strstr(result.out, "left out: 1 image has no mask (x4.png); training goes on"));
    assert_null(strstr(result.out, "no image"));
    assert_null(strstr(result.out, "cannot be read"));
    init_done(&result, ", 7 train, 2 val, 0 test cases\n");
    ADELE(&result, "check", "--config", scratch_path(state, "c.yaml"));
    init_done(&result, "1 of 10 images has no mask in labels and is in no split (first: x4)");
    init_train(state, "c.yaml", "run");
}

static void names_without_an_image_are_left_out(void **state) {
    struct program_result result;
    tiny_voc(state, "voc");
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "s1\ns8\ns2\n");
    ADELE(&result, "init", scratch_path(state, "voc"), "-o", scratch_path(state, "one.yaml"),
          "--device=cpu");
    assert_null(strstr(result.out, "no mask"));
    init_done(&result, "left out: 1 case that a list names has no image (s8)\n");
    assert_int_equal(init_count_lines(state, "one_train.txt"), 2);
    assert_in_file(state, "one.yaml", ", without 1 case that lacks image or mask.\n");
    assert_in_file(state, "one.yaml", " # takes less than 0.1 GB of memory\n");
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "s1\ns8\ns2\ns9\n");
    ADELE(&result, "init", scratch_path(state, "voc"), "-o", scratch_path(state, "two.yaml"),
          "--device=cpu");
    init_done(&result, "left out: 2 cases that lists name have no image (first: s8)\n");
    assert_in_file(state, "two.yaml", ", without 2 cases that lack image or mask.\n");
}

// set/imgs and set/labels with x00.png, x01.png, ...
static void make_cases(void **state, int n) {
    for (int i = 0; i < n; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%02d", i);
        init_case(state, "set/imgs", "set/labels", name, i, 1);
    }
}

// Both are said where a person decides to train, and check says the same of each file.
static void lone_masks_and_damaged_files_are_counted(void **state) {
    struct program_result result;
    make_cases(state, 12);
    assert_int_equal(unlink(scratch_path(state, "set/imgs/x04.png")), 0);
    assert_int_equal(unlink(scratch_path(state, "set/imgs/x07.png")), 0);
    tiny_text(state, "set/labels/x09.png", "");
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    assert_non_null(strstr(result.out, "left out: 2 masks have no image (first: x04.png)\n"));
    init_done(&result, "\nfirst mend the data: 1 case has a file that cannot be read; a training "
                       "ends with an error there; `adele check` names each\nnext: adele check ");
    ADELE(&result, "check", "--config", scratch_path(state, "c.yaml"));
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.out, "/set/labels/x04.png: a mask without an image in imgs\n"));
    assert_non_null(strstr(result.out, "/set/labels/x07.png: a mask without an image in imgs\n"));
    assert_non_null(strstr(result.out, "error: unreadable: "));
    assert_non_null(strstr(result.out, "/set/labels/x09.png: is empty (0 bytes)\n  hint: Restore "
                                       "it from its source, "));
    program_result_deinit(&result);
}

// A training would end there, so that it is said above the command that trains.
static void masks_of_another_size_are_counted(void **state) {
    struct program_result result;
    make_cases(state, 10);
    tiny_crop(state, "set/labels/x03.png", 20, 32);
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    init_done(&result, "\nfirst mend the data: 1 mask differs in size from the image; a training "
                       "ends with an error there; `adele check` names each\nnext: adele check ");
    tiny_text(state, "set/labels/x04.png", "");
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "d.yaml"),
          "--device=cpu");
    init_done(&result, "\nfirst mend the data: 1 case has a file that cannot be read, and 1 mask "
                       "differs in size from the image; a training ends with an error there; ");
}

// Images and masks in one folder: a.png and a_mask.png.
static void one_folder_trains(void **state) {
    struct program_result result;
    for (int i = 0; i < 10; i++) {
        char name[32], from[64], to[64];
        (void)snprintf(name, sizeof name, "x%d", i);
        init_case(state, "set/all", "moved", name, i, 255);
        (void)snprintf(from, sizeof from, "moved/x%d.png", i);
        (void)snprintf(to, sizeof to, "set/all/x%d_mask.png", i);
        check_ok(scratch_copy(scratch_path(state, from), scratch_path(state, to)));
    }
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    assert_null(strstr(result.out, "left out: ")); // the masks are no images
    init_done(&result, "layout img_ann, 8 train, 2 val, 0 test cases\n");
    struct config *config = init_load(state, "c.yaml");
    assert_string_equal(config->data.mask_suffix, "_mask");
    config_destroy(config);
    ADELE(&result, "check", "--config", scratch_path(state, "c.yaml"));
    assert_null(strstr(result.out, "no mask"));
    init_done(&result, " 0 errors, 1 warning\n"); // no test cases
    init_train(state, "c.yaml", "run");
}

// Files may lie elsewhere, behind links, where the user says so.
static void links_are_followed_where_allowed(void **state) {
    struct program_result result;
    assert_int_equal(mkdir(scratch_path(state, "set"), 0777), 0);
    for (int i = 0; i < 4; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%d", i);
        init_case(state, "store/images", "store/masks", name, i, 255);
    }
    assert_int_equal(symlink("../store/images", scratch_path(state, "set/images")), 0);
    assert_int_equal(symlink("../store/masks", scratch_path(state, "set/masks")), 0);
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    init_refused(&result, "a symbolic link leads out of ");
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu", "--follow-links");
    init_done(&result, "3 train, 1 val");
    init_train(state, "c.yaml", "run");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pictures_and_masks_of_255_train),
        TEST(the_configuration_says_of_which_size_the_files_are),
        TEST(a_configuration_of_the_ensemble_trains),
        TEST(large_pictures_train_in_patches),
        TEST(volumes_train),
        TEST(the_splits_of_a_data_set_stay),
        TEST(voc_and_mmsegmentation_are_described),
        TEST(incomplete_cases_are_left_out),
        TEST(names_without_an_image_are_left_out),
        TEST(lone_masks_and_damaged_files_are_counted),
        TEST(masks_of_another_size_are_counted),
        TEST(one_folder_trains),
        TEST(links_are_followed_where_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
