// SPDX-License-Identifier: MIT
// The families of kernels, the file of verdicts on them, who is tested at all, and what an op runs
// once a family is left out.
#include "device/engine_cache.h"
#include "device/verdict.h"
#include "selftest/child.h"
#include "selftest/selftest.h"
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

static void families_are_named(void **state) {
    (void)state;
    char text[2048];
    uint64_t families = 0, all = family_bit(ADELE_FAMILY_COUNT) - 1;
    families_print(ALL_FAMILIES, text, sizeof text);
    assert_true(families_parse(text, &families));
    assert_true(families == all);
    families_print(FAMILY_BIT(conv2d_mma) | FAMILY_BIT(loss_fused), text, sizeof text);
    assert_string_equal(text, "conv2d_mma, loss_fused");
    assert_true(families_parse("conv2d_mma,loss_fused", &families));
    assert_true(families == (FAMILY_BIT(conv2d_mma) | FAMILY_BIT(loss_fused)));
    assert_true(families_parse("", &families));
    assert_true(families == 0);
    assert_false(families_parse("conv2d", &families));
    assert_false(families_parse("conv2d_mma,", &families));
    families_print(ALL_FAMILIES, text, 12); // cut off, not written beyond
    assert_int_equal(strlen(text), 11);
}

static void every_op_has_a_family_and_a_case(void **state) {
    (void)state;
    for (int op = 0; op < ADELE_OP_COUNT; op++) {
        bool has_case = false;
        for (int i = 0; i < selftest_n_small_cases; i++)
            has_case = has_case || (int)selftest_small_cases[i].op == op;
        assert_true(has_case);
        assert_true(families_of_op((enum adele_op_kind)op) != 0);
    }
}

static void a_verdict_is_kept(void **state) {
    const struct verdict some = {true, FAMILY_BIT(conv2d_fma) | FAMILY_BIT(loss_fused)},
                         part = {false, FAMILY_BIT(add)};
    struct verdict found;
    assert_false(verdict_find("GPU, driver 1", &found));
    verdict_put("GPU, driver 1", &some);
    verdict_put("GPU, driver 2", &part);
    assert_true(verdict_find("GPU, driver 1", &found));
    assert_true(found.is_complete && found.left_out == some.left_out);
    assert_true(verdict_find("GPU, driver 2", &found));
    assert_true(!found.is_complete && found.left_out == part.left_out);
    assert_false(verdict_find("GPU, driver 3", &found));
    // A name that is damaged into another one is found by the hash.
    edit_verdicts(state, "conv2d_fma", "conv2d_mma");
    assert_false(verdict_find("GPU, driver 1", &found));
    assert_true(verdict_find("GPU, driver 2", &found));
    edit_verdicts(state, "program ", "progrem ");
    assert_false(verdict_find("GPU, driver 1", &found));
}

static void only_who_wants_it_is_tested(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options = options_of(ALL_FAMILIES);
    options.program = NO_PROGRAM;
    check_ok(selftest_before_training(&options)); // no GPU, and nobody asks
    assert_int_equal(setenv("ADELE_SELFTEST", "off", 1), 0);
    check_ok(selftest_before_training(&options));
    assert_int_equal(setenv("ADELE_SELFTEST", "on", 1), 0);
    assert_int_equal(selftest_before_training(&options), ADELE_IO);
    options.device = "cpu";
    check_ok(selftest_before_training(&options));
    struct selftest_result result;
    assert_int_equal(selftest_run(&options, &result), ADELE_UNSUPPORTED);
}

static void a_verdict_is_heeded(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    const struct verdict verdict = {true, FAMILY_BIT(conv2d_fma) | FAMILY_BIT(max_pool)};
    assert_verdict_changes_engine("simt", &verdict, "direct: fma fp32 128x32",
                                  "direct: plain fp32");
    assert_int_equal(setenv("ADELE_SELFTEST", "off", 1), 0);
    struct adele_device *device = NULL;
    check_ok(adele_device_open("simt", ADELE_PRECISION_FP32, &device));
    assert_true(device->disabled_families == 0);
    adele_device_close(device);
}

// With TF32 the next best of tensor cores is float; without packed weights a pass packs its own.
static void the_next_best_is_taken(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct adele_conv2d_desc desc = selftest_conv2d;
    desc.precision = ADELE_PRECISION_TF32;
    const struct {
        uint64_t left_out;
        const char *engine;
        bool is_packed;
    } rows[] = {{0, "direct: mma tf32 128x32", true},
                {FAMILY_BIT(conv2d_mma), "direct: fma fp32 128x32", true},
                {FAMILY_BIT(conv2d_mma) | FAMILY_BIT(conv2d_fma), "direct: plain fp32", false},
                {FAMILY_BIT(pack), "direct: mma tf32 128x32", false}};
    struct adele_device *device = NULL;
    check_ok(adele_device_open("simt", ADELE_PRECISION_FP32, &device));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct adele_op *op = NULL;
        device->disabled_families = rows[i].left_out;
        check_ok(device->iface->conv2d_create(device, &desc, &op));
        assert_string_equal(op->engine, rows[i].engine);
        assert_int_equal(op->packed_bytes > 0, rows[i].is_packed);
        device->iface->op_destroy(op);
    }
    struct adele_op *op = NULL;
    device->disabled_families =
        FAMILY_BIT(conv2d_mma) | FAMILY_BIT(conv2d_fma) | FAMILY_BIT(conv2d_plain);
    assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_DEVICE);
    assert_null(op);
    assert_non_null(strstr(adele_error_message(), "'conv2d_plain'"));
    assert_non_null(strstr(adele_error_hint(), "--device cpu"));
    adele_device_close(device);
}

int main(void) {
    simt_devices_provide();
    const struct CMUnitTest tests[] = {
        SELFTEST_CASE(families_are_named),  SELFTEST_CASE(every_op_has_a_family_and_a_case),
        SELFTEST_CASE(a_verdict_is_kept),   SELFTEST_CASE(only_who_wants_it_is_tested),
        SELFTEST_CASE(a_verdict_is_heeded), SELFTEST_CASE(the_next_best_is_taken),
    };
    return cmocka_run_group_tests(tests, selftest_setup, scratch_teardown);
}
