// SPDX-License-Identifier: MIT
// A rank is killed again and again, at moments drawn by a seed: in a step, in a write, between the
// renames of a checkpoint, before it sends. Each time the training goes on with another number of
// ranks; in the end every file is that of a training that was left alone.
//
// ADELE_KILLS says how many (25). `cmake --build build --target mpi_kills_1000` tries a thousand.
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "mpi/launch.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED      20220621
#define N_DEFAULT 25
#define SHARE     3 // a kill comes within the first third of what a whole run does

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

static const int n_ranks[] = {1, 2, 4};
enum { N_COUNTS = sizeof n_ranks / sizeof *n_ranks, MOST_RANKS = 4 };

// What each rank of a whole run does, for each number of ranks.
enum moment { MOMENT_CALL, MOMENT_REGION, MOMENT_SEND, MOMENT_COUNT };
static long counts[N_COUNTS][MOST_RANKS][MOMENT_COUNT];

static char preload[8192];

static void read_counts(void *const *state, int i_count, int rank) {
    char path[4200], *text = NULL, *rest = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "counts"));
    if (n_ranks[i_count] > 1)
        (void)snprintf(path, sizeof path, "%s.%d", scratch_path(state, "counts"), rank);
    check_ok(file_read(path, 0, &text, &bytes));
    long *out = counts[i_count][rank];
    out[MOMENT_CALL] = strtol(text, &rest, 10);
    out[MOMENT_REGION] = strtol(rest, NULL, 10);
    memory_free(text);
    (void)snprintf(path, sizeof path, "%s.%d", scratch_path(state, "sends"), rank);
    check_ok(file_read(path, 0, &text, &bytes));
    out[MOMENT_SEND] = mpi_calls(text, "MPI_Isend");
    memory_free(text);
    print_message("%d ranks, rank %d: %ld calls that change files, %ld parallel regions, "
                  "%ld messages sent\n",
                  n_ranks[i_count], rank, out[MOMENT_CALL], out[MOMENT_REGION], out[MOMENT_SEND]);
}

static int setup(void **state) {
    if (launch_setup(state) != 0)
        return -1;
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s:%s", ADELE_KILL_SHIM, ADELE_MPI_FAULTS);
    char count[4200], send[4200];
    (void)snprintf(count, sizeof count, "ADELE_TEST_COUNT=%s", scratch_path(state, "counts"));
    (void)snprintf(send, sizeof send, "ADELE_TEST_MPI_COUNT=%s", scratch_path(state, "sends"));
    for (int i = 0; i < N_COUNTS; i++) {
        check_ok(file_remove_tree(scratch_path(state, "alone")));
        launch_ok(state, &(struct launch){.n_ranks = n_ranks[i],
                                          .run = "alone",
                                          .sets = sets,
                                          .environment = SETS(preload, count, send)});
        for (int rank = 0; rank < n_ranks[i]; rank++)
            read_counts(state, i, rank);
    }
    return 0;
}

static void the_run_has_corrections_in_it(void **state) {
    int n = tiny_run_n_records(state, "alone");
    assert_true(tiny_run_metric(state, "alone", n, "correction/changed_pixels") >= 1.0);
}

struct kill {
    int i_count; // of n_ranks
    char moment[64], rank[32];
};

static void kill_draw(struct kill *kill, struct random_stream *stream) {
    static const char *const formats[MOMENT_COUNT] = {"ADELE_TEST_KILL_CALL=%ld",
                                                      "ADELE_TEST_KILL_REGION=%ld",
                                                      "ADELE_TEST_MPI=MPI_Isend:%ld:kill"};
    kill->i_count = (int)random_below(stream, N_COUNTS);
    int rank = (int)random_below(stream, (uint32_t)n_ranks[kill->i_count]);
    int moment = (int)random_below(stream, MOMENT_COUNT);
    while (counts[kill->i_count][rank][moment] < SHARE)
        moment = (moment + 1) % MOMENT_COUNT;
    uint32_t most = (uint32_t)(counts[kill->i_count][rank][moment] / SHARE);
    (void)snprintf(kill->moment, sizeof kill->moment, formats[moment],
                   1 + (long)random_below(stream, most));
    (void)snprintf(kill->rank, sizeof kill->rank, "ADELE_TEST_RANK=%d", rank);
}

// True: killed; false: it was done before the moment came.
static bool kill_once(void *const *state, struct random_stream *stream) {
    struct kill kill;
    struct program_result result;
    kill_draw(&kill, stream);
    launch_run(state,
               &(struct launch){.n_ranks = n_ranks[kill.i_count],
                                .run = "killed",
                                .resume = true,
                                .sets = sets,
                                .environment = SETS(preload, kill.moment, kill.rank)},
               &result);
    int code = result.code;
    if (code != 0 && code != 128 + SIGKILL)
        launch_fail(&result, kill.moment);
    program_result_deinit(&result);
    return code != 0;
}

static void killed_again_and_again(void **state) {
    const char *wanted = getenv("ADELE_KILLS");
    long n_wanted = wanted ? strtol(wanted, NULL, 10) : N_DEFAULT;
    long n_tried = 0, n_survived = 0;
    struct random_stream stream;
    random_stream_init(&stream, SEED, RANDOM_TEST, 0, 0);
    for (int i_run = 0; n_survived < n_wanted; i_run++) {
        check_ok(file_remove_tree(scratch_path(state, "killed")));
        while (n_tried < n_wanted && kill_once(state, &stream))
            n_tried++;
        launch_ok(state, &(struct launch){.n_ranks = n_ranks[i_run % N_COUNTS],
                                          .run = "killed",
                                          .resume = true,
                                          .sets = sets});
        tiny_run_assert_same(state, "alone", "killed");
        n_survived = n_tried;
        // A thousand take hours: what is known when somebody ends the test.
        print_message("seed %d: %ld kills survived of %ld\n", SEED, n_survived, n_wanted);
        (void)fflush(stdout);
    }
}

int main(void) {
    int code = launch_prepare();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_run_has_corrections_in_it),
        cmocka_unit_test(killed_again_and_again),
    };
    return code != 0 ? code : cmocka_run_group_tests(tests, setup, scratch_teardown);
}
