// SPDX-License-Identifier: MIT
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/op_errors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum place { APART, IN_A, IN_B, NO_B, NO_B_IN_A, N_PLACES };

// One rounding of the sum and one of the product: exact.
static void check_size(struct adele_device *device, int64_t n, enum place place, float scale) {
    struct arena arena;
    struct adele_combine_desc desc = {n};
    struct adele_op *op = NULL;
    arena_open(&arena, device);
    size_t count = (size_t)n, bytes = count * sizeof(float);
    float *a = arena_random(&arena, 1, count, -1.0, 1.0);
    float *b = arena_random(&arena, 2, count, -1e4, 1e4), *out = arena_floats(&arena, count);
    struct adele_combine_args host = {a, b, out, scale};
    struct adele_combine_args args = {arena_upload(&arena, a, bytes),
                                      arena_upload(&arena, b, bytes),
                                      arena_upload(&arena, out, bytes), scale};
    if (place == NO_B || place == NO_B_IN_A)
        args.b = host.b = NULL;
    if (place == IN_A || place == NO_B_IN_A)
        args.out = (float *)args.a;
    else if (place == IN_B)
        args.out = (float *)args.b;
    assert_int_equal(device->iface->combine_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_combine);
    assert_int_equal(device->iface->combine_forward(op, &args), ADELE_OK);
    reference_combine_forward(&desc, &host);
    assert_true(compare_bytes("out", arena_download(&arena, args.out, count), out, bytes));
    if (place == APART) {
        assert_true(compare_bytes("a", arena_download(&arena, args.a, count), a, bytes));
        assert_true(compare_bytes("b", arena_download(&arena, args.b, count), b, bytes));
    }
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// Around a block of threads, and around the chunk of a CPU's thread.
static void check_sizes(struct adele_device *device) {
    static const int64_t sizes[] = {1, 7, 255, 256, 257, 16383, 16384, 16385, 40009};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_size(device, sizes[i], APART, 1.0f);
}

static void check_places(struct adele_device *device) {
    for (enum place place = APART; place < N_PLACES; place++) {
        check_size(device, 1031, place, 0.125f);
        check_size(device, 16411, place, 0.3f);
    }
}

// 2^24 + 1 rounds to 2^24 before it is scaled; zeros keep their sign; NaN and infinity go on.
static void check_literal(struct adele_device *device) {
    static const float a[] = {16777216.0f, -0.0f, 1.0f, INFINITY, 3.0f};
    static const float b[] = {1.0f, -0.0f, NAN, 1.0f, -1.0f};
    static const float wanted[] = {8388608.0f, -0.0f, NAN, INFINITY, 1.0f};
    struct arena arena;
    struct adele_op *op = NULL;
    arena_open(&arena, device);
    struct adele_combine_desc desc = {5};
    float out[5] = {0};
    struct adele_combine_args args = {arena_upload(&arena, a, sizeof a),
                                      arena_upload(&arena, b, sizeof b),
                                      arena_upload(&arena, out, sizeof out), 0.5f};
    assert_int_equal(device->iface->combine_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(device->iface->combine_forward(op, &args), ADELE_OK);
    const float *got = arena_download(&arena, args.out, 5);
    for (int i = 0; i < 5; i++) {
        if (isnan(wanted[i]))
            assert_true(isnan(got[i]));
        else
            assert_true(compare_bytes("out", &got[i], &wanted[i], sizeof wanted[i]));
    }
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void check_errors(struct adele_device *device) {
    static const int64_t bad[] = {0, -1};
    for (int i = 0; i < 2; i++) {
        struct adele_combine_desc desc = {bad[i]};
        op_check_refused(device, ADELE_OP_combine, &desc);
    }
    struct adele_combine_desc good = {3};
    op_check_allocations(device, ADELE_OP_combine, &good);
}

ON_EACH_DEVICE(sizes)
ON_EACH_DEVICE(places)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
