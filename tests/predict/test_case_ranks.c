// SPDX-License-Identifier: MIT
// Rounds of cases on two ranks: all learn of a failure, of a request to stop and of what is done.
// This program is its own rank: with an argument it runs that case, and ends.
#include "predict/case_ranks.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/notes.h"
#include "data/palette_check.h"
#include "output/output.h"
#include "predict/case_findings.h"
#include "ranks/rank_facts.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/skip.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_CASES = 7, N_RANKS = 2 };

static const char *program; // of this test

// ---- in a rank ----------------------------------------------------------------------------------

static bool stop(void *context) {
    return *(const bool *)context;
}

// Each case is done by one rank, and all know how many are. A round takes one, however late it is.
static void rank_does_all(struct ranks *ranks) {
    struct model_options options = {.ranks = ranks};
    struct case_round round = case_round_first(ranks, N_CASES, 1);
    REQUIRE_OK(ranks_check_usable(ranks));
    int64_t is_done[N_CASES] = {0};
    struct image_share next;
    int n_rounds = 0;
    while (!round.is_over) {
        round.until = 0.0;
        while (case_round_next(&round, ranks, &next)) {
            REQUIRE(next.end == next.first + 1);
            is_done[next.first]++;
            round.n_done++;
        }
        REQUIRE_OK(case_round_end(&round, &options, ADELE_OK));
        n_rounds++;
    }
    REQUIRE(n_rounds == (N_CASES + N_RANKS - 1) / N_RANKS);
    REQUIRE(round.n_done + round.n_done_by_others == N_CASES);
    REQUIRE_OK(ranks_sum(ranks, is_done, N_CASES));
    for (int i = 0; i < N_CASES; i++)
        REQUIRE(is_done[i] == 1);
}

// Of 7 cases, 3 at a time, rank 0 has two whole batches and rank 1 the last case.
static void rank_has_batches(struct ranks *ranks) {
    struct model_options options = {.ranks = ranks};
    struct case_round round = case_round_first(ranks, N_CASES, 3);
    struct image_share next;
    const int want[2][2][2] = {{{0, 3}, {3, 6}}, {{6, 7}}};
    int rank = ranks_index(ranks), n = 0;
    for (; case_round_next(&round, ranks, &next); n++)
        REQUIRE(n < 2 && next.first == want[rank][n][0] && next.end == want[rank][n][1]);
    REQUIRE(n == 2 - rank);
    REQUIRE_OK(case_round_end(&round, &options, ADELE_OK));
    REQUIRE(round.is_over);
}

// Rank 1 alone is asked, when it has no case left itself.
static void rank_is_interrupted(struct ranks *ranks) {
    bool is_asked = ranks_index(ranks) == 1;
    struct model_options options = {.ranks = ranks, .should_stop = stop, .context = &is_asked};
    struct case_round round = case_round_first(ranks, N_CASES, 1);
    struct image_share next;
    while (ranks_index(ranks) == 1 && case_round_next(&round, ranks, &next))
        round.n_done++;
    REQUIRE(case_round_end(&round, &options, ADELE_OK) == ADELE_INTERRUPTED);
}

// A request that comes when all cases are done changes nothing.
static void rank_is_interrupted_too_late(struct ranks *ranks) {
    bool is_asked = true;
    struct model_options options = {.ranks = ranks, .should_stop = stop, .context = &is_asked};
    struct case_round round = case_round_first(ranks, 0, 1);
    REQUIRE_OK(case_round_end(&round, &options, ADELE_OK));
    REQUIRE(round.is_over);
}

static void rank_fails(struct ranks *ranks) {
    struct model_options options = {.ranks = ranks};
    struct case_round round = case_round_first(ranks, N_CASES, 1);
    adele_status status = ADELE_OK;
    if (ranks_index(ranks) == 1)
        status = FAIL(ADELE_FORMAT, "Mend it.", "x.png: broken");
    REQUIRE(case_round_end(&round, &options, status) == ADELE_FORMAT);
    REQUIRE(strstr(adele_error_message(), "x.png: broken") != NULL);
    REQUIRE(strstr(adele_error_message(), "rank 1 on ") != NULL || ranks_index(ranks) == 1);
    REQUIRE(ranks_have_agreed(ranks) && ranks_check_usable(ranks) == ADELE_INVALID_ARGUMENT);
}

// A case of rank 1 takes longer than the time limit of the ranks, which tells a rank that works
// from one that is gone. Its own error comes through, too.
static void rank_is_slow(struct ranks *ranks) {
    struct model_options options = {.ranks = ranks};
    struct case_round round = case_round_first(ranks, N_CASES, 1);
    const struct timespec batch = {0, 50000000};
    ranks_set_time_limit(ranks, 4.0);
    for (int i = 0; i < 120 && ranks_index(ranks) == 1; i++) {
        REQUIRE(!case_should_stop(&options));
        (void)nanosleep(&batch, NULL);
    }
    REQUIRE_OK(case_round_end(&round, &options, ADELE_OK));
    rank_fails(ranks);
}

// Paths that are longer than what is kept of them, and differ at their ends.
static void rank_has_long_facts(struct ranks *ranks) {
    char path[2 * RANK_FACT_BYTES] = "";
    struct rank_fact fact;
    memset(path, 'p', sizeof path - 1);
    rank_fact_set_option(&fact, "folder of masks", path);
    REQUIRE_OK(rank_facts_compare(ranks, 1, &fact));
    path[sizeof path - 2] = ranks_index(ranks) == 1 ? 'a' : 'b';
    rank_fact_set_option(&fact, "folder of masks", path);
    REQUIRE(rank_facts_compare(ranks, 1, &fact) == ADELE_INVALID_ARGUMENT);
    REQUIRE(strstr(adele_error_message(), "differs in folder of masks: it has ppp") != NULL);
}

static char logged[4096];

static void keep_line(void *context, enum log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)strcat(strcat(logged, line), "\n");
}

// What one process would have seen in the cases of all.
static void rank_findings(struct ranks *ranks) {
    const bool is_last = ranks_index(ranks) == 1;
    const char *path = is_last ? "b.png" : "a.png";
    struct notes notes = {0};
    struct dataset dataset = {.logged_notes = &notes};
    log_set_sink(keep_line, NULL);
    REQUIRE_OK(palette_check_create(&dataset.palettes));
    REQUIRE_OK(palette_check_add_color(dataset.palettes, path, 1, (const uint8_t[]){128, 0, 0}));
    notes_log_case(&notes, 2, path);
    if (is_last)
        notes_log_case(&notes, CASE_NOTE_TO_RGB, path);
    REQUIRE_OK(case_findings_share(ranks, &dataset));
    REQUIRE(count_of(logged, "\n") == 2); // each kind once, by the first rank too
    REQUIRE(strstr(logged, "b.png: the picture is gray and becomes RGB") != NULL);
    REQUIRE(
        strstr(logged, is_last ? "b.png: the picture has stray" : "a.png: the picture has stray"));
    REQUIRE_OK(palette_check_add_color(dataset.palettes, path, 2,
                                       (const uint8_t[]){0, 128, (uint8_t)ranks_index(ranks)}));
    REQUIRE(case_findings_share(ranks, &dataset) == ADELE_DATA);
    REQUIRE(strstr(adele_error_message(), "b.png: the palette shows index 2 in the colour (0, 128, "
                                          "1), that of a.png in (0, 128, 0)") != NULL);
    log_set_sink(NULL, NULL);
    palette_check_destroy(dataset.palettes);
}

static const struct {
    const char *name;
    void (*run)(struct ranks *ranks);
} rank_cases[] = {{"all", rank_does_all},
                  {"batches", rank_has_batches},
                  {"interrupted", rank_is_interrupted},
                  {"late", rank_is_interrupted_too_late},
                  {"fails", rank_fails},
                  {"slow", rank_is_slow},
                  {"findings", rank_findings},
                  {"long", rank_has_long_facts}};

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
static void a_case_takes_longer_than_the_time_limit(void **state) {
    (void)state;
    run_on_two("slow");
}
static void all_know_what_was_found_in_files(void **state) {
    (void)state;
    run_on_two("findings");
}
static void long_values_are_compared_whole(void **state) {
    (void)state;
    run_on_two("long");
}

static void count_file(void *context) {
    ++*(int *)context;
}

// The other ranks wait for rank 0, which hashes the files of all: a sign of life for each.
static void each_file_of_an_output_is_told(void **state) {
    struct output *output = NULL;
    int n_files = 0;
    check_ok(output_create(scratch_path(state, "out"), false, &output));
    for (int i = 0; i < 3; i++)
        check_ok(output_add(output, "%d.png", i));
    check_ok(output_begin(output));
    output_set_watch(output, count_file, &n_files);
    check_ok(file_write(scratch_path(state, "out/1.png"), "png", 3));
    check_ok(output_end(output, ADELE_OK));
    output_destroy(output);
    assert_int_equal(n_files, 3);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_is_done_once),
        cmocka_unit_test(one_rank_is_asked_to_stop),
        cmocka_unit_test(one_rank_fails),
        cmocka_unit_test(a_case_takes_longer_than_the_time_limit),
        cmocka_unit_test(all_know_what_was_found_in_files),
        cmocka_unit_test(long_values_are_compared_whole),
        cmocka_unit_test_setup_teardown(each_file_of_an_output_is_told, scratch_setup,
                                        scratch_teardown)};
    if (argc > 1)
        return run_rank(argv[1]);
    program = argv[0];
    return mpirun_is_there() ? cmocka_run_group_tests(tests, NULL, NULL) : skip_program("MPI");
}
