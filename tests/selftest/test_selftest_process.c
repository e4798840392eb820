// SPDX-License-Identifier: MIT
// The self-test's parent, which starts a child: correct kernels pass, and what a child found that
// crashes, hangs or has no time left is kept; and the verb `selftest`. This program is the command
// line too, which is started as the child.
#include "cli/cli.h"
#include "device/verdict.h"
#include "selftest/selftest.h"
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

static void correct_kernels_pass_once(void **state) {
    SKIP_WITHOUT_EMULATOR();
    struct selftest_options options = options_of(ALL_FAMILIES);
    char config[4096];
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    options.config = config;
    assert_int_equal(setenv("ADELE_SELFTEST", "600", 1), 0); // seconds
    check_ok(selftest_before_training(&options));
    assert_int_equal(selftest_n_warnings(), 0);
    struct verdict verdict;
    assert_true(verdict_find("simt", &verdict));
    assert_true(verdict.is_complete && verdict.left_out == 0);
    options.program = NO_PROGRAM;
    check_ok(selftest_before_training(&options)); // nothing is started
    // What is damaged, or of another build, is no verdict.
    edit_verdicts(state, "program ", "Program ");
    assert_int_equal(selftest_before_training(&options), ADELE_IO);
    edit_verdicts(state, "Program ", "program ");
    check_ok(selftest_before_training(&options));
    edit_verdicts(state, "complete: ;", "complete; :");
    assert_int_equal(selftest_before_training(&options), ADELE_IO);
}

static void a_crash_ends_the_child_alone(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options =
        options_of(FAMILY_BIT(add) | FAMILY_BIT(max_pool) | FAMILY_BIT(count));
    struct selftest_result result;
    plant("crash:max_pool.cu:pool_backward_halves");
    check_ok(selftest_run(&options, &result));
    assert_true(result.is_complete);
    assert_true(result.left_out == FAMILY_BIT(max_pool));
    assert_true(result.tested == options.only);
    assert_int_equal(result.n_findings, 1);
    assert_int_equal(result.findings[0].fault, SELFTEST_CRASHED);
    assert_string_equal(result.findings[0].text, "max_pool, fp32");
    struct verdict verdict;
    assert_false(verdict_find("simt", &verdict)); // part of the families is no verdict
}

// Ended after ten seconds; nothing else of this child could take so long.
static void a_hang_is_ended(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options = options_of(FAMILY_BIT(concat));
    struct selftest_result result;
    options.stall_seconds = 10.0;
    plant("hang:concat.cu:concat_forward_kernel<T, true");
    check_ok(selftest_run(&options, &result));
    assert_true(result.is_complete);
    assert_true(result.left_out == FAMILY_BIT(concat));
    assert_int_equal(result.findings[0].fault, SELFTEST_HUNG);
}

// A library that crashes or hangs ends its child alone, and from then on no engine takes it.
static void a_faulty_library_is_left_out(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options = options_of(FAMILY_BIT(cublas) | FAMILY_BIT(cudnn));
    struct selftest_result result;
    install_libraries();
    plant("crash:cudnn:execute");
    check_ok(selftest_run(&options, &result));
    assert_true(result.is_complete);
    assert_true(result.left_out == FAMILY_BIT(cudnn));
    assert_int_equal(result.findings[0].fault, SELFTEST_CRASHED);
    plant("hang:cublas:gemm");
    options.only = FAMILY_BIT(cublas);
    options.stall_seconds = 10.0;
    check_ok(selftest_run(&options, &result));
    assert_true(result.is_complete);
    assert_true(result.left_out == FAMILY_BIT(cublas));
    assert_int_equal(result.findings[0].fault, SELFTEST_HUNG);

    const struct verdict verdict = {true, FAMILY_BIT(cudnn)};
    assert_verdict_changes_engine("simt/cudnn", &verdict, "dst cudnn, d_src none, d_weight none",
                                  "direct: fma fp32 128x32");
}

static void time_that_is_up_leaves_the_rest_for_later(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options = options_of(ALL_FAMILIES);
    struct selftest_result result;
    struct verdict verdict = {false, FAMILY_BIT(crf)};
    verdict_put("simt", &verdict);
    options.seconds = 1e-9;
    check_ok(selftest_run(&options, &result));
    assert_false(result.is_complete);
    assert_true(verdict_find("simt", &verdict));
    assert_true(!verdict.is_complete && verdict.left_out == FAMILY_BIT(crf)); // still known
}

static void the_verb_prints_what_it_found(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct program_result result;
    plant("wrong:decide.cu:decide_kernel");
    const char *const argv[] = {THIS_PROGRAM, "selftest",     "--device", "simt",
                                "--only",     "decide,count", NULL};
    program_run(argv, &result);
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.out, "wrong    decide: decide, fp32: "));
    assert_non_null(strstr(result.out, "2 kernel families tested, 1 left out: decide\n"));
    program_result_deinit(&result);
    const char *const cpu[] = {THIS_PROGRAM, "selftest", "--device", "cpu", NULL};
    program_run(cpu, &result);
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "there is no GPU of that name"));
    program_result_deinit(&result);
    const char *const typo[] = {THIS_PROGRAM, "selftest", "--only", "conv2", NULL};
    program_run(typo, &result);
    assert_int_equal(result.code, 2);
    assert_non_null(strstr(result.err, "conv2d_mma"));
    program_result_deinit(&result);
}

int main(int argc, char **argv) {
    simt_devices_provide();
    if (argc > 1 && cli_verb_find(argv[1]) != NULL)
        return adele_main(argc, argv);
    const struct CMUnitTest tests[] = {
        SELFTEST_CASE(correct_kernels_pass_once),
        SELFTEST_CASE(a_crash_ends_the_child_alone),
        SELFTEST_CASE(a_hang_is_ended),
        SELFTEST_CASE(a_faulty_library_is_left_out),
        SELFTEST_CASE(time_that_is_up_leaves_the_rest_for_later),
        SELFTEST_CASE(the_verb_prints_what_it_found),
    };
    return cmocka_run_group_tests(tests, selftest_setup, scratch_teardown);
}
