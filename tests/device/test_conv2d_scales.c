// SPDX-License-Identifier: MIT
// The convolution of a layer at all scales as one op: against the reference, and against the
// scales' own ops. Only the kernels of Hopper have it (support/hopper.h).
#include "base/memory.h"
#include "device/families.h"
#include "reference/reference.h"
#include "selftest/cases.h"
#include "support/conv2d_problem.h"
#include "support/hopper.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// All scales have the weights, the biases and their gradients of the first.
struct scales {
    int n;
    struct op_run runs[ADELE_MAX_SCALES];
    struct adele_op *ops[ADELE_MAX_SCALES], *joint;
    const struct adele_conv2d_args *args[ADELE_MAX_SCALES];
    void *workspace; // of the joint op
};

// n, c_in, c_out, kernel, stride, pad, dilation; height and width of each scale; the tile and the
// blocks that it gets, and what the joint op's engine says.
struct scales_case {
    int layer[7], n_scales, sizes[ADELE_MAX_SCALES][2];
    const char *tile, *blocks, *engine;
};

static struct adele_conv2d_desc desc_of(const struct scales_case *row, int i) {
    const int *of = row->layer, *size = row->sizes[i];
    const int whole[] = {of[0], of[1], size[0], size[1], of[2], of[3], of[4], of[5], of[6]};
    struct adele_conv2d_desc desc = conv2d_desc_of(whole);
    desc.precision = ADELE_PRECISION_BF16;
    return desc;
}

static adele_status create_joint(struct scales *scales, struct adele_op **out) {
    const struct adele_device *device = scales->runs[0].arena.device;
    return device->iface->conv2d_scales_create(device, scales->n, scales->ops, out);
}

static void scales_open(struct scales *scales, struct adele_device *device,
                        const struct scales_case *row, bool has_bias, bool accumulate) {
    *scales = (struct scales){.n = row->n_scales};
    for (int i = 0; i < scales->n; i++) {
        struct op_run *run = &scales->runs[i];
        struct adele_conv2d_desc desc = desc_of(row, i);
        desc.has_bias = has_bias;
        conv2d_open(run, device, desc, accumulate);
        for (int j = 0; j < 2; j++) {
            struct adele_conv2d_args *args = j == 0 ? &run->host.conv2d : &run->device.conv2d;
            const struct adele_conv2d_args *first =
                j == 0 ? &scales->runs[0].host.conv2d : &scales->runs[0].device.conv2d;
            args->weight = first->weight;
            args->bias = first->bias;
            args->d_weight = first->d_weight;
            args->d_bias = first->d_bias;
        }
        scales->ops[i] = run->op;
        scales->args[i] = &run->device.conv2d;
    }
    check_ok(create_joint(scales, &scales->joint));
    if (scales->joint == NULL)
        fail_msg("no joint op where the first one's engine is \"%s\"", scales->ops[0]->engine);
    scales->workspace = arena_workspace(&scales->runs[0].arena, scales->joint);
}

static void scales_close(struct scales *scales) {
    scales->runs[0].arena.device->iface->op_destroy(scales->joint);
    for (int i = 0; i < scales->n; i++)
        op_close(&scales->runs[i]);
}

// Gradients that are added to begin as they did; what is overwritten is NaN before.
static void start(struct scales *scales) {
    for (int i = 0; i < scales->n; i++) {
        struct op_run *run = &scales->runs[i];
        const struct adele_device *device = run->arena.device;
        const struct adele_conv2d_args *args = &run->device.conv2d;
        check_ok(device->iface->fill(device, args->dst, 0xff,
                                     device->iface->tensor_bytes(device, op_shape(run, "dst"))));
        if (args->accumulate_d_src)
            op_set(run, "d_src", NULL);
        else
            check_ok(
                device->iface->fill(device, args->d_src, 0xff,
                                    device->iface->tensor_bytes(device, op_shape(run, "d_src"))));
    }
    op_set(&scales->runs[0], "d_weight", NULL);
    if (scales->args[0]->d_bias != NULL)
        op_set(&scales->runs[0], "d_bias", NULL);
}

// Nothing that was in the workspace may be read.
static void run_joint(struct scales *scales) {
    const struct adele_device *device = scales->runs[0].arena.device;
    const struct adele_device_iface *iface = device->iface;
    struct adele_op *joint = scales->joint;
    check_ok(iface->fill(device, scales->workspace, 0xff, joint->workspace_bytes));
    check_ok(iface->conv2d_scales_forward(joint, scales->args, scales->workspace));
    check_ok(iface->fill(device, scales->workspace, 0xff, joint->workspace_bytes));
    check_ok(iface->conv2d_scales_backward(joint, scales->args, scales->workspace));
}

static void compare_with_reference(struct scales *scales) {
    double n_pixels = 0.0;
    for (int i = 0; i < scales->n; i++) {
        struct op_run *run = &scales->runs[i];
        reference_conv2d_forward(&run->problem.desc.conv2d, &run->host.conv2d);
        reference_conv2d_backward(&run->problem.desc.conv2d, &run->host.conv2d);
        conv2d_compare_dst(run);
        conv2d_compare_d_src(run);
        n_pixels += conv2d_n_pixels(run);
    }
    conv2d_compare_gradients(&scales->runs[0], n_pixels);
}

// ---- all passes ---------------------------------------------------------------------------------

// Two to four scales. One pixel, prime extents, and one pixel less than, as many as and one more
// than a box has; taps in the padding, of a small scale more than of a large one; matrix products;
// several images in a box, and of the gradient's box in another scale one; more tiles than blocks,
// more steps than stages, several tiles of channels; parities of rows and columns that the second
// of three scales lacks, and parities without a tap; tiles without a live tap; tiles that are
// split, a scale's first and last among them.
static const struct scales_case cases[] = {
    {{1, 64, 64, 3, 1, 1, 1},
     2,
     {{9, 7}, {5, 7}},
     "128x64",
     "4",
     "dst wgmma bf16 128x64, d_src wgmma bf16 128x64, d_weight wgmma bf16 128x64"},
    {{2, 64, 64, 3, 2, 1, 1},
     3,
     {{17, 19}, {1, 1}, {12, 7}},
     "128x64",
     "4",
     "dst one by one, d_src wgmma bf16 128x64, d_weight one by one"},
    {{2, 64, 64, 3, 2, 1, 1},
     3,
     {{17, 19}, {7, 9}, {12, 7}},
     "128x64",
     "4",
     "dst one by one, d_src wgmma bf16 128x64, d_weight wgmma bf16 128x64"},
    {{3, 64, 64, 3, 1, 6, 6},
     3,
     {{13, 14}, {5, 7}, {11, 17}},
     "128x64",
     "4",
     "dst wgmma bf16 128x64, d_src wgmma bf16 128x64, d_weight wgmma bf16 128x64"},
    {{1, 64, 128, 1, 1, 0, 1},
     4,
     {{1, 127}, {8, 16}, {1, 61}, {3, 43}},
     "128x128",
     "4",
     "dst wgmma bf16 128x128, d_src wgmma bf16 128x128, d_weight wgmma bf16 128x128"},
    {{1, 128, 192, 3, 1, 1, 1},
     3,
     {{5, 5}, {11, 13}, {4, 5}},
     "128x256",
     "2",
     "dst wgmma bf16 128x256, d_src wgmma bf16 128x256, d_weight wgmma bf16 128x256"},
    {{2, 64, 64, 3, 1, 1, 1},
     2,
     {{3, 4}, {5, 8}},
     "128x64",
     "4",
     "dst wgmma bf16 128x64, d_src wgmma bf16 128x64, d_weight wgmma bf16 128x64"},
    {{1, 64, 64, 1, 2, 0, 1},
     2,
     {{9, 10}, {1, 13}},
     "128x64",
     "4",
     "dst one by one, d_src wgmma bf16 128x64, d_weight wgmma bf16 128x64"},
    {{1, 64, 64, 3, 1, 12, 2},
     2,
     {{4, 4}, {2, 3}},
     "128x64",
     "4",
     "dst wgmma bf16 128x64, d_src wgmma bf16 128x64, d_weight wgmma bf16 128x64"},
    {{1, 64, 64, 3, 1, 1, 1},
     3,
     {{9, 7}, {6, 5}, {14, 10}},
     "128x64 split",
     "8",
     "dst wgmma bf16 128x64 split, d_src wgmma bf16 128x64 split, d_weight wgmma bf16 128x64"},
    {{2, 64, 64, 3, 2, 1, 1},
     2,
     {{9, 11}, {17, 12}},
     "128x64 split",
     "8",
     "dst one by one, d_src wgmma bf16 128x64 split, d_weight wgmma bf16 128x64"},
    {{1, 448, 320, 1, 1, 0, 1},
     2,
     {{17, 16}, {7, 9}},
     "128x128 split",
     "8",
     "dst wgmma bf16 128x128 split, d_src wgmma bf16 128x128, d_weight wgmma bf16 128x128"},
};

// The bits of each scale's own op, whose tiles add up the same products in the same order.
static void compare_with_own(struct scales *scales, float *const dst[], float *const d_src[]) {
    if (strstr(scales->joint->engine, "split") != NULL)
        return;
    for (int i = 0; i < scales->n; i++) {
        op_compare_bits(&scales->runs[i], "dst", dst[i]);
        op_compare_bits(&scales->runs[i], "d_src", d_src[i]);
    }
}

static void check_case(struct adele_device *device, const struct scales_case *row, bool has_bias,
                       bool accumulate) {
    struct scales scales;
    float *dst[ADELE_MAX_SCALES], *d_src[ADELE_MAX_SCALES], *d_bias = NULL;
    hopper_choose(row->tile, row->blocks);
    scales_open(&scales, device, row, has_bias, accumulate);
    if (strstr(scales.joint->engine, row->engine) == NULL)
        fail_msg("\"%s\" instead of \"%s\"", scales.joint->engine, row->engine);
    for (int i = 0; i < scales.n; i++) {
        op_forward(&scales.runs[i]);
        op_backward(&scales.runs[i]);
        dst[i] = op_result(&scales.runs[i], "dst");
        d_src[i] = op_result(&scales.runs[i], "d_src");
    }
    if (has_bias)
        d_bias = op_result(&scales.runs[0], "d_bias");
    start(&scales);
    run_joint(&scales);
    compare_with_own(&scales, dst, d_src);
    if (has_bias)
        op_compare_bits(&scales.runs[0], "d_bias", d_bias); // added scale by scale, in order
    compare_with_reference(&scales);
    scales_close(&scales);
    hopper_choose_nothing();
}

static void check_passes(struct adele_device *device) {
    if (!hopper_is_tuned(device))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int *layer = cases[i].layer;
        // Parities and tiles without a tap: zeros are written, or d_src is left as it is.
        bool leaves_out = layer[4] > 1 || layer[5] > layer[6] * (layer[3] - 1);
        check_case(device, &cases[i], i % 2 == 0, i % 3 != 0);
        if (leaves_out)
            check_case(device, &cases[i], i % 2 == 0, i % 3 == 0);
    }
}

// ---- arguments ----------------------------------------------------------------------------------

static const struct scales_case small = {
    {1, 64, 64, 3, 1, 1, 1}, 2, {{5, 3}, {4, 7}}, NULL, NULL, NULL};

// Packed by the op `pack`, as all convolutions of a network are.
static const void *pack(struct scales *scales) {
    struct arena *arena = &scales->runs[0].arena;
    const struct adele_conv2d_desc *desc = &scales->runs[0].problem.desc.conv2d;
    const size_t bytes = scales->ops[0]->packed_bytes;
    struct adele_pack_item item = {0, 0, (int64_t)bytes, desc->c_out, desc->c_in, desc->kernel};
    const struct adele_pack_desc all = {1, &item, desc->precision};
    struct adele_pack_args args = {scales->args[0]->weight, arena_upload(arena, NULL, bytes)};
    struct adele_op *op = NULL;
    assert_true(bytes > 0);
    check_ok(arena->device->iface->pack_create(arena->device, &all, &op));
    check_ok(arena->device->iface->pack_forward(op, &args));
    arena->device->iface->op_destroy(op);
    return args.packed;
}

// Weights that are packed already give the same bits as those that each pass packs.
static void check_packed(struct adele_device *device) {
    struct scales scales;
    if (!hopper_is_tuned(device))
        return;
    scales_open(&scales, device, &small, true, false);
    run_joint(&scales);
    const float *dst = op_result(&scales.runs[1], "dst"),
                *d_src = op_result(&scales.runs[1], "d_src");
    start(&scales);
    const void *packed = pack(&scales);
    for (int i = 0; i < scales.n; i++)
        scales.runs[i].device.conv2d.packed_weight = packed;
    run_joint(&scales);
    op_compare_bits(&scales.runs[1], "dst", dst);
    op_compare_bits(&scales.runs[1], "d_src", d_src);
    compare_with_reference(&scales);
    scales_close(&scales);
}

// Where no gradient of the sources is wanted, those of the weights are the same.
static void check_without_d_src(struct adele_device *device) {
    struct scales scales;
    if (!hopper_is_tuned(device))
        return;
    scales_open(&scales, device, &small, true, false);
    run_joint(&scales);
    const float *d_weight = op_result(&scales.runs[0], "d_weight");
    start(&scales);
    for (int i = 0; i < scales.n; i++)
        scales.runs[i].device.conv2d.d_src = NULL;
    run_joint(&scales);
    op_compare_bits(&scales.runs[0], "d_weight", d_weight);
    scales_close(&scales);
}

// A step that is launched op by op, one that is recorded, and one for which the record is changed,
// because a scale has another dst.
static void check_recorded(struct adele_device *device) {
    struct scales scales;
    const float *first = NULL, *d_first = NULL, *d_weight = NULL;
    if (!hopper_is_tuned(device))
        return;
    scales_open(&scales, device, &small, false, true);
    for (int step = 0; step < 3; step++) {
        if (step == 2)
            scales.runs[1].device.conv2d.dst =
                arena_tensor(&scales.runs[1].arena, op_shape(&scales.runs[1], "dst"), NULL);
        start(&scales);
        check_ok(device->iface->step_begin(device, 0));
        check_ok(device->iface->conv2d_scales_forward(scales.joint, scales.args, scales.workspace));
        check_ok(
            device->iface->conv2d_scales_backward(scales.joint, scales.args, scales.workspace));
        check_ok(device->iface->step_end(device, true));
        check_ok(device->iface->synchronize(device));
        if (step == 0) {
            first = op_result(&scales.runs[1], "dst");
            d_first = op_result(&scales.runs[1], "d_src");
            d_weight = op_result(&scales.runs[0], "d_weight");
        }
        op_compare_bits(&scales.runs[1], "dst", first);
        op_compare_bits(&scales.runs[1], "d_src", d_first);
        op_compare_bits(&scales.runs[0], "d_weight", d_weight);
    }
    compare_with_reference(&scales);
    scales_close(&scales);
}

// ---- errors -------------------------------------------------------------------------------------

// A second scale that differs from the first in more than its size.
static void check_differing(struct scales *scales, struct adele_conv2d_desc desc) {
    struct adele_device *device = scales->runs[0].arena.device;
    struct adele_op *own = scales->ops[1], *joint = scales->joint;
    check_ok(device->iface->conv2d_create(device, &desc, &scales->ops[1]));
    assert_int_equal(create_joint(scales, &joint), ADELE_INVALID_ARGUMENT);
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
        status = create_joint(scales, &joint);
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
    scales_open(&scales, device, &small, true, false);
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
        struct adele_conv2d_desc desc = desc_of(row, i);
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
    struct adele_conv2d_desc desc = desc_of(&small, 0);
    check_ok(iface->conv2d_create(device, &desc, &op));
    bool is_hopper = strstr(op->engine, "wgmma") != NULL;
    iface->op_destroy(op);
    assert_true(is_joint(device, &small, true) == is_hopper);
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
    assert_false(is_joint(opened, &small, true));
    adele_device_close(opened);
}

ON_EACH_HOPPER(passes)
ON_EACH_HOPPER(packed)
ON_EACH_HOPPER(without_d_src)
ON_EACH_HOPPER(recorded)
ON_EACH_HOPPER(errors)
ON_EACH_HOPPER(choice)
ON_EACH_HOPPER(selftest)
ON_EACH_HOPPER(untested)
ON_EACH_DEVICE(others)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others),        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_errors),        cmocka_unit_test(test_untested),
        cmocka_unit_test(test_selftest),      cmocka_unit_test(test_packed),
        cmocka_unit_test(test_without_d_src), cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
