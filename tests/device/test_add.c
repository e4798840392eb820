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
    struct adele_add_desc desc;
    struct adele_shape shape;
    float *src0, *src1, *dst, *d_dst, *d_src0, *d_src1;
};

static struct problem make_problem(struct arena *arena, struct adele_add_desc desc) {
    struct problem p = {.desc = desc, .shape = {desc.n, desc.c, desc.h, desc.w}};
    size_t count = shape_count(p.shape);
    p.src0 = arena_random(arena, 1, count, -1.0, 1.0);
    p.src1 = arena_random(arena, 2, count, -1.0, 1.0);
    p.dst = arena_floats(arena, count);
    p.d_dst = arena_random(arena, 3, count, -1.0, 1.0);
    p.d_src0 = arena_random(arena, 4, count, -1.0, 1.0);
    p.d_src1 = arena_random(arena, 5, count, -1.0, 1.0);
    return p;
}

static void compare(struct arena *arena, const char *what, const void *got, const float *want,
                    struct adele_shape shape) {
    assert_true(compare_f32(what, arena_tensor_download(arena, got, shape), want, shape.n, shape.c,
                            shape.h, shape.w, 0.0, device_tolerance(arena->device, 0.0)));
}

// Single float sums: exact.
static void check(struct adele_device *device, struct adele_add_desc desc, bool accumulate0,
                  bool accumulate1) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->add_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_add);
    assert_int_equal(op->workspace_bytes, 0); // its arguments have none
    struct adele_add_args args = {
        .src0 = arena_tensor(&arena, p.shape, p.src0),
        .src1 = arena_tensor(&arena, p.shape, p.src1),
        .dst = arena_tensor(&arena, p.shape, NULL),
        .d_dst = arena_tensor(&arena, p.shape, p.d_dst),
        .d_src0 = arena_tensor(&arena, p.shape, accumulate0 ? p.d_src0 : NULL),
        .d_src1 = arena_tensor(&arena, p.shape, accumulate1 ? p.d_src1 : NULL),
        .accumulate_d_src0 = accumulate0,
        .accumulate_d_src1 = accumulate1,
    };
    struct adele_add_args host = {p.src0,   p.src1,   p.dst,       p.d_dst,
                                  p.d_src0, p.d_src1, accumulate0, accumulate1};
    assert_int_equal(device->iface->add_forward(op, &args), ADELE_OK);
    reference_add_forward(&desc, &host);
    compare(&arena, "dst", args.dst, p.dst, p.shape);
    assert_int_equal(device->iface->add_backward(op, &args), ADELE_OK);
    reference_add_backward(&desc, &host);
    compare(&arena, "d_src0", args.d_src0, p.d_src0, p.shape);
    compare(&arena, "d_src1", args.d_src1, p.d_src1, p.shape);
    // Each gradient on its own.
    void *d_src1 = args.d_src1;
    args.d_src1 = NULL;
    host.d_src1 = NULL;
    args.accumulate_d_src0 = host.accumulate_d_src0 = false;
    assert_int_equal(device->iface->add_backward(op, &args), ADELE_OK);
    reference_add_backward(&desc, &host);
    compare(&arena, "d_src0", args.d_src0, p.d_src0, p.shape);
    compare(&arena, "d_src1", d_src1, p.d_src1, p.shape);
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// n, c, h, w
static const int cases[][4] = {
    {1, 1, 1, 1},  {2, 3, 5, 7},  {1, 7, 3, 2},   {1, 8, 4, 4},    {3, 9, 2, 3},
    {1, 15, 5, 5}, {2, 16, 3, 3}, {1, 17, 11, 1}, {1, 21, 13, 17},
};

static struct adele_add_desc desc_of(const int *row) {
    struct adele_add_desc desc = {row[0], row[1], row[2], row[3]};
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int flags = 0; flags < 4; flags++)
            check(device, desc_of(cases[i]), flags % 2 == 1, flags / 2 == 1);
}

static double evaluate(const void *context) {
    const struct problem *p = context;
    struct adele_add_args args = {.src0 = p->src0, .src1 = p->src1, .dst = p->dst};
    reference_add_forward(&p->desc, &args);
    return gradient_dot(p->d_dst, p->dst, shape_count(p->shape));
}

static void check_gradient(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_add_desc desc = desc_of(cases[8]);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->add_create(device, &desc, &op), ADELE_OK);
    struct adele_add_args args = {.d_dst = arena_tensor(&arena, p.shape, p.d_dst),
                                  .d_src0 = arena_tensor(&arena, p.shape, NULL),
                                  .d_src1 = arena_tensor(&arena, p.shape, NULL)};
    assert_int_equal(device->iface->add_backward(op, &args), ADELE_OK);
    assert_true(gradient_agrees("src0", evaluate, &p, p.src0,
                                arena_tensor_download(&arena, args.d_src0, p.shape),
                                shape_count(p.shape), 11, 0.5, 1e-4));
    assert_true(gradient_agrees("src1", evaluate, &p, p.src1,
                                arena_tensor_download(&arena, args.d_src1, p.shape),
                                shape_count(p.shape), 12, 0.5, 1e-4));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void check_bad_descriptors(struct adele_device *device) {
    static const int bad[][4] = {{0, 1, 4, 4}, {1, 0, 4, 4}, {1, 1, 0, 4}, {1, 1, 4, -1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct adele_add_desc desc = desc_of(bad[i]);
        struct adele_op *op = (struct adele_op *)device;
        assert_int_equal(device->iface->add_create(device, &desc, &op), ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
    struct adele_add_desc good = desc_of(cases[1]);
    ASSERT_CREATE_SURVIVES_FAILURES(device, add, &good);
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
