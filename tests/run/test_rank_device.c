// SPDX-License-Identifier: MIT
#include "run/rank_device.h"

#include "adele/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void each_rank_of_a_host_has_a_gpu(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int place, n_gpus;
        const char *expected;
    } cases[] = {{"cuda", 0, 2, "cuda:0"},
                 {"cuda", 1, 2, "cuda:1"},
                 {"auto", 3, 8, "cuda:3"},
                 {"cuda/plain", 1, 2, "cuda:1/plain"},
                 {"auto", 1, 0, "auto"},
                 {"cuda", 1, 0, "cuda"},
                 {"cuda:0", 5, 1, "cuda:0"},
                 {"cuda:1/cudnn", 0, 2, "cuda:1/cudnn"},
                 {"cpu/direct", 5, 1, "cpu/direct"},
                 {"simt", 1, 1, "simt"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[RANK_DEVICE_BYTES];
        assert_int_equal(rank_device_name(cases[i].name, cases[i].place, cases[i].n_gpus, out),
                         ADELE_OK);
        assert_string_equal(out, cases[i].expected);
    }
}

static void more_ranks_than_gpus_are_an_error(void **state) {
    (void)state;
    char out[RANK_DEVICE_BYTES];
    assert_int_equal(rank_device_name("cuda", 2, 2, out), ADELE_DEVICE);
    assert_non_null(strstr(adele_error_message(), "GPU number 2"));
    assert_non_null(strstr(adele_error_hint(), "cuda:N"));
    assert_int_equal(rank_device_name("auto", 1, 1, out), ADELE_DEVICE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rank_of_a_host_has_a_gpu),
        cmocka_unit_test(more_ranks_than_gpus_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
