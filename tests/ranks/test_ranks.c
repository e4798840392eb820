// SPDX-License-Identifier: MIT
// The collectives between processes that mpirun starts. This program is its own rank: with an
// argument it is one of several, runs the part of that name and ends with 0 if all was right.
#include "ranks/ranks.h"

#include "base/fail.h"
#include "base/memory.h"
#include "support/mpirun.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <omp.h>

#include <cmocka.h>

// ---- in a rank ----------------------------------------------------------------------------------

// 0, 1, primes, and more than one piece of a message.
static const size_t sizes[] = {0, 1, 7, 4099, (4 << 20), (4 << 20) + 13};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static unsigned char byte_of(int rank, int to, size_t i) {
    return (unsigned char)(31 * rank + 7 * to + (int)(i % 251) + (int)(i >> 20));
}

static void fill(unsigned char *block, int rank, int to, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        block[i] = byte_of(rank, to, i);
}

static void require_filled(const unsigned char *block, int rank, int to, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        REQUIRE(block[i] == byte_of(rank, to, i));
}

static void check_size(struct ranks *ranks, size_t bytes) {
    int n = ranks_count(ranks), me = ranks_index(ranks);
    unsigned char *mine = malloc((size_t)n * bytes + 1), *all = malloc((size_t)n * bytes + 1);
    REQUIRE(mine != NULL && all != NULL);
    fill(mine, me, 0, bytes);
    REQUIRE(ranks_gather(ranks, mine, bytes, all) == ADELE_OK);
    for (int r = 0; r < n; r++)
        require_filled(all + (size_t)r * bytes, r, 0, bytes);
    for (int r = 0; r < n; r++)
        fill(mine + (size_t)r * bytes, me, r, bytes);
    REQUIRE(ranks_exchange(ranks, mine, bytes, all) == ADELE_OK);
    for (int r = 0; r < n; r++)
        require_filled(all + (size_t)r * bytes, r, me, bytes);
    fill(mine, me, 5, bytes);
    REQUIRE(ranks_broadcast(ranks, mine, bytes) == ADELE_OK);
    require_filled(mine, 0, 5, bytes);
    free(mine);
    free(all);
}

// Rank r brings bytes * r, so that rank 0 brings none.
static void check_sized(struct ranks *ranks, size_t bytes) {
    int n = ranks_count(ranks), me = ranks_index(ranks);
    size_t starts[65];
    unsigned char *mine = malloc((size_t)me * bytes + 1);
    void *all = NULL;
    REQUIRE(mine != NULL);
    fill(mine, me, 1, (size_t)me * bytes);
    REQUIRE(ranks_gather_sized(ranks, mine, (size_t)me * bytes, &all, starts) == ADELE_OK);
    for (int r = 0; r < n; r++) {
        REQUIRE(starts[r + 1] - starts[r] == (size_t)r * bytes);
        require_filled((unsigned char *)all + starts[r], r, 1, (size_t)r * bytes);
    }
    memory_free(all);
    free(mine);
}

static void check_numbers(struct ranks *ranks) {
    int n = ranks_count(ranks), me = ranks_index(ranks);
    int64_t sums[3] = {me, -5, INT64_C(1) << 40}, most[2] = {-me, INT64_C(1000) * me};
    REQUIRE(ranks_sum(ranks, sums, 3) == ADELE_OK);
    REQUIRE(sums[0] == n * (n - 1) / 2 && sums[1] == -5 * n && sums[2] == n * (INT64_C(1) << 40));
    REQUIRE(ranks_max(ranks, most, 2) == ADELE_OK);
    REQUIRE(most[0] == 0 && most[1] == 1000 * (n - 1));
    REQUIRE(ranks_sum(ranks, NULL, 0) == ADELE_OK);
}

static int part_collectives(struct ranks *ranks) {
    int n = ranks_count(ranks);
    for (size_t i = 0; i < N_SIZES; i++) {
        check_size(ranks, sizes[i]);
        check_sized(ranks, sizes[i]);
    }
    check_numbers(ranks);
    int64_t before = ranks_bytes_sent(ranks);
    char byte = 1, bytes[64];
    REQUIRE(ranks_gather(ranks, &byte, 1, bytes) == ADELE_OK);
    REQUIRE(ranks_bytes_sent(ranks) - before == n - 1);
    REQUIRE(ranks_local_count(ranks) == n);
    REQUIRE(ranks_local_index(ranks) == ranks_index(ranks));
    REQUIRE(strcmp(ranks_host(ranks, n - 1), ranks_host(ranks, 0)) == 0);
    REQUIRE(ranks_agree(ranks, ADELE_OK) == ADELE_OK);
    ranks_close(ranks, false);
    return 0;
}

// Ranks 1 and 2 (where there are so many) fail: all get the error of rank 1, and only rank 0 tells.
static int part_agree(struct ranks *ranks) {
    int me = ranks_index(ranks);
    char expected[256];
    adele_status mine = ADELE_OK;
    if (me == 1 || me == 2)
        mine = FAIL(ADELE_DATA, "Look there.", "image %d is broken", me);
    REQUIRE(ranks_agree(ranks, ADELE_OK) == ADELE_OK);
    REQUIRE(ranks_agree(ranks, mine) == ADELE_DATA);
    (void)snprintf(expected, sizeof expected, "rank 1 on %s: image 1 is broken",
                   ranks_host(ranks, 1));
    REQUIRE(strcmp(adele_error_message(), me == 1 ? "image 1 is broken" : expected) == 0);
    REQUIRE(strcmp(adele_error_hint(), "Look there.") == 0);
    REQUIRE(ranks_should_report(ranks, ADELE_DATA) == (me == 0));
    ranks_close(ranks, true);
    return 1;
}

static int fail_alone(struct ranks *ranks, adele_status status) {
    REQUIRE(status != ADELE_OK);
    if (ranks_should_report(ranks, status))
        fprintf(stderr, "error: %s\n", adele_error_message());
    ranks_close(ranks, true);
    return 9; // ranks_close does not return
}

// The last rank fails where the others wait for it in another collective.
static int part_alone(struct ranks *ranks) {
    char all[64];
    if (ranks_index(ranks) == ranks_count(ranks) - 1)
        return fail_alone(ranks, FAIL(ADELE_IO, "", "the disk is full"));
    return fail_alone(ranks, ranks_gather(ranks, "x", 1, all));
}

// The last rank has stopped: the others name it after the time limit.
static int part_hang(struct ranks *ranks) {
    char all[64];
    ranks_set_time_limit(ranks, 5.0);
    if (ranks_index(ranks) == ranks_count(ranks) - 1)
        for (;;)
            pause();
    return fail_alone(ranks, ranks_gather(ranks, "x", 1, all));
}

// The last rank is at another place of the run.
static int part_out_of_step(struct ranks *ranks) {
    int64_t value = 1;
    ranks_set_time_limit(ranks, 0.5);
    if (ranks_index(ranks) == ranks_count(ranks) - 1)
        return fail_alone(ranks, ranks_agree(ranks, FAIL(ADELE_IO, "", "the disk is full")));
    return fail_alone(ranks, ranks_sum(ranks, &value, 1));
}

static int part_size(struct ranks *ranks) {
    char all[256];
    size_t bytes = ranks_index(ranks) == 0 ? 3 : 5;
    return fail_alone(ranks, ranks_gather(ranks, "abcdefg", bytes, all));
}

// Ranks that no launcher has bound share all cores.
static int part_cores(struct ranks *ranks) {
    int n_own = omp_get_num_procs() / ranks_count(ranks);
    int n_set = omp_get_max_threads();
    REQUIRE(ranks_share_cores(ranks) == ADELE_OK);
    REQUIRE(omp_get_max_threads() == n_set); // OMP_NUM_THREADS is set
    REQUIRE(unsetenv("OMP_NUM_THREADS") == 0);
    REQUIRE(ranks_share_cores(ranks) == ADELE_OK);
    REQUIRE(omp_get_max_threads() == (n_own > 0 ? n_own : 1));
    ranks_close(ranks, false);
    return 0;
}

static int part_killed(struct ranks *ranks) {
    char all[64];
    if (ranks_index(ranks) == ranks_count(ranks) - 1)
        (void)raise(SIGKILL);
    return fail_alone(ranks, ranks_gather(ranks, "x", 1, all));
}

static int run_part(const char *name) {
    static const struct {
        const char *name;
        int (*run)(struct ranks *ranks);
    } parts[] = {{"collectives", part_collectives},
                 {"agree", part_agree},
                 {"alone", part_alone},
                 {"hang", part_hang},
                 {"out_of_step", part_out_of_step},
                 {"size", part_size},
                 {"killed", part_killed},
                 {"cores", part_cores}};
    struct ranks *ranks = NULL;
    adele_status status = ranks_open(&ranks);
    if (status != ADELE_OK) {
        if (ranks_should_report(ranks, status))
            fprintf(stderr, "error: %s\n", adele_error_message());
        ranks_close(ranks, true);
        return 1;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, name) == 0)
            return parts[i].run(ranks);
    return 8;
}

// ---- the tests ----------------------------------------------------------------------------------

static void run(int n_ranks, const char *part, struct program_result *out) {
    const char *const argv[] = {"/proc/self/exe", part, NULL};
    char self[4096];
    ssize_t n = readlink(argv[0], self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    mpirun_run(n_ranks, (const char *const[]){self, part, NULL}, out);
}

static void require_code(const struct program_result *result, int code) {
    if (result->code != code)
        fail_msg("exit code %d, not %d:\n%s", result->code, code, result->err);
}

static void require_text(const struct program_result *result, const char *text) {
    if (strstr(result->err, text) == NULL)
        fail_msg("'%s' is not in:\n%s", text, result->err);
}

static void every_collective_brings_what_was_sent(void **state) {
    (void)state;
    static const int counts[] = {1, 2, 3, 4};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct program_result result;
        run(counts[i], "collectives", &result);
        require_code(&result, 0);
        program_result_deinit(&result);
    }
}

static void ranks_of_a_host_share_its_cores(void **state) {
    (void)state;
    for (int n = 2; n <= 4; n += 2) {
        struct program_result result;
        run(n, "cores", &result);
        require_code(&result, 0);
        program_result_deinit(&result);
    }
}

static void all_ranks_get_the_error_of_the_lowest_that_failed(void **state) {
    (void)state;
    for (int n = 2; n <= 4; n += 2) {
        struct program_result result;
        run(n, "agree", &result);
        require_code(&result, 1);
        program_result_deinit(&result);
    }
}

// One rank tells an error that names rank and host, all end with code 1.
static void require_one_error(const char *part, int n_ranks, const char *text) {
    struct program_result result;
    run(n_ranks, part, &result);
    require_code(&result, 1);
    require_text(&result, text);
    assert_int_equal(count_of(result.err, "error: rank "), 1);
    program_result_deinit(&result);
}

static void a_rank_that_fails_ends_the_others_with_its_error(void **state) {
    (void)state;
    require_one_error("alone", 4, "error: rank 3 on ");
    require_one_error("alone", 2, ": the disk is full\n");
}

static void a_rank_that_hangs_is_named_after_the_time_limit(void **state) {
    (void)state;
    struct program_result result;
    run(4, "hang", &result); // each of the others may tell it before the first one has ended all
    require_code(&result, 1);
    require_text(&result, "gather, with rank 3 on ");
    assert_in_range(count_of(result.err, "error: rank "), 1, 3);
    program_result_deinit(&result);
    require_one_error("hang", 2, ": nothing came from it for 5 seconds\n");
}

static void an_error_beside_another_collective_ends_all(void **state) {
    (void)state;
    require_one_error("out_of_step", 2, ": the disk is full\n");
}

static void blocks_of_different_sizes_are_an_error(void **state) {
    (void)state;
    struct program_result result;
    run(2, "size", &result);
    require_code(&result, 1);
    require_text(&result, "gather, with rank ");
    program_result_deinit(&result);
}

static void a_killed_rank_ends_the_others(void **state) {
    (void)state;
    struct program_result result;
    double started = seconds_now();
    run(4, "killed", &result);
    assert_int_not_equal(result.code, 0);
    assert_true(seconds_now() - started < 30.0);
    program_result_deinit(&result);
}

static void a_time_limit_that_is_no_number_is_an_error(void **state) {
    (void)state;
    struct program_result result;
    assert_int_equal(setenv("ADELE_RANK_TIMEOUT", "soon", 1), 0);
    run(2, "collectives", &result);
    assert_int_equal(unsetenv("ADELE_RANK_TIMEOUT"), 0);
    require_code(&result, 1);
    assert_int_equal(count_of(result.err, "ADELE_RANK_TIMEOUT=soon"), 1);
    program_result_deinit(&result);
}

// ---- one process --------------------------------------------------------------------------------

static void one_process_has_no_ranks(void **state) {
    (void)state;
    struct ranks *ranks = (struct ranks *)1;
    size_t starts[2];
    char from[3] = "", *all = NULL;
    int64_t value = 4;
    assert_int_equal(ranks_open(&ranks), ADELE_OK);
    assert_null(ranks);
    assert_int_equal(ranks_count(ranks), 1);
    assert_int_equal(ranks_gather(ranks, "ab", 3, from), ADELE_OK);
    assert_string_equal(from, "ab");
    assert_int_equal(ranks_exchange(ranks, "cd", 3, from), ADELE_OK);
    assert_string_equal(from, "cd");
    assert_int_equal(ranks_gather_sized(ranks, "ef", 3, (void **)&all, starts), ADELE_OK);
    assert_string_equal(all, "ef");
    assert_int_equal(starts[1], 3);
    memory_free(all);
    assert_int_equal(ranks_sum(ranks, &value, 1), ADELE_OK);
    assert_int_equal(value, 4);
    assert_int_equal(ranks_agree(ranks, ADELE_DATA), ADELE_DATA);
    assert_true(ranks_should_report(ranks, ADELE_DATA));
    assert_int_equal(ranks_bytes_sent(ranks), 0);
    ranks_close(ranks, false);
}

// Slurm's variable of a batch script, which is one process of its own, and of a step.
static void what_slurm_says_of_the_job_is_not_what_it_says_of_the_step(void **state) {
    (void)state;
    struct ranks *ranks = NULL;
    assert_int_equal(setenv("SLURM_NTASKS", "4", 1), 0);
    assert_int_equal(ranks_open(&ranks), ADELE_OK);
    assert_null(ranks);
    assert_int_equal(unsetenv("SLURM_NTASKS"), 0);
}

int main(int argc, char **argv) {
    static const struct CMUnitTest alone[] = {
        cmocka_unit_test(one_process_has_no_ranks),
        cmocka_unit_test(what_slurm_says_of_the_job_is_not_what_it_says_of_the_step)};
    static const struct CMUnitTest together[] = {
        cmocka_unit_test(every_collective_brings_what_was_sent),
        cmocka_unit_test(ranks_of_a_host_share_its_cores),
        cmocka_unit_test(all_ranks_get_the_error_of_the_lowest_that_failed),
        cmocka_unit_test(a_rank_that_fails_ends_the_others_with_its_error),
        cmocka_unit_test(a_rank_that_hangs_is_named_after_the_time_limit),
        cmocka_unit_test(an_error_beside_another_collective_ends_all),
        cmocka_unit_test(blocks_of_different_sizes_are_an_error),
        cmocka_unit_test(a_killed_rank_ends_the_others),
        cmocka_unit_test(a_time_limit_that_is_no_number_is_an_error)};
    if (argc > 1)
        return run_part(argv[1]);
    int n_failed = cmocka_run_group_tests_name("one process", alone, NULL, NULL);
    if (n_failed == 0 && !mpirun_is_there()) {
        printf("skipped: the tests of several ranks need MPI\n");
        return 77;
    }
    return n_failed + cmocka_run_group_tests_name("several ranks", together, NULL, NULL);
}
