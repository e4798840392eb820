// SPDX-License-Identifier: MIT
// The convolution of a layer at all scales as one op: against the reference, and against the
// scales' own ops. When there is such an op, and what it refuses: test_conv2d_scales_choice.c.
#include "support/hopper.h"
#include "support/scales_problem.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

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
    scales_start(&scales);
    scales_run(&scales);
    compare_with_own(&scales, dst, d_src);
    if (has_bias)
        op_compare_bits(&scales.runs[0], "d_bias", d_bias); // added scale by scale, in order
    scales_compare(&scales);
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
    scales_open(&scales, device, &scales_small, true, false);
    scales_run(&scales);
    const float *dst = op_result(&scales.runs[1], "dst"),
                *d_src = op_result(&scales.runs[1], "d_src");
    scales_start(&scales);
    const void *packed = pack(&scales);
    for (int i = 0; i < scales.n; i++)
        scales.runs[i].device.conv2d.packed_weight = packed;
    scales_run(&scales);
    op_compare_bits(&scales.runs[1], "dst", dst);
    op_compare_bits(&scales.runs[1], "d_src", d_src);
    scales_compare(&scales);
    scales_close(&scales);
}

// Where no gradient of the sources is wanted, those of the weights are the same.
static void check_without_d_src(struct adele_device *device) {
    struct scales scales;
    if (!hopper_is_tuned(device))
        return;
    scales_open(&scales, device, &scales_small, true, false);
    scales_run(&scales);
    const float *d_weight = op_result(&scales.runs[0], "d_weight");
    scales_start(&scales);
    for (int i = 0; i < scales.n; i++)
        scales.runs[i].device.conv2d.d_src = NULL;
    scales_run(&scales);
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
    scales_open(&scales, device, &scales_small, false, true);
    for (int step = 0; step < 3; step++) {
        if (step == 2)
            scales.runs[1].device.conv2d.dst =
                arena_tensor(&scales.runs[1].arena, op_shape(&scales.runs[1], "dst"), NULL);
        scales_start(&scales);
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
    scales_compare(&scales);
    scales_close(&scales);
}
ON_EACH_HOPPER(passes)
ON_EACH_HOPPER(packed)
ON_EACH_HOPPER(without_d_src)
ON_EACH_HOPPER(recorded)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_without_d_src),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
