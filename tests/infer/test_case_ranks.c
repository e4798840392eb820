// SPDX-License-Identifier: MIT
// Rounds of cases on two ranks: all learn of a failure, of a request to stop and of what is done.
// This program is its own rank: with an argument it runs that case, and ends.
#include "infer/case_ranks.h"

#include "base/fail.h"
#include "support/mpirun.h"
#include "support/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_CASES = 7, N_RANKS = 2 };

static const char *program; // of this test

// ---- in a rank ----------------------------------------------------------------------------------

static bool stop(void *context) {
    return *(const bool *)context;
}

// Each case is done by one rank, and all know how many are.
static void rank_does_all(struct ranks *ranks) {
    struct model_options options = {.ranks = ranks};
    struct case_round round = case_round_first(ranks, N_CASES);
    int64_t is_done[N_CASES] = {0};
    int i, n_rounds = 0;
    while (!round.is_over) {
        while (case_round_next(&round, ranks, &i)) {
            is_done[i]++;
            round.n_done++;
            round.until = 0.0; // every case ends its round
        }
        REQUIRE_OK(case_round_end(&round, &options, ADELE_OK));
        n_rounds++;
    }
    REQUIRE(n_rounds >= (N_CASES + N_RANKS - 1) / N_RANKS);
    REQUIRE(round.n_done + round.n_done_by_others == N_CASES);
    REQUIRE_OK(ranks_sum(ranks, is_done, N_CASES));
    for (i = 0; i < N_CASES; i++)
        REQUIRE(is_done[i] == 1);
}

// Rank 1 alone is asked, when it has no case left itself.
static void rank_is_interrupted(struct ranks *ranks) {
    bool is_asked = ranks_index(ranks) == 1;
    struct model_options options = {.ranks = ranks, .should_stop = stop, .context = &is_asked};
    struct case_round round = case_round_first(ranks, N_CASES);
    int i;
    while (ranks_index(ranks) == 1 && case_round_next(&round, ranks, &i))
        round.n_done++;
    REQUIRE(case_round_end(&round, &options, ADELE_OK) == ADELE_INTERRUPTED);
}

// A request that comes when all cases are done changes nothing.
static void rank_is_interrupted_too_late(struct ranks *ranks) {
    bool is_asked = true;
    struct model_options options = {.ranks = ranks, .should_stop = stop, .context = &is_asked};
    struct case_round round = case_round_first(ranks, 0);
    REQUIRE_OK(case_round_end(&round, &options, ADELE_OK));
    REQUIRE(round.is_over);
}

static void rank_fails(struct ranks *ranks) {
    struct model_options options = {.ranks = ranks};
    struct case_round round = case_round_first(ranks, N_CASES);
    adele_status status = ADELE_OK;
    if (ranks_index(ranks) == 1)
        status = FAIL(ADELE_FORMAT, "Mend it.", "x.png: broken");
    REQUIRE(case_round_end(&round, &options, status) == ADELE_FORMAT);
    REQUIRE(strstr(adele_error_message(), "x.png: broken") != NULL);
    REQUIRE(strstr(adele_error_message(), "rank 1 on ") != NULL || ranks_index(ranks) == 1);
}

static const struct {
    const char *name;
    void (*run)(struct ranks *ranks);
} rank_cases[] = {{"all", rank_does_all},
                  {"interrupted", rank_is_interrupted},
                  {"late", rank_is_interrupted_too_late},
                  {"fails", rank_fails}};

static int run_rank(const char *name) {
    struct ranks *ranks = NULL;
    REQUIRE_OK(ranks_open(&ranks));
    for (size_t i = 0; i < sizeof rank_cases / sizeof *rank_cases; i++)
        if (strcmp(rank_cases[i].name, name) == 0)
            rank_cases[i].run(ranks);
    ranks_close(ranks, false);
    return 0;
}

// ---- the test -----------------------------------------------------------------------------------

static void run_on_two(const char *name) {
    struct program_result result;
    mpirun_run(N_RANKS, (const char *const[]){program, name, NULL}, &result);
    if (result.code != 0)
        fail_msg("code %d\n%s", result.code, result.err);
    program_result_deinit(&result);
}

static void each_case_is_done_once(void **state) {
    (void)state;
    run_on_two("all");
}
static void one_rank_is_asked_to_stop(void **state) {
    (void)state;
    run_on_two("interrupted");
    run_on_two("late");
}
static void one_rank_fails(void **state) {
    (void)state;
    run_on_two("fails");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_case_is_done_once),
                                       cmocka_unit_test(one_rank_is_asked_to_stop),
                                       cmocka_unit_test(one_rank_fails)};
    if (argc > 1)
        return run_rank(argv[1]);
    program = argv[0];
    return mpirun_is_there() ? cmocka_run_group_tests(tests, NULL, NULL) : skip_program("MPI");
}
