// SPDX-License-Identifier: MIT
// What `adele evaluate`, `predict` and `audit` of a run write and print is the same on one, two,
// three and four ranks, byte by byte, and an error is one error with exit code 1.
#include "base/file.h"
#include "mpi/launch.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/tiny_nifti.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define N_VOLUMES 5

// Slices of 32 x 28 pixels with a box, as many as the volume has a number.
static void write_volume(void *const *state, int number) {
    char path[100];
    struct tiny_nifti image, labels;
    const int n[3] = {28, 32, 1 + number};
    tiny_nifti_init(&image, n, (const double[3]){1.5, 1.5, 3.0});
    tiny_nifti_init(&labels, n, (const double[3]){1.5, 1.5, 3.0});
    for (int i = 0; i < n[0] * n[1] * n[2]; i++) {
        int x = i % n[0], y = i / n[0] % n[1];
        bool is_box = x > 4 + number && x < 16 && y > 8 && y < 20 + number;
        image.values[i] = (is_box ? 200.0 : 40.0) + (double)(i * 7 % 31);
        labels.values[i] = is_box ? 1.0 + i % 2 : 0.0;
    }
    (void)snprintf(path, sizeof path, "volumes/imagesTr/v%d_0000.nii.gz", number);
    tiny_nifti_write(state, path, &image);
    (void)snprintf(path, sizeof path, "volumes/labelsTr/v%d.nii.gz", number);
    tiny_nifti_write(state, path, &labels);
}

static void write_volumes(void *const *state) {
    static const char json[] =
        "{\"channel_names\": {\"0\": \"CT\"}, \"file_ending\": \".nii.gz\", \"labels\": "
        "{\"background\": 0, \"disc\": 1, \"box\": 2}}\n";
    for (int i = 0; i < N_VOLUMES; i++)
        write_volume(state, i);
    check_ok(file_write(scratch_path(state, "volumes/dataset.json"), json, strlen(json)));
}

// The data sets, and a run of three epochs that all verbs read.
static int setup(void **state) {
    // Ranks that wait for each other for ever fail the test soon.
    if (setenv("ADELE_RANK_TIMEOUT", "60", 1) != 0 || launch_setup_of(state, 9, 3) != 0)
        return -1;
    write_volumes(state);
    launch_ok(state, &(struct launch){.n_ranks = 1,
                                      .run = "run",
                                      .sets = SETS("train.epochs=3", "train.batch=4",
                                                   "train.optimizer.momentum=0.9")});
    return 0;
}

// ---- one command --------------------------------------------------------------------------------

static void run_ok(void *const *state, int n_ranks, const char *const *words) {
    struct program_result result;
    launch_words(state, n_ranks, words, &result);
    if (result.code != 0)
        launch_fail(&result, words[0]);
    program_result_deinit(&result);
}

static void require_same_folders(void *const *state, const char *a, const char *b) {
    struct program_result result;
    program_run((const char *const[]){"/usr/bin/diff", "-r", scratch_path(state, a),
                                      scratch_path(state, b), NULL},
                &result);
    if (result.code != 0)
        launch_fail(&result, "folders");
    program_result_deinit(&result);
}

// The command writes into @out. `n_ranks` ends with 0.
static void assert_same(void *const *state, const int *n_ranks, const char *const *words) {
    struct program_result alone, together;
    launch_words(state, 1, words, &alone);
    if (alone.code != 0)
        launch_fail(&alone, words[0]);
    check_ok(file_rename(scratch_path(state, "out"), scratch_path(state, "alone")));
    for (; *n_ranks > 0; n_ranks++) {
        launch_words(state, *n_ranks, words, &together);
        if (together.code != 0)
            launch_fail(&together, words[0]);
        assert_string_equal(together.out, alone.out);
        require_same_folders(state, "alone", "out");
        check_ok(file_remove_tree(scratch_path(state, "out")));
        program_result_deinit(&together);
    }
    check_ok(file_remove_tree(scratch_path(state, "alone")));
    program_result_deinit(&alone);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, "--device", "cpu", NULL})
#define EVALUATE                                                                                   \
    "evaluate", "@run", "--json", "@out/scores.json", "--csv", "@out/scores.csv", "--save-masks",  \
        "@out/masks"

static const int two_and_four[] = {2, 4, 0}, three[] = {3, 0}, four[] = {4, 0};

static void evaluate(void **state) {
    assert_same(state, two_and_four,
                WORDS(EVALUATE, "--split", "train", "--flip", "--scales", "1,1.25", "--crf=2"));
}
static void evaluate_by_windows_fewer_images_than_ranks(void **state) {
    assert_same(state, four, WORDS(EVALUATE, "--split", "val", "--window", "24,20"));
}
static void evaluate_volumes(void **state) {
    assert_same(state, three, WORDS(EVALUATE, "--data", "@volumes", "--split", "train"));
}
static void predict(void **state) {
    assert_same(state, three,
                WORDS("predict", "@run", "-i", "@set/imagesTr", "-o", "@out", "--probabilities"));
}
static void predict_by_rows(void **state) {
    assert_same(state, three,
                WORDS("predict", "@run", "-i", "@set/imagesTr", "-o", "@out", "--window", "24,20"));
}
// More regions and pictures than are kept.
static void audit(void **state) {
    assert_same(state, two_and_four,
                WORDS("audit", "@run", "-o", "@out", "--overlays", "4", "--regions", "10",
                      "--min-pixels", "1", "--mask-doubtful", "255"));
}
static void audit_volumes(void **state) {
    assert_same(state, three,
                WORDS("audit", "@run", "--data", "@volumes", "-o", "@out", "--min-pixels", "1",
                      "--mask-doubtful", "255"));
}

// ---- errors -------------------------------------------------------------------------------------

static void require_no_temporaries(void *const *state) {
    struct program_result result;
    program_run(
        (const char *const[]){"/usr/bin/find", *state, "-name", "*" FILE_TEMPORARY_MARK "*", NULL},
        &result);
    assert_int_equal(result.code, 0);
    assert_string_equal(result.out, "");
    program_result_deinit(&result);
}

// One picture of the last rank is cut off. The masks of the others are whole, and --overwrite
// replaces them once the picture is mended.
static void a_broken_picture_is_one_error(void **state) {
#define PREDICT "predict", "@run", "-i", "@pictures", "-o"
    const char *const copy[] = {"/bin/cp", "-r", scratch_path(state, "set/imagesTr"),
                                scratch_path(state, "pictures"), NULL};
    struct program_result result;
    program_run(copy, &result);
    assert_int_equal(result.code, 0);
    program_result_deinit(&result);
    // Its header is sound: a picture without one is found before the first mask is written.
    assert_int_equal(truncate(scratch_path(state, "pictures/val_002_0000.png"), 60), 0);
    for (int n_ranks = 1; n_ranks <= 4; n_ranks *= 4) {
        check_ok(file_remove_tree(scratch_path(state, "out")));
        launch_words(state, n_ranks, WORDS(PREDICT, "@out"), &result);
        launch_require_error(&result,
                             SETS("val_002_0000.png", n_ranks > 1 ? "rank 3 on " : "error: /"));
        require_no_temporaries(state);
    }
    assert_true(file_exists(scratch_path(state, "out/train_000.png")));
    assert_false(file_exists(scratch_path(state, "out/val_002.png")));
    check_ok(scratch_copy(scratch_path(state, "set/imagesTr/val_002_0000.png"),
                          scratch_path(state, "pictures/val_002_0000.png")));
    launch_words(state, 2, WORDS(PREDICT, "@out"), &result);
    launch_require_error(&result, SETS("is there already"));
    run_ok(state, 2, WORDS(PREDICT, "@out", "--overwrite"));
    run_ok(state, 1, WORDS(PREDICT, "@alone"));
    require_same_folders(state, "alone", "out");
    check_ok(file_remove_tree(scratch_path(state, "alone")));
    check_ok(file_remove_tree(scratch_path(state, "out")));
}

// Rank 1 alone has another option.
static void other_options_are_refused(void **state) {
    struct program_result result;
    char out[4200], run[4200];
    (void)snprintf(out, sizeof out, "%s", scratch_path(state, "out"));
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "run"));
    mpirun_run(1,
               (const char *const[]){ADELE_CLI, "evaluate", run, "--save-masks", out, MPIRUN_NEXT,
                                     ADELE_CLI, "evaluate", run, "--save-masks", out, "--flip",
                                     NULL},
               &result);
    launch_require_error(&result,
                         SETS("rank 1 on ", "differs in options of prediction: it has batch 8",
                              "flip 1", "with the same options"));
    assert_false(file_exists(out));
}

// The same name is another folder on each rank, as on hosts that share no file system.
static void a_folder_that_ranks_do_not_share_is_refused(void **state) {
    struct program_result result;
    char run[4200], input[4200], folders[2][4200];
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "run"));
    (void)snprintf(input, sizeof input, "%s", scratch_path(state, "set/imagesTr"));
    for (int r = 0; r < 2; r++) {
        (void)snprintf(folders[r], sizeof folders[r], "%s",
                       scratch_path(state, r == 0 ? "host0" : "host1"));
        check_ok(file_make_directory(folders[r]));
    }
#define ON(folder)                                                                                 \
    "/usr/bin/env", "-C", folder, ADELE_CLI, "predict", run, "-i", input, "-o", "masks",           \
        "--device", "cpu"
    mpirun_run(1, (const char *const[]){ON(folders[0]), MPIRUN_NEXT, ON(folders[1]), NULL},
               &result);
    launch_require_error(&result, SETS("rank 1 on ", "masks/", "do not share the folder"));
    assert_false(file_exists(scratch_path(state, "host1/masks")));
}

// Its standard output, which is the same with one process.
static void first_process_alone(void *const *state, const char *const *words) {
    struct program_result alone, together;
    launch_words(state, 1, words, &alone);
    check_ok(file_remove_tree(scratch_path(state, "out")));
    launch_words(state, 2, words, &together);
    check_ok(file_remove_tree(scratch_path(state, "out")));
    assert_int_equal(alone.code, 0);
    assert_int_equal(together.code, 0);
    assert_string_equal(together.out, alone.out);
    program_result_deinit(&alone);
    program_result_deinit(&together);
}

static void what_has_nothing_to_divide_is_one_process(void **state) {
    first_process_alone(state, SETS("labels", "@run", "-o", "@out"));
    first_process_alone(state, SETS("help", "train"));
    first_process_alone(state, SETS("--version"));
    struct program_result result;
    launch_words(state, 2, SETS("info"), &result); // the free memory changes
    assert_int_equal(count_of(result.out, "several processes: "), 1);
    assert_int_equal(result.code, 0);
    program_result_deinit(&result);
    launch_words(state, 2, SETS("check", "@set"), &result);
    launch_require_error(&result, SETS("`adele check` is one process"));
}

int main(void) {
    int code = launch_prepare();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluate),
        cmocka_unit_test(evaluate_by_windows_fewer_images_than_ranks),
        cmocka_unit_test(evaluate_volumes),
        cmocka_unit_test(predict),
        cmocka_unit_test(predict_by_rows),
        cmocka_unit_test(audit),
        cmocka_unit_test(audit_volumes),
        cmocka_unit_test(a_broken_picture_is_one_error),
        cmocka_unit_test(other_options_are_refused),
        cmocka_unit_test(a_folder_that_ranks_do_not_share_is_refused),
        cmocka_unit_test(what_has_nothing_to_divide_is_one_process),
    };
    return code != 0 ? code : cmocka_run_group_tests(tests, setup, scratch_teardown);
}
