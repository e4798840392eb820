// SPDX-License-Identifier: MIT
// `adele` started by mpirun as several ranks, up to the first step: what has to be the same on all
// of them, and errors, which are told once and end all.
#include "base/file.h"
#include "base/memory.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/skip.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state) {
    // Ranks that wait for each other for ever fail the test soon.
    assert_int_equal(setenv("ADELE_RANK_TIMEOUT", "60", 1), 0);
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    return 0;
}

// Exit code 1, and one error of adele's, which begins so.
static void require_one_error(struct program_result *result, const char *error) {
    char line[4200];
    (void)snprintf(line, sizeof line, "adele: error: %s", error);
    if (result->code != 1 || strstr(result->err, line) == NULL ||
        count_of(result->err, "adele: error: ") != 1)
        fail_msg("code %d, not one '%s':\n%s", result->code, line, result->err);
    program_result_deinit(result);
}

// `adele train` with two ranks, where rank 1 alone has the option (with a value, or NULL).
static void run_with_a_difference(void *const *state, const char *option, const char *value,
                                  struct program_result *out) {
    const char *config = scratch_path(state, "tiny.yaml"), *run = scratch_path(state, "run");
    const char *const argv[] = {ADELE_CLI,  "train", config,  "--run",         run,
                                "--device", "cpu",   "--set", "train.parts=2", MPIRUN_NEXT,
                                ADELE_CLI,  "train", config,  "--run",         run,
                                "--device", "cpu",   "--set", "train.parts=2", option,
                                value,      NULL};
    mpirun_run(1, argv, out);
    assert_false(file_exists(scratch_path(state, "run/checkpoints")));
}

static void ranks_with_other_settings_are_refused(void **state) {
    struct program_result result;
    run_with_a_difference(state, "--set", "train.optimizer.lr=0.2", &result);
    assert_non_null(strstr(result.err, "its configuration has 'lr: 0.2', that of rank 0 on "));
    require_one_error(&result, "rank 1 on ");
    run_with_a_difference(state, "--resume", NULL, &result);
    assert_non_null(strstr(result.err, "differs in options: it has --resume, rank 0 on "));
    require_one_error(&result, "rank 1 on ");
    assert_false(file_exists(scratch_path(state, "run")));
}

static void ranks_on_other_devices_are_refused(void **state) {
    struct program_result result;
    run_with_a_difference(state, "--device", "cpu/direct", &result);
    assert_non_null(strstr(result.err, "differs in engine: it has direct, rank 0 on "));
    require_one_error(&result, "rank 1 on ");
    assert_false(file_exists(scratch_path(state, "run"))); // nor the logs of the ranks
}

// The images of rank 1 are not those of rank 0: one file is longer.
static void ranks_with_other_data_are_refused(void **state) {
    const char *const copy[] = {"/bin/cp", "-r", scratch_path(state, "set"),
                                scratch_path(state, "other"), NULL};
    struct program_result result;
    char path[4096], wrapper[4096], script[16384];
    program_run(copy, &result);
    assert_int_equal(result.code, 0);
    program_result_deinit(&result);
    (void)snprintf(path, sizeof path, "%s",
                   scratch_path(state, "other/imagesTr/train_000_0000.png"));
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    assert_int_equal(fputc('x', file), 'x');
    assert_int_equal(fclose(file), 0);
    // The same path, relative to the folder that each rank is started in.
    (void)snprintf(wrapper, sizeof wrapper, "%s", scratch_path(state, "rank.sh"));
    (void)snprintf(script, sizeof script,
                   "mkdir -p \"%s/$1\" && cd \"%s/$1\" && ln -sfn \"../$2\" data && "
                   "exec %s train ../tiny.yaml --run ../run --device cpu --set data.root=data "
                   "--set data.noisy_labels=data/noisyTr --set train.parts=2\n",
                   (const char *)*state, (const char *)*state, ADELE_CLI);
    check_ok(file_write(wrapper, script, strlen(script)));
    const char *const argv[] = {"/bin/sh", wrapper, "a", "set",   MPIRUN_NEXT,
                                "/bin/sh", wrapper, "b", "other", NULL};
    mpirun_run(1, argv, &result);
    assert_non_null(strstr(result.err, "differs in training set: it has 18 cases with XXH3 "));
    require_one_error(&result, "rank 1 on ");
}

static void run_all(int n_ranks, const char *const *argv, const char *error) {
    struct program_result result;
    mpirun_run(n_ranks, argv, &result);
    require_one_error(&result, error);
}

static void errors_of_all_ranks_are_told_once(void **state) {
    char none[4096];
    (void)snprintf(none, sizeof none, "%s", scratch_path(state, "none.yaml"));
    run_all(4, (const char *const[]){ADELE_CLI, "train", none, NULL}, none);
}

// Memory of each process; the first screen and the table are shown once, and nothing is written.
static void a_dry_run_shows_memory(void **state) {
    struct program_result result;
    mpirun_run(2,
               (const char *const[]){ADELE_CLI, "train", scratch_path(state, "tiny.yaml"), "--run",
                                     scratch_path(state, "dry"), "--dry-run", "--device", "cpu",
                                     "--set", "train.parts=2", NULL},
               &result);
    if (result.code != 0)
        fail_msg("code %d:\n%s", result.code, result.err);
    assert_int_equal(count_of(result.out, "\n   batch       memory        step    images/s\n"), 1);
    assert_int_equal(count_of(result.out, " planned by each of "), 1);
    assert_int_equal(count_of(result.out, "\n >     4  "), 1);
    assert_int_equal(count_of(result.out, "\n      16  "), 1);
    assert_non_null(strstr(result.out, "\n -       the memory is that of each process"));
    assert_int_equal(count_of(result.out, "dry run: nothing was written\n"), 1);
    assert_false(file_exists(scratch_path(state, "dry")));
    program_result_deinit(&result);
    run_all(2,
            (const char *const[]){ADELE_CLI, "train", scratch_path(state, "tiny.yaml"), "--dry-run",
                                  "--device", "cpu", NULL},
            "2 processes cannot share train.parts: 1 out equally");
}

static void a_folder_with_a_run_is_refused_once(void **state) {
    check_ok(tiny_run(state, "taken", false, SETS("train.epochs=1"), NULL));
    const char *run = scratch_path(state, "taken");
    run_all(2,
            (const char *const[]){ADELE_CLI, "train", scratch_path(state, "tiny.yaml"), "--run",
                                  run, "--device", "cpu", NULL},
            run);
}

static void an_error_of_one_rank_names_it(void **state) {
    struct program_result result;
    run_with_a_difference(state, "--device", "wrong", &result);
    assert_non_null(strstr(result.err, ": unknown device \"wrong\""));
    require_one_error(&result, "rank 1 on ");
}

static void other_verbs_are_one_process(void **state) {
    run_all(2, (const char *const[]){ADELE_CLI, "report", *state, NULL},
            "`adele report` is one process, and a launcher has started 2");
}

// With MPI as without it: there is nobody to join.
static void a_launcher_that_mpi_does_not_know_is_an_error(void **state) {
    struct program_result result;
    assert_int_equal(setenv("SLURM_STEP_NUM_TASKS", "4", 1), 0);
    program_run((const char *const[]){ADELE_CLI, "train", scratch_path(state, "tiny.yaml"), "--run",
                                      scratch_path(state, "slurm"), NULL},
                &result);
    assert_int_equal(unsetenv("SLURM_STEP_NUM_TASKS"), 0);
    assert_non_null(strstr(result.err, "(SLURM_STEP_NUM_TASKS)"));
    assert_false(file_exists(scratch_path(state, "slurm")));
    assert_int_equal(result.code, 1);
    program_result_deinit(&result);
}

static void one_process_of_a_launcher_is_a_run_of_its_own(void **state) {
    struct program_result result;
    assert_int_equal(setenv("SLURM_STEP_NUM_TASKS", "1", 1), 0);
    program_run((const char *const[]){ADELE_CLI, "train", scratch_path(state, "tiny.yaml"), "--run",
                                      scratch_path(state, "single"), "--device", "cpu", "--set",
                                      "train.epochs=1", NULL},
                &result);
    assert_int_equal(unsetenv("SLURM_STEP_NUM_TASKS"), 0);
    assert_int_equal(result.code, 0);
    program_result_deinit(&result);
}

int main(void) {
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(a_launcher_that_mpi_does_not_know_is_an_error),
        cmocka_unit_test(one_process_of_a_launcher_is_a_run_of_its_own)};
    const struct CMUnitTest together[] = {cmocka_unit_test(ranks_with_other_settings_are_refused),
                                          cmocka_unit_test(ranks_on_other_devices_are_refused),
                                          cmocka_unit_test(ranks_with_other_data_are_refused),
                                          cmocka_unit_test(errors_of_all_ranks_are_told_once),
                                          cmocka_unit_test(a_dry_run_shows_memory),
                                          cmocka_unit_test(a_folder_with_a_run_is_refused_once),
                                          cmocka_unit_test(an_error_of_one_rank_names_it),
                                          cmocka_unit_test(other_verbs_are_one_process)};
    int n_failed = cmocka_run_group_tests_name("one process", alone, setup, scratch_teardown);
    if (n_failed == 0 && !mpirun_is_there())
        return skip_program("MPI");
    return n_failed +
           cmocka_run_group_tests_name("several ranks", together, setup, scratch_teardown);
}
