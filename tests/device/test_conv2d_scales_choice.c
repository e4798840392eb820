// SPDX-License-Identifier: MIT
// The convolution of a layer at all scales as one op: on which devices and for which layers there
// is one, and what it refuses. Its results: test_conv2d_scales.c.
#include "base/memory.h"
#include "device/families.h"
#include "selftest/cases.h"
#include "support/hopper.h"
#include "support/scales_problem.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// ---- errors -------------------------------------------------------------------------------------

// A second scale that differs from the first in more than its size.
static void check_differing(struct scales *scales, struct adele_conv2d_desc desc) {
    struct adele_device *device = scales->runs[0].arena.device;
    struct adele_op *own = scales->ops[1], *joint = scales->joint;
    check_ok(device->iface->conv2d_create(device, &desc, &scales->ops[1]));
    assert_int_equal(scales_create_joint(scales, &joint), ADELE_INVALID_ARGUMENT);
    assert_null(joint);
    device->iface->op_destroy(scales->ops[1]);
    scales->ops[1] = own;
}

static void check_descriptors(struct scales *scales) {
    const struct adele_conv2d_desc own = scales->runs[1].problem.desc.conv2d;
    for (int i = 0; i < 11; i++) {
        struct adele_conv2d_desc desc = own;
        desc.n += i == 0;
        desc.c_in += i == 1 ? 64 : 0;
        desc.c_out += i == 2 ? 64 : 0;
        desc.kernel -= i == 3 ? 2 : 0;
        desc.stride += i == 4;
        desc.pad += i == 5;
        desc.dilation += i == 6;
        desc.has_bias = desc.has_bias != (i == 7);
        desc.needs_d_src = i != 8;
        desc.is_training = i != 9;
        desc.precision = i == 10 ? ADELE_PRECISION_FP32 : own.precision;
        check_differing(scales, desc);
    }
}

static void check_numbers(struct scales *scales) {
    struct adele_device *device = scales->runs[0].arena.device;
    struct adele_op *ops[ADELE_MAX_SCALES + 1], *joint = scales->joint;
    for (int i = 0; i <= ADELE_MAX_SCALES; i++)
        ops[i] = scales->ops[i % 2];
    for (int n = 0; n <= ADELE_MAX_SCALES + 1; n += n == 1 ? ADELE_MAX_SCALES : 1) {
        assert_int_equal(device->iface->conv2d_scales_create(device, n, ops, &joint),
                         ADELE_INVALID_ARGUMENT);
        assert_null(joint);
    }
    ops[1] = scales->joint; // of all scales, and so not of one
    assert_int_equal(device->iface->conv2d_scales_create(device, 2, ops, &joint),
                     ADELE_INVALID_ARGUMENT);
    assert_null(joint);
}

// With the 1st, 2nd, ... allocation failing there is no op, until one attempt meets no failure.
static void check_allocations(struct scales *scales) {
    adele_status status = ADELE_NO_MEMORY;
    long i = 0;
    for (; i < 100 && status != ADELE_OK; i++) {
        struct adele_op *joint = NULL;
        memory_fail_at(i);
        status = scales_create_joint(scales, &joint);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
        assert_int_equal(joint != NULL, status == ADELE_OK);
        scales->runs[0].arena.device->iface->op_destroy(joint);
    }
    assert_in_range(i, 2, 99);
}

// A second scale whose args differ in what all must share.
static void check_args(struct scales *scales) {
    const struct adele_device_iface *iface = scales->runs[0].arena.device->iface;
    struct adele_conv2d_args *args = &scales->runs[1].device.conv2d;
    const struct adele_conv2d_args own = *args;
    for (int i = 0; i < 6; i++) {
        *args = own;
        args->weight += i == 0;
        args->bias += i == 1;
        args->d_weight += i == 2;
        args->d_bias += i == 3;
        args->accumulate_d_src = own.accumulate_d_src != (i == 4);
        args->d_src = i == 5 ? NULL : own.d_src;
        assert_int_equal(
            iface->conv2d_scales_forward(scales->joint, scales->args, scales->workspace),
            ADELE_INVALID_ARGUMENT);
        assert_int_equal(
            iface->conv2d_scales_backward(scales->joint, scales->args, scales->workspace),
            ADELE_INVALID_ARGUMENT);
    }
    *args = own;
}

static void check_errors(struct adele_device *device) {
    struct scales scales;
    if (!hopper_is_tuned(device))
        return;
    scales_open(&scales, device, &scales_small, true, false);
    check_args(&scales);
    check_descriptors(&scales);
    check_numbers(&scales);
    check_allocations(&scales);
    scales_close(&scales);
}

// ---- the choice ---------------------------------------------------------------------------------

// Whether there is a joint op of the row's scales, for training or for inference, whose engine has
// the row's text; its backward pass is refused in the latter.
static bool is_joint(struct adele_device *device, const struct scales_case *row, bool is_training) {
    const struct adele_device_iface *iface = device->iface;
    struct adele_op *ops[ADELE_MAX_SCALES] = {NULL}, *joint = NULL;
    for (int i = 0; i < row->n_scales; i++) {
        struct adele_conv2d_desc desc = scales_desc_of(row, i);
        desc.is_training = is_training;
        check_ok(iface->conv2d_create(device, &desc, &ops[i]));
    }
    check_ok(iface->conv2d_scales_create(device, row->n_scales, ops, &joint));
    bool is_there = joint != NULL;
    if (is_there && row->engine != NULL && strstr(joint->engine, row->engine) == NULL)
        fail_msg("\"%s\" instead of \"%s\"", joint->engine, row->engine);
    if (is_there && !is_training)
        assert_int_equal(iface->conv2d_scales_backward(joint, NULL, NULL), ADELE_INVALID_ARGUMENT);
    iface->op_destroy(joint);
    for (int i = 0; i < row->n_scales; i++)
        iface->op_destroy(ops[i]);
    return is_there;
}

// What no kernel of Hopper runs is left to the scales' own ops, and so is what a disabled family
// would run; and a weight gradient of large maps, whose boxes of equal numbers of pixels would cost
// more than one launch spares.
#define BIT(family) ((uint64_t)1 << ADELE_FAMILY_##family)
static void check_choice(struct adele_device *device) {
    static const struct {
        struct scales_case scales;
        bool is_training, is_joint;
        uint64_t disabled;
    } rows[] = {
#define USUAL(c_in, stride, engine)                                                                \
    {{1, c_in, 64, 3, stride, 1, 1}, 2, {{9, 9}, {5, 7}}, NULL, NULL, engine}
        {USUAL(64, 1, "d_src wgmma bf16 128x64, d_weight wgmma bf16 128x64"), true, true, 0},
        {USUAL(64, 1, "dst wgmma bf16 128x64, d_src none, d_weight none"), false, true, 0},
        {USUAL(64, 2, "dst one by one, d_src wgmma bf16 128x64, d_weight wgmma"), true, true, 0},
        {USUAL(64, 2, NULL), false, false, 0},
        {USUAL(40, 1, NULL), true, false, 0},
        {USUAL(64, 1, NULL), true, false, BIT(conv2d_scales)},
        {USUAL(64, 1, "d_src one by one, d_weight wgmma"), true, true, BIT(conv2d_hopper)},
        {USUAL(64, 1, "d_weight one by one"), true, true, BIT(weight_gradient_hopper)},
        {USUAL(64, 1, NULL), true, false, BIT(conv2d_hopper) | BIT(weight_gradient_hopper)},
#undef USUAL
        {{{9, 2048, 64, 3, 1, 24, 24},
          3,
          {{40, 40}, {56, 56}, {73, 73}},
          NULL,
          NULL,
          "d_weight one by one"},
         true,
         true,
         0},
    };
    const bool is_tuned = hopper_is_tuned(device);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        device->disabled_families = rows[i].disabled;
        assert_int_equal(is_joint(device, &rows[i].scales, rows[i].is_training),
                         is_tuned && rows[i].is_joint);
    }
    device->disabled_families = 0;
}

// The cases of the self-test run the joint op and all of its launches: they pass without it, too,
// and the faults that test_selftest_kernels plants are in kernels of the scales' own ops as well.
static void check_selftest(struct adele_device *device) {
    const struct adele_device_iface *iface = device->iface;
    int n_cases = 0;
    if (!hopper_is_tuned(device))
        return;
    for (int i = 0; i < selftest_n_small_cases; i++) {
        const struct selftest_case *item = &selftest_small_cases[i];
        struct adele_op *ops[CASE_SCALES] = {NULL}, *joint = NULL;
        if (item->family != ADELE_FAMILY_conv2d_scales)
            continue;
        if (item->tile != NULL)
            setenv("ADELE_CONV2D_TILE", item->tile, 1);
        for (int k = 0; k < CASE_SCALES; k++) {
            struct adele_conv2d_desc desc;
            case_conv2d_scale(item->desc, k, &desc);
            desc.precision = ADELE_PRECISION_BF16;
            check_ok(iface->conv2d_create(device, &desc, &ops[k]));
        }
        check_ok(iface->conv2d_scales_create(device, CASE_SCALES, ops, &joint));
        assert_non_null(joint);
        if (strstr(joint->engine, "d_src wgmma") == NULL ||
            strstr(joint->engine, "d_weight wgmma") == NULL)
            fail_msg("\"%s\"", joint->engine);
        iface->op_destroy(joint);
        for (int k = 0; k < CASE_SCALES; k++)
            iface->op_destroy(ops[k]);
        unsetenv("ADELE_CONV2D_TILE");
        n_cases++;
    }
    assert_int_equal(n_cases, 3);
}

// On each device: the CPU has no such op, and other GPUs get none.
static void check_others(struct adele_device *device) {
    const struct adele_device_iface *iface = device->iface;
    struct adele_op *op = NULL;
    if (iface->conv2d_scales_create == NULL) {
        assert_true(iface->conv2d_scales_forward == NULL && iface->conv2d_scales_backward == NULL);
        print_message("%s: no op for all scales of a convolution\n", iface->name);
        return;
    }
    struct adele_conv2d_desc desc = scales_desc_of(&scales_small, 0);
    check_ok(iface->conv2d_create(device, &desc, &op));
    bool is_hopper = strstr(op->engine, "wgmma") != NULL;
    iface->op_destroy(op);
    assert_true(is_joint(device, &scales_small, true) == is_hopper);
    if (!is_hopper)
        print_message("%s: no op for all scales of a convolution\n", device->description);
}

// Before the self-test has run to its end, a device of the program has no kernel of Hopper.
static void check_untested(struct adele_device *device) {
    struct adele_device *opened = NULL;
    if (strcmp(device->instruction_set, "sm_90") != 0 || !hopper_is_tuned(device))
        return;
    setenv("HOME", "", 1); // no verdict is found
    unsetenv("XDG_CACHE_HOME");
    check_ok(adele_device_open("cuda/direct", ADELE_PRECISION_BF16, &opened));
    assert_true(opened->disabled_families == families_of_hopper());
    assert_false(is_joint(opened, &scales_small, true));
    adele_device_close(opened);
}

ON_EACH_HOPPER(errors)
ON_EACH_HOPPER(choice)
ON_EACH_HOPPER(selftest)
ON_EACH_HOPPER(untested)
ON_EACH_DEVICE(others)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others),   cmocka_unit_test(test_choice),
        cmocka_unit_test(test_errors),   cmocka_unit_test(test_untested),
        cmocka_unit_test(test_selftest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
