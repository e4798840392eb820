// SPDX-License-Identifier: MIT
// Convolutions by the kernels of Hopper (compute capability 9.0): forward pass, data gradient and
// weight gradient, at shapes that need every path of them. The emulator becomes such a GPU; the
// interpreter is one where PTX_SM is 90; a real GPU is what it is.
#include "device/families.h"
#include "support/conv2d_problem.h"
#include "support/hopper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const tiles[] = {"128x64", "128x128", "128x256"};

// ---- all passes ---------------------------------------------------------------------------------

// n, c_in, h, w, c_out, kernel, stride, pad, dilation; channels in multiples of 64: boxes of pixels
// over one and over several images, more steps than stages, taps and whole tiles in the padding,
// channels that do not fill the last tile.
static const int cases[][9] = {
    {1, 64, 9, 7, 64, 3, 1, 1, 1},      {2, 128, 13, 11, 64, 3, 1, 2, 2},
    {5, 64, 14, 13, 128, 3, 1, 6, 6},   {1, 64, 8, 16, 256, 1, 1, 0, 1},
    {2, 64, 15, 17, 192, 3, 1, 12, 12}, {5, 64, 25, 3, 64, 3, 1, 24, 24},
    {1, 256, 5, 5, 64, 3, 1, 1, 1},     {2, 64, 9, 15, 320, 1, 1, 0, 1},
    {1, 64, 6, 5, 64, 3, 1, 0, 1},      {1, 64, 5, 7, 64, 5, 1, 4, 2},
    {1, 64, 4, 4, 64, 3, 1, 12, 2},
};

static void check_passes(struct adele_device *device) {
    if (!hopper_is_tuned(device))
        return;
    // All tiles at the first three shapes, then one after the other.
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t j = 0; j < sizeof tiles / sizeof tiles[0]; j++) {
            struct adele_conv2d_desc desc = conv2d_desc_of(cases[i]);
            if (i >= 3 && i % 3 != j)
                continue;
            char engine[32];
            desc.precision = ADELE_PRECISION_BF16;
            desc.has_bias = (i + j) % 2 == 0;
            (void)snprintf(engine, sizeof engine, "direct: wgmma bf16 %s", tiles[j]);
            hopper_choose(tiles[j], "4");
            conv2d_check_engine(device, desc, engine);
            conv2d_check(device, desc, (i + j) % 3 == 0);
            hopper_choose_nothing();
        }
}

// ---- split tiles --------------------------------------------------------------------------------

// One tile for all blocks; pairs; taps in the padding; segments that begin and end within a tap's
// channels; channels that do not fill the last tile; whole tiles before those that are split; the
// parts of a data gradient with stride 2, of which some have no tap; tiles without a live tap,
// which stay whole.
static const struct {
    int shape[9];
    const char *tile, *blocks, *engine;
} split_cases[] = {
    {{1, 64, 9, 7, 64, 3, 1, 1, 1}, "128x64 split", "4", " split"},
    {{2, 128, 13, 11, 64, 3, 1, 2, 2}, "128x64 split", "6", " split"},
    {{5, 64, 14, 13, 128, 3, 1, 6, 6}, "128x128 split", "10", " split"},
    {{1, 256, 5, 5, 192, 3, 1, 1, 1}, "128x256 split", "5", " split"},
    {{1, 64, 5, 5, 128, 3, 1, 1, 1}, "128x128 split", "4", " split"},
    {{1, 64, 17, 16, 256, 3, 1, 1, 1}, "128x256 split", "6", " split"},
    {{1, 448, 17, 16, 320, 1, 1, 0, 1}, "128x128 split", "8", " split"},
    {{2, 64, 17, 19, 64, 3, 2, 1, 1}, "128x64 split", "4", " split"},
    {{1, 64, 8, 8, 320, 2, 2, 0, 1}, "128x64 split", "3", " split"},
    {{1, 64, 4, 4, 64, 3, 1, 12, 2},
     "128x64 split",
     "4",
     "dst wgmma bf16 128x64, d_src wgmma bf16 128x64 split"},
};

static void check_splits(struct adele_device *device) {
    if (!hopper_is_tuned(device))
        return;
    for (size_t i = 0; i < sizeof split_cases / sizeof split_cases[0]; i++) {
        struct adele_conv2d_desc desc = conv2d_desc_of(split_cases[i].shape);
        desc.precision = ADELE_PRECISION_BF16;
        desc.has_bias = i % 2 == 0;
        hopper_choose(split_cases[i].tile, split_cases[i].blocks);
        conv2d_check_engine(device, desc, split_cases[i].engine);
        conv2d_check(device, desc, i % 3 == 1);
        hopper_choose_nothing();
    }
}

// ---- the data gradient with stride 2 ------------------------------------------------------------

// Odd and even extents, paddings and dilations: four parities of pixels with all taps, some or
// none; one pixel, where three of the parities have none; more tiles than blocks.
static const int parity_cases[][9] = {
    {2, 64, 17, 19, 64, 3, 2, 1, 1}, {1, 64, 16, 14, 128, 3, 2, 1, 1},
    {1, 128, 9, 10, 64, 1, 2, 0, 1}, {1, 64, 13, 11, 192, 3, 2, 2, 2},
    {3, 64, 12, 15, 64, 3, 2, 4, 3}, {1, 64, 1, 1, 64, 3, 2, 1, 1},
    {1, 64, 23, 2, 64, 5, 2, 2, 1},  {1, 320, 8, 8, 64, 2, 2, 0, 1},
    {1, 64, 13, 12, 64, 3, 2, 6, 6},
};

static void check_parities(struct adele_device *device) {
    if (!hopper_is_tuned(device))
        return;
    for (size_t i = 0; i < sizeof parity_cases / sizeof parity_cases[0]; i++) {
        struct adele_conv2d_desc desc = conv2d_desc_of(parity_cases[i]);
        char engine[40];
        desc.precision = ADELE_PRECISION_BF16;
        (void)snprintf(engine, sizeof engine, "d_src wgmma bf16 %s", tiles[i % 3]);
        hopper_choose(tiles[i % 3], "4");
        conv2d_check_engine(device, desc, engine);
        conv2d_check(device, desc, i % 2 == 1);
        hopper_choose_nothing();
    }
}

// ---- the weight gradient ------------------------------------------------------------------------

// One pixel, a prime number of them, and one below, at and above a step's 64; strides; one and
// several taps in a tile of rows; taps wholly in the padding, all but one, and all; boxes over
// several images; rows and columns that do not fill the last tile.
static const int gradient_cases[][9] = {
    {1, 64, 1, 1, 64, 1, 1, 0, 1},     {1, 64, 1, 1, 128, 3, 1, 1, 1},
    {1, 64, 1, 63, 64, 1, 1, 0, 1},    {1, 128, 8, 8, 64, 1, 1, 0, 1},
    {1, 192, 5, 13, 64, 1, 1, 0, 1},   {3, 64, 7, 11, 192, 3, 1, 1, 1},
    {2, 64, 17, 19, 64, 3, 2, 1, 1},   {1, 128, 9, 23, 320, 1, 2, 0, 1},
    {1, 64, 21, 13, 64, 5, 3, 2, 1},   {1, 64, 13, 9, 64, 2, 4, 1, 3},
    {4, 64, 5, 7, 64, 3, 1, 24, 24},   {7, 128, 14, 13, 64, 3, 1, 12, 12},
    {2, 192, 13, 17, 128, 3, 1, 6, 6}, {1, 64, 8, 9, 64, 3, 1, 0, 2},
    {2, 64, 3, 50, 64, 3, 1, 4, 1},    {1, 64, 1, 1, 64, 2, 1, 2, 3},
};

// Twice from the same numbers: the same bits.
static void check_repeated(struct adele_device *device, struct adele_conv2d_desc desc) {
    struct op_run run;
    conv2d_open(&run, device, desc, false);
    op_backward(&run);
    const float *first = op_result(&run, "d_weight");
    op_set(&run, "d_weight", NULL);
    op_backward(&run);
    op_compare_bits(&run, "d_weight", first);
    op_close(&run);
}

static void check_gradients(struct adele_device *device) {
    static const char *const blocks[] = {"1", "4", "14", "132"};
    if (!hopper_is_tuned(device))
        return;
    for (size_t i = 0; i < sizeof gradient_cases / sizeof gradient_cases[0]; i++) {
        struct adele_conv2d_desc desc = conv2d_desc_of(gradient_cases[i]);
        char engine[40];
        desc.precision = ADELE_PRECISION_BF16;
        desc.needs_d_src = false;
        desc.has_bias = i % 2 == 0;
        (void)snprintf(engine, sizeof engine, "d_weight wgmma bf16 %s", tiles[i % 3]);
        hopper_choose(tiles[i % 3], blocks[i % 4]);
        conv2d_check_engine(device, desc, engine);
        conv2d_check(device, desc, false);
        check_repeated(device, desc);
        hopper_choose_nothing();
    }
}

// The sums of every segment have a slot, and what a GPU has of multiprocessors changes no bit: a
// layer of one tile and 4,096 steps is dealt out to 132 blocks on each.
static void check_slots(struct adele_device *device) {
    static const int row[] = {16, 64, 128, 128, 64, 1, 1, 0, 1};
    struct adele_conv2d_desc desc = conv2d_desc_of(row);
    struct adele_op *op = NULL;
    if (!hopper_is_tuned(device))
        return;
    desc.precision = ADELE_PRECISION_BF16;
    assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_OK);
    size_t of_slot = (size_t)128 * 64 * sizeof(float), of_bias = (size_t)256 * 64 * sizeof(float);
    assert_int_equal(op->workspace_bytes, 128 * of_slot + of_bias); // of 32 steps each
    device->iface->op_destroy(op);
}

// ---- the choice ---------------------------------------------------------------------------------

static void check_no_wgmma(struct adele_device *device, struct adele_conv2d_desc desc) {
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_OK);
    if (strstr(op->engine, "d_weight wgmma") != NULL)
        fail_msg("kernel %d, stride %d: \"%s\"", desc.kernel, desc.stride, op->engine);
    device->iface->op_destroy(op);
}

// What the families leave to others, and what takes over where they are disabled.
static void check_choice(struct adele_device *device) {
    static const struct {
        int shape[9];
        const char *engine;
    } rows[] = {
        {{1, 64, 9, 9, 64, 3, 1, 1, 1}, "direct: wgmma bf16 128x64, d_weight wgmma bf16 128x64"},
        {{1, 64, 9, 9, 128, 3, 2, 1, 1}, "d_src wgmma bf16 128x64, d_weight wgmma bf16 128x128"},
        {{1, 72, 9, 9, 64, 3, 1, 1, 1}, "direct: mma bf16"},
        {{1, 64, 9, 9, 40, 3, 1, 1, 1}, "direct: mma bf16"},
        {{1, 64, 9, 9, 64, 7, 1, 3, 1}, "direct: mma bf16"},
        {{1, 64, 17, 17, 64, 3, 5, 1, 1}, "direct: mma bf16"},
        // 77 pairs of tiles on 66 pairs of blocks; 24 pairs, and 48 of twice as many channels.
        {{4, 64, 65, 67, 256, 3, 1, 1, 1}, "dst wgmma bf16 128x256 split, "},
        {{10, 512, 8, 66, 256, 3, 1, 1, 1},
         "dst wgmma bf16 128x256 split, d_src wgmma bf16 128x256, "},
    };
    struct adele_conv2d_desc desc = conv2d_desc_of(rows[0].shape);
    if (strcmp(device->engine, "plain") == 0)
        return;
    desc.precision = ADELE_PRECISION_BF16;
    if (!device_is_bf16(device)) {
        conv2d_check_engine(device, desc, "direct: mma bf16");
        check_no_wgmma(device, desc);
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        conv2d_check_engine(device, conv2d_desc_of(rows[i].shape), rows[i].engine);
    for (size_t i = 2; i < 6; i++)
        check_no_wgmma(device, conv2d_desc_of(rows[i].shape));
    device->disabled_families = family_bit(ADELE_FAMILY_conv2d_hopper);
    conv2d_check_engine(device, desc, "direct: mma bf16");
    conv2d_check_engine(device, desc, "d_weight wgmma bf16");
    device->disabled_families = family_bit(ADELE_FAMILY_weight_gradient_hopper);
    conv2d_check_engine(device, desc, "direct: wgmma bf16");
    check_no_wgmma(device, desc);
    device->disabled_families = family_bit(ADELE_FAMILY_conv2d_mma);
    conv2d_check_engine(device, desc, "direct: wgmma bf16");
    device->disabled_families = 0;
}

ON_EACH_HOPPER(passes)
ON_EACH_HOPPER(splits)
ON_EACH_HOPPER(parities)
ON_EACH_HOPPER(gradients)
ON_EACH_HOPPER(slots)
ON_EACH_HOPPER(choice)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),    cmocka_unit_test(test_slots),
        cmocka_unit_test(test_splits),    cmocka_unit_test(test_parities),
        cmocka_unit_test(test_gradients), cmocka_unit_test(test_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
