// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "support/aspp_problem.h"
#include "support/compare.h"
#include "support/op_errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// The published pyramids, and some that nobody would build.
static const int rate_sets[][ADELE_MAX_RATES + 1] = {
    // number, then rates
    {4, 6, 12, 18, 24}, {4, 0, 6, 12, 18},           {1, 1}, {1, 0}, {3, 2, 0, 0},
    {2, 3, 3},          {8, 0, 1, 2, 3, 4, 5, 6, 7},
};

// n, c_in, h, w, c_out, rate set: extents 1, primes, one below, at and above the blocks of 8, 16
// and 32 channels, categories 2, 5 and 21, images smaller than every rate and larger than most.
static const int cases[][6] = {
    {1, 1, 1, 1, 1, 0},   {1, 3, 7, 5, 2, 0},    {2, 8, 13, 11, 5, 0},  {1, 16, 19, 7, 21, 0},
    {1, 2, 1, 1, 5, 1},   {1, 7, 13, 5, 21, 1},  {2, 9, 5, 14, 8, 1},   {1, 17, 25, 3, 2, 1},
    {1, 4, 9, 8, 7, 2},   {2, 5, 3, 3, 9, 3},    {1, 15, 6, 6, 16, 4},  {3, 6, 7, 7, 17, 5},
    {1, 3, 11, 12, 4, 6}, {1, 31, 2, 37, 33, 4}, {11, 33, 3, 4, 31, 4}, {1, 8, 4, 5, 32, 1},
};

static struct adele_aspp_desc desc_of(const int *row, enum adele_aspp_form form) {
    const int *rates = rate_sets[row[5]];
    struct adele_aspp_desc desc = {.form = form,
                                   .n = row[0],
                                   .c_in = row[1],
                                   .h = row[2],
                                   .w = row[3],
                                   .c_out = row[4],
                                   .n_rates = rates[0],
                                   .has_bias = rates[0] < ADELE_MAX_RATES,
                                   .needs_d_src = true,
                                   .is_training = true,
                                   .precision = ADELE_PRECISION_FP32};
    memcpy(desc.rates, rates + 1, (size_t)rates[0] * sizeof(int));
    return desc;
}

static void check_sum(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        aspp_check(device, desc_of(cases[i], ADELE_ASPP_SUM), i % 2 == 0);
}

static void check_concat(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        aspp_check(device, desc_of(cases[i], ADELE_ASPP_CONCAT), i % 2 == 1);
}

// One below, at and above a tile of 128 pixels and a tile of 128 channels.
static void check_tiles(struct adele_device *device) {
    static const int tiles[][6] = {
        {1, 2, 127, 1, 3, 4}, {1, 2, 8, 16, 3, 0},  {1, 2, 43, 3, 3, 1},  {1, 1, 2, 3, 127, 4},
        {1, 1, 3, 3, 128, 5}, {1, 2, 2, 2, 129, 1}, {1, 127, 2, 2, 2, 4}, {1, 129, 2, 3, 3, 5},
    };
    for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++)
        aspp_check(device, desc_of(tiles[i], i % 2 == 0 ? ADELE_ASPP_SUM : ADELE_ASPP_CONCAT),
                   i % 3 == 0);
}

static void check_parts(struct adele_device *device) {
    for (size_t i = 0; i < 8; i++) {
        enum adele_aspp_form form = i % 2 == 0 ? ADELE_ASPP_SUM : ADELE_ASPP_CONCAT;
        struct adele_aspp_desc desc = desc_of(cases[i], form);
        desc.has_bias = i % 4 < 2;
        desc.needs_d_src = false;
        aspp_check(device, desc, false);
        desc.is_training = false;
        aspp_check(device, desc, false);
    }
    struct adele_aspp_desc desc = desc_of(cases[0], ADELE_ASPP_SUM);
    desc.is_training = false;
    struct adele_op *op = NULL;
    struct adele_aspp_args args = {0};
    assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(device->iface->aspp_backward(op, &args), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
}

static void check_precisions(struct adele_device *device) {
    static const int wide[] = {1, 2, 3, 5, 70, 4}; // beyond 64 channels tiles are of 128
    for (size_t i = 1; i < 2 + sizeof cases / sizeof cases[0]; i += 2) {
        const int *row = i < sizeof cases / sizeof cases[0] ? cases[i] : wide;
        struct adele_aspp_desc sum = desc_of(row, ADELE_ASPP_SUM);
        struct adele_aspp_desc concat = desc_of(row, ADELE_ASPP_CONCAT);
        sum.precision = concat.precision = ADELE_PRECISION_BF16;
        aspp_check(device, sum, false);
        aspp_check(device, concat, true);
        sum.precision = concat.precision = ADELE_PRECISION_TF32;
        aspp_check(device, sum, true);
        aspp_check(device, concat, false);
    }
}

// An image of one pixel meets the centre weights alone: dst = sum of w x + b.
static void check_literal(struct adele_device *device) {
    static const int row[] = {1, 1, 1, 1, 1, 1};
    const float src = 2.0F, bias = 0.5F, want = 2.0F * (1 + 2 + 3 + 4) + 4 * 0.5F;
    struct adele_aspp_desc desc = desc_of(row, ADELE_ASPP_SUM);
    struct op_run run;
    aspp_open(&run, device, desc, false);
    op_set(&run, "src", &src);
    for (int r = 0; r < 4; r++) {
        float weights[9] = {0};
        int n = desc.rates[r] > 0 ? 9 : 1;
        weights[n / 2] = (float)(r + 1);
        run.device.aspp.weights[r] = arena_upload(&run.arena, weights, (size_t)n * sizeof *weights);
        run.device.aspp.biases[r] = arena_upload(&run.arena, &bias, sizeof bias);
    }
    op_forward(&run);
    op_compare(&run, "dst", &want, 0.0, 0.0);
    op_close(&run);
}

// Linear in each argument, so a large step costs no accuracy.
static void check_gradient(struct adele_device *device) {
    double tolerance = 2 * device_tolerance(device, 5e-5);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op_run run;
        aspp_open(&run, device, desc_of(cases[i], i % 2 == 0 ? ADELE_ASPP_CONCAT : ADELE_ASPP_SUM),
                  false);
        op_check_gradients(&run, 0.5, tolerance, tolerance);
        op_close(&run);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    struct adele_aspp_desc good = desc_of(cases[1], ADELE_ASPP_SUM);
    struct adele_aspp_desc bad[11];
    for (int i = 0; i < 11; i++)
        bad[i] = good;
    bad[0].n = 0;
    bad[1].c_in = 0;
    bad[2].h = 0;
    bad[3].w = -1;
    bad[4].c_out = 0;
    bad[5].n_rates = 0;
    bad[6].n_rates = ADELE_MAX_RATES + 1;
    bad[7].rates[1] = -1;
    bad[8].rates[3] = ADELE_MAX_RATE + 1;
    bad[9].form = (enum adele_aspp_form)2;
    bad[10].rates[0] = -6;
    for (int i = 0; i < 11; i++)
        op_check_refused(device, ADELE_OP_aspp, &bad[i]);
    device->iface->op_destroy(NULL);
}

static void check_allocator(struct adele_device *device) {
    struct adele_aspp_desc desc = desc_of(cases[1], ADELE_ASPP_CONCAT);
    op_check_allocations(device, ADELE_OP_aspp, &desc);
}

// A run allocates nothing, and twice the same call gives the same bits.
static void check_repeatable(struct adele_device *device) {
    struct op_run runs[2];
    for (int i = 0; i < 2; i++) {
        aspp_open(&runs[i], device, desc_of(cases[2], ADELE_ASPP_SUM), false);
        memory_fail_at(-1);
        op_forward(&runs[i]);
        op_backward(&runs[i]);
        assert_int_equal(memory_count(), 0);
    }
    size_t n_weights = (size_t)(5 * 8 * 9);
    op_compare_bits(&runs[1], "dst", op_result(&runs[0], "dst"));
    op_compare_bits(&runs[1], "d_src", op_result(&runs[0], "d_src"));
    assert_true(compare_bytes(
        "d_weight", arena_download(&runs[1].arena, runs[1].device.aspp.d_weights[3], n_weights),
        arena_download(&runs[0].arena, runs[0].device.aspp.d_weights[3], n_weights),
        n_weights * sizeof(float)));
    for (int i = 0; i < 2; i++)
        op_close(&runs[i]);
}

ON_EACH_DEVICE(sum)
ON_EACH_DEVICE(concat)
ON_EACH_DEVICE(tiles)
ON_EACH_DEVICE(parts)
ON_EACH_DEVICE(precisions)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(bad_descriptors)
ON_EACH_DEVICE(allocator)
ON_EACH_DEVICE(repeatable)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),        cmocka_unit_test(test_concat),
        cmocka_unit_test(test_tiles),      cmocka_unit_test(test_parts),
        cmocka_unit_test(test_precisions), cmocka_unit_test(test_literal),
        cmocka_unit_test(test_gradient),   cmocka_unit_test(test_bad_descriptors),
        cmocka_unit_test(test_allocator),  cmocka_unit_test(test_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
