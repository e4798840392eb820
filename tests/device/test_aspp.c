// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/gradient.h"
#include "support/sums.h"
#include "support/tensor_core_tolerance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// One pyramid in plain host arrays: inputs, upstream gradient, and what gradients start from.
struct problem {
    struct adele_aspp_desc desc;
    struct adele_shape in, out;
    size_t n_weights[ADELE_MAX_RATES];
    float *src, *dst, *d_dst, *d_src;
    float *weights[ADELE_MAX_RATES], *biases[ADELE_MAX_RATES];
    float *d_weights[ADELE_MAX_RATES], *d_biases[ADELE_MAX_RATES];
};

static int kernel_of(const struct adele_aspp_desc *desc, int r) {
    return desc->rates[r] > 0 ? 3 : 1;
}

static struct problem make_problem(struct arena *arena, struct adele_aspp_desc desc) {
    struct problem p = {.desc = desc,
                        .in = {desc.n, desc.c_in, desc.h, desc.w},
                        .out = {desc.n, desc.c_out, desc.h, desc.w}};
    if (desc.form == ADELE_ASPP_CONCAT)
        p.out.c *= desc.n_rates;
    p.src = arena_random(arena, 1, shape_count(p.in), -1.0, 1.0);
    p.d_dst = arena_random(arena, 2, shape_count(p.out), -1.0, 1.0);
    p.d_src = arena_random(arena, 3, shape_count(p.in), -1.0, 1.0);
    p.dst = arena_floats(arena, shape_count(p.out));
    for (int r = 0; r < desc.n_rates; r++) {
        int kernel = kernel_of(&desc, r);
        uint64_t seed = 10 + 4 * (uint64_t)r;
        p.n_weights[r] = (size_t)desc.c_out * (size_t)desc.c_in * (size_t)(kernel * kernel);
        p.weights[r] = arena_random(arena, seed, p.n_weights[r], -1.0, 1.0);
        p.d_weights[r] = arena_random(arena, seed + 1, p.n_weights[r], -1.0, 1.0);
        if (!desc.has_bias)
            continue;
        p.biases[r] = arena_random(arena, seed + 2, (size_t)desc.c_out, -1.0, 1.0);
        p.d_biases[r] = arena_random(arena, seed + 3, (size_t)desc.c_out, -1.0, 1.0);
    }
    return p;
}

static struct adele_aspp_args host_args(const struct problem *p, bool accumulate) {
    struct adele_aspp_args args = {.src = p->src,
                                   .dst = p->dst,
                                   .d_dst = p->d_dst,
                                   .d_src = p->desc.needs_d_src ? p->d_src : NULL,
                                   .accumulate_d_src = accumulate};
    for (int r = 0; r < p->desc.n_rates; r++) {
        args.weights[r] = p->weights[r];
        args.biases[r] = p->biases[r];
        args.d_weights[r] = p->d_weights[r];
        args.d_biases[r] = p->d_biases[r];
    }
    return args;
}

static struct adele_aspp_args device_args(struct arena *arena, const struct problem *p,
                                          const struct adele_op *op, bool accumulate) {
    size_t n_bias = (size_t)p->desc.c_out * sizeof(float);
    struct adele_aspp_args args = {.accumulate_d_src = accumulate};
    args.src = arena_tensor(arena, p->in, p->src);
    args.dst = arena_tensor(arena, p->out, NULL);
    args.d_dst = arena_tensor(arena, p->out, p->d_dst);
    // Without accumulation d_src starts as NaN, so that an element left unwritten shows.
    // An op without this gradient does not touch it.
    args.d_src = arena_tensor(arena, p->in, accumulate ? p->d_src : NULL);
    for (int r = 0; r < p->desc.n_rates; r++) {
        size_t bytes = p->n_weights[r] * sizeof(float);
        args.weights[r] = arena_upload(arena, p->weights[r], bytes);
        args.d_weights[r] = arena_upload(arena, p->d_weights[r], bytes);
        if (!p->desc.has_bias)
            continue;
        args.biases[r] = arena_upload(arena, p->biases[r], n_bias);
        args.d_biases[r] = arena_upload(arena, p->d_biases[r], n_bias);
    }
    args.workspace = arena_workspace(arena, op);
    return args;
}

// A bias counts as three of the products, whose variance it has. TF32 rounds both operands by up to
// 2^-11 of them, which makes a product wrong by 1.3e-4 in the root mean square. Where operands are
// rounded to bf16, SUM may round the sum of the centre weights of all R branches: by up to 2^-8 R /
// 3 in `n_centre` of the products. The terms come in runs of `run`: channels, or all pixels.
static struct sums_error error_of(const struct adele_device *device,
                                  const struct adele_aspp_desc *desc, double n_terms, double run,
                                  double n_centre) {
    struct sums_error error = {.n_terms = n_terms + (desc->has_bias ? 3.0 * desc->n_rates : 0.0),
                               .relative = SUMS_STORED};
    if (devices_are_cpu())
        return error;
    bool rounds = desc->precision == ADELE_PRECISION_BF16 || device_is_bf16(device);
    if (desc->precision == ADELE_PRECISION_TF32)
        error.random = 1.3e-4 * sqrt(n_terms);
    if (rounds && desc->form == ADELE_ASPP_SUM && desc->n_rates > 1)
        error.random += 0x1p-8 / 3.0 / 3.0 * desc->n_rates * sqrt(n_centre);
    error.random = hypot(error.random, tensor_core_rms_on(device, desc->precision, n_terms, run));
    return error;
}

static double n_taps(const struct adele_aspp_desc *desc, bool of_all) {
    double most = 0, sum = 0;
    for (int r = 0; r < desc->n_rates; r++) {
        double taps = kernel_of(desc, r) * kernel_of(desc, r);
        sum += taps;
        most = taps > most ? taps : most;
    }
    return of_all ? sum : most;
}

static void compare_forward(struct arena *arena, const struct problem *p,
                            const struct adele_aspp_args *args) {
    double n_terms = n_taps(&p->desc, p->desc.form == ADELE_ASPP_SUM) * p->desc.c_in;
    struct sums_error error =
        error_of(arena->device, &p->desc, n_terms, p->desc.c_in, p->desc.c_in);
    error.relative = device_tolerance(arena->device, SUMS_STORED);
    assert_true(
        sums_agree("dst", arena_tensor_download(arena, args->dst, p->out), p->dst, p->out, &error));
}

static void compare_backward(struct arena *arena, const struct problem *p,
                             const struct adele_aspp_args *args) {
    const struct adele_aspp_desc *desc = &p->desc;
    struct sums_error of_src =
        error_of(arena->device, desc, n_taps(desc, true) * desc->c_out, desc->c_out, desc->c_out);
    of_src.relative = device_tolerance(arena->device, SUMS_STORED);
    if (desc->needs_d_src)
        assert_true(sums_agree("d_src", arena_tensor_download(arena, args->d_src, p->in), p->d_src,
                               p->in, &of_src));
    double n_pixels = (double)p->out.n * p->out.h * p->out.w;
    struct sums_error of_weight = error_of(arena->device, desc, n_pixels, n_pixels, 0.0);
    struct adele_shape bias = {1, desc->c_out, 1, 1};
    for (int r = 0; r < desc->n_rates; r++) {
        int kernel = kernel_of(desc, r);
        struct adele_shape weight = {desc->c_out, desc->c_in, kernel, kernel};
        assert_true(sums_agree("d_weight",
                               arena_download(arena, args->d_weights[r], p->n_weights[r]),
                               p->d_weights[r], weight, &of_weight));
        if (desc->has_bias)
            assert_true(sums_agree("d_bias",
                                   arena_download(arena, args->d_biases[r], (size_t)desc->c_out),
                                   p->d_biases[r], bias, &of_weight));
    }
}

static void check(struct adele_device *device, struct adele_aspp_desc desc, bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_aspp);
    assert_non_null(op->engine);
    struct adele_aspp_args args = device_args(&arena, &p, op, accumulate);
    struct adele_aspp_args host = host_args(&p, accumulate);
    assert_int_equal(device->iface->aspp_forward(op, &args), ADELE_OK);
    reference_aspp_forward(&desc, &host);
    compare_forward(&arena, &p, &args);
    if (desc.is_training) {
        assert_int_equal(device->iface->aspp_backward(op, &args), ADELE_OK);
        reference_aspp_backward(&desc, &host);
        compare_backward(&arena, &p, &args);
    }
    device->iface->op_destroy(op);
    arena_close(&arena);
}

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
        check(device, desc_of(cases[i], ADELE_ASPP_SUM), i % 2 == 0);
}

static void check_concat(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(device, desc_of(cases[i], ADELE_ASPP_CONCAT), i % 2 == 1);
}

// One below, at and above a tile of 128 pixels and a tile of 128 channels.
static void check_tiles(struct adele_device *device) {
    static const int tiles[][6] = {
        {1, 2, 127, 1, 3, 4}, {1, 2, 8, 16, 3, 0},  {1, 2, 43, 3, 3, 1},  {1, 1, 2, 3, 127, 4},
        {1, 1, 3, 3, 128, 5}, {1, 2, 2, 2, 129, 1}, {1, 127, 2, 2, 2, 4}, {1, 129, 2, 3, 3, 5},
    };
    for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++)
        check(device, desc_of(tiles[i], i % 2 == 0 ? ADELE_ASPP_SUM : ADELE_ASPP_CONCAT),
              i % 3 == 0);
}

static void check_parts(struct adele_device *device) {
    for (size_t i = 0; i < 8; i++) {
        enum adele_aspp_form form = i % 2 == 0 ? ADELE_ASPP_SUM : ADELE_ASPP_CONCAT;
        struct adele_aspp_desc desc = desc_of(cases[i], form);
        desc.has_bias = i % 4 < 2;
        desc.needs_d_src = false;
        check(device, desc, false);
        desc.is_training = false;
        check(device, desc, false);
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
        check(device, sum, false);
        check(device, concat, true);
        sum.precision = concat.precision = ADELE_PRECISION_TF32;
        check(device, sum, true);
        check(device, concat, false);
    }
}

// An image of one pixel meets the centre weights alone: dst = sum of w x + b.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    static const int row[] = {1, 1, 1, 1, 1, 1};
    struct adele_aspp_desc desc = desc_of(row, ADELE_ASPP_SUM);
    struct problem p = make_problem(&arena, desc);
    p.src[0] = 2.0F;
    for (int r = 0; r < 4; r++) {
        memset(p.weights[r], 0, p.n_weights[r] * sizeof(float));
        p.weights[r][p.n_weights[r] / 2] = (float)(r + 1);
        p.biases[r][0] = 0.5F;
    }
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
    struct adele_aspp_args args = device_args(&arena, &p, op, false);
    assert_int_equal(device->iface->aspp_forward(op, &args), ADELE_OK);
    float want = 2.0F * (1 + 2 + 3 + 4) + 4 * 0.5F;
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.out), &want, 1, 1, 1,
                            1, 0.0, 0.0));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static double evaluate(const void *context) {
    const struct problem *p = context;
    struct adele_aspp_args args = host_args(p, false);
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
        struct problem p = make_problem(&arena, desc);
        for (int r = 0; r < desc.n_rates; r++) {
            memset(p.d_weights[r], 0, p.n_weights[r] * sizeof(float));
            if (desc.has_bias)
                memset(p.d_biases[r], 0, (size_t)desc.c_out * sizeof(float));
        }
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
        struct adele_aspp_args args = device_args(&arena, &p, op, false);
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
    struct problem p;
    for (int run = 0; run < 2; run++) {
        struct arena *arena = &arenas[run];
        arena_open(arena, device);
        p = make_problem(arena, desc);
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
        struct adele_aspp_args args = device_args(arena, &p, op, false);
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
