// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/gradient.h"
#include "support/maps.h"
#include "support/op_errors.h"
#include "support/outputs.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct problem {
    struct adele_dice_desc desc;
    float *logits, *d_logits; // the gradient begins with values, which it is added to
    uint8_t *labels;
    int n_batches;
};
struct outputs {
    float *d_logits;
    double sums[ADELE_SUM_COUNT];
    int32_t is_finite;
};

static struct adele_shape shape_of(const struct problem *p) {
    return (struct adele_shape){p->desc.n, p->desc.c, p->desc.h_logits, p->desc.w_logits};
}

static size_t pixels(const struct problem *p) {
    return (size_t)p->desc.n * (size_t)p->desc.h * (size_t)p->desc.w;
}

static struct problem make_problem(struct arena *arena, struct adele_dice_desc desc, double size) {
    struct problem p = {.desc = desc};
    size_t count = shape_count(shape_of(&p));
    p.logits = arena_random(arena, 1, count, -size, size);
    p.d_logits = arena_random(arena, 2, count, 0.0, 0.0);
    p.labels = maps_random(arena, 3, pixels(&p), desc.c, 0.2);
    return p;
}

static struct outputs start(void) {
    struct outputs out = {.is_finite = 7};
    for (int i = 0; i < ADELE_SUM_COUNT; i++)
        out.sums[i] = 2.0;
    return out;
}

static void run(struct arena *arena, const struct problem *p, bool has_gradient,
                struct outputs *out) {
    const struct adele_device *device = arena->device;
    struct adele_op *op = NULL;
    *out = start();
    assert_int_equal(device->iface->dice_create(device, &p->desc, &op), ADELE_OK);
    struct adele_dice_args args = {
        .logits = arena_tensor(arena, shape_of(p), p->logits),
        .d_logits = has_gradient ? arena_tensor(arena, shape_of(p), p->d_logits) : NULL,
        .labels = arena_upload(arena, p->labels, pixels(p)),
        .sums = arena_upload(arena, out->sums, sizeof out->sums),
        .is_finite = arena_upload(arena, &out->is_finite, sizeof out->is_finite),
        .n_batches = p->n_batches,
        .workspace = arena_workspace(arena, op)};
    assert_int_equal(device->iface->dice_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    if (has_gradient)
        out->d_logits = arena_tensor_download(arena, args.d_logits, shape_of(p));
    assert_int_equal(device->iface->download(device, out->sums, args.sums, sizeof out->sums),
                     ADELE_OK);
    assert_int_equal(
        device->iface->download(device, &out->is_finite, args.is_finite, sizeof out->is_finite),
        ADELE_OK);
    outputs_add(out->sums, sizeof out->sums);
}

static void run_reference(struct arena *arena, const struct problem *p, struct outputs *out) {
    size_t count = shape_count(shape_of(p));
    *out = start();
    out->d_logits = arena_floats(arena, count);
    memcpy(out->d_logits, p->d_logits, count * sizeof(float));
    const struct adele_dice_args args = {.logits = p->logits,
                                         .d_logits = out->d_logits,
                                         .labels = p->labels,
                                         .sums = out->sums,
                                         .is_finite = &out->is_finite,
                                         .n_batches = p->n_batches};
    reference_dice_forward(&p->desc, &args);
}

static void check_same(const struct adele_device *device, const struct problem *p,
                       const struct outputs *got, const struct outputs *want) {
    assert_int_equal(got->is_finite, want->is_finite);
    for (int i = 0; i < ADELE_SUM_COUNT; i++)
        if (!(fabs(got->sums[i] - want->sums[i]) <= 2e-6))
            fail_msg("sum %d: got %.9g, want %.9g", i, got->sums[i], want->sums[i]);
    if (got->d_logits)
        assert_true(compare_l2("d_logits", got->d_logits, want->d_logits, shape_count(shape_of(p)),
                               device_tolerance(device, 2e-5)));
}

// Sizes of 1, primes, around the blocks of 8 and 16 channels, and chunks of 64 rows and 256 pixels.
static const struct adele_dice_desc shapes[] = {
    {.n = 1, .c = 2, .h = 1, .w = 1, .h_logits = 1, .w_logits = 1},
    {.n = 3, .c = 5, .h = 13, .w = 7, .h_logits = 13, .w_logits = 7},
    {.n = 2, .c = 21, .h = 33, .w = 31, .h_logits = 5, .w_logits = 4},
    {.n = 2, .c = 7, .h = 15, .w = 17, .h_logits = 15, .w_logits = 17}, // 255 pixels
    {.n = 1, .c = 8, .h = 16, .w = 16, .h_logits = 2, .w_logits = 16},
    {.n = 2, .c = 9, .h = 1, .w = 257, .h_logits = 1, .w_logits = 33},
    {.n = 1, .c = 16, .h = 63, .w = 3, .h_logits = 63, .w_logits = 2},
    {.n = 1, .c = 17, .h = 64, .w = 4, .h_logits = 8, .w_logits = 1},
    {.n = 3, .c = 3, .h = 65, .w = 5, .h_logits = 130, .w_logits = 5}, // larger than the label
    {.n = 1, .c = 255, .h = 3, .w = 2, .h_logits = 2, .w_logits = 2},
};
#define N_SHAPES (sizeof shapes / sizeof shapes[0])

static struct adele_dice_desc with(struct adele_dice_desc desc, double weight, bool per_image) {
    desc.weight = weight;
    desc.per_image = per_image;
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < N_SHAPES; i++)
        for (int flags = 0; flags < 4; flags++) {
            struct arena arena;
            struct outputs got, want;
            arena_open(&arena, device);
            // A pixel alone that is certain has a gradient of roundings.
            double size = i > 0 && (flags & 2) != 0 ? 9.0 : 2.0;
            struct problem p = make_problem(&arena, with(shapes[i], 0.7, (flags & 1) != 0), size);
            p.n_batches = flags;
            run(&arena, &p, flags != 2, &got);
            run_reference(&arena, &p, &want);
            check_same(device, &p, &got, &want);
            arena_close(&arena);
        }
}

static double loss_of(const void *context) {
    const struct problem *p = context;
    double sums[ADELE_SUM_COUNT] = {0};
    const struct adele_dice_args args = {.logits = p->logits, .labels = p->labels, .sums = sums};
    reference_dice_forward(&p->desc, &args);
    return sums[ADELE_SUM_TOTAL];
}

// Finite differences of the reference's own loss against the gradients of the device.
static void check_gradient(struct adele_device *device) {
    for (size_t i = 1; i < N_SHAPES - 1; i++)
        for (int per_image = 0; per_image < 2; per_image++) {
            struct arena arena;
            struct outputs got;
            arena_open(&arena, device);
            struct problem p = make_problem(&arena, with(shapes[i], 1.5, per_image != 0), 3.0);
            run(&arena, &p, true, &got);
            assert_true(gradient_agrees("logits", loss_of, &p, p.logits, got.d_logits,
                                        shape_count(shape_of(&p)), 31, 1e-3,
                                        device_tolerance(device, 1e-3)));
            arena_close(&arena);
        }
}

// The gradient is added to what is there (bf16 holds these values).
static void check_added(struct adele_device *device) {
    struct arena arena;
    struct outputs got, want;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, with(shapes[1], 1.0, false), 2.0);
    size_t count = shape_count(shape_of(&p));
    for (size_t i = 0; i < count; i++)
        p.d_logits[i] = i % 2 != 0 ? 0.25f : -0.5f;
    run(&arena, &p, true, &got);
    run_reference(&arena, &p, &want);
    check_same(device, &p, &got, &want);
    arena_close(&arena);
}

// Two images of two pixels, all probabilities 1/2, the label 1 in one pixel of the first image; the
// last pixel is ignored. Batch: p sums to 3/2, labels to 1, both to 1/2: 1 / 2.5. Images: 1 / 2 and
// 0 / 0.5. The smoothing of 1e-5 is below the tolerance, but in the second image.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    struct outputs out;
    arena_open(&arena, device);
    struct adele_dice_desc desc = {.n = 2, .c = 2, .h = 1, .w = 2, .h_logits = 1, .w_logits = 2};
    struct problem p = make_problem(&arena, with(desc, 1.0, false), 0.0);
    memcpy(p.labels, ((uint8_t[]){1, 0, 0, 255}), 4);
    run(&arena, &p, true, &out);
    assert_true(fabs(out.sums[ADELE_SUM_TOTAL] - 2.0 - 0.6) <= 1e-5);
    for (int i = 1; i < ADELE_SUM_COUNT; i++)
        assert_true(out.sums[i] == 2.0);
    assert_int_equal(out.is_finite, 7);
    // d / d p_1 = 0.4 / 2.5 - 2 / 2.5 [label = 1], times p_1 (1 - p_1) = 1/4.
    const float want[] = {0.16f, -0.04f, -0.16f, 0.04f, -0.04f, 0, 0.04f, 0};
    assert_true(compare_f32("d_logits", out.d_logits, want, 2, 2, 1, 2,
                            device_tolerance(device, 1e-5), 0.0));
    p.desc.per_image = true;
    run(&arena, &p, false, &out);
    assert_true(fabs(out.sums[ADELE_SUM_TOTAL] - 2.0 - (0.5 + 1.0 - 1e-5 / 0.50001) / 2.0) <= 1e-5);
    arena_close(&arena);
}

// Nothing but ignored pixels: no loss, no gradient, no NaN.
static void check_all_ignored(struct adele_device *device) {
    struct arena arena;
    struct outputs out;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, with(shapes[2], 1.0, true), 5.0);
    memset(p.labels, 255, pixels(&p));
    p.labels[0] = 254; // of a category that does not exist
    run(&arena, &p, true, &out);
    assert_true(fabs(out.sums[ADELE_SUM_TOTAL] - 2.0) <= 1e-12);
    for (size_t i = 0; i < shape_count(shape_of(&p)); i++)
        assert_true(fabsf(out.d_logits[i]) <= 0.0f);
    arena_close(&arena);
}

// Logits whose probabilities underflow, and a NaN.
static void check_extreme(struct adele_device *device) {
    static const double sizes[] = {200.0, 0x1p100};
    for (size_t i = 0; i < 2; i++) {
        struct arena arena;
        struct outputs got, want;
        arena_open(&arena, device);
        struct problem p = make_problem(&arena, with(shapes[1], 1.0, false), sizes[i]);
        run(&arena, &p, true, &got);
        run_reference(&arena, &p, &want);
        check_same(device, &p, &got, &want);
        memset(p.labels, 1, pixels(&p));
        p.logits[0] = NAN;
        run(&arena, &p, true, &got);
        run_reference(&arena, &p, &want);
        assert_int_equal(got.is_finite, 0);
        assert_int_equal(want.is_finite, 0);
        assert_true(got.sums[ADELE_SUM_TOTAL] == 2.0 && want.sums[ADELE_SUM_TOTAL] == 2.0);
        arena_close(&arena);
    }
}

static void check_threads(struct adele_device *device) {
    for (size_t i = 1; i < N_SHAPES; i++) {
        struct arena arena;
        struct outputs one, many;
        arena_open(&arena, device);
        struct problem p = make_problem(&arena, with(shapes[i], 1.0, false), 4.0);
        omp_set_num_threads(1);
        run(&arena, &p, true, &one);
        omp_set_num_threads(3);
        run(&arena, &p, true, &many);
        assert_memory_equal(one.sums, many.sums, sizeof one.sums);
        assert_memory_equal(one.d_logits, many.d_logits, shape_count(shape_of(&p)) * sizeof(float));
        arena_close(&arena);
    }
}

static void check_errors(struct adele_device *device) {
    struct adele_dice_desc bad[7];
    for (int i = 0; i < 7; i++)
        bad[i] = with(shapes[1], 1.0, false);
    bad[0].n = 0;
    bad[1].c = 1;
    bad[2].c = 256;
    bad[3].h_logits = 0;
    bad[4].w = -1;
    bad[5].weight = -1.0;
    bad[6].weight = (double)INFINITY;
    for (int i = 0; i < 7; i++)
        op_check_refused(device, ADELE_OP_dice, &bad[i]);
    const struct adele_dice_args nothing = {0};
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->dice_create(device, &shapes[1], &op), ADELE_OK);
    assert_int_equal(device->iface->dice_forward(op, &nothing), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
    struct adele_dice_desc desc = with(shapes[1], 1.0, true);
    op_check_allocations(device, ADELE_OP_dice, &desc);
}

ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(gradient)
ON_EACH_DEVICE_3_THREADS(added)
ON_EACH_DEVICE_3_THREADS(literal)
ON_EACH_DEVICE_3_THREADS(all_ignored)
ON_EACH_DEVICE_3_THREADS(extreme)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE_3_THREADS(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),      cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_added),       cmocka_unit_test(test_literal),
        cmocka_unit_test(test_all_ignored), cmocka_unit_test(test_extreme),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
