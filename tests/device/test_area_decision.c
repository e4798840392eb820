// SPDX-License-Identifier: MIT
// Every device decides every pixel as the reference does: predictions are compared byte by byte.
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

#define UNTOUCHED 0xff

struct result {
    const uint8_t *prediction;
    const float *thresholds;
};

static struct result run(struct arena *arena, const struct adele_area_decision_desc *desc,
                         const float *q, const float *factors, const int32_t *ids, int n_set) {
    const struct adele_device *device = arena->device;
    size_t n_pixels = (size_t)desc->h * (size_t)desc->w;
    size_t n_planes = (size_t)desc->n * (size_t)desc->c;
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->area_decision_create(device, desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_area_decision);
    struct adele_area_decision_args args = {
        .q = arena_upload(arena, q, n_planes * n_pixels * sizeof *q),
        .sample_ids = ids != NULL ? arena_upload(arena, ids, (size_t)desc->n * sizeof *ids) : NULL,
        .area_factors = factors != NULL
                            ? arena_upload(arena, factors, (size_t)desc->c * sizeof *factors)
                            : NULL,
        .prediction = arena_upload(arena, NULL, (size_t)n_set * n_pixels),
        .thresholds = arena_upload(arena, NULL, n_planes * sizeof(float)),
        .workspace = arena_workspace(arena, op)};
    assert_int_equal(device->iface->area_decision_forward(op, &args), ADELE_OK);
    struct result result = {maps_download(arena, args.prediction, (size_t)n_set * n_pixels),
                            arena_download(arena, args.thresholds, n_planes)};
    device->iface->op_destroy(op);
    return result;
}

static void check_against_reference(struct arena *arena,
                                    const struct adele_area_decision_desc *desc, const float *q,
                                    const float *factors, const int32_t *ids, int n_set) {
    size_t n_bytes = (size_t)n_set * (size_t)desc->h * (size_t)desc->w;
    size_t n_planes = (size_t)desc->n * (size_t)desc->c;
    uint8_t *prediction = maps_empty(arena, n_bytes);
    float *thresholds = arena_floats(arena, n_planes);
    memset(prediction, UNTOUCHED, n_bytes);
    memset(thresholds, UNTOUCHED, n_planes * sizeof(float));
    struct adele_area_decision_args args = {.q = q,
                                            .sample_ids = ids,
                                            .area_factors = factors,
                                            .prediction = prediction,
                                            .thresholds = thresholds};
    reference_area_decision_forward(desc, &args);
    struct result got = run(arena, desc, q, factors, ids, n_set);
    assert_true(compare_bytes("prediction", got.prediction, prediction, n_bytes));
    assert_true(compare_bytes("thresholds", got.thresholds, thresholds, n_planes * sizeof(float)));
}

// Class 1 has the area 2.1, and its second largest value lies in bin 1228; class 0 has 1.9 and
// 1024. The pixel of one half goes to class 0, which is near its threshold there.
static void check_literal(struct adele_device *device) {
    static const float q[] = {0.1f, 0.4f, 0.5f, 0.9f, 0.9f, 0.6f, 0.5f, 0.1f};
    static const float thresholds[] = {0.5f, 1228.0f / 2048.0f};
    static const uint8_t wanted[] = {1, 1, 0, 0};
    struct arena arena;
    arena_open(&arena, device);
    struct adele_area_decision_desc desc = {1, 2, 2, 2, ADELE_AREA_THRESHOLDS};
    struct result got = run(&arena, &desc, q, NULL, NULL, 1);
    assert_true(compare_bytes("prediction", got.prediction, wanted, sizeof wanted));
    assert_true(compare_bytes("thresholds", got.thresholds, thresholds, sizeof thresholds));
    // The area of class 1 times 1.2 is 2.52, rounded 3, whose level is 0.5, and times 2 all 4
    // pixels: 0.1, in bin 204. Half of class 0's area, 0.95, is one pixel: 0.9, in bin 1843.
    static const float factors[] = {0.5f, 1.2f}, fewer[] = {1843.0f / 2048.0f, 0.5f};
    static const float doubled[] = {1.0f, 2.0f}, more[] = {0.5f, 204.0f / 2048.0f};
    got = run(&arena, &desc, q, factors, NULL, 1);
    assert_true(compare_bytes("fewer", got.thresholds, fewer, sizeof fewer));
    got = run(&arena, &desc, q, doubled, NULL, 1);
    assert_true(compare_bytes("more", got.thresholds, more, sizeof more));
    // Argmax gives a tie to the lower class and has no thresholds.
    static const float none[] = {0.0f, 0.0f};
    desc.mode = ADELE_AREA_ARGMAX;
    got = run(&arena, &desc, q, NULL, NULL, 1);
    assert_true(compare_bytes("argmax", got.prediction, wanted, sizeof wanted));
    assert_true(compare_bytes("no thresholds", got.thresholds, none, sizeof none));
    arena_close(&arena);
}

// Thresholds that are not wanted change nothing.
static void check_without_thresholds(struct adele_device *device) {
    static const float q[] = {0.1f, 0.4f, 0.5f, 0.9f, 0.9f, 0.6f, 0.5f, 0.1f};
    static const uint8_t wanted[] = {1, 1, 0, 0};
    struct arena arena;
    arena_open(&arena, device);
    struct adele_area_decision_desc desc = {1, 2, 2, 2, ADELE_AREA_THRESHOLDS};
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->area_decision_create(device, &desc, &op), ADELE_OK);
    struct adele_area_decision_args args = {.q = arena_upload(&arena, q, sizeof q),
                                            .prediction = arena_upload(&arena, NULL, 4),
                                            .workspace = arena_workspace(&arena, op)};
    assert_int_equal(device->iface->area_decision_forward(op, &args), ADELE_OK);
    assert_true(compare_bytes("prediction", maps_download(&arena, args.prediction, 4), wanted, 4));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static const struct adele_area_decision_desc cases[] = {
    {1, 1, 1, 1, 0},   {1, 5, 1, 1, 0},    {2, 2, 7, 5, 0},   {1, 5, 5, 51, 0},   {1, 5, 16, 16, 0},
    {2, 5, 257, 1, 0}, {1, 21, 13, 17, 0}, {1, 2, 64, 64, 0}, {1, 2, 17, 241, 0}, {1, 67, 2, 3, 0}};

// Probabilities that fall off from the first class on, so that areas and thresholds differ.
static float *random_q(struct arena *arena, const struct adele_area_decision_desc *desc,
                       uint64_t seed) {
    size_t n_pixels = (size_t)desc->h * (size_t)desc->w;
    size_t n_planes = (size_t)desc->n * (size_t)desc->c;
    float *q = arena_random(arena, seed, n_planes * n_pixels, 0.0, 1.0);
    for (size_t i = 0; i < n_planes * n_pixels; i++)
        q[i] = powf(q[i], (float)(1 + i / n_pixels % (size_t)desc->c));
    return q;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int mode = ADELE_AREA_THRESHOLDS; mode <= ADELE_AREA_ARGMAX; mode++) {
            struct arena arena;
            arena_open(&arena, device);
            struct adele_area_decision_desc desc = cases[i];
            desc.mode = (enum adele_area_mode)mode;
            const float *q = random_q(&arena, &desc, i);
            check_against_reference(&arena, &desc, q, NULL, NULL, desc.n);
            check_against_reference(
                &arena, &desc, q, arena_random(&arena, i, (size_t)desc.c, 0.5, 2.0), NULL, desc.n);
            arena_close(&arena);
        }
}

// Rows go where their ids say; a skipped one writes neither predictions nor thresholds.
static void check_ids(struct adele_device *device) {
    static const int32_t ids[] = {4, -1, 0, 2};
    struct arena arena;
    arena_open(&arena, device);
    struct adele_area_decision_desc desc = {4, 3, 9, 37, ADELE_AREA_THRESHOLDS};
    float *q = random_q(&arena, &desc, 7);
    check_against_reference(&arena, &desc, q, NULL, ids, 5);
    struct result got = run(&arena, &desc, q, NULL, ids, 5);
    for (int i = 0; i < 9 * 37; i++) {
        assert_int_equal(got.prediction[9 * 37 + i], UNTOUCHED);
        assert_int_equal(got.prediction[3 * 9 * 37 + i], UNTOUCHED);
    }
    arena_close(&arena);
}

enum kind { EMPTY_CLASS, WHOLE_IMAGE, TIES, NO_AREA, NOT_A_NUMBER, OUTSIDE, N_KINDS };

static void make_special(enum kind kind, int n_pixels, float *q) {
    for (int i = 0; i < n_pixels; i++)
        switch (kind) {
        case EMPTY_CLASS: // K_1 = 0 although q_1 is the largest somewhere
            q[n_pixels + i] = i == 3 ? 0.45f : 0.0f;
            break;
        case WHOLE_IMAGE: // K_0 is the number of pixels
            q[i] = 1.0f;
            break;
        case TIES:
            q[i] = q[n_pixels + i] = q[2 * n_pixels + i] = i % 2 ? 0.25f : 0.75f;
            break;
        case NO_AREA:
            q[i] = q[n_pixels + i] = q[2 * n_pixels + i] = 0.0f;
            q[i % 3 * n_pixels + i] = 1e-4f;
            break;
        case NOT_A_NUMBER:
            q[i % 3 * n_pixels + i] = NAN;
            break;
        default: // of OUTSIDE: clamped
            q[i % 3 * n_pixels + i] = i % 2 ? -INFINITY : INFINITY;
        }
}

static void check_special(struct adele_device *device) {
    for (enum kind kind = EMPTY_CLASS; kind < N_KINDS; kind++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_area_decision_desc desc = {1, 3, 11, 29, ADELE_AREA_THRESHOLDS};
        float *q = arena_random(&arena, 9, 3 * 11 * 29, 0.0, 0.4);
        make_special(kind, 11 * 29, q);
        check_against_reference(&arena, &desc, q, NULL, NULL, 1);
        struct result got = run(&arena, &desc, q, NULL, NULL, 1);
        for (int i = 0; i < 11 * 29; i++) {
            if (kind == EMPTY_CLASS)
                assert_int_not_equal(got.prediction[i], 1);
            if (kind == TIES)
                assert_int_equal(got.prediction[i], 0);
            if (kind == NO_AREA)
                assert_int_equal(got.prediction[i], i % 3);
        }
        if (kind == WHOLE_IMAGE)
            assert_true(got.thresholds[0] == 0.98f);
        arena_close(&arena);
    }
}

static void check_threads(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_area_decision_desc desc = {2, 5, 37, 41, ADELE_AREA_THRESHOLDS};
    float *q = random_q(&arena, &desc, 5);
    const uint8_t *first = NULL;
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        const uint8_t *got = run(&arena, &desc, q, NULL, NULL, 2).prediction;
        first = first == NULL ? got : first;
        assert_true(compare_bytes("threads", got, first, 2 * 37 * 41));
    }
    arena_close(&arena);
}

static void check_errors(struct adele_device *device) {
    static const struct adele_area_decision_desc bad[] = {
        {0, 2, 1, 1, 0}, {1, 0, 1, 1, 0}, {1, 256, 1, 1, 0},      {1, 2, 0, 1, 0},
        {1, 2, 1, 0, 0}, {1, 2, 1, 1, 2}, {1, 2, 65536, 65536, 0}};
    struct adele_op *op = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_area_decision, &bad[i]);
    assert_int_equal(device->iface->area_decision_create(device, &cases[2], &op), ADELE_OK);
    struct adele_area_decision_args args = {0};
    assert_int_equal(device->iface->area_decision_forward(op, &args), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
    op_check_allocations(device, ADELE_OP_area_decision, &cases[2]);
}

ON_EACH_DEVICE_3_THREADS(literal)
ON_EACH_DEVICE_3_THREADS(without_thresholds)
ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(ids)
ON_EACH_DEVICE_3_THREADS(special)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE_3_THREADS(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literal), cmocka_unit_test(test_without_thresholds),
        cmocka_unit_test(test_shapes),  cmocka_unit_test(test_ids),
        cmocka_unit_test(test_special), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
