// SPDX-License-Identifier: MIT
// Ranks of one host take their memory from the same: the check before the first step counts all of
// them. This program is its own rank: with the folder of a test as an argument it is one of two.
#include "run/trainer_state.h"

#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// ---- the CPU with less memory -------------------------------------------------------------------

static struct adele_device_iface small_iface;
static size_t free_bytes; // what it says it has

static size_t small_free_bytes(const struct adele_device *device) {
    (void)device;
    return free_bytes;
}

static adele_status open_small(enum adele_precision precision, struct adele_device **out) {
    adele_status status = adele_device_open("cpu", precision, out);
    if (status != ADELE_OK)
        return status;
    small_iface = *(*out)->iface;
    small_iface.free_bytes = small_free_bytes;
    (*out)->iface = &small_iface;
    return ADELE_OK;
}

// ---- in a rank ----------------------------------------------------------------------------------

static adele_status create(const struct config *config, struct ranks *ranks, size_t bytes) {
    const struct trainer_options options = {.config = config, .device = "small", .ranks = ranks};
    struct trainer *trainer = NULL;
    free_bytes = bytes;
    adele_status status = trainer_create(&options, &trainer);
    trainer_destroy(trainer);
    REQUIRE(status == ADELE_OK || status == ADELE_NO_MEMORY);
    return status;
}

// The least memory, to a 64th, that a process alone accepts for the same parts.
static size_t need_alone(const struct config *config) {
    size_t low = 1 << 12, high = (size_t)1 << 28;
    REQUIRE(create(config, NULL, low) == ADELE_NO_MEMORY);
    REQUIRE(create(config, NULL, high) == ADELE_OK);
    while (high - low > high / 64) {
        size_t middle = low + (high - low) / 2;
        if (create(config, NULL, middle) == ADELE_OK)
            high = middle;
        else
            low = middle;
    }
    return high;
}

static int run_rank(char *folder) {
    struct ranks *ranks = NULL;
    void *state = folder;
    struct config *config = tiny_run_config(&state, SETS("train.parts=2", "train.batch=8"));
    adele_device_provide("small", open_small);
    REQUIRE(ranks_open(&ranks) == ADELE_OK);
    size_t need = need_alone(config);
    // Each of them alone would fit.
    REQUIRE(create(config, ranks, need + need / 2) == ADELE_NO_MEMORY);
    REQUIRE(strstr(adele_error_message(), "a batch of ") != NULL);
    REQUIRE(strstr(adele_error_hint(), "fewer ranks") != NULL);
    REQUIRE(create(config, ranks, 2 * need + need / 8) == ADELE_OK);
    config_destroy(config);
    ranks_close(ranks, false);
    return 0;
}

// ---- the test -----------------------------------------------------------------------------------

static void the_check_counts_the_ranks_of_a_host(void **state) {
    char self[4096];
    struct program_result result;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    mpirun_run(2, (const char *const[]){self, *state, NULL}, &result);
    if (result.code != 0)
        fail_msg("exit code %d:\n%s", result.code, result.err);
    program_result_deinit(&result);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_check_counts_the_ranks_of_a_host)};
    if (argc > 1)
        return run_rank(argv[1]);
    if (!mpirun_is_there()) {
        printf("skipped: the tests of several ranks need MPI\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
