// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/gradient.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct problem {
    struct adele_global_pool_desc desc;
    struct adele_shape in, out;
    float *src, *dst, *d_dst, *d_src;
};

static struct problem make_problem(struct arena *arena, struct adele_global_pool_desc desc) {
    struct problem p = {
        .desc = desc, .in = {desc.n, desc.c, desc.h, desc.w}, .out = {desc.n, desc.c, 1, 1}};
    p.src = arena_random(arena, 1, shape_count(p.in), -1.0, 1.0);
    p.dst = arena_floats(arena, shape_count(p.out));
    p.d_dst = arena_random(arena, 2, shape_count(p.out), -1.0, 1.0);
    p.d_src = arena_random(arena, 3, shape_count(p.in), -1.0, 1.0);
    return p;
}

static struct adele_global_pool_args device_args(struct arena *arena, const struct problem *p,
                                                 const struct adele_op *op, bool accumulate) {
    struct adele_global_pool_args args = {
        .src = arena_tensor(arena, p->in, p->src),
        .dst = arena_tensor(arena, p->out, NULL),
        .d_dst = arena_tensor(arena, p->out, p->d_dst),
        .d_src = arena_tensor(arena, p->in, accumulate ? p->d_src : NULL),
        .accumulate_d_src = accumulate,
        .workspace = arena_workspace(arena, op),
    };
    return args;
}

static void check(struct adele_device *device, struct adele_global_pool_desc desc,
                  bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->global_pool_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_global_pool);
    struct adele_global_pool_args args = device_args(&arena, &p, op, accumulate);
    struct adele_global_pool_args host = {.src = p.src,
                                          .dst = p.dst,
                                          .d_dst = p.d_dst,
                                          .d_src = p.d_src,
                                          .accumulate_d_src = accumulate};
    assert_int_equal(device->iface->global_pool_forward(op, &args), ADELE_OK);
    reference_global_pool_forward(&desc, &host);
    // Float sums of a few hundred values of size 1, divided by their number.
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.out), p.dst, p.out.n,
                            p.out.c, 1, 1, 1e-6, device_tolerance(device, 1e-6)));
    assert_int_equal(device->iface->global_pool_backward(op, &args), ADELE_OK);
    reference_global_pool_backward(&desc, &host);
    assert_true(compare_f32("d_src", arena_tensor_download(&arena, args.d_src, p.in), p.d_src,
                            p.in.n, p.in.c, p.in.h, p.in.w, 1e-7, device_tolerance(device, 1e-6)));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// n, c, h, w: both sides of blocks of 8, 16 and 64 channels, and of 32 pixels.
static const int cases[][4] = {
    {1, 1, 1, 1},  {2, 3, 1, 7},  {1, 7, 5, 3},   {3, 8, 31, 1}, {1, 9, 8, 4},  {2, 15, 3, 11},
    {1, 16, 9, 7}, {2, 17, 2, 2}, {1, 21, 13, 5}, {1, 63, 3, 3}, {1, 64, 2, 9}, {2, 65, 5, 5},
};

static struct adele_global_pool_desc desc_of(const int *row) {
    struct adele_global_pool_desc desc = {row[0], row[1], row[2], row[3]};
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(device, desc_of(cases[i]), false);
        check(device, desc_of(cases[i]), true);
    }
}

static double evaluate(const void *context) {
    const struct problem *p = context;
    struct adele_global_pool_args args = {.src = p->src, .dst = p->dst};
    reference_global_pool_forward(&p->desc, &args);
    return gradient_dot(p->d_dst, p->dst, shape_count(p->out));
}

static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_global_pool_desc desc = desc_of(cases[i]);
        struct problem p = make_problem(&arena, desc);
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->global_pool_create(device, &desc, &op), ADELE_OK);
        struct adele_global_pool_args args = device_args(&arena, &p, op, false);
        assert_int_equal(device->iface->global_pool_backward(op, &args), ADELE_OK);
        assert_true(gradient_agrees("src", evaluate, &p, p.src,
                                    arena_tensor_download(&arena, args.d_src, p.in),
                                    shape_count(p.in), 11, 0.5, device_tolerance(device, 1e-4)));
        device->iface->op_destroy(op);
        arena_close(&arena);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    static const int bad[][4] = {{0, 1, 4, 4}, {1, 0, 4, 4}, {1, 1, 0, 4}, {1, 1, 4, -1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct adele_global_pool_desc desc = desc_of(bad[i]);
        struct adele_op *op = (struct adele_op *)device;
        assert_int_equal(device->iface->global_pool_create(device, &desc, &op),
                         ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
    struct adele_global_pool_desc good = desc_of(cases[1]);
    ASSERT_CREATE_SURVIVES_FAILURES(device, global_pool, &good);
}

ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(bad_descriptors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_bad_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
