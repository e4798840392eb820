// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/gradient.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct problem {
    struct adele_rescale_desc desc;
    struct adele_shape in, out;
    float *src, *dst, *d_dst, *d_src;
};

static struct problem make_problem(struct arena *arena, struct adele_rescale_desc desc) {
    struct problem p = {.desc = desc,
                        .in = {desc.n, desc.c, desc.h_in, desc.w_in},
                        .out = {desc.n, desc.c, desc.h_dst, desc.w_dst}};
    p.src = arena_random(arena, 1, shape_count(p.in), -1.0, 1.0);
    p.dst = arena_floats(arena, shape_count(p.out));
    p.d_dst = arena_random(arena, 2, shape_count(p.out), -1.0, 1.0);
    p.d_src = arena_random(arena, 3, shape_count(p.in), -1.0, 1.0);
    return p;
}

static struct adele_rescale_args device_args(struct arena *arena, const struct problem *p,
                                             const struct adele_op *op, bool accumulate) {
    struct adele_rescale_args args = {
        .src = arena_tensor(arena, p->in, p->src),
        .dst = arena_tensor(arena, p->out, NULL),
        .d_dst = arena_tensor(arena, p->out, p->d_dst),
        .d_src = arena_tensor(arena, p->in, accumulate ? p->d_src : NULL),
        .accumulate_d_src = accumulate,
        .workspace = arena_workspace(arena, op),
    };
    return args;
}

// An output mixes four values of size 1 with weights of one rounding each. A source pixel gathers
// at most (2 h_dst / h_in + 2)^2 target pixels with weights <= 1; in these cases below 80.
// Where tensors are bf16 each result is rounded once more.
static void check(struct adele_device *device, struct adele_rescale_desc desc, bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->rescale_create(device, &desc, &op), ADELE_OK);
    struct adele_rescale_args args = device_args(&arena, &p, op, accumulate);
    struct adele_rescale_args host = {.src = p.src,
                                      .dst = p.dst,
                                      .d_dst = p.d_dst,
                                      .d_src = p.d_src,
                                      .accumulate_d_src = accumulate};
    assert_int_equal(device->iface->rescale_forward(op, &args), ADELE_OK);
    reference_rescale_forward(&desc, &host);
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.out), p.dst, p.out.n,
                            p.out.c, p.out.h, p.out.w, 4e-7, device_tolerance(device, 0.0)));
    assert_int_equal(device->iface->rescale_backward(op, &args), ADELE_OK);
    reference_rescale_backward(&desc, &host);
    assert_true(compare_f32("d_src", arena_tensor_download(&arena, args.d_src, p.in), p.d_src,
                            p.in.n, p.in.c, p.in.h, p.in.w, 8e-6, device_tolerance(device, 0.0)));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// n, c, h_in, w_in, h_out, w_out, h_dst, w_dst, top, left
static const int cases[][10] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 0},       {2, 1, 1, 1, 4, 3, 4, 3, 0, 0},
    {1, 2, 4, 5, 1, 1, 1, 1, 0, 0},       {1, 3, 4, 4, 8, 8, 8, 8, 0, 0},
    {2, 5, 7, 5, 14, 10, 15, 11, 0, 0},   {1, 7, 3, 4, 6, 8, 9, 12, 1, 2},
    {1, 8, 8, 8, 16, 16, 16, 16, 0, 0},   {1, 9, 13, 11, 9, 7, 9, 7, 0, 0},
    {2, 15, 5, 5, 5, 5, 5, 5, 0, 0},      {1, 16, 6, 7, 12, 14, 10, 11, -1, -2},
    {1, 17, 17, 3, 23, 31, 23, 31, 0, 0}, {1, 21, 10, 1, 1, 10, 4, 12, 3, 1},
    {1, 24, 4, 4, 8, 8, 4, 4, -9, 0},     {1, 3, 2, 2, 3, 3, 5, 5, 7, -1},
    {1, 4, 30, 29, 3, 4, 3, 4, 0, 0},     {1, 9, 9, 5, 17, 9, 17, 9, 0, 0},
    {1, 2, 3, 70, 6, 140, 7, 141, 0, 1},  {2, 3, 24, 3, 7, 2, 9, 3, 1, 0},
    {1, 1, 4, 2, 40, 3, 33, 3, -3, 0},
};

static struct adele_rescale_desc desc_of(const int *row) {
    struct adele_rescale_desc desc = {row[0], row[1], row[2], row[3], row[4], row[5],
                                      row[6], row[7], row[8], row[9], {0, 0}};
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(device, desc_of(cases[i]), false);
        check(device, desc_of(cases[i]), true);
    }
}

// (0, 1, 3) on three pixels becomes (0, 0.5, 1, 2, 3) on five, set one pixel in from the left.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_rescale_desc desc = {1, 1, 1, 3, 1, 5, 2, 7, 1, 1, {0, 0}};
    struct problem p = make_problem(&arena, desc);
    memcpy(p.src, (const float[]){0, 1, 3}, 3 * sizeof(float));
    memset(p.d_dst, 0, 14 * sizeof(float));
    p.d_dst[9] = 1.0f;   // reads half of the first and half of the second pixel
    p.d_dst[0] = 100.0f; // outside the image: reads nothing
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->rescale_create(device, &desc, &op), ADELE_OK);
    struct adele_rescale_args args = device_args(&arena, &p, op, false);
    assert_int_equal(device->iface->rescale_forward(op, &args), ADELE_OK);
    assert_int_equal(device->iface->rescale_backward(op, &args), ADELE_OK);
    const float dst[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5f, 1, 2, 3, 0}, d_src[] = {0.5f, 0.5f, 0};
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.out), dst, 1, 1, 2, 7,
                            0.0, 0.0));
    assert_true(compare_f32("d_src", arena_tensor_download(&arena, args.d_src, p.in), d_src, 1, 1,
                            1, 3, 0.0, 0.0));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// The same size is a copy, bit for bit.
static void check_identity(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_rescale_desc desc = desc_of(cases[8]);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->rescale_create(device, &desc, &op), ADELE_OK);
    struct adele_rescale_args args = device_args(&arena, &p, op, false);
    assert_int_equal(device->iface->rescale_forward(op, &args), ADELE_OK);
    assert_true(compare_bytes("dst", arena_tensor_download(&arena, args.dst, p.out), p.src,
                              shape_count(p.out) * sizeof(float)));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static double evaluate(const void *context) {
    const struct problem *p = context;
    struct adele_rescale_args args = {.src = p->src, .dst = p->dst};
    reference_rescale_forward(&p->desc, &args);
    return gradient_dot(p->d_dst, p->dst, shape_count(p->out));
}

// Linear: a large step costs nothing. Case 12 crops everything away, so all is 0 there.
static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_rescale_desc desc = desc_of(cases[i]);
        struct problem p = make_problem(&arena, desc);
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->rescale_create(device, &desc, &op), ADELE_OK);
        struct adele_rescale_args args = device_args(&arena, &p, op, false);
        assert_int_equal(device->iface->rescale_backward(op, &args), ADELE_OK);
        assert_true(gradient_agrees("src", evaluate, &p, p.src,
                                    arena_tensor_download(&arena, args.d_src, p.in),
                                    shape_count(p.in), 11, 0.5, device_tolerance(device, 1e-4)));
        device->iface->op_destroy(op);
        arena_close(&arena);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    struct adele_op *op = NULL;
    for (int field = 0; field < 8; field++) {
        int row[10];
        memcpy(row, cases[4], sizeof row);
        row[field] = field % 2 == 0 ? 0 : -3;
        struct adele_rescale_desc desc = desc_of(row);
        op = (struct adele_op *)device;
        assert_int_equal(device->iface->rescale_create(device, &desc, &op), ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
}

static void check_allocator(struct adele_device *device) {
    struct adele_rescale_desc desc = desc_of(cases[4]);
    ASSERT_CREATE_SURVIVES_FAILURES(device, rescale, &desc);
}

ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(identity)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(bad_descriptors)
ON_EACH_DEVICE(allocator)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),          cmocka_unit_test(test_literal),
        cmocka_unit_test(test_identity),        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_bad_descriptors), cmocka_unit_test(test_allocator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
