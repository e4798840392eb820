// SPDX-License-Identifier: MIT
// The self-test before a training: it goes on with the next best kernels, or is refused. This
// program is the command line, which starts itself as a child on the emulator.
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "device/verdict.h"
#include "selftest/selftest.h"
#include "support/compare.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/selftest_fixture.h"
#include "support/simt_devices.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int adele_main(int argc, char **argv);

static void train(void *const *state, const char *run, struct program_result *result) {
    char config[4096], folder[4096];
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, run));
    const char *const argv[] = {THIS_PROGRAM,
                                "train",
                                config,
                                "--run",
                                folder,
                                "--device",
                                "simt",
                                "--set",
                                "train.epochs=1",
                                "--set",
                                "loss.form=plain",
                                "--set",
                                "correction.enabled=false",
                                NULL};
    program_run(argv, result);
}

// The kernel stays planted: a training that launched it would crash.
static void training_goes_on_with_the_next_best(void **state) {
    SKIP_WITHOUT_EMULATOR();
    struct program_result result;
    assert_int_equal(setenv("ADELE_SELFTEST", "600", 1), 0); // seconds
    plant("crash:conv2d_fma.cu:fma_kernel");
    train(state, "first", &result);
    if (result.code != 0)
        fail_msg("exit code %d\n%.900s", result.code, result.err);
    assert_int_equal(count_of(result.err, "'conv2d_fma' are left out, for they crashed"), 1);
    assert_int_equal(count_of(result.err, "warning: "), 1);
    program_result_deinit(&result);
    char *text = NULL;
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, "first/config.resolved.yaml"), 0, &text, &bytes));
    assert_non_null(strstr(text, "engine direct without conv2d_fma"));
    memory_free(text);
    // Once: the verdict is there, and named again.
    train(state, "second", &result);
    assert_int_equal(result.code, 0);
    assert_int_equal(count_of(result.out, "once, at most"), 0);
    assert_int_equal(count_of(result.err, "that it found faulty are left out: conv2d_fma"), 1);
    program_result_deinit(&result);
    const char *const info[] = {THIS_PROGRAM, "info", "--device", "simt", NULL};
    program_run(info, &result);
    assert_non_null(strstr(result.out, "leaves out faulty kernels: conv2d_fma\n"));
    program_result_deinit(&result);
}

static void training_without_a_needed_kernel_is_refused(void **state) {
    SKIP_WITHOUT_EMULATOR();
    const struct verdict verdict = {true, FAMILY_BIT(sgd)};
    struct program_result result;
    verdict_put("simt", &verdict);
    train(state, "refused", &result);
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "found the kernels 'sgd' faulty"));
    assert_non_null(strstr(result.err, "hint: Use --device cpu."));
    program_result_deinit(&result);
}

int main(int argc, char **argv) {
    simt_devices_provide();
    if (argc > 1 && cli_verb_find(argv[1]) != NULL)
        return adele_main(argc, argv);
    const struct CMUnitTest tests[] = {
        SELFTEST_CASE(training_goes_on_with_the_next_best),
        SELFTEST_CASE(training_without_a_needed_kernel_is_refused),
    };
    return cmocka_run_group_tests(tests, selftest_setup, scratch_teardown);
}
