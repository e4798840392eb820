// SPDX-License-Identifier: MIT
#include "support/selftest_fixture.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int n_warnings;

int selftest_n_warnings(void) {
    return n_warnings;
}

static void count_warning(void *context, enum log_level level, const char *line) {
    (void)context;
    (void)line;
    n_warnings += level == LOG_WARNING;
}

int selftest_setup(void **state) {
    if (tiny_run_setup(state) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    return setenv("XDG_CACHE_HOME", *state, 1);
}

int selftest_setup_case(void **state) {
    (void)unsetenv("ADELE_SIMT_PLANT");
    (void)unsetenv("SIMT_LIBRARIES");
    (void)unsetenv("ADELE_SELFTEST");
    n_warnings = 0;
    log_set_sink(count_warning, NULL);
    check_ok(file_remove_tree(scratch_path(state, "adele")));
    return 0;
}

int selftest_teardown_case(void **state) {
    (void)state;
    log_set_sink(NULL, NULL);
    return 0;
}

void plant(const char *fault) {
    assert_int_equal(setenv("ADELE_SIMT_PLANT", fault, 1), 0);
}

void install_libraries(void) {
    assert_int_equal(setenv("SIMT_LIBRARIES", "all", 1), 0);
}

struct selftest_options options_of(uint64_t only) {
    return (struct selftest_options){.program = THIS_PROGRAM,
                                     .device = "simt",
                                     .seconds = LONG_SECONDS,
                                     .stall_seconds = LONG_SECONDS,
                                     .only = only};
}

void edit_verdicts(void *const *state, const char *from, const char *to) {
    char *text = NULL;
    size_t bytes = 0;
    char path[4096];
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "adele/selftest.txt"));
    check_ok(file_read(path, 0, &text, &bytes));
    char *at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    check_ok(file_write(path, text, bytes));
    memory_free(text);
}

const struct adele_conv2d_desc selftest_conv2d = {.n = 1,
                                                  .c_in = 16,
                                                  .h_in = 8,
                                                  .w_in = 8,
                                                  .c_out = 16,
                                                  .kernel = 3,
                                                  .stride = 1,
                                                  .pad = 1,
                                                  .dilation = 1};

void assert_verdict_changes_engine(const char *device_name, const struct verdict *verdict,
                                   const char *before, const char *after) {
    const char *const engines[] = {before, after};
    for (int i = 0; i < 2; i++) {
        struct adele_device *device = NULL;
        struct adele_op *op = NULL;
        check_ok(adele_device_open(device_name, ADELE_PRECISION_FP32, &device));
        check_ok(device->iface->conv2d_create(device, &selftest_conv2d, &op));
        assert_string_equal(op->engine, engines[i]);
        device->iface->op_destroy(op);
        adele_device_close(device);
        verdict_put("simt", verdict);
    }
}
