// SPDX-License-Identifier: MIT
// Calls of MPI that fail, one at a time, and ranks that are slow or hang. A failure ends all ranks
// with one error, which names the function and the rank; what was saved before is resumed on one
// process to the same bytes.
#include "base/file.h"
#include "base/memory.h"
#include "mpi/launch.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Long, because a slow machine must not make a rank that works look like one that hangs.
#define TIME_LIMIT "ADELE_RANK_TIMEOUT=20"

static const char *const sets[] = {"train.parts=2", "train.optimizer.momentum=0.9",
                                   "train.epochs=3", NULL};
static char preload[4096];

// ---- the functions ------------------------------------------------------------------------------

// Of the last rank of a run that is left alone: "FUNCTION CALLS" lines.
static char *counts;

static int setup(void **state) {
    size_t bytes = 0;
    if (launch_setup(state) != 0)
        return -1;
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", ADELE_MPI_FAULTS);
    char count[4200];
    (void)snprintf(count, sizeof count, "ADELE_TEST_MPI_COUNT=%s", scratch_path(state, "counts"));
    launch_ok(state, &(struct launch){.n_ranks = 1, .run = "alone", .sets = sets});
    launch_ok(state, &(struct launch){.n_ranks = 2,
                                      .run = "together",
                                      .sets = sets,
                                      .environment = SETS(preload, count)});
    tiny_run_assert_same(state, "alone", "together");
    check_ok(file_read(scratch_path(state, "counts.1"), 0, &counts, &bytes));
    return 0;
}

static int teardown(void **state) {
    memory_free(counts);
    return scratch_teardown(state);
}

// The library of faults knows every function of MPI that the program calls: `nm` names them.
static void every_function_can_fail(void **state) {
    (void)state;
    struct program_result result;
    int n = 0;
    program_run((const char *const[]){ADELE_NM, "--undefined-only", "-D", ADELE_CLI, NULL},
                &result);
    assert_int_equal(result.code, 0);
    for (char *at = strstr(result.out, " MPI_"); at; at = strstr(at + 1, " MPI_")) {
        char name[64] = "";
        assert_int_equal(sscanf(at, " %63[A-Za-z0-9_]", name), 1);
        if (strcmp(name, "MPI_Abort") != 0 && mpi_calls(counts, name) < 0)
            fail_msg("tests/mpi/mpi_faults.c does not have %s", name);
        n++;
    }
    assert_true(n > 5);
    program_result_deinit(&result);
}

// ---- failures -----------------------------------------------------------------------------------

// Of no consequence at the end of a training, or when only a text is asked for.
static bool may_be_ignored(const char *function) {
    static const char *const names[] = {"MPI_Comm_free", "MPI_Finalize", "MPI_Error_string",
                                        "MPI_Get_library_version"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(function, names[i]) == 0)
            return true;
    return false;
}

static void assert_told(const struct program_result *result, const char *function,
                        const char *moment) {
    if (result->code != 1 || count_of(result->err, "adele: error:") != 1 ||
        !strstr(result->err, function) || !strstr(result->err, "rank 1"))
        launch_fail(result, moment);
}

// The n-th call of rank 1 fails.
static void fail_once(void *const *state, const char *function, long n) {
    char moment[128];
    (void)snprintf(moment, sizeof moment, "ADELE_TEST_MPI=%s:%ld:fail", function, n);
    check_ok(file_remove_tree(scratch_path(state, "failed")));
    struct program_result result;
    launch_run(state,
               &(struct launch){.n_ranks = 2,
                                .run = "failed",
                                .sets = sets,
                                .environment = SETS(preload, "ADELE_TEST_RANK=1", moment)},
               &result);
    if (result.code != 0 || !may_be_ignored(function))
        assert_told(&result, function, moment);
    program_result_deinit(&result);
    launch_ok(state, &(struct launch){.n_ranks = 1, .run = "failed", .resume = true, .sets = sets});
    tiny_run_assert_same(state, "alone", "failed");
}

// The first call of each function, one in the middle of the training, and the last one of those
// that are called a few times. The last messages say that a rank leaves when all is done and saved.
static void each_call_that_fails_is_told(void **state) {
    int n_functions = 0;
    for (const char *line = counts; *line; line = strchr(line, '\n') + 1) {
        char function[64];
        long n = 0;
        assert_int_equal(sscanf(line, "%63s %ld", function, &n), 2);
        // How often it is asked depends on time, but at least once for each message that comes.
        if (strcmp(function, "MPI_Testsome") == 0)
            n = mpi_calls(counts, "MPI_Get_count");
        if (n > 0)
            fail_once(state, function, 1);
        if (n > 2)
            fail_once(state, function, n / 2 + 1);
        if (n > 1 && n < 8)
            fail_once(state, function, n);
        n_functions += n > 0;
    }
    assert_true(n_functions > 5);
}

// ---- slow, or gone ------------------------------------------------------------------------------

static void a_slow_rank_changes_nothing(void **state) {
    static const char *const ranks[] = {"ADELE_TEST_RANK=0", "ADELE_TEST_RANK=1"};
    for (int i = 0; i < 2; i++) {
        check_ok(file_remove_tree(scratch_path(state, "slow")));
        launch_ok(state, &(struct launch){.n_ranks = 2,
                                          .run = "slow",
                                          .sets = sets,
                                          .environment = SETS(preload, ranks[i],
                                                              "ADELE_TEST_MPI=MPI_Isend:1:delay")});
        tiny_run_assert_same(state, "alone", "slow");
    }
}

// Stopped in the middle: the other rank waits for the time limit and names it; the rest is done on
// one process.
static void a_rank_that_hangs_is_named(void **state) {
    char moment[128];
    struct program_result result;
    long n = mpi_calls(counts, "MPI_Isend");
    assert_true(n > 2);
    (void)snprintf(moment, sizeof moment, "ADELE_TEST_MPI=MPI_Isend:%ld:stop", n / 2);
    launch_run(
        state,
        &(struct launch){.n_ranks = 2,
                         .run = "hanging",
                         .sets = sets,
                         .environment = SETS(preload, TIME_LIMIT, "ADELE_TEST_RANK=1", moment)},
        &result);
    assert_told(&result, "rank 1", moment);
    program_result_deinit(&result);
    assert_int_equal(launch_n_left(state), 0);
    launch_ok(state,
              &(struct launch){.n_ranks = 1, .run = "hanging", .resume = true, .sets = sets});
    tiny_run_assert_same(state, "alone", "hanging");
}

int main(void) {
    int code = launch_prepare();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_can_fail),
        cmocka_unit_test(each_call_that_fails_is_told),
        cmocka_unit_test(a_slow_rank_changes_nothing),
        cmocka_unit_test(a_rank_that_hangs_is_named),
    };
    return code != 0 ? code : cmocka_run_group_tests(tests, setup, teardown);
}
