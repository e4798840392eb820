// SPDX-License-Identifier: MIT
#include "base/half.h"
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

#define N_FINITE 0x7C00 // halves of one sign that are finite

static const int32_t all[] = {0, 1, 2, 3}, some[] = {3, -1, 0, 2};

struct problem {
    struct adele_accumulate_maps_desc desc;
    const float *logits;
    uint16_t *maps; // on the host
    size_t n_values;
    const int32_t *ids;
    float beta;
};

// Halves from 0 to 1 for `n_maps` maps, and logits.
static struct problem make_problem(struct arena *arena, struct adele_accumulate_maps_desc desc,
                                   int n_maps, const int32_t *ids) {
    struct problem p = {.desc = desc, .ids = ids, .beta = 0.9f};
    size_t n = (size_t)desc.c * (size_t)desc.h * (size_t)desc.w;
    p.n_values = (size_t)n_maps * n;
    p.logits = arena_random(arena, 3, (size_t)desc.n * n, -8.0, 8.0);
    float *values = arena_random(arena, 4, p.n_values, 0.0, 1.0);
    p.maps = (uint16_t *)(void *)maps_empty(arena, p.n_values * sizeof *p.maps);
    for (size_t i = 0; i < p.n_values; i++)
        p.maps[i] = half_from_float(values[i]);
    return p;
}

// The maps afterwards.
static const uint16_t *run(struct arena *arena, const struct problem *p) {
    const struct adele_device *device = arena->device;
    struct adele_shape shape = {p->desc.n, p->desc.c, p->desc.h, p->desc.w};
    size_t bytes = p->n_values * sizeof *p->maps;
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->accumulate_maps_create(device, &p->desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_accumulate_maps);
    struct adele_accumulate_maps_args args = {
        .logits = arena_tensor(arena, shape, p->logits),
        .sample_ids =
            p->ids != NULL ? arena_upload(arena, p->ids, (size_t)p->desc.n * sizeof *p->ids) : NULL,
        .maps = arena_upload(arena, p->maps, bytes),
        .beta = p->beta};
    assert_int_equal(device->iface->accumulate_maps_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    return (const uint16_t *)(const void *)maps_download(arena, args.maps, bytes);
}

static void run_reference(const struct problem *p) {
    struct adele_accumulate_maps_args args = {p->logits, p->ids, p->maps, p->beta};
    reference_accumulate_maps_forward(&p->desc, &args);
}

// With one class p is 1, and with 4 equal logits 1/4: every product is exact, the sum is rounded
// once to float and once to half. All finite halves, of both signs.
static void check_rounding(struct adele_device *device) {
    static const float betas[] = {0.0f, 0.5f, 0.875f, 1.0f};
    for (int n_classes = 1; n_classes <= 4; n_classes += 3)
        for (int i = 0; i < 4; i++) {
            struct arena arena;
            arena_open(&arena, device);
            struct adele_accumulate_maps_desc desc = {1, n_classes, 2 * 31 * 4 / n_classes, 256};
            struct problem p = make_problem(&arena, desc, 1, NULL);
            assert_int_equal(p.n_values, 2 * N_FINITE);
            memset((float *)p.logits, 0, p.n_values * sizeof(float));
            for (uint16_t k = 0; k < N_FINITE; k++) {
                p.maps[k] = k;
                p.maps[N_FINITE + k] = k | 0x8000;
            }
            p.beta = betas[i];
            const uint16_t *got = run(&arena, &p);
            run_reference(&p);
            assert_true(compare_bytes("maps", got, p.maps, p.n_values * sizeof *p.maps));
            arena_close(&arena);
        }
}

static const struct adele_accumulate_maps_desc cases[] = {
    {1, 1, 1, 1},   {2, 2, 7, 5},   {1, 5, 3, 5},   {1, 5, 5, 51}, {1, 5, 16, 16},
    {1, 2, 257, 1}, {4, 21, 5, 13}, {3, 16, 4, 17}, {1, 17, 2, 3}, {1, 255, 3, 3}};

// A float that is a little off may be rounded to the other neighbour: one unit in the last place of
// a half, 2^-10 of its value.
static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct problem p = make_problem(&arena, cases[i], cases[i].n, NULL);
        const uint16_t *got = run(&arena, &p);
        run_reference(&p);
        float *values = arena_floats(&arena, p.n_values);
        float *wanted = arena_floats(&arena, p.n_values);
        for (size_t k = 0; k < p.n_values; k++) {
            values[k] = half_to_float(got[k]);
            wanted[k] = half_to_float(p.maps[k]);
        }
        assert_true(compare_f32("maps", values, wanted, 1, 1, 1, (int)p.n_values, 1e-6, 0x1p-10));
        arena_close(&arena);
    }
}

// Rows go where their ids say; one that is skipped changes nothing.
static void check_ids(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_accumulate_maps_desc desc = {4, 2, 3, 67};
    struct problem p = make_problem(&arena, desc, 5, some);
    size_t map = 2 * 3 * 67;
    const uint16_t *got = run(&arena, &p);
    p.ids = all;
    const uint16_t *straight = run(&arena, &p);
    assert_true(compare_bytes("a map of no row", got + map, p.maps + map, 2 * map));
    assert_true(compare_bytes("the last", got + 4 * map, p.maps + 4 * map, 2 * map));
    assert_true(memcmp(got, p.maps, 2 * map) != 0);
    // Row 3 in map 2: as in map 3, had that held the same.
    memcpy(p.maps + 3 * map, p.maps + 2 * map, 2 * map);
    straight = run(&arena, &p);
    assert_true(compare_bytes("row 3", got + 2 * map, straight + 3 * map, 2 * map));
    arena_close(&arena);
}

// A pixel whose logits have no softmax keeps what its maps held; its neighbours do not notice.
static void check_not_finite(struct adele_device *device) {
    static const float bad[][3] = {{NAN, 0.0f, 1.0f},
                                   {0.0f, 1.0f, NAN},
                                   {0.0f, INFINITY, 1.0f},
                                   {-INFINITY, -INFINITY, -INFINITY}};
    struct arena arena;
    arena_open(&arena, device);
    struct adele_accumulate_maps_desc desc = {1, 3, 4, 19};
    struct problem p = make_problem(&arena, desc, 1, NULL);
    const uint16_t *sound = run(&arena, &p);
    size_t plane = 4 * 19;
    for (size_t k = 0; k < 4; k++)
        for (size_t c = 0; c < 3; c++)
            ((float *)p.logits)[c * plane + 20 * k] = bad[k][c];
    ((float *)p.logits)[7] = -INFINITY; // of one class alone: its probability is 0
    const uint16_t *got = run(&arena, &p);
    for (size_t i = 0; i < p.n_values; i++)
        if (i % plane % 20 == 0)
            assert_int_equal(got[i], p.maps[i]);
        else if (i % plane != 7)
            assert_int_equal(got[i], sound[i]);
    uint16_t old = p.maps[7], bad_old = p.maps[plane];
    assert_true(fabsf(half_to_float(got[7]) - 0.9f * half_to_float(old)) < 1e-3f);
    run_reference(&p);
    assert_int_equal(p.maps[plane], bad_old);
    arena_close(&arena);
}

static void check_threads(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, cases[6], 4, all);
    const uint16_t *first = NULL;
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        const uint16_t *got = run(&arena, &p);
        first = first == NULL ? got : first;
        assert_true(compare_bytes("threads", got, first, p.n_values * sizeof *got));
    }
    arena_close(&arena);
}

static void check_errors(struct adele_device *device) {
    static const struct adele_accumulate_maps_desc bad[] = {
        {0, 2, 1, 1}, {1, 0, 1, 1}, {1, 256, 1, 1}, {1, 2, 0, 1}, {1, 2, 1, -1}};
    struct adele_op *op = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_accumulate_maps, &bad[i]);
    float logits = 0.0f; // only pointers are checked
    uint16_t maps = 0;
    assert_int_equal(device->iface->accumulate_maps_create(device, &cases[1], &op), ADELE_OK);
    const struct adele_accumulate_maps_args wrong[] = {
        {.maps = &maps, .beta = 0.5f},
        {.logits = &logits, .beta = 0.5f},
        {.logits = &logits, .maps = &maps, .beta = NAN},
        {.logits = &logits, .maps = &maps, .beta = 1.5f}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(device->iface->accumulate_maps_forward(op, &wrong[i]),
                         ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
    op_check_allocations(device, ADELE_OP_accumulate_maps, &cases[1]);
}

ON_EACH_DEVICE_3_THREADS(rounding)
ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(ids)
ON_EACH_DEVICE_3_THREADS(not_finite)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE_3_THREADS(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounding), cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_ids),      cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_threads),  cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
