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
    struct adele_concat_desc desc;
    struct adele_shape in0, in1, out;
    float *src0, *src1, *dst, *d_dst, *d_src0, *d_src1;
};

static struct problem make_problem(struct arena *arena, struct adele_concat_desc desc) {
    struct problem p = {.desc = desc,
                        .in0 = {desc.n, desc.c0, desc.h, desc.w},
                        .in1 = {desc.n, desc.c1, desc.h, desc.w},
                        .out = {desc.n, desc.c0 + desc.c1, desc.h, desc.w}};
    p.src0 = arena_random(arena, 1, shape_count(p.in0), -1.0, 1.0);
    p.src1 = arena_random(arena, 2, shape_count(p.in1), -1.0, 1.0);
    p.dst = arena_floats(arena, shape_count(p.out));
    p.d_dst = arena_random(arena, 3, shape_count(p.out), -1.0, 1.0);
    p.d_src0 = arena_random(arena, 4, shape_count(p.in0), -1.0, 1.0);
    p.d_src1 = arena_random(arena, 5, shape_count(p.in1), -1.0, 1.0);
    return p;
}

static struct adele_concat_args device_args(struct arena *arena, const struct problem *p,
                                            bool accumulate0, bool accumulate1) {
    struct adele_concat_args args = {
        .src0 = arena_tensor(arena, p->in0, p->src0),
        .src1 = arena_tensor(arena, p->in1, p->src1),
        .dst = arena_tensor(arena, p->out, NULL),
        .d_dst = arena_tensor(arena, p->out, p->d_dst),
        .d_src0 = arena_tensor(arena, p->in0, accumulate0 ? p->d_src0 : NULL),
        .d_src1 = arena_tensor(arena, p->in1, accumulate1 ? p->d_src1 : NULL),
        .accumulate_d_src0 = accumulate0,
        .accumulate_d_src1 = accumulate1,
    };
    return args;
}

// Copies and single float sums: exact, but for the rounding of a sum to a bf16 tensor.
static void check(struct adele_device *device, struct adele_concat_desc desc, bool accumulate0,
                  bool accumulate1) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->concat_create(device, &desc, &op), ADELE_OK);
    struct adele_concat_args args = device_args(&arena, &p, accumulate0, accumulate1);
    struct adele_concat_args host = {p.src0,   p.src1,   p.dst,       p.d_dst,
                                     p.d_src0, p.d_src1, accumulate0, accumulate1};
    assert_int_equal(device->iface->concat_forward(op, &args), ADELE_OK);
    reference_concat_forward(&desc, &host);
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.out), p.dst, p.out.n,
                            p.out.c, p.out.h, p.out.w, 0.0, 0.0));
    assert_int_equal(device->iface->concat_backward(op, &args), ADELE_OK);
    reference_concat_backward(&desc, &host);
    assert_true(compare_f32("d_src0", arena_tensor_download(&arena, args.d_src0, p.in0), p.d_src0,
                            p.in0.n, p.in0.c, p.in0.h, p.in0.w, 0.0,
                            accumulate0 ? device_tolerance(device, 0.0) : 0.0));
    assert_true(compare_f32("d_src1", arena_tensor_download(&arena, args.d_src1, p.in1), p.d_src1,
                            p.in1.n, p.in1.c, p.in1.h, p.in1.w, 0.0,
                            accumulate1 ? device_tolerance(device, 0.0) : 0.0));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// n, c0, c1, h, w: both sides of every block boundary.
static const int cases[][5] = {
    {1, 1, 1, 1, 1},   {2, 1, 7, 3, 5},   {1, 2, 3, 7, 2},   {3, 5, 8, 2, 2},  {1, 7, 9, 3, 3},
    {1, 8, 1, 5, 4},   {2, 8, 8, 4, 4},   {1, 9, 7, 2, 3},   {1, 15, 2, 3, 1}, {2, 16, 16, 5, 3},
    {1, 16, 5, 4, 3},  {1, 17, 15, 2, 2}, {1, 21, 21, 3, 2}, {1, 3, 16, 2, 5}, {1, 24, 9, 3, 3},
    {1, 8, 16, 2, 50}, {2, 5, 16, 3, 50},
};

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int flags = 0; flags < 4; flags++) {
            const int *row = cases[i];
            struct adele_concat_desc desc = {row[0], row[1], row[2], row[3], row[4]};
            check(device, desc, flags & 1, (flags & 2) != 0);
        }
}

static double evaluate(const void *context) {
    const struct problem *p = context;
    struct adele_concat_args args = {.src0 = p->src0, .src1 = p->src1, .dst = p->dst};
    reference_concat_forward(&p->desc, &args);
    return gradient_dot(p->d_dst, p->dst, shape_count(p->out));
}

static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        const int *row = cases[i];
        struct adele_concat_desc desc = {row[0], row[1], row[2], row[3], row[4]};
        struct problem p = make_problem(&arena, desc);
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->concat_create(device, &desc, &op), ADELE_OK);
        struct adele_concat_args args = device_args(&arena, &p, false, false);
        assert_int_equal(device->iface->concat_backward(op, &args), ADELE_OK);
        assert_true(gradient_agrees("src0", evaluate, &p, p.src0,
                                    arena_tensor_download(&arena, args.d_src0, p.in0),
                                    shape_count(p.in0), 11, 0.5, 1e-6));
        assert_true(gradient_agrees("src1", evaluate, &p, p.src1,
                                    arena_tensor_download(&arena, args.d_src1, p.in1),
                                    shape_count(p.in1), 12, 0.5, 1e-6));
        device->iface->op_destroy(op);
        arena_close(&arena);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    struct adele_op *op = NULL;
    for (int field = 0; field < 5; field++) {
        int row[5] = {1, 2, 3, 4, 5};
        row[field] = field - 4;
        struct adele_concat_desc desc = {row[0], row[1], row[2], row[3], row[4]};
        op = (struct adele_op *)device;
        assert_int_equal(device->iface->concat_create(device, &desc, &op), ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
    struct adele_concat_desc good = {1, 2, 3, 4, 5};
    memory_fail_at(0);
    assert_int_equal(device->iface->concat_create(device, &good, &op), ADELE_NO_MEMORY);
    memory_fail_at(-1);
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
