// SPDX-License-Identifier: MIT
// adele init on folders as people have them, up to a training with what it has written.
#include "base/file.h"
#include "base/memory.h"
#include "config/config.h"
#include "image/image.h"
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

#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

static void assert_done(struct program_result *result, const char *part) {
    if (result->code != 0 || strstr(result->out, part) == NULL)
        fail_msg("exit code %d, wanted 0 and '%s'\n%s%s", result->code, part, result->out,
                 result->err);
    program_result_deinit(result);
}

// Exit code 1, one error with this part, and a hint.
static void assert_refused(struct program_result *result, const char *part) {
    const char *line = strstr(result->err, "adele: error: ");
    const char *end = line != NULL ? strchr(line, '\n') : NULL;
    if (result->code != 1 || end == NULL || strncmp(end, "\n  hint: ", 9) != 0 ||
        strstr(line, part) == NULL || strstr(end, "adele: error: ") != NULL)
        fail_msg("exit code %d, wanted an error with '%s'\n%s%s", result->code, part, result->out,
                 result->err);
    program_result_deinit(result);
}

// A bright square on a noisy ground of that size; the mask has `value` there.
static void write_sized_case(void *const *state, const char *images, const char *masks,
                             const char *name, int i, int value, int width, int height) {
    struct image picture, mask;
    char path[256];
    check_ok(image_init(&picture, width, height, 1, 8));
    check_ok(image_init(&mask, width, height, 1, 8));
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int dy = y - 4 - i % 12, dx = x - 4 - (i * 7) % 12;
            bool is_inside = dy >= 0 && dy < 12 && dx >= 0 && dx < 12;
            ((uint8_t *)picture.pixels)[y * width + x] =
                (uint8_t)((is_inside ? 180 : 40) + (x * 31 + y * 17 + i * 5) % 40);
            ((uint8_t *)mask.pixels)[y * width + x] = (uint8_t)(is_inside ? value : 0);
        }
    ((uint8_t *)picture.pixels)[0] = (uint8_t)i; // no two are the same
    (void)snprintf(path, sizeof path, "%s/%s.png", images, name);
    tiny_text(state, path, ""); // makes the folder
    check_ok(image_save_png(scratch_path(state, path), &picture));
    (void)snprintf(path, sizeof path, "%s/%s.png", masks, name);
    tiny_text(state, path, "");
    check_ok(image_save_png(scratch_path(state, path), &mask));
    image_deinit(&picture);
    image_deinit(&mask);
}

static void write_case(void *const *state, const char *images, const char *masks, const char *name,
                       int i, int value) {
    write_sized_case(state, images, masks, name, i, value, 32, 32);
}

static int count_lines(void *const *state, const char *path) {
    char *text = NULL;
    size_t bytes = 0;
    int n = 0;
    check_ok(file_read(scratch_path(state, path), 0, &text, &bytes));
    for (size_t i = 0; i < bytes; i++)
        n += text[i] == '\n';
    memory_free(text);
    return n;
}

static struct config *load(void *const *state, const char *path) {
    struct config *config = NULL;
    check_ok(config_load(scratch_path(state, path), 0, NULL, &config));
    assert_true(count_lines(state, path) < 30);
    return config;
}

static void train_one_epoch(void *const *state, const char *yaml, const char *run) {
    struct program_result result;
    ADELE(&result, "check", "--config", scratch_path(state, yaml));
    assert_done(&result, " 0 errors");
    ADELE(&result, "train", scratch_path(state, yaml), "--run", scratch_path(state, run), "--set",
          "train.epochs=1", "--device=cpu");
    assert_done(&result, "done: 1 epoch in ");
}

// ---- folders that train -------------------------------------------------------------------------

static void pictures_and_masks_of_255_train(void **state) {
    struct program_result result;
    for (int i = 0; i < 40; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "s%02d_%d", i / 4, i % 4);
        write_case(state, "my cells/images", "my cells/masks", name, i, 255);
    }
    ADELE(&result, "init", scratch_path(state, "my cells"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu", "--seed", "3");
    assert_non_null(strstr(result.out, "layout img_ann, 32 train, 8 val, 0 test cases\n"));
    assert_non_null(strstr(result.out, "  masks    40; values 0, 255\n"));
    assert_non_null(strstr(result.out, "class 1  foreground: 14.1 % of the pixels, in 40 of 40"));
    assert_done(&result, "adele train ");
    struct config *config = load(state, "c.yaml");
    assert_int_equal(config->data.n_map_names, 2);
    assert_string_equal(config->data.map_names[0], "background");
    assert_string_equal(config->data.map_names[1], "foreground");
    assert_string_equal(config->data.root, scratch_path(state, "my cells"));
    assert_int_equal(config->data.size[0], 32);
    assert_int_equal(config->data.size[1], 32);
    assert_int_equal(config->train.batch, 5);
    assert_int_equal((int)config->train.seed, 3);
    config_destroy(config);
    assert_int_equal(count_lines(state, "c_train.txt"), 32);
    assert_int_equal(count_lines(state, "c_val.txt"), 8);
    train_one_epoch(state, "c.yaml", "run");
    // There are no test cases.
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--device=cpu");
    assert_done(&result, "val split, 8 images\n");
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
    assert_done(&result, "most doubtful first: ");
    // The labels come back under the folder's own name, with its own values.
    ADELE(&result, "labels", scratch_path(state, "run"), "-o", scratch_path(state, "labels"));
    assert_done(&result, "");
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
        write_sized_case(state, "same/images", "same/masks", name, i, 1, 48, 40);
        write_sized_case(state, "mixed/images", "mixed/masks", name, i, 1, i < 3 ? 50 : 48, 40);
    }
    ADELE(&result, "init", scratch_path(state, "same"), "-o", scratch_path(state, "s.yaml"),
          "--device=cpu");
    assert_done(&result, "written:");
    assert_in_file(state, "s.yaml", "; the files have 40 x 48, and masks come out at that size\n");
    assert_in_file(state, "s.yaml", "\n  seed: 0\n  optimizer: {name: adamw, lr: 0.001} # ");
    struct config *config = load(state, "s.yaml");
    assert_int_equal(config->train.optimizer, OPTIMIZER_ADAMW);
    assert_true(config->train.lr == 0.001);
    config_destroy(config);
    ADELE(&result, "init", scratch_path(state, "mixed"), "-o", scratch_path(state, "m.yaml"),
          "--device=cpu");
    assert_done(&result, "written:");
    assert_in_file(
        state, "m.yaml",
        "; the files have about 40 x 48 (median), and masks come out at their own size\n");
}

// Of several sizes; whole ones would lose four fifths of each side.
static void large_pictures_train_in_patches(void **state) {
    struct program_result result;
    char *yaml = NULL;
    size_t bytes = 0;
    for (int i = 0; i < 8; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "case%d_", i); // no patients
        write_sized_case(state, "large/images", "large/masks", name, i, 1, i % 3 == 0 ? 640 : 600,
                         72);
    }
    ADELE(&result, "init", scratch_path(state, "large"), "-o", scratch_path(state, "l.yaml"),
          "--device=cpu");
    assert_done(&result, "layout img_ann, ");
    check_ok(file_read(scratch_path(state, "l.yaml"), 0, &yaml, &bytes));
    assert_non_null(strstr(yaml,
                           "  # The files have 72 x 600 (height x width), more than a training "
                           "takes as a whole: it sees random patches.\n  # size: [32, 128] "
                           "without patch trains on whole images: faster, and coarser.\n"
                           "  size: [0, 0] # the files' own\n  patch: [64, 128] # "));
    memory_free(yaml);
    struct config *config = load(state, "l.yaml");
    assert_int_equal(config->data.patch[0], 64);
    assert_int_equal(config->data.patch[1], 128);
    assert_int_equal(config->correction.source, SOURCE_INFERENCE);
    assert_true(config->correction.enabled);
    config_destroy(config);
    train_one_epoch(state, "l.yaml", "large_run");
    // The other way that the comment names.
    ADELE(&result, "train", scratch_path(state, "l.yaml"), "--run", scratch_path(state, "whole"),
          "--set", "train.epochs=1", "--set", "data.patch=[0, 0]", "--set", "data.size=[32, 128]",
          "--device=cpu");
    assert_done(&result, "done: 1 epoch in ");
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
    assert_done(&result, "class 2  aorta: ");
    struct config *config = load(state, "v.yaml");
    assert_int_equal(config->data.n_label_map, 0);
    config_destroy(config);
    train_one_epoch(state, "v.yaml", "run");
}

static void the_splits_of_a_data_set_stay(void **state) {
    struct program_result result;
    struct tiny_set set = tiny_set_default(3);
    tiny_set_write(scratch_path(state, "set"), &set);
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "n.yaml"),
          "--device=cpu");
    assert_done(&result, "layout nnunet, 18 train, 3 val, 3 test cases\n");
    assert_false(file_exists(scratch_path(state, "n_train.txt")));
    struct config *config = load(state, "n.yaml");
    assert_null(config->data.split[SPLIT_TRAIN]);
    config_destroy(config);
    train_one_epoch(state, "n.yaml", "run");
}

static void voc_and_mmsegmentation_are_described(void **state) {
    struct program_result result;
    tiny_voc(state, "voc");
    ADELE(&result, "init", scratch_path(state, "voc"), "-o", scratch_path(state, "voc.yaml"),
          "--device=cpu");
    assert_done(&result, "layout voc, 2 train, 1 val, 0 test cases\n  images   3 channels, 8 bits");
    config_destroy(load(state, "voc.yaml"));
    train_one_epoch(state, "voc.yaml", "run_voc");
    tiny_img_ann(state, "mm");
    ADELE(&result, "init", scratch_path(state, "mm"), "-o", scratch_path(state, "mm.yaml"),
          "--device=cpu");
    assert_done(&result, "layout img_ann, 2 train, 1 val, 1 test cases\n");
    config_destroy(load(state, "mm.yaml"));
    train_one_epoch(state, "mm.yaml", "run_mm");
}

// Images without a mask are left out of the lists.
static void incomplete_cases_are_left_out(void **state) {
    struct program_result result;
    for (int i = 0; i < 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%d", i);
        write_case(state, "set/imgs", "set/labels", name, i, 1);
    }
    assert_int_equal(unlink(scratch_path(state, "set/labels/x4.png")), 0);
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    assert_non_null(strstr(result.out, "left out: 1 image has no mask (x4.png); training goes on"));
    assert_null(strstr(result.out, "no image"));
    assert_null(strstr(result.out, "cannot be read"));
    assert_done(&result, ", 7 train, 2 val, 0 test cases\n");
    ADELE(&result, "check", "--config", scratch_path(state, "c.yaml"));
    assert_done(&result, "1 of 10 images has no mask in labels and is in no split (first: x4)");
    train_one_epoch(state, "c.yaml", "run");
}

// Both are said where a person decides to train, and check says the same of each file.
static void lone_masks_and_damaged_files_are_counted(void **state) {
    struct program_result result;
    for (int i = 0; i < 12; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%02d", i);
        write_case(state, "set/imgs", "set/labels", name, i, 1);
    }
    assert_int_equal(unlink(scratch_path(state, "set/imgs/x04.png")), 0);
    assert_int_equal(unlink(scratch_path(state, "set/imgs/x07.png")), 0);
    tiny_text(state, "set/labels/x09.png", "");
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    assert_non_null(strstr(result.out, "left out: 2 masks have no image (first: x04.png)\n"));
    assert_done(&result, "first mend the data: 1 case has a file that cannot be read, and a "
                         "training ends with an error there; `adele check` names each\n");
    ADELE(&result, "check", "--config", scratch_path(state, "c.yaml"));
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.out, "/set/labels/x04.png: a mask without an image in imgs\n"));
    assert_non_null(strstr(result.out, "/set/labels/x07.png: a mask without an image in imgs\n"));
    assert_non_null(strstr(result.out, "error: unreadable: "));
    assert_non_null(strstr(result.out, "/set/labels/x09.png: is empty (0 bytes)\n  hint: Restore "
                                       "it from its source, "));
    program_result_deinit(&result);
}

// Images and masks in one folder: a.png and a_mask.png.
static void one_folder_trains(void **state) {
    struct program_result result;
    for (int i = 0; i < 10; i++) {
        char name[32], from[64], to[64];
        (void)snprintf(name, sizeof name, "x%d", i);
        write_case(state, "set/all", "moved", name, i, 255);
        (void)snprintf(from, sizeof from, "moved/x%d.png", i);
        (void)snprintf(to, sizeof to, "set/all/x%d_mask.png", i);
        check_ok(file_copy(scratch_path(state, from), scratch_path(state, to)));
    }
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    assert_null(strstr(result.out, "left out: ")); // the masks are no images
    assert_done(&result, "layout img_ann, 8 train, 2 val, 0 test cases\n");
    struct config *config = load(state, "c.yaml");
    assert_string_equal(config->data.mask_suffix, "_mask");
    config_destroy(config);
    ADELE(&result, "check", "--config", scratch_path(state, "c.yaml"));
    assert_null(strstr(result.out, "no mask"));
    assert_done(&result, " 0 errors, 1 warning\n"); // no test cases
    train_one_epoch(state, "c.yaml", "run");
}

// Files may lie elsewhere, behind links, where the user says so.
static void links_are_followed_where_allowed(void **state) {
    struct program_result result;
    assert_int_equal(mkdir(scratch_path(state, "set"), 0777), 0);
    for (int i = 0; i < 4; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%d", i);
        write_case(state, "store/images", "store/masks", name, i, 255);
    }
    assert_int_equal(symlink("../store/images", scratch_path(state, "set/images")), 0);
    assert_int_equal(symlink("../store/masks", scratch_path(state, "set/masks")), 0);
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    assert_refused(&result, "a symbolic link leads out of ");
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu", "--follow-links");
    assert_done(&result, "3 train, 1 val");
    train_one_epoch(state, "c.yaml", "run");
}

// ---- the file -----------------------------------------------------------------------------------

static void names_are_quoted(void **state) {
    struct program_result result;
    char root[] = "a \"b\": #c";
    for (int i = 0; i < 4; i++) {
        char name[32], images[64], masks[64];
        (void)snprintf(name, sizeof name, "x%d", i);
        (void)snprintf(images, sizeof images, "%s/imagesTr", root);
        (void)snprintf(masks, sizeof masks, "%s/labelsTr", root);
        write_case(state, images, masks, name, i, i % 2 + 1);
    }
    char path[64];
    (void)snprintf(path, sizeof path, "%s/dataset.json", root);
    tiny_text(state, path,
              "{\"channel_names\": {\"0\": \"CT\"}, \"file_ending\": \".png\", \"labels\": "
              "{\"background\": 0, \"all: #1\": [1, 2], \"\\\"part\\\"\": [2]}}");
    ADELE(&result, "init", scratch_path(state, root), "-o", scratch_path(state, "q.yml"),
          "--device=cpu");
    assert_done(&result, "class 2  \"part\": ");
    struct config *config = load(state, "q.yml");
    assert_string_equal(config->data.root, scratch_path(state, root));
    assert_string_equal(config->data.map_names[1], "all: #1");
    assert_string_equal(config->data.map_names[2], "\"part\"");
    config_destroy(config);
    train_one_epoch(state, "q.yml", "run");
}

// What is printed can be pasted into a shell.
static void next_commands_are_quoted(void **state) {
    struct program_result result;
    char wanted[4200];
    for (int i = 0; i < 4; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%d", i);
        write_case(state, "set/images", "set/masks", name, i, 255);
    }
    const char *yaml = scratch_path(state, "its R\u00f6ntgen.yaml");
    (void)snprintf(wanted, sizeof wanted,
                   "next: adele check --config '%s'\n      adele train '%s'\n", yaml, yaml);
    ADELE(&result, "init", scratch_path(state, "set"), "-o", yaml, "--device=cpu");
    assert_non_null(strstr(result.out, "odd: few images: 3 for training;"));
    assert_done(&result, wanted);
}

// Descriptions stand beside their options, none at the beginning of a line.
static void help_is_in_columns(void **state) {
    struct program_result result;
    (void)state;
    ADELE(&result, "init", "--help");
    assert_null(strstr(result.out, "                              -")); // 30 spaces, then an option
    assert_done(&result,
                "\n  -d, --device=auto|cpu|cuda|cuda:N\n                             Fits");
}

static void many_classes_are_a_short_file(void **state) {
    struct program_result result;
    for (int i = 0; i < 200; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%03d", i);
        write_case(state, "set/images", "set/masks", name, i, i + 1);
    }
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    assert_done(&result, "");
    struct config *config = load(state, "c.yaml"); // under 30 lines
    assert_int_equal(config->data.n_map_names, 201);
    assert_string_equal(config->data.map_names[200], "class_200");
    assert_int_equal(config->data.n_label_map, 201);
    config_destroy(config);
}

// ---- errors -------------------------------------------------------------------------------------

static void what_fits_nothing_is_one_error(void **state) {
    struct program_result result;
    char yaml[4096];
    (void)snprintf(yaml, sizeof yaml, "%s", scratch_path(state, "c.yaml"));
    tiny_text(state, "empty/notes/readme.txt", "");
    ADELE(&result, "init", scratch_path(state, "empty"), "-o", yaml, "--device=cpu");
    assert_refused(&result,
                   "no images with masks are found: it holds 1 folder (notes) and 0 files");
    ADELE(&result, "init", scratch_path(state, "absent"), "-o", yaml, "--device=cpu");
    assert_refused(&result, "absent: no such folder");
    // Masks in colours.
    tiny_picture(state, "rgb/images/a.png", 8, 8, 3, 8, 1);
    tiny_picture(state, "rgb/masks/a.png", 8, 8, 3, 8, 1);
    ADELE(&result, "init", scratch_path(state, "rgb"), "-o", yaml, "--device=cpu");
    assert_refused(&result, "no mask can be read; the last one: ");
    // A name that would be two lines of a list.
    write_case(state, "line/images", "line/masks", "a\nb", 1, 255);
    write_case(state, "line/images", "line/masks", "c", 2, 255);
    ADELE(&result, "init", scratch_path(state, "line"), "-o", yaml, "--device=cpu");
    assert_refused(&result, "the name \"a?b\" cannot stand in a list of cases");
    // One case cannot be divided.
    write_case(state, "one/images", "one/masks", "a", 1, 255);
    ADELE(&result, "init", scratch_path(state, "one"), "-o", yaml, "--device=cpu");
    assert_refused(&result, "1 training and 0 validation cases have image and mask");
    assert_false(file_exists(yaml));
    assert_false(file_exists(scratch_path(state, "c_train.txt")));
}

static void nothing_is_overwritten(void **state) {
    struct program_result result;
    char yaml[4096], root[4096];
    for (int i = 0; i < 4; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%d", i);
        write_case(state, "set/images", "set/masks", name, i, 255);
    }
    (void)snprintf(root, sizeof root, "%s", scratch_path(state, "set"));
    (void)snprintf(yaml, sizeof yaml, "%s", scratch_path(state, "c.yaml"));
    tiny_text(state, "c_val.txt", "mine");
    ADELE(&result, "init", root, "-o", yaml, "--device=cpu", "--overwrite");
    assert_refused(&result, "c_val.txt is there already, and adele did not write it");
    assert_false(file_exists(yaml));
    assert_int_equal(unlink(scratch_path(state, "c_val.txt")), 0);
    ADELE(&result, "init", root, "-o", yaml, "--device=cpu");
    assert_done(&result, "written: ");
    ADELE(&result, "init", root, "-o", yaml, "--device=cpu");
    assert_refused(&result, "c.yaml is there already");
    ADELE(&result, "init", root, "-o", yaml, "--device=cpu", "--overwrite");
    assert_done(&result, "written: ");
    // Neither into the data, nor under a name that is no YAML file's.
    ADELE(&result, "init", root, "-o", scratch_path(state, "set/images/c.yaml"), "--device=cpu");
    assert_refused(&result, "would fall into");
    ADELE(&result, "init", root, "-o", scratch_path(state, "config"), "--device=cpu");
    assert_refused(&result, "is not named like a YAML file");
    ADELE(&result, "init", root, "-o", yaml, "--seed", "-1");
    assert_int_equal(result.code, 2);
    program_result_deinit(&result);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pictures_and_masks_of_255_train),
        TEST(the_configuration_says_of_which_size_the_files_are),
        TEST(large_pictures_train_in_patches),
        TEST(volumes_train),
        TEST(the_splits_of_a_data_set_stay),
        TEST(voc_and_mmsegmentation_are_described),
        TEST(incomplete_cases_are_left_out),
        TEST(lone_masks_and_damaged_files_are_counted),
        TEST(names_are_quoted),
        TEST(many_classes_are_a_short_file),
        TEST(next_commands_are_quoted),
        TEST(help_is_in_columns),
        TEST(what_fits_nothing_is_one_error),
        TEST(nothing_is_overwritten),
        TEST(one_folder_trains),
        TEST(links_are_followed_where_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
