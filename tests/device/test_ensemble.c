// SPDX-License-Identifier: MIT
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/maps.h"
#include "support/op_errors.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static size_t accumulator_count(const struct adele_ensemble_desc *desc) {
    return (size_t)desc->n * (size_t)desc->c * (size_t)desc->h * (size_t)desc->w;
}

// Adds `logits` to `accumulator` on the device; answers the sum on the host.
static float *run(struct arena *arena, const struct adele_ensemble_desc *desc, const float *logits,
                  const float *accumulator, bool is_first, bool flip, float weight) {
    const struct adele_device *device = arena->device;
    struct adele_shape shape = {desc->n, desc->c, desc->h_in, desc->w_in};
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->ensemble_create(device, desc, &op), ADELE_OK);
    struct adele_ensemble_args args = {.logits = arena_tensor(arena, shape, logits),
                                       .is_first = is_first,
                                       .flip = flip,
                                       .weight = weight,
                                       .accumulator =
                                           arena_upload(arena, is_first ? NULL : accumulator,
                                                        accumulator_count(desc) * sizeof(float))};
    assert_int_equal(device->iface->ensemble_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    return arena_download(arena, args.accumulator, accumulator_count(desc));
}

// Two pixels, two categories: logits 0 and ln 3 are probabilities 1/4 and 3/4; flipped they change
// places.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_ensemble_desc desc = {1, 2, 1, 2, 1, 2, ADELE_ENSEMBLE_PROBABILITIES};
    const float logits[] = {0.0f, 0.0f, logf(3.0f), 0.0f};
    const float old[] = {1.0f, 2.0f, 3.0f, 4.0f};
    const float first[] = {0.125f, 0.25f, 0.375f, 0.25f};
    const float added[] = {1.25f, 2.125f, 3.25f, 4.375f};
    // What ln 3 loses as bf16 counts twice in the last sum.
    double tolerance = 2.0 * device_tolerance(device, 5e-7);
    assert_true(compare_f32("first", run(&arena, &desc, logits, old, true, false, 0.5f), first, 1,
                            2, 1, 2, tolerance, 0.0));
    assert_true(compare_f32("added, flipped", run(&arena, &desc, logits, old, false, true, 0.5f),
                            added, 1, 2, 1, 2, tolerance, 0.0));
    desc.mode = ADELE_ENSEMBLE_LOGITS;
    const float sum[] = {1.0f, 2.0f, 3.0f + 2.0f * logf(3.0f), 4.0f};
    assert_true(compare_f32("logits", run(&arena, &desc, logits, old, false, false, 2.0f), sum, 1,
                            2, 1, 2, tolerance, 0.0));
    arena_close(&arena);
}

static const struct adele_ensemble_desc cases[] = {
    {1, 1, 1, 1, 1, 1, ADELE_ENSEMBLE_PROBABILITIES},
    {2, 2, 7, 5, 7, 5, ADELE_ENSEMBLE_PROBABILITIES},
    {1, 5, 3, 4, 31, 33, ADELE_ENSEMBLE_LOGITS},
    {2, 21, 9, 11, 17, 15, ADELE_ENSEMBLE_PROBABILITIES},
    {1, 8, 48, 24, 32, 16, ADELE_ENSEMBLE_PROBABILITIES},
    {1, 17, 1, 6, 4, 1, ADELE_ENSEMBLE_LOGITS},
    {2, 16, 5, 3, 16, 16, ADELE_ENSEMBLE_PROBABILITIES}, // blocks of 256 pixels
    {1, 32, 2, 9, 1, 257, ADELE_ENSEMBLE_PROBABILITIES},
    {2, 33, 3, 2, 5, 7, ADELE_ENSEMBLE_LOGITS},
    {1, 255, 2, 2, 3, 3, ADELE_ENSEMBLE_PROBABILITIES}};

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int flags = 0; flags < 4; flags++) {
            struct arena arena;
            arena_open(&arena, device);
            const struct adele_ensemble_desc *desc = &cases[i];
            bool is_first = (flags & 1) != 0, flip = (flags & 2) != 0;
            struct adele_shape shape = {desc->n, desc->c, desc->h_in, desc->w_in};
            float *logits = arena_random(&arena, 3, shape_count(shape), -8.0, 8.0);
            float *want = arena_random(&arena, 4, accumulator_count(desc), 0.0, 1.0);
            const float *got = run(&arena, desc, logits, want, is_first, flip, 0.25f);
            struct adele_ensemble_args args = {logits, is_first, flip, 0.25f, want};
            reference_ensemble_forward(desc, &args);
            // Logits up to 8 carry 8 * 2^-24 into the exponent: 5e-7 of a probability.
            assert_true(compare_f32("accumulator", got, want, desc->n, desc->c, desc->h, desc->w,
                                    1e-6, 0.0));
            arena_close(&arena);
        }
}

static void check_threads(struct adele_device *device) {
    for (size_t i = 1; i < 4; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_shape shape = {cases[i].n, cases[i].c, cases[i].h_in, cases[i].w_in};
        float *logits = arena_random(&arena, 5, shape_count(shape), -8.0, 8.0);
        const float *first = NULL;
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            omp_set_num_threads(n_threads);
            const float *got = run(&arena, &cases[i], logits, NULL, true, false, 0.3f);
            first = first == NULL ? got : first;
            assert_true(
                compare_bytes("threads", got, first, accumulator_count(&cases[i]) * sizeof(float)));
        }
        arena_close(&arena);
    }
}

static void check_errors(struct adele_device *device) {
    static const struct adele_ensemble_desc bad[] = {
        {0, 2, 1, 1, 1, 1, 0}, {1, 0, 1, 1, 1, 1, 0},  {1, 256, 1, 1, 1, 1, 0},
        {1, 2, 0, 1, 1, 1, 0}, {1, 2, 1, -5, 1, 1, 0}, {1, 2, 1, 1, 0, 1, 0},
        {1, 2, 1, 1, 1, 0, 0}, {1, 2, 1, 1, 1, 1, 7}};
    struct adele_op *op = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_ensemble, &bad[i]);
    assert_int_equal(device->iface->ensemble_create(device, &cases[1], &op), ADELE_OK);
    struct adele_ensemble_args args = {.weight = 1.0f};
    assert_int_equal(device->iface->ensemble_forward(op, &args), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
}

static void check_allocator(struct adele_device *device) {
    op_check_allocations(device, ADELE_OP_ensemble, &cases[1]);
}

ON_EACH_DEVICE_3_THREADS(literal)
ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE_3_THREADS(errors)
ON_EACH_DEVICE_3_THREADS(allocator)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literal), cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_allocator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
