// SPDX-License-Identifier: MIT
// No verb writes into a data set, a folder of inputs or another run, whatever way leads there, nor
// onto a file that adele did not write.

#include "output/output_guard.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/layout.h"
#include "support/scratch.h"
#include "support/train_step.h"
#include "support/verb_outputs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

// No verb may write there, with and without --overwrite; the message has both parts.
static void assert_closed(const char *folder, const char *part, const char *other_part) {
    struct program_result result;
    uint64_t before = verb_sum_of_inputs();
    for (int verb = 0; verb < N_VERBS; verb++) {
        verb_run((enum verb)verb, folder, verb % 2 ? "--overwrite" : NULL, &result);
        verb_assert_refused(&result, part, other_part);
        if (verb_sum_of_inputs() != before)
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
    assert_closed(link, link, verb_paths.set);
    (void)snprintf(dots, sizeof dots, "%s", scratch_path(state, "link/../imagesTs/../new"));
    assert_closed(dots, dots, verb_paths.set); // the link's own parent, not the scratch folder
    (void)snprintf(below, sizeof below, "%s", scratch_path(state, "absent/../set/absent/x"));
    assert_closed(below, below, verb_paths.set);
    // A link inside of the output's own folder.
    (void)snprintf(inner, sizeof inner, "%s", scratch_path(state, "inner"));
    check_ok(file_make_directory(inner));
    assert_int_equal(symlink("../set/labelsTr", scratch_path(state, "inner/labelsTr")), 0);
    struct program_result result;
    uint64_t before = verb_sum_of_inputs();
    verb_run(LABELS, inner, NULL, &result);
    verb_assert_refused(&result, "inner/labelsTr/train_000.png", verb_paths.set);
    verb_run(NOISE, inner, NULL, &result);
    verb_assert_refused(&result, "inner/labelsTr/train_000.png", verb_paths.set);
    assert_true(verb_sum_of_inputs() == before);
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
            verb_run((enum verb)verb, folder, NULL, &result);
            verb_assert_refused(&result, folder, "would fall into");
        }
        assert_int_equal(umount(folder), 0);
    }
}

static void the_folder_of_inputs_is_closed(void **state) {
    static const char *const folders[] = {"pictures", "pictures/masks", "pictures/../pictures",
                                          "shortcut"};
    assert_int_equal(symlink("pictures", scratch_path(state, "shortcut")), 0);
    uint64_t before = verb_sum_of_inputs();
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct program_result result;
        verb_run(PREDICT, scratch_path(state, folders[i]), i % 2 ? "--overwrite" : NULL, &result);
        verb_assert_refused(&result, folders[i], "would fall into the input folder");
        assert_true(verb_sum_of_inputs() == before);
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

// That no verb reads: it is known by its layout.
static void another_data_set_is_closed(void **state) {
    struct output_guard guard = {0};
    for (enum dataset_layout layout = LAYOUT_AUTO + 1; layout < LAYOUT_COUNT; layout++) {
        const char *const *parts = layout_ops(layout)->parts, *name = dataset_layout_name(layout);
        int n_closed = 0;
        for (int i = 0; parts[i] != NULL; i++) {
            char folder[512], path[1024], inner[64];
            (void)snprintf(folder, sizeof folder, "alien/%s_%d", name, i);
            (void)snprintf(path, sizeof path, "%s/%s", folder, parts[0]);
            check_ok(file_make_directory(scratch_path(state, path)));
            (void)snprintf(path, sizeof path, "%s/%s", folder, parts[i]);
            check_ok(file_make_directory(scratch_path(state, path)));
            (void)snprintf(path, sizeof path, "%s/new/x", folder);
            (void)snprintf(inner, sizeof inner, "%s/", parts[0]);
            // The images alone are not a data set.
            bool is_open = i == 0 || strncmp(parts[i], inner, strlen(inner)) == 0;
            adele_status status = output_guard_check(&guard, scratch_path(state, path));
            if (status != (is_open ? ADELE_OK : ADELE_INVALID_ARGUMENT))
                fail_msg("%s with %s: status %d", path, parts[i], (int)status);
            if (!is_open)
                assert_non_null(strstr(adele_error_message(), "would fall into the data set "));
            n_closed += !is_open;
        }
        if (n_closed == 0)
            fail_msg("layout %s is not protected: its `parts` name no masks or lists", name);
    }
    check_ok(file_make_directory(scratch_path(state, "aug/JPEGImages")));
    check_ok(file_make_directory(scratch_path(state, "aug/SegmentationClassAug")));
    struct program_result result;
    verb_run(NOISE, scratch_path(state, "aug/noisy"), NULL, &result);
    verb_assert_refused(&result, "would fall into the data set ", "/aug");
}

// New files are welcome in the verb's own run, but not under the names that it has.
static void the_own_run_keeps_its_files(void **state) {
    struct program_result result;
    uint64_t before = verb_sum_of(verb_paths.run);
    for (int verb = PREDICT; verb <= MASKS; verb++) {
        verb_run((enum verb)verb, verb_paths.run, NULL, &result);
        verb_assert_refused(&result, "the masks would fall among the files of the run",
                            verb_paths.run);
    }
    verb_run(LABELS, scratch_path(state, "run/labels"), NULL, &result);
    verb_assert_refused(&result, "would fall onto labels of the run", verb_paths.run);
    verb_run(REPORT, scratch_path(state, "run/checkpoints"), "--overwrite", &result);
    verb_assert_refused(&result, "would fall onto checkpoints of the run", verb_paths.run);
    static const char *const names[] = {"run/metrics.jsonl", "run/noise.json"};
    for (int i = 0; i < 2; i++) {
        ADELE(&result, "evaluate", verb_paths.run, "--json", scratch_path(state, names[i]),
              "--overwrite", "--device=cpu");
        verb_assert_refused(&result, names[i], "would fall onto");
    }
    assert_true(verb_sum_of(verb_paths.run) == before);
    ADELE(&result, "evaluate", verb_paths.run, "--json", scratch_path(state, "run/scores.json"),
          "--device=cpu");
    verb_assert_done(&result);
    assert_true(file_exists(scratch_path(state, "run/scores.json")));
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
        adele_status status = output_guard_add_data(&guard, verb_paths.set);
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
        cmocka_unit_test(another_data_set_is_closed),
        cmocka_unit_test(the_own_run_keeps_its_files),
        cmocka_unit_test(places_are_found),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, verb_outputs_setup, verb_outputs_teardown);
}
