// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/op_errors.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// Values of size 1, and three roundings: 4e-7.
static void check_size(struct adele_device *device, int64_t n, float decay) {
    struct arena arena;
    struct adele_average_desc desc = {n};
    struct adele_op *op = NULL;
    arena_open(&arena, device);
    size_t count = (size_t)n, bytes = count * sizeof(float);
    float *average = arena_random(&arena, 1, count, -1.0, 1.0);
    float *values = arena_random(&arena, 2, count, -1.0, 1.0);
    struct adele_average_args host = {average, values, decay, NULL};
    struct adele_average_args args = {arena_upload(&arena, average, bytes),
                                      arena_upload(&arena, values, bytes), decay, NULL};
    assert_int_equal(device->iface->average_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_average);
    memory_fail_at(-1);
    for (int step = 0; step < 3; step++) {
        assert_int_equal(device->iface->average_forward(op, &args), ADELE_OK);
        reference_average_forward(&desc, &host);
    }
    assert_int_equal(memory_count(), 0);
    assert_true(compare_f32("average", arena_download(&arena, args.average, count), average, 1, 1,
                            1, (int)n, 4e-7, 0.0));
    assert_true(compare_bytes("values", arena_download(&arena, args.values, count), values, bytes));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// Around a block of threads, and around the chunk of a CPU's thread.
static void check_sizes(struct adele_device *device) {
    static const int64_t sizes[] = {1, 7, 255, 256, 257, 16383, 16384, 16385, 40009};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_size(device, sizes[i], 0.99f);
}

// All powers of two: exact. Decay 1 keeps the average, decay 0 takes the values.
static void check_literal(struct adele_device *device) {
    static const float average[] = {1.0f, -2.0f, 0.0f}, values[] = {2.0f, 2.0f, -4.0f};
    static const float wanted[3][3] = {
        {1.25f, -1.0f, -1.0f}, {1.0f, -2.0f, 0.0f}, {2.0f, 2.0f, -4.0f}};
    static const float decays[] = {0.75f, 1.0f, 0.0f};
    struct adele_average_desc desc = {3};
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->average_create(device, &desc, &op), ADELE_OK);
    for (int i = 0; i < 3; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_average_args args = {arena_upload(&arena, average, sizeof average),
                                          arena_upload(&arena, values, sizeof values), decays[i],
                                          NULL};
        assert_int_equal(device->iface->average_forward(op, &args), ADELE_OK);
        assert_true(compare_bytes("average", arena_download(&arena, args.average, 3), wanted[i],
                                  sizeof wanted[i]));
        arena_close(&arena);
    }
    device->iface->op_destroy(op);
}

// Behind an update that was skipped, nothing; behind one that was done, also when others before it
// were skipped, the average moves.
static void check_health(struct adele_device *device) {
    for (int64_t is_skipped = 0; is_skipped < 2; is_skipped++) {
        float average[300], values[300];
        int64_t health[ADELE_HEALTH_COUNT] = {5, 2, 1, -1, is_skipped};
        struct adele_average_desc desc = {300};
        struct adele_op *op = NULL;
        struct arena arena;
        arena_open(&arena, device);
        for (int i = 0; i < 300; i++) {
            average[i] = 1.0f;
            values[i] = 3.0f;
        }
        struct adele_average_args host = {average, values, 0.5f, health};
        struct adele_average_args args = {arena_upload(&arena, average, sizeof average),
                                          arena_upload(&arena, values, sizeof values), 0.5f,
                                          arena_upload(&arena, health, sizeof health)};
        assert_int_equal(device->iface->average_create(device, &desc, &op), ADELE_OK);
        assert_int_equal(device->iface->average_forward(op, &args), ADELE_OK);
        reference_average_forward(&desc, &host);
        assert_true(average[299] == (is_skipped ? 1.0f : 2.0f));
        assert_true(compare_bytes("average", arena_download(&arena, args.average, 300), average,
                                  sizeof average));
        device->iface->op_destroy(op);
        arena_close(&arena);
    }
}

static void check_errors(struct adele_device *device) {
    static const int64_t bad[] = {0, -1};
    for (int i = 0; i < 2; i++) {
        struct adele_average_desc desc = {bad[i]};
        op_check_refused(device, ADELE_OP_average, &desc);
    }
    struct adele_average_desc good = {3};
    op_check_allocations(device, ADELE_OP_average, &good);
}

ON_EACH_DEVICE(sizes)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(health)
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
