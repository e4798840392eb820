// SPDX-License-Identifier: MIT
// The exchange between ranks through the host and between devices, of which the emulator has one
// when a stand-in of NCCL is there: the same bits, those of the binary tree. This program is its
// own rank: with arguments it is one of several, and ends with 0 if all was right.
#include "step/exchange.h"

#include "base/log.h"
#include "support/mpirun.h"
#include "support/simt_devices.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// ---- in a rank ----------------------------------------------------------------------------------

enum { N_FLOATS = 8 * 1009 };

// Sums of these round differently in nearly every other order.
static float value_of(int rank, int i, int step) {
    uint32_t mixed = (uint32_t)(i * 61 + rank * 7 + step * 1021 + 1) * 2654435761u;
    mixed ^= mixed >> 15;
    mixed *= 2246822519u;
    mixed ^= mixed >> 13;
    return ldexpf((float)(mixed & 0xffffff) + 0x1p24f, (int)(mixed >> 24) % 6 - 24);
}

static float tree_sum(int first, int n, int i, int step) {
    if (n == 1)
        return value_of(first, i, step);
    float left = tree_sum(first, n / 2, i, step);
    return left + tree_sum(first + n / 2, n / 2, i, step);
}

static void check_sum(struct exchange *exchange, const struct adele_device *device,
                      struct ranks *ranks, int step) {
    static float host[N_FLOATS];
    float *vector = NULL;
    for (int i = 0; i < N_FLOATS; i++)
        host[i] = value_of(ranks_index(ranks), i, step);
    REQUIRE_OK(device->iface->alloc(device, sizeof host, (void **)&vector));
    REQUIRE_OK(device->iface->upload(device, vector, host, sizeof host));
    REQUIRE_OK(exchange_sum(exchange, vector));
    REQUIRE_OK(device->iface->download(device, host, vector, sizeof host));
    device->iface->release(device, vector);
    int n_other = 0;
    for (int i = 0; i < N_FLOATS; i++) {
        float wanted = tree_sum(0, ranks_count(ranks), i, step), straight = 0.0f;
        for (int rank = 0; rank < ranks_count(ranks); rank++)
            straight += value_of(rank, i, step);
        REQUIRE(memcmp(&host[i], &wanted, sizeof wanted) == 0);
        n_other += memcmp(&straight, &wanted, sizeof wanted) != 0;
    }
    REQUIRE(ranks_count(ranks) == 2 || n_other > N_FLOATS / 10); // the values tell orders apart
}

static char told[1024];
static void keep_line(void *context, enum log_level level, const char *line) {
    (void)context;
    (void)level;
    if (strstr(line, "exchange between ranks: ") != NULL)
        (void)snprintf(told, sizeof told, "%s", line);
}

// `way`: what the log has to say.
static void run_rank(const char *device_name, const char *way) {
    struct ranks *ranks = NULL;
    struct adele_device *device = NULL;
    struct exchange *exchange = NULL;
    simt_devices_provide();
    log_set_sink(keep_line, NULL);
    REQUIRE_OK(ranks_open(&ranks));
    REQUIRE_OK(adele_device_open(device_name, ADELE_PRECISION_FP32, &device));
    REQUIRE_OK(exchange_create(device, ranks, N_FLOATS, &exchange));
    REQUIRE_OK(exchange_connect(exchange));
    REQUIRE(strstr(told, way) != NULL);
    REQUIRE(exchange_is_queued(exchange) == (strstr(way, "NCCL 2.") != NULL));
    for (int step = 0; step < 3; step++)
        check_sum(exchange, device, ranks, step);
    REQUIRE_OK(exchange_disconnect(exchange));
    exchange_destroy(exchange);
    adele_device_close(device);
    ranks_close(ranks, false);
}

// ---- the tests ----------------------------------------------------------------------------------

static char self[4096];

static void on_ranks(int n_ranks, const char *device, const char *way) {
    struct program_result result;
    mpirun_run(n_ranks, (const char *const[]){self, device, way, NULL}, &result);
    if (result.code != 0)
        fail_msg("%d ranks on %s, '%s': code %d\n%s", n_ranks, device, way, result.code,
                 result.err);
    program_result_deinit(&result);
}

static void test_through_the_host(void **state) {
    (void)state;
    for (int n_ranks = 2; n_ranks <= 8; n_ranks *= 2)
        on_ranks(n_ranks, "cpu", "MPI, through the host's memory (rank 0: the device cpu");
}

#ifdef ADELE_HAVE_SIMT
static void test_between_devices(void **state) {
    (void)state;
    assert_int_equal(setenv("SIMT_LIBRARIES", "nccl", 1), 0);
    for (int n_ranks = 2; n_ranks <= 8; n_ranks *= 2)
        on_ranks(n_ranks, "simt", "NCCL 2.");
    unsetenv("SIMT_LIBRARIES");
}

static void test_without_nccl(void **state) {
    (void)state;
    on_ranks(2, "simt", "MPI, through the host's memory (rank 0: there is no NCCL: libnccl.so.2");
}

// One rank alone lacks it: no rank uses it.
static void test_one_rank_without_nccl(void **state) {
    struct program_result result;
    const char *way = "MPI, through the host's memory (rank 1: there is no NCCL: none";
    (void)state;
    assert_int_equal(setenv("SIMT_LIBRARIES", "nccl", 1), 0);
    mpirun_run(1,
               (const char *const[]){self, "simt", way, MPIRUN_NEXT, "/usr/bin/env",
                                     "ADELE_NCCL=none", self, "simt", way, NULL},
               &result);
    if (result.code != 0)
        fail_msg("code %d\n%s", result.code, result.err);
    program_result_deinit(&result);
    unsetenv("SIMT_LIBRARIES");
}
#endif

int main(int argc, char **argv) {
    if (argc == 3) {
        run_rank(argv[1], argv[2]);
        return 0;
    }
    if (!mpirun_is_there()) {
        printf("skipped: the tests of several ranks need MPI\n");
        return 77;
    }
    if (realpath(argv[0], self) == NULL)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_through_the_host),
#ifdef ADELE_HAVE_SIMT
        cmocka_unit_test(test_between_devices),
        cmocka_unit_test(test_without_nccl),
        cmocka_unit_test(test_one_rank_without_nccl),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
