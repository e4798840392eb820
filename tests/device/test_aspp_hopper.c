// SPDX-License-Identifier: MIT
// The atrous pyramid on the kernel of Hopper (compute capability 9.0): forward pass and data
// gradient, all rates in one launch, at shapes that need every path.
#include "device/families.h"
#include "support/aspp_problem.h"
#include "support/hopper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SUM    ADELE_ASPP_SUM
#define CONCAT ADELE_ASPP_CONCAT

// A pyramid, the tile and the blocks that it gets, and what its engine says.
struct hopper_case {
    enum adele_aspp_form form;
    int n, c_in, h, w, c_out;
    int n_rates, rates[ADELE_MAX_RATES];
    const char *tile, *blocks, *engine;
};

static struct adele_aspp_desc desc_of(const struct hopper_case *row) {
    struct adele_aspp_desc desc = {.form = row->form,
                                   .n = row->n,
                                   .c_in = row->c_in,
                                   .h = row->h,
                                   .w = row->w,
                                   .c_out = row->c_out,
                                   .n_rates = row->n_rates,
                                   .has_bias = true,
                                   .needs_d_src = true,
                                   .is_training = true,
                                   .precision = ADELE_PRECISION_BF16};
    memcpy(desc.rates, row->rates, sizeof desc.rates);
    return desc;
}

static void check_rows(struct adele_device *device, const struct hopper_case *rows, size_t n) {
    if (!hopper_is_tuned(device))
        return;
    for (size_t i = 0; i < n; i++) {
        struct adele_aspp_desc desc = desc_of(&rows[i]);
        desc.has_bias = i % 3 != 2;
        hopper_choose(rows[i].tile, rows[i].blocks);
        aspp_check_engine(device, desc, rows[i].engine);
        aspp_check(device, desc, i % 2 == 1);
        hopper_choose_nothing();
    }
}

// ---- the sum of the branches --------------------------------------------------------------------

// Channels that fill no tile, and of the source no step; more steps than stages; more tiles than
// blocks; taps in the padding, of whole rates too; boxes over several images; more taps than 32;
// rates of 0, alone (a matrix product) and among others; equal rates; one pixel; tiles whose steps
// several blocks share, so that a share begins and ends within a rate.
static const struct hopper_case sums[] = {
    {SUM, 1, 64, 13, 11, 21, 4, {6, 12, 18, 24}, "128x64", "4", "dst wgmma bf16 128x64, d_src mma"},
    {SUM, 3, 64, 11, 9, 64, 2, {1, 3}, "128x64", "4", "direct: wgmma bf16 128x64"},
    {SUM, 1, 56, 5, 5, 120, 7, {1, 2, 3, 4, 1, 6, 7}, "128x128", "2", "direct: wgmma bf16 128x128"},
    {SUM, 2, 64, 9, 15, 192, 1, {0}, "128x256", "4", "direct: wgmma bf16 128x256"},
    {SUM, 2, 64, 7, 12, 64, 3, {2, 0, 2}, "128x64 split", "6", "direct: wgmma bf16 128x64 split"},
    {SUM, 1, 64, 1, 1, 64, 3, {0, 1, 5}, "128x64", "1", "direct: wgmma bf16 128x64"},
};

static void check_sums(struct adele_device *device) {
    check_rows(device, sums, sizeof sums / sizeof sums[0]);
}

// ---- branches one behind the other --------------------------------------------------------------

// Branches of fewer channels than a tile has, whose neighbours' a tile must not touch; of more than
// one; an odd number of tiles in each; branches of one tap and of nine; more taps than 32, and all
// 64 in all eight groups; shared tiles.
static const struct hopper_case concats[] = {
    {CONCAT, 1, 64, 9, 10, 64, 3, {0, 3, 5}, "128x128", "4", "direct: wgmma bf16 128x128"},
    {CONCAT, 3, 48, 7, 9, 192, 2, {6, 12}, "128x128", "4", "direct: wgmma bf16 128x128"},
    {CONCAT, 1, 64, 5, 5, 64, 7, {1, 2, 3, 4, 0, 6, 1}, "128x64", "6", "direct: wgmma bf16 128x64"},
    {CONCAT,
     1,
     64,
     7,
     7,
     64,
     8,
     {0, 1, 2, 3, 4, 5, 6, 7},
     "128x64",
     "6",
     "direct: wgmma bf16 128x64"},
    {CONCAT, 1, 64, 12, 13, 64, 2, {1, 4}, "128x64 split", "6", "direct: wgmma bf16 128x64 split"},
    {CONCAT, 1, 64, 9, 9, 256, 2, {0, 2}, "128x256", "2", "direct: wgmma bf16 128x256"},
};

static void check_concats(struct adele_device *device) {
    check_rows(device, concats, sizeof concats / sizeof concats[0]);
}

// ---- the choice ---------------------------------------------------------------------------------

// What the family leaves to others, and what takes over where it is disabled. All eight rates of 3
// x 3 have a tap more than it can name; 40 channels fill too little of a step; branches of 40 do
// not begin with one.
static void check_choice(struct adele_device *device) {
    static const struct hopper_case rows[] = {
        {SUM, 1, 64, 9, 9, 21, 4, {6, 12, 18, 24}, NULL, NULL, "dst wgmma bf16 128x64, d_src mma"},
        {SUM, 1, 64, 9, 9, 64, 7, {1, 2, 3, 4, 5, 6, 7}, NULL, NULL, "direct: wgmma bf16 128x64"},
        {SUM, 1, 64, 9, 9, 64, 8, {1, 2, 3, 4, 5, 6, 7, 8}, NULL, NULL, "direct"},
        {SUM, 1, 40, 9, 9, 64, 2, {1, 2}, NULL, NULL, "dst mma bf16, d_src wgmma bf16 128x64"},
        {CONCAT, 1, 64, 9, 9, 40, 2, {1, 2}, NULL, NULL, "direct"},
        {CONCAT, 1, 40, 9, 9, 40, 2, {1, 2}, NULL, NULL, "direct"},
        // Of DeepLabv3 at VOC's middle scale.
        {CONCAT,
         10,
         512,
         56,
         56,
         256,
         4,
         {0, 6, 12, 18},
         NULL,
         NULL,
         "direct: wgmma bf16 128x256 split"},
    };
    if (strcmp(device->engine, "plain") == 0)
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct adele_aspp_desc desc = desc_of(&rows[i]);
        struct adele_op *op = NULL;
        bool is_direct = strcmp(rows[i].engine, "direct") == 0 || !device_is_bf16(device);
        aspp_check_engine(device, desc, is_direct ? "direct" : rows[i].engine);
        device->disabled_families = is_direct ? 0 : family_bit(ADELE_FAMILY_aspp_hopper);
        assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
        assert_string_equal(op->engine, "direct");
        device->iface->op_destroy(op);
        device->disabled_families = is_direct ? 0 : family_bit(ADELE_FAMILY_aspp_mma);
        aspp_check_engine(device, desc, is_direct ? "direct" : "wgmma");
        device->disabled_families = 0;
    }
}

ON_EACH_HOPPER(sums)
ON_EACH_HOPPER(concats)
ON_EACH_HOPPER(choice)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_concats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
