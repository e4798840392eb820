// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/gradient.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct problem {
    struct adele_max_pool_desc desc;
    struct adele_shape in, out;
    float *src, *dst, *d_dst, *d_src;
};

// Whole numbers below `n_levels` make ties; spread over the plane they make none. bf16 holds 256 of
// them exactly.
static struct problem make_problem(struct arena *arena, struct adele_max_pool_desc desc,
                                   int n_levels) {
    struct problem p = {.desc = desc, .in = {desc.n, desc.c, desc.h_in, desc.w_in}};
    p.out = (struct adele_shape){
        desc.n, desc.c, adele_conv2d_extent(desc.h_in, desc.kernel, desc.stride, desc.pad, 1),
        adele_conv2d_extent(desc.w_in, desc.kernel, desc.stride, desc.pad, 1)};
    if (arena_is_bf16(arena) && n_levels > 256)
        n_levels = 256;
    p.src = arena_random(arena, 1, shape_count(p.in), 0.0, n_levels);
    for (size_t i = 0; i < shape_count(p.in); i++)
        p.src[i] = (float)(int)p.src[i] - (float)n_levels / 2;
    p.dst = arena_floats(arena, shape_count(p.out));
    p.d_dst = arena_random(arena, 2, shape_count(p.out), -1.0, 1.0);
    p.d_src = arena_random(arena, 3, shape_count(p.in), -1.0, 1.0);
    return p;
}

static struct adele_max_pool_args device_args(struct arena *arena, const struct problem *p,
                                              const struct adele_op *op, bool accumulate) {
    struct adele_max_pool_args args = {
        .src = arena_tensor(arena, p->in, p->src),
        .dst = arena_tensor(arena, p->out, NULL),
        .d_dst = arena_tensor(arena, p->out, p->d_dst),
        .d_src = arena_tensor(arena, p->in, accumulate ? p->d_src : NULL),
        .accumulate_d_src = accumulate,
        .workspace = arena_workspace(arena, op),
    };
    return args;
}

// A maximum is a copy: exact. A pixel of d_src adds at most kernel^2 values of size 1; a bf16
// tensor rounds the sum once.
static void check(struct adele_device *device, struct adele_max_pool_desc desc, int n_levels,
                  bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, desc, n_levels);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->max_pool_create(device, &desc, &op), ADELE_OK);
    struct adele_max_pool_args args = device_args(&arena, &p, op, accumulate);
    struct adele_max_pool_args host = {.src = p.src,
                                       .dst = p.dst,
                                       .d_dst = p.d_dst,
                                       .d_src = p.d_src,
                                       .accumulate_d_src = accumulate};
    assert_int_equal(device->iface->max_pool_forward(op, &args), ADELE_OK);
    reference_max_pool_forward(&desc, &host);
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.out), p.dst, p.out.n,
                            p.out.c, p.out.h, p.out.w, 0.0, 0.0));
    assert_int_equal(device->iface->max_pool_backward(op, &args), ADELE_OK);
    reference_max_pool_backward(&desc, &host);
    assert_true(compare_f32("d_src", arena_tensor_download(&arena, args.d_src, p.in), p.d_src,
                            p.in.n, p.in.c, p.in.h, p.in.w, 1e-6, device_tolerance(device, 0.0)));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// n, c, h, w, kernel, stride, pad
static const int cases[][7] = {
    {1, 1, 1, 1, 1, 1, 0},   {2, 1, 2, 2, 2, 2, 0},   {1, 2, 7, 5, 2, 2, 0},
    {2, 3, 9, 8, 3, 2, 1},   {1, 5, 11, 13, 3, 1, 1}, {1, 7, 6, 6, 2, 2, 0},
    {3, 8, 17, 16, 2, 2, 0}, {1, 9, 15, 7, 3, 3, 0},  {1, 15, 5, 5, 2, 3, 0},
    {1, 16, 8, 8, 2, 2, 1},  {2, 17, 4, 7, 3, 2, 0},  {1, 21, 13, 6, 5, 2, 2},
    {1, 2, 1, 9, 3, 1, 1},   {1, 2, 10, 10, 2, 4, 0}, {1, 3, 5, 257, 2, 2, 0},
    {1, 1, 2, 256, 2, 2, 0}, {1, 9, 3, 130, 3, 2, 1},
};

static struct adele_max_pool_desc desc_of(const int *row) {
    struct adele_max_pool_desc desc = {row[0], row[1], row[2], row[3],
                                       row[4], row[5], row[6], {0, 0}};
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(device, desc_of(cases[i]), 1000000, false);
        check(device, desc_of(cases[i]), 1000000, true);
    }
}

// Few levels, so that most windows hold their maximum more than once; one level: all equal.
static void check_ties(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(device, desc_of(cases[i]), 2, false);
        check(device, desc_of(cases[i]), 1, true);
    }
}

// The gradient of four equal pixels goes to the first in row order.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_max_pool_desc desc = {1, 1, 2, 4, 2, 2, 0, {0, 0}};
    struct problem p = make_problem(&arena, desc, 2);
    memcpy(p.src, (const float[]){5, 5, 1, 2, 5, 5, 3, 3}, 8 * sizeof(float));
    memcpy(p.d_dst, (const float[]){10, 20}, 2 * sizeof(float));
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->max_pool_create(device, &desc, &op), ADELE_OK);
    struct adele_max_pool_args args = device_args(&arena, &p, op, false);
    assert_int_equal(device->iface->max_pool_forward(op, &args), ADELE_OK);
    assert_int_equal(device->iface->max_pool_backward(op, &args), ADELE_OK);
    const float dst[] = {5, 3}, d_src[] = {10, 0, 0, 0, 0, 0, 20, 0};
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.out), dst, 1, 1, 1, 2,
                            0.0, 0.0));
    assert_true(compare_f32("d_src", arena_tensor_download(&arena, args.d_src, p.in), d_src, 1, 1,
                            2, 4, 0.0, 0.0));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// The middle is the maximum of all nine windows, and 264 is a bf16: the sum is rounded once, and
// not after each window, as from 256 on adding 1 changes no bf16.
static void check_overlapping_windows(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_max_pool_desc desc = {1, 1, 3, 3, 3, 1, 1, {0, 0}};
    struct problem p = make_problem(&arena, desc, 2);
    memcpy(p.src, (const float[]){1, 2, 3, 4, 9, 5, 6, 7, 8}, 9 * sizeof(float));
    memcpy(p.d_dst, (const float[]){256, 1, 1, 1, 1, 1, 1, 1, 1}, 9 * sizeof(float));
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->max_pool_create(device, &desc, &op), ADELE_OK);
    struct adele_max_pool_args args = device_args(&arena, &p, op, false);
    assert_int_equal(device->iface->max_pool_forward(op, &args), ADELE_OK);
    assert_int_equal(device->iface->max_pool_backward(op, &args), ADELE_OK);
    const float d_src[] = {0, 0, 0, 0, 264, 0, 0, 0, 0};
    assert_true(compare_f32("d_src", arena_tensor_download(&arena, args.d_src, p.in), d_src, 1, 1,
                            3, 3, 0.0, 0.0));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// A NaN wherever it lies in its windows makes them NaN, and no others.
static void check_nan(struct adele_device *device) {
    struct adele_max_pool_desc descs[] = {{1, 9, 4, 4, 2, 2, 0, {0, 0}},
                                          {1, 2, 5, 7, 3, 2, 1, {0, 0}}};
    for (size_t i = 0; i < sizeof descs / sizeof descs[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct problem p = make_problem(&arena, descs[i], 100);
        size_t plane = (size_t)descs[i].h_in * (size_t)descs[i].w_in;
        for (size_t c = 0; c < (size_t)descs[i].c; c++)
            p.src[c * plane + (5 * c + 4) % plane] = NAN;
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->max_pool_create(device, &descs[i], &op), ADELE_OK);
        struct adele_max_pool_args args = device_args(&arena, &p, op, false);
        assert_int_equal(device->iface->max_pool_forward(op, &args), ADELE_OK);
        struct adele_max_pool_args host = {.src = p.src, .dst = p.dst};
        reference_max_pool_forward(&descs[i], &host);
        const float *got = arena_tensor_download(&arena, args.dst, p.out);
        for (size_t k = 0; k < shape_count(p.out); k++)
            assert_true(isnan(p.dst[k]) ? isnan(got[k]) : got[k] == p.dst[k]);
        device->iface->op_destroy(op);
        arena_close(&arena);
    }
}

static double evaluate(const void *context) {
    const struct problem *p = context;
    struct adele_max_pool_args args = {.src = p->src, .dst = p->dst};
    reference_max_pool_forward(&p->desc, &args);
    return gradient_dot(p->d_dst, p->dst, shape_count(p->out));
}

// Without ties values differ by 1 at least, so a step of 0.25 changes no maximum. bf16 tensors do
// not hold that many whole numbers.
static void check_gradient(struct adele_device *device) {
    if (device_is_bf16(device))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_max_pool_desc desc = desc_of(cases[i]);
        struct problem p = make_problem(&arena, desc, 1);
        // A stride coprime to the number of pixels visits each level of the tensor once.
        size_t n = shape_count(p.in);
        for (size_t k = 0; k < n; k++)
            p.src[k] = (float)((k * 7919) % n);
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->max_pool_create(device, &desc, &op), ADELE_OK);
        struct adele_max_pool_args args = device_args(&arena, &p, op, false);
        assert_int_equal(device->iface->max_pool_forward(op, &args), ADELE_OK);
        assert_int_equal(device->iface->max_pool_backward(op, &args), ADELE_OK);
        assert_true(gradient_agrees("src", evaluate, &p, p.src,
                                    arena_tensor_download(&arena, args.d_src, p.in), n, 11, 0.25,
                                    1e-3));
        device->iface->op_destroy(op);
        arena_close(&arena);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    static const int bad[][7] = {
        {0, 1, 4, 4, 2, 2, 0}, {1, 0, 4, 4, 2, 2, 0}, {1, 1, 0, 4, 2, 2, 0}, {1, 1, 4, 0, 2, 2, 0},
        {1, 1, 4, 4, 0, 2, 0}, {1, 1, 4, 4, 2, 0, 0}, {1, 1, 4, 4, 2, 2, 2}, {1, 1, 4, 4, 2, 2, -1},
        {1, 1, 1, 4, 2, 2, 0}, {1, 1, 4, 1, 2, 2, 0},
    };
    struct adele_op *op = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct adele_max_pool_desc desc = desc_of(bad[i]);
        op = (struct adele_op *)device;
        assert_int_equal(device->iface->max_pool_create(device, &desc, &op),
                         ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
    struct adele_max_pool_desc good = desc_of(cases[1]);
    memory_fail_at(0);
    assert_int_equal(device->iface->max_pool_create(device, &good, &op), ADELE_NO_MEMORY);
    memory_fail_at(-1);
}

ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(ties)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(overlapping_windows)
ON_EACH_DEVICE(nan)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(bad_descriptors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_overlapping_windows),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_bad_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
