// SPDX-License-Identifier: MIT
// The end of trainings with several ranks: signals at one rank or at mpirun, which save once, and a
// disk that is full. What was saved goes on to the bytes of a run that nobody has stopped.
#include "base/file.h"
#include "base/memory.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/skip.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WAIT_SECONDS 120.0 // for a rank that has to start

// `adele train` of the run, resumed if it is there, with two parts.
struct command {
    char config[4096], run[4096];
    const char *argv[16];
    int n;
};

static void command_init(struct command *command, void *const *state, const char *run) {
    (void)snprintf(command->config, sizeof command->config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(command->run, sizeof command->run, "%s", scratch_path(state, run));
    const char *const argv[] = {ADELE_CLI,      "train",      command->config,
                                "--run",        command->run, tiny_run_resume(command->run),
                                "--device",     "cpu",        "--set",
                                "train.parts=2"};
    memcpy(command->argv, argv, sizeof argv);
    command->n = sizeof argv / sizeof *argv;
    command->argv[command->n] = NULL;
}

static void run_alone(void *const *state, const char *run) {
    struct command command;
    struct program_result result;
    command_init(&command, state, run);
    program_run(command.argv, &result);
    if (result.code != 0)
        fail_msg("code %d:\n%s", result.code, result.err);
    program_result_deinit(&result);
}

static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    // Ranks that wait for each other for ever fail the test.
    assert_int_equal(setenv("ADELE_RANK_TIMEOUT", "60", 1), 0);
    run_alone(state, "alone");
    return 0;
}

// Two ranks, where a shell runs `first` and `second` before it becomes the rank 0 or 1.
static void make_ranks(const struct command *command, const char *first, const char *second,
                       const char **argv) {
    const char *const scripts[] = {first, second};
    int n = 0;
    for (int r = 0; r < 2; r++) {
        if (r > 0)
            argv[n++] = MPIRUN_NEXT;
        argv[n++] = "/bin/sh";
        argv[n++] = "-c";
        argv[n++] = scripts[r];
        argv[n++] = "sh";
        for (int i = 0; i < command->n; i++)
            argv[n++] = command->argv[i];
    }
    argv[n] = NULL;
}

static void wait_for_file(const char *path) {
    double started = seconds_now();
    while (!file_exists(path) && seconds_now() - started < WAIT_SECONDS)
        seconds_sleep(0.01);
    assert_true(file_exists(path));
}

// Ranks handle signals when their logs are there. The signal goes to rank 1, or to mpirun.
static char *stop_run(void *const *state, const char *run, int number, bool is_for_rank,
                      int *code) {
    struct command command;
    const char *argv[MPIRUN_MOST_ARGUMENTS];
    char script[4200], log[8], pid_path[4096];
    FILE *err = tmpfile();
    assert_non_null(err);
    command_init(&command, state, run);
    (void)snprintf(pid_path, sizeof pid_path, "%s", scratch_path(state, "rank_1"));
    check_ok(file_remove_tree(pid_path));
    (void)snprintf(script, sizeof script, "echo $$ >'%s'; exec \"$@\"", pid_path);
    make_ranks(&command, "exec \"$@\"", script, argv);
    pid_t pid = mpirun_start(1, argv, err);
    for (int r = 0; r < 2; r++) {
        char name[4200];
        (void)snprintf(log, sizeof log, r == 0 ? "" : ".%d", r);
        (void)snprintf(name, sizeof name, "%s/log%s.txt", command.run, log);
        wait_for_file(name);
    }
    char *text = NULL;
    size_t n_bytes = 0;
    check_ok(file_read(pid_path, 0, &text, &n_bytes));
    assert_int_equal(kill(is_for_rank ? (pid_t)strtol(text, NULL, 10) : pid, number), 0);
    memory_free(text);
    *code = program_wait(pid);
    return program_read_back(err);
}

static void require_saved_once(void *const *state, const char *run, int number, bool is_for_rank,
                               int expected) {
    int code;
    char *err = stop_run(state, run, number, is_for_rank, &code);
    if (code != expected || count_of(err, "adele: interrupted in epoch ") != 1 ||
        count_of(err, "adele: error: ") != 0 ||
        count_of(err, "  to go on: mpirun -n 2 adele train ") != 1)
        fail_msg("code %d, not %d, or not one interruption:\n%s", code, expected, err);
    free(err);
    char log[4200], *text = NULL;
    size_t n_bytes = 0;
    (void)snprintf(log, sizeof log, "%s/log.1.txt", scratch_path(state, run));
    check_ok(file_read(log, 0, &text, &n_bytes));
    assert_non_null(strstr(text, "ended: interrupted in epoch "));
    memory_free(text);
    run_alone(state, run);
    tiny_run_assert_same(state, "alone", run);
}

static void a_signal_at_one_rank_stops_all_and_saves(void **state) {
    require_saved_once(state, "term", SIGTERM, true, 130);
}

// As Slurm may send before the time of a job is over; mpirun passes it on.
static void sigusr1_at_mpirun_stops_all_and_saves(void **state) {
    require_saved_once(state, "usr1", SIGUSR1, false, 130);
}

// Open MPI's mpirun gives ranks a second after its signal for Ctrl-C, which may be too short to
// save.
static void ctrl_c_at_mpirun_leaves_a_run_that_goes_on(void **state) {
    int code;
    free(stop_run(state, "int", SIGINT, false, &code));
    assert_int_not_equal(code, 0);
    run_alone(state, "int");
    tiny_run_assert_same(state, "alone", "int");
}

// Rank 0 may write files of 40 kB at most, as on a disk that is full.
static void a_full_disk_ends_all_and_leaves_the_checkpoint(void **state) {
    struct command command;
    struct program_result result;
    const char *argv[MPIRUN_MOST_ARGUMENTS];
    int code;
    free(stop_run(state, "full", SIGTERM, true, &code));
    assert_int_equal(code, 130);
    command_init(&command, state, "full");
    make_ranks(&command, "trap '' XFSZ; ulimit -f 80; exec \"$@\"", "exec \"$@\"", argv);
    // The shared memory of Open MPI is a large file too, so that rank 0 has none.
    assert_int_equal(setenv("OMPI_MCA_btl", "tcp,self", 1), 0);
    assert_int_equal(setenv("OMPI_MCA_btl_tcp_if_include", "lo", 1), 0);
    double started = seconds_now();
    mpirun_run(1, argv, &result);
    assert_int_equal(unsetenv("OMPI_MCA_btl_tcp_if_include"), 0);
    assert_int_equal(unsetenv("OMPI_MCA_btl"), 0);
    assert_true(seconds_now() - started < 60.0);
    if (result.code != 1 || count_of(result.err, "adele: error: rank 0 on ") != 1 ||
        count_of(result.err, "adele: error: ") != 1)
        fail_msg("code %d:\n%s", result.code, result.err);
    program_result_deinit(&result);
    run_alone(state, "full");
    tiny_run_assert_same(state, "alone", "full");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_at_one_rank_stops_all_and_saves),
        cmocka_unit_test(sigusr1_at_mpirun_stops_all_and_saves),
        cmocka_unit_test(ctrl_c_at_mpirun_leaves_a_run_that_goes_on),
        cmocka_unit_test(a_full_disk_ends_all_and_leaves_the_checkpoint)};
    if (!mpirun_is_there())
        return skip_program("MPI");
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
