// SPDX-License-Identifier: MIT
// Three hosts with a rank each, which only a network connects (tests/mpi/hosts): the same bytes as
// on one process; and one host that is cut off in the middle. Needs root.
#include "base/file.h"
#include "base/memory.h"
#include "mpi/launch.h"
#include "support/scratch.h"
#include "support/skip.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Shorter than the 25 s after which TCP, and with it mpirun, gives the host up, and longer than a
// slow machine takes for a step.
#define TIME_LIMIT "ADELE_RANK_TIMEOUT=10"

#define AGENT "plm_rsh_agent", ADELE_MPI_TESTS "/agent"
// Messages by TCP and over that network alone, mpirun's own as well.
#define NETWORK                                                                                    \
    "--mca", AGENT, "--mca", "pml", "ob1", "--mca", "btl", "tcp,self", "--mca",                    \
        "btl_tcp_if_include", "eth0", "--mca", "oob_tcp_if_include", "eth0"

static const char *const sets[] = {"train.parts=4",
                                   "train.epochs=5",
                                   "train.optimizer.momentum=0.9",
                                   "train.optimizer.lr=0.2",
                                   "correction.r=0.01",
                                   "correction.tau=0.1",
                                   "correction.source=inference",
                                   "correction.scales=[1.0, 1.5]",
                                   "loss.dice=0.5",
                                   NULL};

// Four ranks on three hosts: host3 has the last two, which also share memory.
static const struct launch on_hosts = {
    .n_ranks = 4,
    .sets = sets,
    .before = SETS(ADELE_MPI_TESTS "/hosts", "3"),
    .arguments = SETS(NETWORK, "--host", "host1:1,host2:1,host3:2"),
};

static int setup(void **state) {
    if (launch_setup(state) != 0)
        return -1;
    launch_ok(state, &(struct launch){.n_ranks = 1, .run = "alone", .sets = sets});
    int n = tiny_run_n_records(state, "alone");
    assert_true(tiny_run_metric(state, "alone", n, "correction/changed_pixels") >= 1.0);
    return 0;
}

static char preload[4200];
static long n_sends; // of the last rank

static void three_hosts_give_the_same_bytes(void **state) {
    struct launch launch = on_hosts;
    char count[4200], *text = NULL;
    size_t bytes = 0;
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", ADELE_MPI_FAULTS);
    (void)snprintf(count, sizeof count, "ADELE_TEST_MPI_COUNT=%s", scratch_path(state, "counts"));
    launch.run = "hosts";
    launch.environment = SETS(preload, count);
    launch_ok(state, &launch);
    tiny_run_assert_same(state, "alone", "hosts");
    check_ok(file_read(scratch_path(state, "counts.3"), 0, &text, &bytes));
    n_sends = mpi_calls(text, "MPI_Isend");
    memory_free(text);
    assert_true(n_sends > 10);
}

// Open MPI 5.0's mpirun ends with a segmentation fault when it loses a host, and with it what the
// ranks print.
static bool mpirun_survives_a_host(void) {
    const char *const version[] = {ADELE_MPIRUN, "--version", NULL};
    struct program_result result;
    program_run(version, &result);
    bool is_5 = strstr(result.out, "(Open MPI) 5.") != NULL;
    program_result_deinit(&result);
    return !is_5;
}

// The last rank takes the network of its host down in the middle of the training, after some
// checkpoints. Rank 0 or 1, or both, tell what is missing after the time limit: a rank of host3,
// or, where rank 0 is a message ahead, the other one, which waits for host3. All end, and two ranks
// on this machine go on.
static void a_host_that_is_cut_off_ends_all(void **state) {
    char moment[100];
    struct program_result result;
    struct launch launch = on_hosts;
    if (!mpirun_survives_a_host())
        skip();
    (void)snprintf(moment, sizeof moment, "ADELE_TEST_MPI=MPI_Isend:%ld:cut", n_sends * 2 / 3);
    launch.run = "cut";
    launch.environment = SETS(TIME_LIMIT);
    launch.last_environment = SETS(preload, moment);
    launch_run(state, &launch, &result);
    int n_errors = count_of(result.err, "adele: error:");
    if (result.code != 1 || n_errors < 1 || n_errors > 2 ||
        count_of(result.err, "nothing came from it for 10 seconds") != n_errors)
        launch_fail(&result, moment);
    program_result_deinit(&result);
    assert_int_equal(launch_n_left(state), 0);
    assert_true(file_exists(scratch_path(state, "cut/checkpoints/last.safetensors")));
    launch_ok(state, &(struct launch){.n_ranks = 2, .run = "cut", .resume = true, .sets = sets});
    tiny_run_assert_same(state, "alone", "cut");
}

int main(void) {
    int code = launch_prepare();
    const char *const check[] = {ADELE_MPI_TESTS "/hosts", "--check", NULL};
    struct program_result result;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_hosts_give_the_same_bytes),
        cmocka_unit_test(a_host_that_is_cut_off_ends_all),
    };
    if (code != 0)
        return code;
    program_run(check, &result);
    if (result.code == 77)
        return skip_program(result.out);
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
