// SPDX-License-Identifier: MIT
// The loss of many shapes: against the reference, its gradients by finite differences, class
// weights, parts of a batch, and numbers of threads. What a test can say without a reference is in
// test_loss_cases.c.
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/gradient.h"
#include "support/loss_problem.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Gradients as the golden files ask, or as bf16 rounds them; values of single pixels carry the
// rounding of logits of size 10.
static void check_equal(const struct adele_device *device, const struct loss_problem *p,
                        const struct loss_outputs *got, const struct loss_outputs *want,
                        bool has_gradient) {
    const struct adele_loss_desc *desc = &p->desc;
    loss_check_sums(got, want, 1e-6);
    assert_true(compare_bytes("counts", got->counts, want->counts, sizeof want->counts));
    assert_true(compare_bytes("mask", got->image_mask, want->image_mask, (size_t)desc->n));
    assert_true(
        compare_bytes("prediction", got->prediction, want->prediction, loss_pixels(p, LOSS_SET)));
    assert_true(compare_f32("foreground", got->foreground, want->foreground, LOSS_SET, 1, desc->h,
                            desc->w, 3e-6, 0.0));
    assert_true(compare_f32("background", got->background, want->background, LOSS_SET, 1, desc->h,
                            desc->w, 3e-6, 0.0));
    assert_true(compare_f32("mixture", got->mixture, want->mixture, desc->n, desc->c, desc->h,
                            desc->w, 3e-6, 0.0));
    for (int k = 0; k < desc->n_scales && has_gradient; k++)
        assert_true(compare_l2("d_logits", got->d_logits[k], want->d_logits[k],
                               shape_count(loss_scale_shape(p, k)),
                               device_tolerance(device, 1e-5)));
    if (has_gradient)
        assert_true(compare_f32("d_scale_weights", got->d_scale_weights, want->d_scale_weights, 1,
                                1, 1, LOSS_SCALES, 1e-5, 0.0));
}

// n, c, h, w, scales, extents of the logits. Sizes of 1, primes, around the blocks of 8 and 16.
static const struct adele_loss_desc shapes[] = {
    {.n = 1, .c = 2, .h = 1, .w = 1, .n_scales = 1, .h_scale = {1}, .w_scale = {1}},
    {.n = 3, .c = 5, .h = 13, .w = 7, .n_scales = 3, .h_scale = {13, 9, 19}, .w_scale = {7, 4, 10}},
    {.n = 2, .c = 21, .h = 33, .w = 31, .n_scales = 3, .h_scale = {5, 3, 7}, .w_scale = {4, 3, 6}},
    {.n = 5, .c = 2, .h = 7, .w = 17, .n_scales = 2, .h_scale = {7, 1}, .w_scale = {17, 1}},
    {.n = 2,
     .c = 16,
     .h = 16,
     .w = 15,
     .n_scales = 3,
     .h_scale = {16, 11, 24},
     .w_scale = {15, 10, 22}},
    {.n = 1, .c = 17, .h = 5, .w = 6, .n_scales = 3, .h_scale = {5, 5, 10}, .w_scale = {3, 6, 6}},
    {.n = 1, .c = 255, .h = 3, .w = 2, .n_scales = 2, .h_scale = {2, 3}, .w_scale = {2, 2}},
};
#define N_SHAPES (sizeof shapes / sizeof shapes[0])

// Around tiles of 8 x 32 pixels, and the ends of what tuned kernels take: 8, 9 and 24 categories,
// four scales, 32 and 33 categories, and one scale of each width; logits much larger than the label
// (some are read by no pixel) and as small as can be.
static const struct adele_loss_desc tile_shapes[] = {
    {.n = 2,
     .c = 5,
     .h = 9,
     .w = 33,
     .n_scales = 3,
     .h_scale = {9, 6, 13},
     .w_scale = {33, 23, 49}},
    {.n = 1, .c = 21, .h = 17, .w = 65, .n_scales = 3, .h_scale = {3, 2, 4}, .w_scale = {9, 6, 12}},
    {.n = 1, .c = 24, .h = 7, .w = 31, .n_scales = 2, .h_scale = {7, 3}, .w_scale = {31, 5}},
    {.n = 3, .c = 2, .h = 8, .w = 32, .n_scales = 1, .h_scale = {9}, .w_scale = {32}},
    {.n = 2,
     .c = 8,
     .h = 8,
     .w = 31,
     .n_scales = 4,
     .h_scale = {8, 7, 1, 16},
     .w_scale = {31, 32, 1, 62}},
    {.n = 1,
     .c = 9,
     .h = 10,
     .w = 34,
     .n_scales = 4,
     .h_scale = {10, 2, 3, 10},
     .w_scale = {34, 33, 3, 2}},
    {.n = 1,
     .c = 17,
     .h = 9,
     .w = 6,
     .n_scales = 4,
     .h_scale = {2, 3, 4, 5},
     .w_scale = {2, 3, 4, 5}},
    {.n = 1,
     .c = 32,
     .h = 7,
     .w = 32,
     .n_scales = 3,
     .h_scale = {7, 5, 11},
     .w_scale = {32, 23, 48}},
    {.n = 1, .c = 33, .h = 8, .w = 33, .n_scales = 2, .h_scale = {8, 4}, .w_scale = {33, 16}},
    {.n = 1, .c = 3, .h = 16, .w = 64, .n_scales = 2, .h_scale = {40, 1}, .w_scale = {150, 1}},
    {.n = 1, .c = 3, .h = 2, .w = 33, .n_scales = 1, .h_scale = {2}, .w_scale = {3000}},
    {.n = 2, .c = 1, .h = 33, .w = 1, .n_scales = 2, .h_scale = {7, 70}, .w_scale = {1, 2}},
    {.n = 2, .c = 13, .h = 9, .w = 33, .n_scales = 1, .h_scale = {5}, .w_scale = {20}},
    {.n = 1, .c = 21, .h = 7, .w = 34, .n_scales = 1, .h_scale = {7}, .w_scale = {34}},
    {.n = 1, .c = 30, .h = 8, .w = 35, .n_scales = 1, .h_scale = {8}, .w_scale = {35}},
};
#define N_TILE_SHAPES (sizeof tile_shapes / sizeof tile_shapes[0])

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < N_SHAPES; i++)
        for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++)
            for (int flags = 0; flags < 4; flags++) {
                struct arena arena;
                arena_open(&arena, device);
                struct adele_loss_desc desc = loss_with_form(shapes[i], form, (flags & 1) != 0);
                // Small logits leave some images without a confident pixel.
                struct loss_problem p =
                    loss_problem_make(&arena, desc, flags & 1 ? 2.0 : 10.0, (flags & 2) != 0);
                struct loss_outputs got, want;
                loss_run(&arena, &p, flags != 2, &got);
                loss_run_reference(&arena, &p, &want);
                check_equal(device, &p, &got, &want, flags != 2);
                arena_close(&arena);
            }
}

static void check_tiles(struct adele_device *device) {
    for (size_t i = 0; i < N_TILE_SHAPES; i++)
        for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
            struct arena arena;
            arena_open(&arena, device);
            struct loss_problem p =
                loss_problem_make(&arena, loss_with_form(tile_shapes[i], form, true), 10.0, true);
            struct loss_outputs got, want;
            // Labels of categories that do not exist are counted, and train nothing.
            for (size_t j = 0; j + 2 < loss_pixels(&p, p.desc.n); j += 7) {
                p.labels[j] = 254;
                p.noisy[j + 1] = (uint8_t)p.desc.c;
                p.truth[j + 2] = (uint8_t)(p.desc.c + 60);
            }
            loss_run(&arena, &p, true, &got);
            loss_run_reference(&arena, &p, &want);
            check_equal(device, &p, &got, &want, true);
            arena_close(&arena);
        }
}

static double total_of(const void *context) {
    const struct loss_problem *p = context;
    double sums[ADELE_SUM_COUNT] = {0};
    struct adele_loss_args args = {.scale_weights = p->scale_weights,
                                   .class_weights = p->class_weights,
                                   .labels = p->labels,
                                   .sums = sums};
    for (int k = 0; k < p->desc.n_scales; k++)
        args.logits[k] = p->logits[k];
    reference_loss_forward(&p->desc, &args);
    return sums[ADELE_SUM_TOTAL];
}

// Weights from 0 to 3, so that a category is left out, in every shape, form and engine; and the
// gradients by finite differences of the reference's own loss.
static void check_class_weights(struct adele_device *device) {
    for (size_t i = 0; i < N_SHAPES + N_TILE_SHAPES; i++)
        for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
            struct arena arena;
            struct loss_outputs got, want;
            arena_open(&arena, device);
            const struct adele_loss_desc *shape =
                i < N_SHAPES ? &shapes[i] : &tile_shapes[i - N_SHAPES];
            struct loss_problem p =
                loss_problem_make(&arena, loss_with_form(*shape, form, true), 4.0, true);
            p.desc.rho = 0.5;
            p.class_weights = arena_random(&arena, 24, (size_t)p.desc.c, 0.1, 3.0);
            p.class_weights[p.desc.c / 2] = 0.0f;
            loss_run(&arena, &p, true, &got);
            loss_run_reference(&arena, &p, &want);
            check_equal(device, &p, &got, &want, true);
            for (int k = 0; k < p.desc.n_scales && i > 0 && i < 4; k++)
                assert_true(gradient_agrees("logits", total_of, &p, p.logits[k], got.d_logits[k],
                                            shape_count(loss_scale_shape(&p, k)), 31, 1e-3,
                                            device_tolerance(device, 1e-3)));
            arena_close(&arena);
        }
}

// The same weight for all is none: the mean divides by the weights.
static void check_equal_weights(struct adele_device *device) {
    for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
        struct arena arena;
        struct loss_outputs got, want;
        arena_open(&arena, device);
        struct loss_problem p =
            loss_problem_make(&arena, loss_with_form(shapes[1], form, true), 4.0, false);
        loss_run_reference(&arena, &p, &want);
        p.class_weights = arena_random(&arena, 24, (size_t)p.desc.c, 0.25, 0.25);
        loss_run(&arena, &p, true, &got);
        check_equal(device, &p, &got, &want, true);
        arena_close(&arena);
    }
}

// Finite differences of the reference's own loss against the gradients of the device.
static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < N_SHAPES - 1; i++)
        for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
            struct arena arena;
            arena_open(&arena, device);
            struct loss_problem p = loss_problem_make(
                &arena, loss_with_form(shapes[i], form, form == ADELE_LOSS_PROGRAM), 4.0, false);
            struct loss_outputs got;
            p.desc.rho = 0.5;
            loss_run(&arena, &p, true, &got);
            for (int k = 0; k < p.desc.n_scales; k++)
                assert_true(gradient_agrees("logits", total_of, &p, p.logits[k], got.d_logits[k],
                                            shape_count(loss_scale_shape(&p, k)), 31, 1e-3,
                                            device_tolerance(device, 1e-3)));
            for (int k = 0; k < LOSS_SCALES; k++)
                got.d_scale_weights[k] -= 2.0f;
            assert_true(gradient_agrees("scale weights", total_of, &p, p.scale_weights,
                                        got.d_scale_weights, (size_t)p.desc.n_scales, 32, 1e-3,
                                        1e-3));
            arena_close(&arena);
        }
}

// One of three batches: a third of the gradients, the whole loss; is_finite stays as it was unless
// the loss is not finite.
static void check_batches(struct adele_device *device) {
    for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
        struct arena arena;
        struct loss_outputs got, want, one;
        arena_open(&arena, device);
        struct loss_problem p =
            loss_problem_make(&arena, loss_with_form(shapes[1], form, true), 4.0, false);
        loss_run_reference(&arena, &p, &one);
        p.n_batches = 3;
        loss_run(&arena, &p, true, &got);
        loss_run_reference(&arena, &p, &want);
        check_equal(device, &p, &got, &want, true);
        assert_int_equal(got.is_finite, 7);
        assert_true(fabs(want.sums[0] - one.sums[0]) <= 1e-12);
        for (size_t i = 0; i < shape_count(loss_scale_shape(&p, 0)); i++)
            assert_true(fabsf(3.0f * want.d_logits[0][i] - one.d_logits[0][i]) <= 1e-6f);
        arena_close(&arena);
    }
}

// No pixel of a category with a weight: no cross-entropy, and no division by zero.
static void check_no_weight(struct adele_device *device) {
    struct arena arena;
    struct loss_outputs out;
    arena_open(&arena, device);
    struct loss_problem p =
        loss_problem_make(&arena, loss_with_form(shapes[1], ADELE_LOSS_PLAIN, false), 4.0, false);
    p.class_weights = arena_random(&arena, 0, (size_t)p.desc.c, 0.0, 0.0);
    p.class_weights[2] = 1.0f;
    memset(p.labels, 1, loss_pixels(&p, p.desc.n));
    loss_run(&arena, &p, true, &out);
    assert_int_equal(out.is_finite, 1);
    assert_true(fabs(out.sums[ADELE_SUM_TOTAL] - 2.0) < 1e-12);
    for (size_t i = 0; i < shape_count(loss_scale_shape(&p, 0)); i++)
        assert_true(fabsf(out.d_logits[0][i]) <= 0.0f);
    arena_close(&arena);
}

static void check_threads(struct adele_device *device) {
    for (size_t i = 1; i < N_SHAPES; i++)
        for (int n_threads = 2; n_threads <= 3; n_threads++) {
            struct arena arena, more; // an arena lends a limited number of buffers
            arena_open(&arena, device);
            arena_open(&more, device);
            struct loss_problem p = loss_problem_make(
                &arena, loss_with_form(shapes[i], ADELE_LOSS_PROGRAM, true), 6.0, true);
            struct loss_outputs one, many;
            p.class_weights = arena_random(&arena, 24, (size_t)p.desc.c, 0.1, 3.0);
            omp_set_num_threads(1);
            loss_run(&arena, &p, true, &one);
            omp_set_num_threads(n_threads);
            loss_run(&more, &p, true, &many);
            assert_memory_equal(one.sums, many.sums, sizeof one.sums);
            assert_memory_equal(one.counts, many.counts, sizeof one.counts);
            assert_memory_equal(one.d_scale_weights, many.d_scale_weights,
                                LOSS_SCALES * sizeof(float));
            for (int k = 0; k < p.desc.n_scales; k++)
                assert_memory_equal(one.d_logits[k], many.d_logits[k],
                                    shape_count(loss_scale_shape(&p, k)) * sizeof(float));
            arena_close(&arena);
            arena_close(&more);
        }
}

ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(tiles)
ON_EACH_DEVICE_3_THREADS(class_weights)
ON_EACH_DEVICE_3_THREADS(equal_weights)
ON_EACH_DEVICE_3_THREADS(no_weight)
ON_EACH_DEVICE_3_THREADS(batches)
ON_EACH_DEVICE_3_THREADS(gradient)
ON_EACH_DEVICE_3_THREADS(threads)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_class_weights), cmocka_unit_test(test_equal_weights),
        cmocka_unit_test(test_no_weight),     cmocka_unit_test(test_batches),
        cmocka_unit_test(test_gradient),      cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
