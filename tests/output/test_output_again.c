// SPDX-License-Identifier: MIT
// Verbs that write where files are already: only unchanged files that adele wrote are replaced, and
// only with --overwrite.
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "output/output_manifest.h"
#include "support/scratch.h"
#include "support/train_step.h"
#include "support/verb_outputs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const first_files[N_VERBS] = {[PREDICT] = "a.png",
                                                 [MASKS] = "test_000.png",
                                                 [SCORES] = "scores.json",
                                                 [CASES] = "scores.csv",
                                                 [LABELS] = "labelsTr/train_000.png",
                                                 [EXPORT] = "model.onnx",
                                                 [NOISE] = "labelsTr/train_000.png",
                                                 [REPORT] = "run_onset.png",
                                                 [AUDIT] = "audit.csv",
                                                 [INIT] = "config.yaml"};

static void only_own_files_are_replaced(void **state) {
    for (int verb = 0; verb < TRAIN; verb++) {
        struct program_result result;
        char folder[4096], first[4200];
        (void)snprintf(first, sizeof first, "out_%d", verb);
        (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, first));
        (void)snprintf(first, sizeof first, "%s/%s", folder, first_files[verb]);
        verb_run((enum verb)verb, folder, NULL, &result);
        verb_assert_done(&result);
        uint64_t whole = verb_sum_of(folder);
        verb_run((enum verb)verb, folder, NULL, &result);
        assert_non_null(strstr(result.err, "--overwrite"));
        verb_assert_refused(&result, first, "is there already");
        assert_true(verb_sum_of(folder) == whole);
        verb_run((enum verb)verb, folder, "--overwrite", &result);
        verb_assert_done(&result);
        assert_true(verb_sum_of(folder) == whole); // and the same bytes again
        // Somebody worked on it since.
        verb_write_text(first, "mine");
        whole = verb_sum_of(folder);
        verb_run((enum verb)verb, folder, "--overwrite", &result);
        verb_assert_refused(&result, first, "has been changed since adele wrote it");
        assert_true(verb_sum_of(folder) == whole);
    }
}

static void a_foreign_file_is_never_replaced(void **state) {
    for (int verb = 0; verb < TRAIN; verb++) {
        struct program_result result;
        char folder[4096], first[4200];
        (void)snprintf(first, sizeof first, "foreign_%d/labelsTr", verb);
        check_ok(file_make_directory(scratch_path(state, first)));
        (void)snprintf(first, sizeof first, "foreign_%d", verb);
        (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, first));
        (void)snprintf(first, sizeof first, "%s/%s", folder, first_files[verb]);
        // A hard link of a true label: the file itself is the data set's.
        assert_int_equal(link(scratch_path(state, "set/labelsTs/test_000.png"), first), 0);
        uint64_t before = verb_sum_of_inputs(), there = verb_sum_of(folder);
        verb_run((enum verb)verb, folder, NULL, &result);
        verb_assert_refused(&result, first, "is there already");
        verb_run((enum verb)verb, folder, "--overwrite", &result);
        verb_assert_refused(&result, first, "adele did not write it");
        assert_true(verb_sum_of_inputs() == before && verb_sum_of(folder) == there);
        assert_int_equal(unlink(first), 0);
    }
}

// Links that lead nowhere are files that are there.
static void a_dangling_link_is_not_replaced(void **state) {
    struct program_result result;
    check_ok(file_make_directory(scratch_path(state, "dangling")));
    assert_int_equal(symlink("nowhere", scratch_path(state, "dangling/a.png")), 0);
    verb_run(PREDICT, scratch_path(state, "dangling"), NULL, &result);
    verb_assert_refused(&result, "dangling/a.png", "is there already");
}

// What a killed writer leaves is known by its manifest.
static void an_interrupted_output_is_done_again(void **state) {
    struct program_result result;
    struct output_manifest manifest = {0};
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "killed"));
    check_ok(file_make_directory(folder));
    check_ok(output_manifest_set(&manifest, "a.png", -1, NULL));
    check_ok(output_manifest_set(&manifest, "b.png", -1, NULL));
    check_ok(output_manifest_write(folder, &manifest));
    output_manifest_deinit(&manifest);
    verb_write_text(scratch_path(state, "killed/a.png"), "half");
    verb_run(PREDICT, folder, NULL, &result);
    verb_assert_refused(&result, "killed/a.png", "is there already");
    verb_run(PREDICT, folder, "--overwrite", &result);
    verb_assert_done(&result);
    check_ok(output_manifest_read(folder, &manifest));
    assert_int_equal(manifest.n, 2);
    for (int i = 0; i < 2; i++) {
        char hash[17];
        int64_t bytes = 0;
        char *path = file_join(folder, manifest.files[i].name);
        check_ok(hash_file_hex(path, hash, &bytes));
        assert_string_equal(manifest.files[i].name, i == 0 ? "a.png" : "b.png");
        assert_int_equal(manifest.files[i].bytes, bytes);
        assert_string_equal(manifest.files[i].xxh3, hash);
        memory_free(path);
    }
    output_manifest_deinit(&manifest);
}

static void files_that_stay_are_said(void **state) {
    struct program_result result;
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "stale"));
    verb_run(MASKS, folder, NULL, &result);
    verb_assert_done(&result);
    verb_run(PREDICT, folder, NULL, &result); // other names: nothing is in the way
    verb_assert_done(&result);
    verb_run(PREDICT, folder, "--overwrite", &result);
    assert_code(&result, 0);
    assert_non_null(strstr(result.err, "2 files of an earlier output stay there"));
    program_result_deinit(&result);
    verb_run(SCORES, folder, "--overwrite", &result); // a file that was named
    assert_code(&result, 0);
    assert_null(strstr(result.err, "of an earlier output"));
    program_result_deinit(&result);
}

static void a_broken_manifest_is_named(void **state) {
    struct program_result result;
    check_ok(file_make_directory(scratch_path(state, "broken")));
    verb_write_text(scratch_path(state, "broken/" OUTPUT_MANIFEST_NAME), "{\"files\": 3}\n");
    verb_run(PREDICT, scratch_path(state, "broken"), "--overwrite", &result);
    verb_assert_refused(&result, "broken/" OUTPUT_MANIFEST_NAME, "no array \"files\"");
}

// ---- train --------------------------------------------------------------------------------------

static void a_new_run_takes_no_foreign_files(void **state) {
    static const char *const names[] = {"log.txt", "metrics.csv", "labels"};
    for (size_t i = 0; i < 3; i++) {
        struct program_result result;
        char folder[4096], file[4200];
        (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "mine"));
        (void)snprintf(file, sizeof file, "%s/%s", folder, names[i]);
        check_ok(file_make_directory(folder));
        verb_write_text(file, "my own notes\n");
        uint64_t before = verb_sum_of(folder);
        ADELE(&result, "train", verb_paths.yaml, "--run", folder, "--device=cpu",
              i ? "--resume" : NULL);
        verb_assert_refused(&result, file, "is there already");
        assert_true(verb_sum_of(folder) == before);
        check_ok(file_remove_tree(folder));
    }
}

// A run that ended before its first checkpoint may be begun again.
static void a_run_that_failed_early_is_begun_again(void **state) {
    struct program_result result;
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "again"));
    ADELE(&result, "train", verb_paths.yaml, "--run", folder, "--device=cpu", "--set",
          "data.root=nowhere");
    verb_assert_refused(&result, "nowhere", "no such folder");
    assert_true(file_exists(scratch_path(state, "again/log.txt")));
    verb_train_into(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_own_files_are_replaced),
        cmocka_unit_test(a_foreign_file_is_never_replaced),
        cmocka_unit_test(a_dangling_link_is_not_replaced),
        cmocka_unit_test(an_interrupted_output_is_done_again),
        cmocka_unit_test(files_that_stay_are_said),
        cmocka_unit_test(a_broken_manifest_is_named),
        cmocka_unit_test(a_new_run_takes_no_foreign_files),
        cmocka_unit_test(a_run_that_failed_early_is_begun_again),
    };
    return cmocka_run_group_tests(tests, verb_outputs_setup, verb_outputs_teardown);
}
