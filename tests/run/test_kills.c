// SPDX-License-Identifier: MIT
// Runs that are killed again and again, at moments drawn by a seed: within steps, corrections and
// evaluations, in the middle of writes, and between the renames of a checkpoint. Each time the run
// goes on; in the end every file is that of a run that was left alone.
//
// ADELE_KILLS says how many (25). `cmake --build build --target resume-1000` tries a thousand.
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "run_folder/run_folder.h"
#include "support/program.h"
#include "support/scratch.h"
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

#define SEED      20220621
#define N_DEFAULT 25
#define SHARE     3 // a kill comes within the first third of what a whole run does

// What the whole run does, counted by the shim.
static long n_calls, n_regions;

struct command {
    char config[4096], run[4096];
    const char *argv[16];
};

static void command_init(struct command *command, void *const *state, const char *run) {
    (void)snprintf(command->config, sizeof command->config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(command->run, sizeof command->run, "%s", scratch_path(state, run));
    const char *const argv[] = {ADELE_CLI,  "train",      command->config,
                                "--run",    command->run, tiny_run_resume(command->run),
                                "--device", "cpu",        NULL};
    memcpy(command->argv, argv, sizeof argv);
}

// The program with the shim, which gets `variable`=`value`.
static int run_with_shim(void *const *state, const char *run, const char *variable,
                         const char *value) {
    struct command command;
    command_init(&command, state, run);
    assert_int_equal(setenv("LD_PRELOAD", ADELE_KILL_SHIM, 1), 0);
    assert_int_equal(setenv(variable, value, 1), 0);
    pid_t pid = program_start(command.argv);
    assert_int_equal(unsetenv("LD_PRELOAD"), 0);
    assert_int_equal(unsetenv(variable), 0);
    return program_wait(pid);
}

static int run_alone_setup(void **state) {
    char counts[4096], *text = NULL;
    size_t bytes = 0;
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    (void)snprintf(counts, sizeof counts, "%s", scratch_path(state, "counts"));
    assert_int_equal(run_with_shim(state, "alone", "ADELE_TEST_COUNT", counts), 0);
    check_ok(file_read(counts, 0, &text, &bytes));
    char *rest = NULL;
    n_calls = strtol(text, &rest, 10);
    n_regions = strtol(rest, NULL, 10);
    memory_free(text);
    print_message("a whole run: %ld calls that change files, %ld parallel regions\n", n_calls,
                  n_regions);
    return n_calls > 0 ? 0 : -1;
}

static void the_run_has_corrections_in_it(void **state) {
    int n = tiny_run_n_records(state, "alone");
    assert_true(tiny_run_metric(state, "alone", n, "correction/changed_pixels") >= 1.0);
    assert_true(file_exists(scratch_path(state, "alone/labels/manifest.json")));
}

// True: killed; false: it was done before its moment came.
static bool kill_once(void *const *state, struct random_stream *stream, const char *run) {
    bool in_files = n_regions == 0 || random_below(stream, 2) == 0;
    uint32_t most = (uint32_t)((in_files ? n_calls : n_regions) / SHARE);
    char number[32];
    (void)snprintf(number, sizeof number, "%u", 1 + random_below(stream, most));
    const char *variable = in_files ? "ADELE_TEST_KILL_CALL" : "ADELE_TEST_KILL_REGION";
    int code = run_with_shim(state, run, variable, number);
    if (code != 0 && code != 128 + SIGKILL)
        fail_msg("%s=%s: code %d", variable, number, code);
    return code != 0;
}

static void assert_as_if_left_alone(void *const *state) {
    char previous[4096];
    tiny_run_assert_same(state, "alone", "killed");
    (void)snprintf(previous, sizeof previous, "%s",
                   scratch_path(state, "killed/" CHECKPOINT_PREVIOUS));
    assert_true(same_bytes(scratch_path(state, "alone/" CHECKPOINT_PREVIOUS), previous));
    assert_false(file_exists(scratch_path(state, "killed/" CHECKPOINT_DAMAGED)));
}

static void killed_again_and_again(void **state) {
    const char *wanted = getenv("ADELE_KILLS");
    long n_wanted = wanted ? strtol(wanted, NULL, 10) : N_DEFAULT;
    long n_tried = 0, n_survived = 0;
    struct random_stream stream;
    random_stream_init(&stream, SEED, RANDOM_TEST, 0, 0);
    for (int i_run = 0; n_survived < n_wanted; i_run++) {
        check_ok(file_remove_tree(scratch_path(state, "killed")));
        while (n_tried < n_wanted && kill_once(state, &stream, "killed"))
            n_tried++;
        assert_int_equal(run_with_shim(state, "killed", "ADELE_TEST_KILL_CALL", "0"), 0);
        assert_as_if_left_alone(state);
        n_survived = n_tried;
    }
    print_message("seed %d: kills survived %ld of %ld\n", SEED, n_survived, n_tried);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_run_has_corrections_in_it),
        cmocka_unit_test(killed_again_and_again),
    };
    return cmocka_run_group_tests(tests, run_alone_setup, scratch_teardown);
}
