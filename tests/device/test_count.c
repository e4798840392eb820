// SPDX-License-Identifier: MIT
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/maps.h"
#include "support/op_errors.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SIZE ((size_t)ADELE_COUNT_KINDS * 256)

static adele_status run(struct arena *arena, struct adele_count_desc desc,
                        const uint8_t *prediction, const uint8_t *labels, int64_t *counts) {
    const struct adele_device *device = arena->device;
    size_t n = (size_t)desc.n * (size_t)desc.h * (size_t)desc.w;
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->count_create(device, &desc, &op), ADELE_OK);
    struct adele_count_args args = {arena_upload(arena, prediction, n),
                                    arena_upload(arena, labels, n),
                                    arena_upload(arena, counts, SIZE * sizeof(int64_t))};
    adele_status status = device->iface->count_forward(op, &args);
    assert_int_equal(device->iface->download(device, counts, args.counts, SIZE * sizeof(int64_t)),
                     ADELE_OK);
    device->iface->op_destroy(op);
    return status;
}

// Four pixels: right, wrong, ignored, and a prediction that is no category.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    const uint8_t prediction[] = {1, 1, 2, 255}, labels[] = {1, 0, 255, 2};
    int64_t counts[ADELE_COUNT_KINDS][256] = {{0}};
    counts[0][1] = 10; // what was counted before stays
    struct adele_count_desc desc = {1, 2, 2, 3};
    assert_int_equal(run(&arena, desc, prediction, labels, counts[0]), ADELE_OK);
    assert_int_equal(counts[0][1], 11);
    assert_int_equal(counts[0][0] + counts[0][2], 0);
    assert_int_equal(counts[1][1], 2);
    assert_int_equal(counts[1][2] + counts[1][0] + counts[1][255], 0);
    assert_int_equal(counts[2][0], 1);
    assert_int_equal(counts[2][1], 1);
    assert_int_equal(counts[2][2], 1);
    assert_int_equal(counts[2][255], 0);
    arena_close(&arena);
}

static void check_shapes(struct adele_device *device) {
    static const struct adele_count_desc cases[] = {{1, 1, 1, 2},    {3, 7, 13, 5},
                                                    {2, 31, 32, 21}, {1, 33, 17, 255},
                                                    {1, 64, 64, 1},  {1, 17, 241, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        size_t n = (size_t)cases[i].n * (size_t)cases[i].h * (size_t)cases[i].w;
        uint8_t *prediction = maps_random(&arena, 1, n, cases[i].n_categories, 0.1);
        uint8_t *labels = maps_random(&arena, 2, n, cases[i].n_categories, 0.2);
        int64_t got[SIZE] = {0}, again[SIZE] = {0}, want[SIZE] = {0};
        struct adele_count_args args = {prediction, labels, want};
        reference_count_forward(&cases[i], &args);
        omp_set_num_threads(3);
        assert_int_equal(run(&arena, cases[i], prediction, labels, got), ADELE_OK);
        omp_set_num_threads(1);
        assert_int_equal(run(&arena, cases[i], prediction, labels, again), ADELE_OK);
        assert_true(compare_bytes("counts", got, want, sizeof want));
        assert_true(compare_bytes("counts, one thread", again, want, sizeof want));
        arena_close(&arena);
    }
}

static void check_errors(struct adele_device *device) {
    static const struct adele_count_desc bad[] = {
        {0, 1, 1, 2}, {1, -1, 1, 2}, {1, 1, 0, 2}, {1, 1, 1, 0}, {1, 1, 1, 256}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_count, &bad[i]);
    struct adele_count_desc good = {1, 1, 1, 2};
    struct adele_op *op = NULL;
    op_check_allocations(device, ADELE_OP_count, &good);
    assert_int_equal(device->iface->count_create(device, &good, &op), ADELE_OK);
    struct adele_count_args args = {0};
    assert_int_equal(device->iface->count_forward(op, &args), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
}

ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_literal),
                                       cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
