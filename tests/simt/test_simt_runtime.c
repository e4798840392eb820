// SPDX-License-Identifier: MIT
// Tests of the emulator: what a program may do wrong with streams, captures, memory and the order
// of blocks shows.
#include "planted.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// ---- capture ------------------------------------------------------------------------------------

static void calls_in_a_capture_fail(void **state) {
    (void)state;
    static const char *const texts[PLANTED_CAPTURE_COUNT] = {
        "cudaMalloc is not",
        "cudaHostAlloc is not",
        "cudaFree is not",
        "cudaFreeHost is not",
        "cudaStreamSynchronize is not",
        "cudaDeviceSynchronize is not",
        "cudaMemcpy is not",
        "a copy from or to pageable memory is not",
        "work of the default stream is not",
        "a wait for an event of before the capture is not",
    };
    for (int call = 0; call < PLANTED_CAPTURE_COUNT; call++) {
        const char *failure = planted_in_capture((enum planted_in_capture)call);
        if (failure == NULL)
            fail_msg("call %d in a capture went unnoticed", call);
        if (strstr(failure, texts[call]) != failure)
            fail_msg("call %d in a capture: \"%s\"", call, failure);
    }
}

static void graphs_do_what_was_captured(void **state) {
    (void)state;
    assert_true(planted_graph() == 13.0f);
    setenv("SIMT_STREAMS", "lazy", 1);
    assert_true(planted_graph() == 13.0f);
    unsetenv("SIMT_STREAMS");
}

// ---- streams ------------------------------------------------------------------------------------

static void eager_streams_hide_what_lazy_ones_show(void **state) {
    (void)state;
    static const enum planted_late all[] = {PLANTED_LATE_KEPT,    PLANTED_LATE_OVERWRITTEN,
                                            PLANTED_LATE_FREED,   PLANTED_LATE_READ,
                                            PLANTED_LATE_STREAMS, PLANTED_LATE_EVENT};
    unsetenv("SIMT_STREAMS");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_true(planted_late(all[i]) == 1.0f);
    setenv("SIMT_STREAMS", "lazy", 1);
    assert_true(planted_late(PLANTED_LATE_KEPT) == 1.0f);
    assert_true(planted_late(PLANTED_LATE_EVENT) == 1.0f);
    assert_true(planted_late(PLANTED_LATE_OVERWRITTEN) == 2.0f);
    assert_true(isnan(planted_late(PLANTED_LATE_FREED)));
    assert_true(isnan(planted_late(PLANTED_LATE_READ)));
    assert_true(isnan(planted_late(PLANTED_LATE_STREAMS)));
    unsetenv("SIMT_STREAMS");
}

// ---- memory and blocks --------------------------------------------------------------------------

static void new_memory_is_nan(void **state) {
    (void)state;
    float out[2] = {0.0f, 0.0f};
    assert_null(planted_fresh(out));
    assert_true(isnan(out[0]));
    assert_true(isnan(out[1]));
}

static void a_dependence_on_the_order_of_blocks_shows(void **state) {
    (void)state;
    float out[64];
#ifndef ADELE_SIMT_CHECKED // there it is a race
    unsetenv("SIMT_ORDER");
    assert_null(planted_chain(out));
    for (int i = 0; i < 64; i++)
        assert_true(out[i] == 1.0f);
    static const char *const seeds[] = {"0", "1", "18446744073709551615"};
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        setenv("SIMT_ORDER", seeds[i], 1);
        assert_null(planted_chain(out));
        int n_nan = 0;
        for (int j = 0; j < 64; j++)
            n_nan += isnan(out[j]) != 0;
        assert_true(n_nan > 30);
    }
    unsetenv("SIMT_ORDER");
#else
    assert_non_null(planted_chain(out));
#endif
}

// ---- settings -----------------------------------------------------------------------------------

static void a_value_that_is_not_listed_ends_the_program(void **state) {
    (void)state;
    static const char *const settings[][2] = {
        {"SIMT_TENSOR_CORE", "volta"}, {"SIMT_DEVICE", "volta"}, {"SIMT_ORDER", "-1"},
        {"SIMT_ORDER", "1x"},          {"SIMT_STREAMS", ""},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            float out[64];
            if (freopen("/dev/null", "w", stderr) == NULL)
                _exit(0);
            setenv(settings[i][0], settings[i][1], 1);
            planted_chain(out);
            _exit(0); // went unnoticed
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_in_a_capture_fail),
        cmocka_unit_test(graphs_do_what_was_captured),
        cmocka_unit_test(eager_streams_hide_what_lazy_ones_show),
        cmocka_unit_test(new_memory_is_nan),
        cmocka_unit_test(a_dependence_on_the_order_of_blocks_shows),
        cmocka_unit_test(a_value_that_is_not_listed_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
