// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/aspp_problem.h"
#include "support/compare.h"
#include "support/gradient.h"

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
    struct arena arena;
    arena_open(&arena, device);
    static const int row[] = {1, 1, 1, 1, 1, 1};
    struct adele_aspp_desc desc = desc_of(row, ADELE_ASPP_SUM);
    struct aspp_problem p = aspp_problem_make(&arena, desc);
    p.src[0] = 2.0F;
    for (int r = 0; r < 4; r++) {
        memset(p.weights[r], 0, p.n_weights[r] * sizeof(float));
        p.weights[r][p.n_weights[r] / 2] = (float)(r + 1);
        p.biases[r][0] = 0.5F;
    }
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
    struct adele_aspp_args args = aspp_device_args(&arena, &p, op, false);
    assert_int_equal(device->iface->aspp_forward(op, &args), ADELE_OK);
    float want = 2.0F * (1 + 2 + 3 + 4) + 4 * 0.5F;
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.out), &want, 1, 1, 1,
                            1, 0.0, 0.0));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static double evaluate(const void *context) {
    const struct aspp_problem *p = context;
    struct adele_aspp_args args = aspp_host_args(p, false);
    reference_aspp_forward(&p->desc, &args);
    return gradient_dot(p->d_dst, p->dst, shape_count(p->out));
}

// Linear in each argument, so a large step costs no accuracy.
static void check_gradient(struct adele_device *device) {
    double tolerance = 2 * device_tolerance(device, 5e-5);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_aspp_desc desc =
            desc_of(cases[i], i % 2 == 0 ? ADELE_ASPP_CONCAT : ADELE_ASPP_SUM);
        struct aspp_problem p = aspp_problem_make(&arena, desc);
        for (int r = 0; r < desc.n_rates; r++) {
            memset(p.d_weights[r], 0, p.n_weights[r] * sizeof(float));
            if (desc.has_bias)
                memset(p.d_biases[r], 0, (size_t)desc.c_out * sizeof(float));
        }
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
        struct adele_aspp_args args = aspp_device_args(&arena, &p, op, false);
        assert_int_equal(device->iface->aspp_backward(op, &args), ADELE_OK);
        assert_true(gradient_agrees("src", evaluate, &p, p.src,
                                    arena_tensor_download(&arena, args.d_src, p.in),
                                    shape_count(p.in), 11, 0.5, tolerance));
        for (int r = 0; r < desc.n_rates; r++) {
            assert_true(gradient_agrees("weight", evaluate, &p, p.weights[r],
                                        arena_download(&arena, args.d_weights[r], p.n_weights[r]),
                                        p.n_weights[r], 12, 0.5, tolerance));
            if (desc.has_bias)
                assert_true(
                    gradient_agrees("bias", evaluate, &p, p.biases[r],
                                    arena_download(&arena, args.d_biases[r], (size_t)desc.c_out),
                                    (size_t)desc.c_out, 13, 0.5, tolerance));
        }
        device->iface->op_destroy(op);
        arena_close(&arena);
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
    for (int i = 0; i < 11; i++) {
        struct adele_op *op = (struct adele_op *)device;
        assert_int_equal(device->iface->aspp_create(device, &bad[i], &op), ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
    device->iface->op_destroy(NULL);
}

static void check_allocator(struct adele_device *device) {
    struct adele_aspp_desc desc = desc_of(cases[1], ADELE_ASPP_CONCAT);
    ASSERT_CREATE_SURVIVES_FAILURES(device, aspp, &desc);
}

// A run allocates nothing, and twice the same call gives the same bits.
static void check_repeatable(struct adele_device *device) {
    struct arena arenas[2];
    float *dst[2], *d_src[2], *d_weight[2];
    struct adele_aspp_desc desc = desc_of(cases[2], ADELE_ASPP_SUM);
    struct aspp_problem p;
    for (int run = 0; run < 2; run++) {
        struct arena *arena = &arenas[run];
        arena_open(arena, device);
        p = aspp_problem_make(arena, desc);
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
        struct adele_aspp_args args = aspp_device_args(arena, &p, op, false);
        memory_fail_at(-1);
        assert_int_equal(device->iface->aspp_forward(op, &args), ADELE_OK);
        assert_int_equal(device->iface->aspp_backward(op, &args), ADELE_OK);
        assert_int_equal(memory_count(), 0);
        dst[run] = arena_tensor_download(arena, args.dst, p.out);
        d_src[run] = arena_tensor_download(arena, args.d_src, p.in);
        d_weight[run] = arena_download(arena, args.d_weights[3], p.n_weights[3]);
        device->iface->op_destroy(op);
    }
    assert_true(compare_bytes("dst", dst[1], dst[0], shape_count(p.out) * sizeof(float)));
    assert_true(compare_bytes("d_src", d_src[1], d_src[0], shape_count(p.in) * sizeof(float)));
    assert_true(
        compare_bytes("d_weight", d_weight[1], d_weight[0], p.n_weights[3] * sizeof(float)));
    arena_close(&arenas[0]);
    arena_close(&arenas[1]);
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
