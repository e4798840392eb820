// SPDX-License-Identifier: MIT
// `adele audit --folds` on several ranks, which train and audit folds of their own: the files are
// those of one process, byte by byte; so are those of an audit that was stopped and is continued by
// another number of ranks. The error of one rank is one error, and ends the others.
#include "base/file.h"
#include "base/memory.h"
#include "mpi/launch.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_TRAIN = 9 };

// No test below is done before its trainings are, which would take hours.
#define FOR_HOURS 100000

static void write_config(void *const *state, const char *name, int n_epochs) {
    char *text = memory_printf("name: folds\n"
                               "data: {root: %s, size: [0, 0]}\n"
                               "model: {width: 4}\n"
                               "train: {epochs: %d, batch: 4, optimizer: {lr: 0.1}}\n"
                               "loss: {form: plain}\n"
                               "correction: {enabled: false}\n",
                               scratch_path(state, "set"), n_epochs);
    assert_non_null(text);
    check_ok(file_write(scratch_path(state, name), text, strlen(text)));
    memory_free(text);
}

#define AUDIT(folds, config)                                                                       \
    "audit", "@set", "--folds", folds, "--config", config, "-o", "@out", "--min-pixels", "1",      \
        "--overlays", "4", "--mask-doubtful", "255", "--device", "cpu"

static void run_ok(void *const *state, int n_ranks, const char *const *words) {
    struct program_result result;
    launch_words(state, n_ranks, words, &result);
    if (result.code != 0)
        launch_fail(&result, words[0]);
    assert_int_equal(count_of(result.out, "9 images; "), 1);
    assert_int_equal(count_of(result.out, "most doubtful first: "), 1);
    program_result_deinit(&result);
}

// "alone": the folder of one process.
static int setup(void **state) {
    if (setenv("ADELE_RANK_TIMEOUT", "60", 1) != 0 || launch_setup_of(state, N_TRAIN, 2) != 0)
        return -1;
    write_config(state, "short.yaml", 2);
    write_config(state, "other.yaml", 3);
    write_config(state, "long.yaml", FOR_HOURS);
    run_ok(state, 1, SETS(AUDIT("3", "@short.yaml")));
    check_ok(file_rename(scratch_path(state, "out"), scratch_path(state, "alone")));
    return 0;
}

// TensorBoard's events hold times. Removes "out".
static void require_files_of_one_process(void *const *state) {
    struct program_result result;
    program_run((const char *const[]){"/usr/bin/diff", "-r", "--exclude=events.out.*",
                                      scratch_path(state, "alone"), scratch_path(state, "out"),
                                      NULL},
                &result);
    if (result.code != 0)
        launch_fail(&result, "folders");
    program_result_deinit(&result);
    assert_true(file_exists(scratch_path(state, "out/audit.csv")));
    check_ok(file_remove_tree(scratch_path(state, "out")));
}

// Of four ranks the last one has no fold.
static void files_are_those_of_one_process(void **state) {
    for (int n_ranks = 2; n_ranks <= 4; n_ranks += 2) {
        run_ok(state, n_ranks, SETS(AUDIT("3", "@short.yaml")));
        require_files_of_one_process(state);
    }
}

// ---- stopped ------------------------------------------------------------------------------------

static void wait_for(void *const *state, const char *name, pid_t pid) {
    while (!file_exists(scratch_path(state, name))) {
        assert_true(program_is_running(pid));
        seconds_sleep(0.05);
    }
}

// Two ranks are in the midst of folds 1 and 2.
static void a_signal_stops_all_after_a_checkpoint(void **state) {
    char set[4200], config[4200], out[4200];
    (void)snprintf(set, sizeof set, "%s", scratch_path(state, "set"));
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "long.yaml"));
    (void)snprintf(out, sizeof out, "%s", scratch_path(state, "out"));
    FILE *err = tmpfile();
    assert_non_null(err);
    pid_t pid =
        mpirun_start(2,
                     (const char *const[]){ADELE_CLI, "audit", set, "--folds", "2", "--config",
                                           config, "-o", out, "--device", "cpu", NULL},
                     err);
    wait_for(state, "out/fold_1/checkpoints/last.safetensors", pid);
    wait_for(state, "out/fold_2/checkpoints/last.safetensors", pid);
    assert_int_equal(kill(pid, SIGUSR1), 0);
    int code = program_wait(pid);
    char *text = program_read_back(err);
    if (code != 130 || count_of(text, "--overwrite continues") != 1 || count_of(text, "error"))
        fail_msg("code %d: %s", code, text);
    free(text);
    assert_false(file_exists(scratch_path(state, "out/audit.csv")));
    check_ok(file_remove_tree(scratch_path(state, "out")));
}

// Folds 1 and 2 are trained, and fold 3 has not begun.
static void another_number_of_ranks_continues(void **state) {
    struct program_result result;
    program_run((const char *const[]){"/bin/cp", "-r", scratch_path(state, "alone"),
                                      scratch_path(state, "out"), NULL},
                &result);
    assert_int_equal(result.code, 0);
    program_result_deinit(&result);
    check_ok(file_remove_tree(scratch_path(state, "out/fold_3")));
    run_ok(state, 2, SETS(AUDIT("3", "@short.yaml"), "--overwrite"));
    require_files_of_one_process(state);
}

// ---- errors -------------------------------------------------------------------------------------

// Rank 0 trains without fold 1, on a picture that is cut off; rank 1 trains without that one.
static void an_error_of_one_rank_ends_the_others(void **state) {
    struct program_result result;
    char whole[4200], broken[4200];
    (void)snprintf(whole, sizeof whole, "%s", scratch_path(state, "whole.png"));
    (void)snprintf(broken, sizeof broken, "%s",
                   scratch_path(state, "set/imagesTr/train_008_0000.png"));
    check_ok(scratch_copy(broken, whole));
    assert_int_equal(truncate(broken, 60), 0);
    launch_words(state, 2, SETS(AUDIT("2", "@long.yaml")), &result);
    launch_require_error(&result, SETS("train_008_0000.png", "rank 0 on "));
    assert_int_equal(launch_n_left(state), 0);
    check_ok(scratch_copy(whole, broken));
    check_ok(file_remove_tree(scratch_path(state, "out")));
}

// Rank 1 alone has another command.
#define REFUSED(folds, config, ...)                                                                \
    require_refused(state,                                                                         \
                    SETS(AUDIT("3", "@short.yaml"), MPIRUN_NEXT, ADELE_CLI, AUDIT(folds, config)), \
                    SETS("rank 1 on ", __VA_ARGS__))
static void require_refused(void *const *state, const char *const *words,
                            const char *const *message) {
    struct program_result result;
    launch_words(state, 1, words, &result);
    launch_require_error(&result, message);
    assert_false(file_exists(scratch_path(state, "out/fold_1")));
    check_ok(file_remove_tree(scratch_path(state, "out")));
}

static void another_number_of_folds_is_refused(void **state) {
    REFUSED("2", "@short.yaml", "differs in number of folds: it has 2, rank 0 on ");
}
static void another_configuration_is_refused(void **state) {
    REFUSED("3", "@other.yaml", "its configuration has 'epochs: 3");
}

// By the default configuration, which rank 0 writes, trainings take minutes.
static void a_configuration_of_one_rank_is_refused(void **state) {
    require_refused(state,
                    SETS("audit", "@set", "--folds", "3", "-o", "@out", "--device", "cpu",
                         MPIRUN_NEXT, ADELE_CLI, "audit", "@set", "--folds", "3", "-o", "@out",
                         "--device", "cpu", "--config", "@short.yaml"),
                    SETS("rank 1 on ", "differs in --config: it has a file, rank 0 on "));
}

int main(void) {
    int code = launch_prepare();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_those_of_one_process),
        cmocka_unit_test(another_number_of_ranks_continues),
        cmocka_unit_test(a_signal_stops_all_after_a_checkpoint),
        cmocka_unit_test(an_error_of_one_rank_ends_the_others),
        cmocka_unit_test(another_number_of_folds_is_refused),
        cmocka_unit_test(another_configuration_is_refused),
        cmocka_unit_test(a_configuration_of_one_rank_is_refused),
    };
    return code != 0 ? code : cmocka_run_group_tests(tests, setup, scratch_teardown);
}
