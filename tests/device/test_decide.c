// SPDX-License-Identifier: MIT
#include "base/memory.h"
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

struct outputs {
    uint8_t *prediction;            // (set, H, W)
    float *foreground, *background; // (set, H, W)
    float *probabilities;           // (N, C, H, W)
};

static size_t pixels(const struct adele_decide_desc *desc, int n) {
    return (size_t)n * (size_t)desc->h * (size_t)desc->w;
}

// Every array of the set starts as 7, so that a row that should be left alone shows.
static struct outputs host_outputs(struct arena *arena, const struct adele_decide_desc *desc,
                                   int n_set) {
    struct outputs out = {.prediction = maps_empty(arena, pixels(desc, n_set)),
                          .foreground = arena_random(arena, 1, pixels(desc, n_set), 7.0, 7.0),
                          .background = arena_random(arena, 1, pixels(desc, n_set), 7.0, 7.0),
                          .probabilities =
                              arena_random(arena, 1, pixels(desc, desc->n * desc->c), 7.0, 7.0)};
    memset(out.prediction, 7, pixels(desc, n_set));
    return out;
}

static struct outputs run(struct arena *arena, const struct adele_decide_desc *desc,
                          const float *accumulator, const int32_t *ids, int n_set) {
    const struct adele_device *device = arena->device;
    size_t n_pixels = pixels(desc, n_set), n_probabilities = pixels(desc, desc->n * desc->c);
    struct outputs out = host_outputs(arena, desc, n_set);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->decide_create(device, desc, &op), ADELE_OK);
    struct adele_decide_args args = {
        .accumulator = arena_upload(arena, accumulator, n_probabilities * sizeof(float)),
        .sample_ids =
            ids != NULL ? arena_upload(arena, ids, (size_t)desc->n * sizeof(int32_t)) : NULL,
        .prediction = arena_upload(arena, out.prediction, n_pixels),
        .confidence_foreground = arena_upload(arena, out.foreground, n_pixels * sizeof(float)),
        .confidence_background = arena_upload(arena, out.background, n_pixels * sizeof(float)),
        .probabilities = arena_upload(arena, out.probabilities, n_probabilities * sizeof(float))};
    assert_int_equal(device->iface->decide_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    out.prediction = maps_download(arena, args.prediction, n_pixels);
    out.foreground = arena_download(arena, args.confidence_foreground, n_pixels);
    out.background = arena_download(arena, args.confidence_background, n_pixels);
    out.probabilities = arena_download(arena, args.probabilities, n_probabilities);
    return out;
}

// Three pixels of three categories: a clear one, a tie of 1 and 2 (the lower wins), a tie of all.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_decide_desc desc = {1, 3, 1, 3, ADELE_ENSEMBLE_PROBABILITIES, 0.0};
    const float accumulator[] = {0.1f, 0.2f, 0.25f, 0.2f, 0.4f, 0.25f, 0.7f, 0.4f, 0.25f};
    struct outputs out = run(&arena, &desc, accumulator, NULL, 1);
    assert_memory_equal(out.prediction, ((uint8_t[]){2, 1, 0}), 3);
    assert_true(compare_f32("foreground", out.foreground, (float[]){0.7f, 0.4f, 0.25f}, 1, 1, 1, 3,
                            0.0, 0.0));
    assert_true(compare_f32("background", out.background, (float[]){0.1f, 0.2f, 0.25f}, 1, 1, 1, 3,
                            0.0, 0.0));
    arena_close(&arena);
}

// Logits 0 and 3 ln 4 at a temperature of 3 are probabilities 1/5 and 4/5.
static void check_temperature(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_decide_desc desc = {1, 2, 1, 1, ADELE_ENSEMBLE_LOGITS, 3.0};
    const float accumulator[] = {0.0f, 3.0f * logf(4.0f)};
    struct outputs out = run(&arena, &desc, accumulator, NULL, 1);
    assert_int_equal(out.prediction[0], 1);
    assert_true(compare_f32("probabilities", out.probabilities, (float[]){0.2f, 0.8f}, 1, 2, 1, 1,
                            1e-6, 0.0));
    assert_true(compare_f32("foreground", out.foreground, (float[]){0.8f}, 1, 1, 1, 1, 1e-6, 0.0));
    arena_close(&arena);
}

static const struct adele_decide_desc cases[] = {{1, 1, 1, 1, ADELE_ENSEMBLE_LOGITS, 1.0},
                                                 {2, 2, 7, 5, ADELE_ENSEMBLE_PROBABILITIES, 1.0},
                                                 {3, 5, 15, 16, ADELE_ENSEMBLE_LOGITS, 3.0},
                                                 {2, 21, 13, 17, ADELE_ENSEMBLE_LOGITS, 0.5},
                                                 {1, 21, 31, 33, ADELE_ENSEMBLE_PROBABILITIES, 1},
                                                 {1, 3, 32, 32, ADELE_ENSEMBLE_LOGITS, 2.0},
                                                 {2, 4, 41, 25, ADELE_ENSEMBLE_PROBABILITIES, 1},
                                                 {1, 2, 33, 32, ADELE_ENSEMBLE_PROBABILITIES, 1},
                                                 {1, 255, 2, 3, ADELE_ENSEMBLE_LOGITS, 1.0}};

static void check_shapes(struct adele_device *device) {
    static const int32_t ids[] = {4, -1, 1};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int with_ids = 0; with_ids < 2; with_ids++) {
            struct arena arena;
            arena_open(&arena, device);
            const struct adele_decide_desc *desc = &cases[i];
            int n_set = with_ids ? 6 : desc->n;
            double low = desc->mode == ADELE_ENSEMBLE_LOGITS ? -5.0 : 0.0;
            float *accumulator = arena_random(&arena, 3, pixels(desc, desc->n * desc->c), low, 5.0);
            struct outputs got = run(&arena, desc, accumulator, with_ids ? ids : NULL, n_set);
            struct outputs want = host_outputs(&arena, desc, n_set);
            struct adele_decide_args args = {accumulator,     with_ids ? ids : NULL,
                                             want.prediction, want.foreground,
                                             want.background, want.probabilities};
            reference_decide_forward(desc, &args);
            assert_true(
                compare_bytes("prediction", got.prediction, want.prediction, pixels(desc, n_set)));
            assert_true(compare_f32("foreground", got.foreground, want.foreground, n_set, 1,
                                    desc->h, desc->w, 2e-6, 0.0));
            assert_true(compare_f32("background", got.background, want.background, n_set, 1,
                                    desc->h, desc->w, 2e-6, 0.0));
            // The probabilities of a skipped row may be written or not; rows with an image count.
            for (int n = 0; n < desc->n; n++)
                if (!with_ids || ids[n] >= 0)
                    assert_true(compare_f32("probabilities",
                                            got.probabilities + pixels(desc, n * desc->c),
                                            want.probabilities + pixels(desc, n * desc->c), 1,
                                            desc->c, desc->h, desc->w, 2e-6, 0.0));
            arena_close(&arena);
        }
}

static void check_threads(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    const struct adele_decide_desc *desc = &cases[3];
    float *accumulator = arena_random(&arena, 5, pixels(desc, desc->n * desc->c), -5.0, 5.0);
    struct outputs first = {0};
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        struct outputs got = run(&arena, desc, accumulator, NULL, desc->n);
        first = n_threads == 1 ? got : first;
        assert_true(
            compare_bytes("prediction", got.prediction, first.prediction, pixels(desc, desc->n)));
        assert_true(compare_bytes("probabilities", got.probabilities, first.probabilities,
                                  pixels(desc, desc->n * desc->c) * sizeof(float)));
    }
    arena_close(&arena);
}

static void check_errors(struct adele_device *device) {
    static const struct adele_decide_desc bad[] = {{0, 2, 1, 1, ADELE_ENSEMBLE_LOGITS, 1.0},
                                                   {1, 0, 1, 1, ADELE_ENSEMBLE_LOGITS, 1.0},
                                                   {1, 2, 0, 1, ADELE_ENSEMBLE_LOGITS, 1.0},
                                                   {1, 2, 1, -1, ADELE_ENSEMBLE_LOGITS, 1.0},
                                                   {1, 2, 1, 1, ADELE_ENSEMBLE_LOGITS, 0.0},
                                                   {1, 2, 1, 1, ADELE_ENSEMBLE_LOGITS, (double)NAN},
                                                   {1, 2, 1, 1, 9, 1.0},
                                                   {1, 256, 1, 1, ADELE_ENSEMBLE_LOGITS, 1.0}};
    struct adele_op *op = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_decide, &bad[i]);
    op_check_allocations(device, ADELE_OP_decide, &cases[1]);
    assert_int_equal(device->iface->decide_create(device, &cases[1], &op), ADELE_OK);
    struct adele_decide_args args = {0};
    assert_int_equal(device->iface->decide_forward(op, &args), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
}

ON_EACH_DEVICE_3_THREADS(literal)
ON_EACH_DEVICE_3_THREADS(temperature)
ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE_3_THREADS(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literal), cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
