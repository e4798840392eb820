// SPDX-License-Identifier: MIT
// No verb writes into a data set, a folder of inputs or another run, whatever way leads there, nor
// onto a file that adele did not write.
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "data/output_guard.h"
#include "data/output_manifest.h"
#include "image/image.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

// Paths of the fixture, which outlive scratch_path's.
static char set[4096], run[4096], other[4096], pictures[4096], yaml[4096];

static void assert_code(const struct program_result *result, int code) {
    if (result->code != code)
        fail_msg("exit code %d, wanted %d\n%s%s", result->code, code, result->out, result->err);
}

static void assert_done(struct program_result *result) {
    assert_code(result, 0);
    program_result_deinit(result);
}

// Exit code 1, one error line that has both parts, and a hint.
static void assert_refused(struct program_result *result, const char *part,
                           const char *other_part) {
    const char *line = strstr(result->err, "adele: error: ");
    const char *end = line ? strchr(line, '\n') : NULL;
    if (result->code != 1 || !end || strncmp(end, "\n  hint: ", 9) != 0 || !strstr(line, part) ||
        !strstr(line, other_part))
        fail_msg("exit code %d, wanted an error with '%s' and '%s'\n%s%s", result->code, part,
                 other_part, result->out, result->err);
    program_result_deinit(result);
}

// ---- what must not change -----------------------------------------------------------------------

static uint64_t sum_of(const char *path) {
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    uint64_t sum = hash_xxh3(path, strlen(path));
    if (S_ISREG(info.st_mode)) {
        char *text = NULL;
        size_t bytes = 0;
        check_ok(file_read(path, 0, &text, &bytes));
        sum += 31 * hash_xxh3(text, bytes);
        memory_free(text);
    } else if (S_ISDIR(info.st_mode)) {
        struct file_list list;
        check_ok(file_list_directory(path, &list));
        for (int i = 0; i < list.n; i++) {
            char *name = file_join(path, list.names[i]);
            sum = 1000003 * sum + sum_of(name);
            memory_free(name);
        }
        file_list_deinit(&list);
        char *manifest = file_join(path, OUTPUT_MANIFEST_NAME);
        sum += file_exists(manifest) ? sum_of(manifest) : 0;
        memory_free(manifest);
    }
    return sum;
}

// Data set, pictures, and both runs: every name and byte.
static uint64_t sum_of_inputs(void) {
    return sum_of(set) + 3 * sum_of(run) + 7 * sum_of(other) + 11 * sum_of(pictures);
}

static void write_text(const char *path, const char *text) {
    check_ok(file_write(path, text, strlen(text)));
}

static void train_into(const char *folder) {
    struct program_result result;
    ADELE(&result, "train", yaml, "--run", folder, "--device=cpu", "--set", "train.epochs=3");
    assert_done(&result);
}

static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || scratch_setup(state) != 0)
        return -1;
    struct tiny_set tiny = tiny_set_default(3);
    tiny.n_train = 6;
    tiny.n_val = 1;
    tiny.n_test = 2;
    tiny.noise_px = 2;
    (void)snprintf(set, sizeof set, "%s", scratch_path(state, "set"));
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "run"));
    (void)snprintf(other, sizeof other, "%s", scratch_path(state, "other"));
    (void)snprintf(pictures, sizeof pictures, "%s", scratch_path(state, "pictures"));
    (void)snprintf(yaml, sizeof yaml, "%s", scratch_path(state, "tiny.yaml"));
    tiny_set_write(set, &tiny);
    char *text = tiny_set_config(set, scratch_path(state, "set/noisyTr"));
    write_text(yaml, text);
    memory_free(text);
    check_ok(file_make_directory(pictures));
    check_ok(file_copy(scratch_path(state, "set/imagesTs/test_000_0000.png"),
                       scratch_path(state, "pictures/a.png")));
    check_ok(file_copy(scratch_path(state, "set/imagesTs/test_001_0000.png"),
                       scratch_path(state, "pictures/b.png")));
    train_into(run);
    train_into(other);
    return 0;
}

static int teardown(void **state) {
    (void)umount2(scratch_path(state, "mount"), MNT_DETACH); // of a test that failed in between
    return scratch_teardown(state);
}

// ---- every verb ---------------------------------------------------------------------------------

enum verb {
    PREDICT,
    MASKS,
    SCORES,
    CASES,
    LABELS,
    EXPORT,
    NOISE,
    REPORT,
    AUDIT,
    INIT,
    TRAIN,
    TABLE,
    N_VERBS
};

// Runs the verb with `folder` as its output; TRAIN into FOLDER/new.
static void run_verb(enum verb verb, const char *folder, const char *option,
                     struct program_result *result) {
    char *scores = file_join(folder, "scores.json"), *onnx = file_join(folder, "model.onnx");
    char *new_run = file_join(folder, "new");
    char *cases = file_join(folder, "scores.csv");
    char *config = file_join(folder, "config.yaml");
    switch (verb) {
    case PREDICT:
        ADELE(result, "predict", run, "-i", pictures, "-o", folder, "--device=cpu", option);
        break;
    case MASKS:
        ADELE(result, "evaluate", run, "--save-masks", folder, "--device=cpu", option);
        break;
    case SCORES:
        ADELE(result, "evaluate", run, "--json", scores, "--device=cpu", option);
        break;
    case CASES:
        ADELE(result, "evaluate", run, "--csv", cases, "--device=cpu", option);
        break;
    case LABELS:
        ADELE(result, "labels", run, "-o", folder, option);
        break;
    case EXPORT:
        ADELE(result, "export", run, "-o", onnx, option);
        break;
    case NOISE:
        ADELE(result, "noise", set, "-o", folder, "--kind", "flip", option);
        break;
    case REPORT:
        ADELE(result, "report", run, "-o", folder, option);
        break;
    case INIT:
        ADELE(result, "init", set, "-o", config, "--device=cpu", option);
        break;
    case AUDIT:
        ADELE(result, "audit", run, "-o", folder, "--mask-doubtful=255", "--device=cpu", option);
        break;
    case TABLE: // replaces its own files without the option
        ADELE(result, "table", yaml, "--seeds=0", "-o", folder, "--device=cpu");
        break;
    default: // has no such option: a run is never replaced
        ADELE(result, "train", yaml, "--run", new_run, "--device=cpu");
        break;
    }
    memory_free(scores);
    memory_free(onnx);
    memory_free(cases);
    memory_free(new_run);
    memory_free(config);
}

// No verb may write there, with and without --overwrite; the message has both parts.
static void assert_closed(const char *folder, const char *part, const char *other_part) {
    struct program_result result;
    uint64_t before = sum_of_inputs();
    for (int verb = 0; verb < N_VERBS; verb++) {
        run_verb((enum verb)verb, folder, verb % 2 ? "--overwrite" : NULL, &result);
        assert_refused(&result, part, other_part);
        if (sum_of_inputs() != before)
            fail_msg("verb %d changed something although it refused %s", verb, folder);
    }
}

static void a_data_set_is_closed(void **state) {
    static const char *const folders[] = {"set", "set/labelsTr", "set/labelsTs", "set/imagesTr",
                                          "set/new/folder"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char folder[4096];
        (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, folders[i]));
        assert_closed(folder, folder, "would fall into");
    }
}

static void links_and_dots_lead_nowhere_else(void **state) {
    char link[4096], dots[4096], below[4096], inner[4096];
    (void)snprintf(link, sizeof link, "%s", scratch_path(state, "link"));
    assert_int_equal(symlink("set/labelsTr", link), 0);
    assert_closed(link, link, set);
    (void)snprintf(dots, sizeof dots, "%s", scratch_path(state, "link/../imagesTs/../new"));
    assert_closed(dots, dots, set); // the link's own parent, not the scratch folder
    (void)snprintf(below, sizeof below, "%s", scratch_path(state, "absent/../set/absent/x"));
    assert_closed(below, below, set);
    // A link inside of the output's own folder.
    (void)snprintf(inner, sizeof inner, "%s", scratch_path(state, "inner"));
    check_ok(file_make_directory(inner));
    assert_int_equal(symlink("../set/labelsTr", scratch_path(state, "inner/labelsTr")), 0);
    struct program_result result;
    uint64_t before = sum_of_inputs();
    run_verb(LABELS, inner, NULL, &result);
    assert_refused(&result, "inner/labelsTr/train_000.png", set);
    run_verb(NOISE, inner, NULL, &result);
    assert_refused(&result, "inner/labelsTr/train_000.png", set);
    assert_true(sum_of_inputs() == before);
}

static void bind_mounts_lead_nowhere_else(void **state) {
    static const char *const sources[] = {"set", "set/labelsTr", "set/imagesTs", "set/noisyTr"};
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "mount"));
    check_ok(file_make_directory(folder));
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (mount(scratch_path(state, sources[i]), folder, NULL, MS_BIND, NULL) != 0) {
            print_message("no right to mount a folder a second time: skipped\n");
            skip();
        }
        for (int verb = 0; verb < N_VERBS; verb++) {
            struct program_result result;
            run_verb((enum verb)verb, folder, NULL, &result);
            assert_refused(&result, folder, "would fall into");
        }
        assert_int_equal(umount(folder), 0);
    }
}

static void the_folder_of_inputs_is_closed(void **state) {
    static const char *const folders[] = {"pictures", "pictures/masks", "pictures/../pictures",
                                          "shortcut"};
    assert_int_equal(symlink("pictures", scratch_path(state, "shortcut")), 0);
    uint64_t before = sum_of_inputs();
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct program_result result;
        run_verb(PREDICT, scratch_path(state, folders[i]), i % 2 ? "--overwrite" : NULL, &result);
        assert_refused(&result, folders[i], "would fall into the input folder");
        assert_true(sum_of_inputs() == before);
    }
}

static void another_run_is_closed(void **state) {
    static const char *const folders[] = {"other", "other/checkpoints", "other/new"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char folder[4096];
        (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, folders[i]));
        assert_closed(folder, folder, "would fall into another run, ");
    }
}

// New files are welcome in the verb's own run, but not under the names that it has.
static void the_own_run_keeps_its_files(void **state) {
    struct program_result result;
    uint64_t before = sum_of(run);
    for (int verb = PREDICT; verb <= MASKS; verb++) {
        run_verb((enum verb)verb, run, NULL, &result);
        assert_refused(&result, "the masks would fall among the files of the run", run);
    }
    run_verb(LABELS, scratch_path(state, "run/labels"), NULL, &result);
    assert_refused(&result, "would fall onto labels of the run", run);
    run_verb(REPORT, scratch_path(state, "run/checkpoints"), "--overwrite", &result);
    assert_refused(&result, "would fall onto checkpoints of the run", run);
    static const char *const names[] = {"run/metrics.jsonl", "run/noise.json"};
    for (int i = 0; i < 2; i++) {
        ADELE(&result, "evaluate", run, "--json", scratch_path(state, names[i]), "--overwrite",
              "--device=cpu");
        assert_refused(&result, names[i], "would fall onto");
    }
    assert_true(sum_of(run) == before);
    ADELE(&result, "evaluate", run, "--json", scratch_path(state, "run/scores.json"),
          "--device=cpu");
    assert_done(&result);
    assert_true(file_exists(scratch_path(state, "run/scores.json")));
}

// ---- a second time ------------------------------------------------------------------------------

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
        run_verb((enum verb)verb, folder, NULL, &result);
        assert_done(&result);
        uint64_t whole = sum_of(folder);
        run_verb((enum verb)verb, folder, NULL, &result);
        assert_non_null(strstr(result.err, "--overwrite"));
        assert_refused(&result, first, "is there already");
        assert_true(sum_of(folder) == whole);
        run_verb((enum verb)verb, folder, "--overwrite", &result);
        assert_done(&result);
        assert_true(sum_of(folder) == whole); // and the same bytes again
        // Somebody worked on it since.
        write_text(first, "mine");
        whole = sum_of(folder);
        run_verb((enum verb)verb, folder, "--overwrite", &result);
        assert_refused(&result, first, "has been changed since adele wrote it");
        assert_true(sum_of(folder) == whole);
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
        uint64_t before = sum_of_inputs(), there = sum_of(folder);
        run_verb((enum verb)verb, folder, NULL, &result);
        assert_refused(&result, first, "is there already");
        run_verb((enum verb)verb, folder, "--overwrite", &result);
        assert_refused(&result, first, "adele did not write it");
        assert_true(sum_of_inputs() == before && sum_of(folder) == there);
        assert_int_equal(unlink(first), 0);
    }
}

// Links that lead nowhere are files that are there.
static void a_dangling_link_is_not_replaced(void **state) {
    struct program_result result;
    check_ok(file_make_directory(scratch_path(state, "dangling")));
    assert_int_equal(symlink("nowhere", scratch_path(state, "dangling/a.png")), 0);
    run_verb(PREDICT, scratch_path(state, "dangling"), NULL, &result);
    assert_refused(&result, "dangling/a.png", "is there already");
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
    write_text(scratch_path(state, "killed/a.png"), "half");
    run_verb(PREDICT, folder, NULL, &result);
    assert_refused(&result, "killed/a.png", "is there already");
    run_verb(PREDICT, folder, "--overwrite", &result);
    assert_done(&result);
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
    run_verb(MASKS, folder, NULL, &result);
    assert_done(&result);
    run_verb(PREDICT, folder, NULL, &result); // other names: nothing is in the way
    assert_done(&result);
    run_verb(PREDICT, folder, "--overwrite", &result);
    assert_code(&result, 0);
    assert_non_null(strstr(result.err, "2 files of an earlier output stay there"));
    program_result_deinit(&result);
    run_verb(SCORES, folder, "--overwrite", &result); // a file that was named
    assert_code(&result, 0);
    assert_null(strstr(result.err, "of an earlier output"));
    program_result_deinit(&result);
}

static void a_broken_manifest_is_named(void **state) {
    struct program_result result;
    check_ok(file_make_directory(scratch_path(state, "broken")));
    write_text(scratch_path(state, "broken/" OUTPUT_MANIFEST_NAME), "{\"files\": 3}\n");
    run_verb(PREDICT, scratch_path(state, "broken"), "--overwrite", &result);
    assert_refused(&result, "broken/" OUTPUT_MANIFEST_NAME, "no array \"files\"");
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
        write_text(file, "my own notes\n");
        uint64_t before = sum_of(folder);
        ADELE(&result, "train", yaml, "--run", folder, "--device=cpu", i ? "--resume" : NULL);
        assert_refused(&result, file, "is there already");
        assert_true(sum_of(folder) == before);
        check_ok(file_remove_tree(folder));
    }
}

// A run that ended before its first checkpoint may be begun again.
static void a_run_that_failed_early_is_begun_again(void **state) {
    struct program_result result;
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "again"));
    ADELE(&result, "train", yaml, "--run", folder, "--device=cpu", "--set", "data.root=nowhere");
    assert_refused(&result, "nowhere", "no such folder");
    assert_true(file_exists(scratch_path(state, "again/log.txt")));
    train_into(folder);
}

// ---- places -------------------------------------------------------------------------------------

static void places_are_found(void **state) {
    char *place = NULL, *real = realpath(*state, NULL), want[4200];
    const struct {
        const char *path, *want;
    } cases[] = {{"", ""},
                 {"set/./labelsTr//", "/set/labelsTr"},
                 {"absent/b/../c", "/absent/c"},
                 {"absent/../set/../absent2", "/absent2"},
                 {"link/x", "/set/labelsTr/x"},
                 {"link/../y", "/set/y"},
                 {"absent/../link/x", "/set/labelsTr/x"}};
    (void)symlink("set/labelsTr", scratch_path(state, "link"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_ok(path_resolve(scratch_path(state, cases[i].path), &place));
        (void)snprintf(want, sizeof want, "%s%s", real, cases[i].want);
        assert_string_equal(place, want);
        memory_free(place);
    }
    check_ok(path_resolve("/", &place));
    assert_string_equal(place, "/");
    memory_free(place);
    check_ok(path_resolve("/../absent-folder", &place));
    assert_string_equal(place, "/absent-folder");
    memory_free(place);
    free(real);
    assert_true(path_is_same(scratch_path(state, "link"), scratch_path(state, "set/labelsTr")));
    assert_false(path_is_same(scratch_path(state, "link"), scratch_path(state, "set")));
}

static void memory_may_run_out(void **state) {
    int n_failed = 0;
    for (long n = 0;; n++) {
        struct output_guard guard = {0};
        memory_fail_at(n);
        adele_status status = output_guard_add_data(&guard, set);
        if (status == ADELE_OK)
            status = output_guard_check(&guard, scratch_path(state, "new/x"));
        memory_fail_at(-1);
        output_guard_deinit(&guard);
        if (status == ADELE_OK)
            break;
        assert_int_equal(status, ADELE_NO_MEMORY);
        n_failed++;
    }
    assert_true(n_failed > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_data_set_is_closed),
        cmocka_unit_test(links_and_dots_lead_nowhere_else),
        cmocka_unit_test(bind_mounts_lead_nowhere_else),
        cmocka_unit_test(the_folder_of_inputs_is_closed),
        cmocka_unit_test(another_run_is_closed),
        cmocka_unit_test(the_own_run_keeps_its_files),
        cmocka_unit_test(only_own_files_are_replaced),
        cmocka_unit_test(a_foreign_file_is_never_replaced),
        cmocka_unit_test(a_dangling_link_is_not_replaced),
        cmocka_unit_test(an_interrupted_output_is_done_again),
        cmocka_unit_test(files_that_stay_are_said),
        cmocka_unit_test(a_broken_manifest_is_named),
        cmocka_unit_test(a_new_run_takes_no_foreign_files),
        cmocka_unit_test(a_run_that_failed_early_is_begun_again),
        cmocka_unit_test(places_are_found),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
