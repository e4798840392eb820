// SPDX-License-Identifier: MIT
// The bytes that adele-bench --scaling counts are those that a training step sends. This program is
// its own rank: with three arguments, a device, a number of parts and the folder of a test, it is
// one of several.
#include "scaling_model.h"

#include "run/trainer_state.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define N_STEPS 2

// ---- the CPU as a device with memory of its own -------------------------------------------------

static struct adele_device_iface apart;
static const struct adele_device_iface *host;

// Another function than `alloc`, by which the library knows that memory is not the host's.
static adele_status alloc_pinned(const struct adele_device *device, size_t bytes, void **out) {
    return host->alloc(device, bytes, out);
}

static adele_status open_apart(enum adele_precision precision, struct adele_device **out) {
    adele_status status = adele_device_open("cpu", precision, out);
    if (status != ADELE_OK)
        return status;
    host = (*out)->iface;
    apart = *host;
    apart.alloc_pinned = alloc_pinned;
    (*out)->iface = &apart;
    return ADELE_OK;
}

// ---- in a rank ----------------------------------------------------------------------------------

static void require_model(struct trainer *trainer, struct ranks *ranks, int n_parts) {
    const struct graph *graph = network_graph(trainer->network);
    const struct scaling_work work = {.n_weights = graph->n_weights,
                                      .n_rest = ADELE_MAX_SCALES + graph->n_buffers};
    int64_t expected = scaling_bytes_through_host(&work, n_parts, ranks_count(ranks));
    REQUIRE(trainer->step.parts.is_divided == (trainer->device->iface != &apart));
    if (trainer->step.parts.is_divided)
        REQUIRE_OK(
            scaling_bytes_sent(&work, n_parts, ranks_count(ranks), ranks_index(ranks), &expected));
    REQUIRE(expected > 0);
    REQUIRE_OK(step_parts_connect(&trainer->step.parts));
    REQUIRE(training_step_start_epoch(&trainer->step, 1, 0) == ADELE_OK);
    for (int i = 0; i < N_STEPS; i++) {
        int64_t before = ranks_bytes_sent(ranks);
        REQUIRE(training_step_run(&trainer->step, 1, i, 0.01) == ADELE_OK);
        int64_t sent = ranks_bytes_sent(ranks) - before;
        if (sent != expected)
            fprintf(stderr, "%lld bytes sent, the model has %lld\n", (long long)sent,
                    (long long)expected);
        REQUIRE(sent == expected);
    }
    REQUIRE_OK(step_parts_disconnect(&trainer->step.parts));
}

static int run_rank(const char *device, const char *parts, char *folder) {
    char sets[2][64];
    struct ranks *ranks = NULL;
    struct trainer *trainer = NULL;
    void *state = folder;
    (void)snprintf(sets[0], sizeof sets[0], "train.parts=%s", parts);
    (void)snprintf(sets[1], sizeof sets[1], "train.batch=8");
    struct config *config = tiny_run_config(&state, SETS(sets[0], sets[1]));
    adele_device_provide("apart", open_apart);
    REQUIRE(ranks_open(&ranks) == ADELE_OK);
    const struct trainer_options options = {.config = config, .device = device, .ranks = ranks};
    REQUIRE(trainer_create(&options, &trainer) == ADELE_OK);
    require_model(trainer, ranks, atoi(parts));
    trainer_destroy(trainer);
    config_destroy(config);
    ranks_close(ranks, false);
    return 0;
}

// ---- the test -----------------------------------------------------------------------------------

static void a_step_sends_what_the_model_counts(void **state) {
    static const struct {
        int n_ranks;
        const char *device, *parts;
    } cases[] = {{2, "cpu", "2"}, {2, "cpu", "4"}, {4, "cpu", "4"}, {2, "apart", "4"}};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct program_result result;
        mpirun_run(cases[i].n_ranks,
                   (const char *const[]){self, cases[i].device, cases[i].parts, *state, NULL},
                   &result);
        if (result.code != 0)
            fail_msg("%d ranks, %s, %s parts: exit code %d:\n%s", cases[i].n_ranks, cases[i].device,
                     cases[i].parts, result.code, result.err);
        program_result_deinit(&result);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_step_sends_what_the_model_counts)};
    if (argc > 3)
        return run_rank(argv[1], argv[2], argv[3]);
    if (!mpirun_is_there()) {
        printf("skipped: the tests of several ranks need MPI\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
