// SPDX-License-Identifier: MIT
// The configuration that adele init writes, what it prints, and what it refuses. test_init_cli.c
// has the kinds of folders.
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

// ---- the file -----------------------------------------------------------------------------------

static void names_are_quoted(void **state) {
    struct program_result result;
    char root[] = "a \"b\": #c";
    for (int i = 0; i < 4; i++) {
        char name[32], images[64], masks[64];
        (void)snprintf(name, sizeof name, "x%d", i);
        (void)snprintf(images, sizeof images, "%s/imagesTr", root);
        (void)snprintf(masks, sizeof masks, "%s/labelsTr", root);
        init_case(state, images, masks, name, i, i % 2 + 1);
    }
    char path[64];
    (void)snprintf(path, sizeof path, "%s/dataset.json", root);
    tiny_text(state, path,
              "{\"channel_names\": {\"0\": \"CT\"}, \"file_ending\": \".png\", \"labels\": "
              "{\"background\": 0, \"all: #1\": [1, 2], \"\\\"part\\\"\": [2]}}");
    ADELE(&result, "init", scratch_path(state, root), "-o", scratch_path(state, "q.yml"),
          "--device=cpu");
    init_done(&result, "class 2  \"part\": ");
    struct config *config = init_load(state, "q.yml");
    assert_string_equal(config->data.root, scratch_path(state, root));
    assert_string_equal(config->data.map_names[1], "all: #1");
    assert_string_equal(config->data.map_names[2], "\"part\"");
    config_destroy(config);
    init_train(state, "q.yml", "run");
}

// What is printed can be pasted into a shell.
static void next_commands_are_quoted(void **state) {
    struct program_result result;
    char wanted[4200];
    for (int i = 0; i < 4; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%d", i);
        init_case(state, "set/images", "set/masks", name, i, 255);
    }
    const char *yaml = scratch_path(state, "its R\u00f6ntgen.yaml");
    (void)snprintf(wanted, sizeof wanted,
                   "next: adele check --config '%s'\n      adele train '%s'\n", yaml, yaml);
    ADELE(&result, "init", scratch_path(state, "set"), "-o", yaml, "--device=cpu");
    assert_non_null(strstr(result.out, "odd: few images: 3 for training;"));
    init_done(&result, wanted);
}

// Descriptions stand beside their options, none at the beginning of a line.
static void help_is_in_columns(void **state) {
    struct program_result result;
    (void)state;
    ADELE(&result, "init", "--help");
    assert_null(strstr(result.out, "                              -")); // 30 spaces, then an option
    init_done(&result, "\n  -d, --device=auto|cpu|cuda|cuda:N\n                             Fits");
}

static void many_classes_are_a_short_file(void **state) {
    struct program_result result;
    for (int i = 0; i < 200; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%03d", i);
        init_case(state, "set/images", "set/masks", name, i, i + 1);
    }
    ADELE(&result, "init", scratch_path(state, "set"), "-o", scratch_path(state, "c.yaml"),
          "--device=cpu");
    init_done(&result, "");
    struct config *config = init_load(state, "c.yaml"); // under 30 lines
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
    init_refused(&result, "no images with masks are found: it holds 1 folder (notes) and 0 files");
    ADELE(&result, "init", scratch_path(state, "absent"), "-o", yaml, "--device=cpu");
    init_refused(&result, "absent: no such folder");
    // Masks in colours.
    tiny_picture(state, "rgb/images/a.png", 8, 8, 3, 8, 1);
    tiny_picture(state, "rgb/masks/a.png", 8, 8, 3, 8, 1);
    ADELE(&result, "init", scratch_path(state, "rgb"), "-o", yaml, "--device=cpu");
    init_refused(&result, "no mask can be read; the last one: ");
    // A name that would be two lines of a list.
    init_case(state, "line/images", "line/masks", "a\nb", 1, 255);
    init_case(state, "line/images", "line/masks", "c", 2, 255);
    ADELE(&result, "init", scratch_path(state, "line"), "-o", yaml, "--device=cpu");
    init_refused(&result, "the name \"a?b\" cannot stand in a list of cases");
    // One case cannot be divided.
    init_case(state, "one/images", "one/masks", "a", 1, 255);
    ADELE(&result, "init", scratch_path(state, "one"), "-o", yaml, "--device=cpu");
    init_refused(&result, "1 training and 0 validation cases have image and mask");
    // A list without names.
    tiny_voc(state, "voc");
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "");
    ADELE(&result, "init", scratch_path(state, "voc"), "-o", yaml, "--device=cpu");
    assert_non_null(strstr(result.err, "\n  hint: Write the names of the training cases into it"));
    init_refused(&result, "Segmentation/train.txt: the train split has no cases: this list is");
    assert_false(file_exists(yaml));
    assert_false(file_exists(scratch_path(state, "c_train.txt")));
}

static void nothing_is_overwritten(void **state) {
    struct program_result result;
    char yaml[4096], root[4096];
    for (int i = 0; i < 4; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x%d", i);
        init_case(state, "set/images", "set/masks", name, i, 255);
    }
    (void)snprintf(root, sizeof root, "%s", scratch_path(state, "set"));
    (void)snprintf(yaml, sizeof yaml, "%s", scratch_path(state, "c.yaml"));
    tiny_text(state, "c_val.txt", "mine");
    ADELE(&result, "init", root, "-o", yaml, "--device=cpu", "--overwrite");
    init_refused(&result, "c_val.txt is there already, and adele did not write it");
    assert_false(file_exists(yaml));
    assert_int_equal(unlink(scratch_path(state, "c_val.txt")), 0);
    ADELE(&result, "init", root, "-o", yaml, "--device=cpu");
    init_done(&result, "written: ");
    ADELE(&result, "init", root, "-o", yaml, "--device=cpu");
    init_refused(&result, "c.yaml is there already");
    ADELE(&result, "init", root, "-o", yaml, "--device=cpu", "--overwrite");
    init_done(&result, "written: ");
    // Neither into the data, nor under a name that is no YAML file's.
    ADELE(&result, "init", root, "-o", scratch_path(state, "set/images/c.yaml"), "--device=cpu");
    init_refused(&result, "would fall into");
    ADELE(&result, "init", root, "-o", scratch_path(state, "config"), "--device=cpu");
    init_refused(&result, "is not named like a YAML file");
    ADELE(&result, "init", root, "-o", yaml, "--seed", "-1");
    assert_int_equal(result.code, 2);
    program_result_deinit(&result);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(names_are_quoted),
        TEST(many_classes_are_a_short_file),
        TEST(next_commands_are_quoted),
        TEST(help_is_in_columns),
        TEST(what_fits_nothing_is_one_error),
        TEST(nothing_is_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
