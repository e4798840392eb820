// SPDX-License-Identifier: MIT
// The loss in cases whose answer is known: literal pixels, ignored ones, confident ones, logits
// that are very large or not finite; and descriptors and arguments that are refused.
#include "base/memory.h"
#include "support/compare.h"
#include "support/loss_problem.h"
#include "support/op_errors.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Extents that no block divides.
static const struct adele_loss_desc shape = {
    .n = 3, .c = 5, .h = 13, .w = 7, .n_scales = 3, .h_scale = {13, 9, 19}, .w_scale = {7, 4, 10}};

static struct adele_loss_desc literal_desc(int w, enum adele_loss_form form) {
    struct adele_loss_desc desc = {.n = 1,
                                   .c = 2,
                                   .h = 1,
                                   .w = w,
                                   .n_scales = 1,
                                   .h_scale = {1},
                                   .w_scale = {w},
                                   .form = form,
                                   .lambda = 1.0,
                                   .rho = 0.7,
                                   .divisor = 2.0};
    return desc;
}

// Two pixels, the second ignored. Logits 0 and ln 3 are probabilities 1/4 and 3/4; the label is 1.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    const float ln3 = logf(3.0f);
    // bf16 stores 1.1015625 for ln 3.
    const double tolerance = device_tolerance(device, 1e-6);
    const double tolerance_gradient = device_tolerance(device, 1e-7);
    struct loss_outputs out;
    struct loss_problem p = loss_problem_make(&arena, literal_desc(2, ADELE_LOSS_PLAIN), 1.0, true);
    memcpy(p.logits[0], ((float[]){0, 0, ln3, ln3}), 4 * sizeof(float));
    memcpy(p.labels, ((uint8_t[]){1, 255}), 2);
    memcpy(p.noisy, ((uint8_t[]){0, 1}), 2);
    memcpy(p.truth, ((uint8_t[]){1, 1}), 2);
    loss_run(&arena, &p, true, &out);
    // Plain: the mean over the one valid pixel, halved by the divisor.
    assert_int_equal(out.is_finite, 1);
    assert_true(fabs(out.sums[ADELE_SUM_CROSS_ENTROPY] - 2.0 + log(0.75)) < tolerance);
    assert_true(fabs(out.sums[ADELE_SUM_TOTAL] - 2.0 + log(0.75) / 2.0) < tolerance);
    assert_true(compare_f32("plain", out.d_logits[0], (float[]){0.125f, 0, -0.125f, 0}, 1, 2, 1, 2,
                            tolerance_gradient, 0.0));
    // Program: the ignored pixel stays in the mean. With one scale p = q, so the consistency is 0.
    p.desc.form = ADELE_LOSS_PROGRAM;
    loss_run(&arena, &p, true, &out);
    assert_true(fabs(out.sums[ADELE_SUM_CROSS_ENTROPY] - 2.0 + log(0.75) / 2.0) < tolerance);
    assert_true(fabs(out.sums[ADELE_SUM_CONSISTENCY] - 2.0) < 1e-6);
    assert_true(fabs(out.sums[ADELE_SUM_MASKED_IMAGES] - 3.0) < 1e-12);
    assert_true(fabs(out.sums[ADELE_SUM_STEPS] - 3.0) < 1e-12);
    assert_true(compare_f32("program", out.d_logits[0], (float[]){0.0625f, 0, -0.0625f, 0}, 1, 2, 1,
                            2, tolerance_gradient, 0.0));
    assert_true(compare_f32("confidence", out.foreground + loss_pixels(&p, p.ids[0]),
                            (float[]){0.75f, 0.75f}, 1, 1, 1, 2, tolerance, 0.0));
    assert_int_equal(out.prediction[loss_pixels(&p, p.ids[0])], 1);
    arena_close(&arena);
}

// Three pixels, one ignored, of labels 1 and 0 with the weights 3 and 1: -ln 3/4 and -ln 1/4.
static void check_literal_weights(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    const float ln3 = logf(3.0f);
    const double tolerance = device_tolerance(device, 1e-6);
    const double weighted = -3.0 * log(0.75) - log(0.25);
    struct loss_outputs out;
    struct loss_problem p = loss_problem_make(&arena, literal_desc(3, ADELE_LOSS_PLAIN), 1.0, true);
    memcpy(p.logits[0], ((float[]){0, 0, 0, ln3, ln3, ln3}), 6 * sizeof(float));
    memcpy(p.labels, ((uint8_t[]){1, 255, 0}), 3);
    p.class_weights = (float[]){1.0f, 3.0f};
    loss_run(&arena, &p, true, &out);
    assert_true(fabs(out.sums[ADELE_SUM_CROSS_ENTROPY] - 2.0 - weighted / 4.0) < tolerance);
    assert_true(compare_f32("weighted", out.d_logits[0],
                            (float[]){0.09375f, 0, -0.09375f, -0.09375f, 0, 0.09375f}, 1, 2, 1, 3,
                            device_tolerance(device, 1e-7), 0.0));
    // Program: the ignored pixel counts with the mean weight of 2.
    p.desc.form = ADELE_LOSS_PROGRAM;
    loss_run(&arena, &p, true, &out);
    assert_true(fabs(out.sums[ADELE_SUM_CROSS_ENTROPY] - 2.0 - weighted / 6.0) < tolerance);
    arena_close(&arena);
}

static int64_t counted(const struct loss_outputs *out, enum adele_count_table table, int kind,
                       int category) {
    return out->counts[((int)table * ADELE_COUNT_KINDS + kind) * 256 + category] - 2;
}

// Four pixels predicted 1; on the first and last, noisy label and truth differ.
static void check_counts(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct loss_problem p = loss_problem_make(&arena, literal_desc(4, ADELE_LOSS_PLAIN), 1.0, true);
    struct loss_outputs out;
    memcpy(p.logits[0], ((float[]){0, 0, 0, 0, 1, 1, 1, 1}), 8 * sizeof(float));
    memcpy(p.labels, ((uint8_t[]){1, 1, 255, 0}), 4);
    memcpy(p.noisy, ((uint8_t[]){0, 1, 0, 255}), 4);
    memcpy(p.truth, ((uint8_t[]){1, 1, 0, 1}), 4);
    loss_run(&arena, &p, true, &out);
    static const int want[ADELE_COUNT_TABLES][ADELE_COUNT_KINDS][2] = {
        [ADELE_COUNT_PREDICTION_NOISY] = {{0, 1}, {0, 3}, {2, 1}},
        [ADELE_COUNT_PREDICTION_CURRENT] = {{0, 2}, {0, 3}, {1, 2}},
        [ADELE_COUNT_PREDICTION_TRUE] = {{0, 3}, {0, 4}, {1, 3}},
        [ADELE_COUNT_EARLY_LEARNING] = {{0, 2}, {0, 2}, {0, 2}},
        [ADELE_COUNT_MEMORIZATION] = {{0, 0}, {0, 1}, {1, 0}}};
    for (int table = 0; table < ADELE_COUNT_TABLES; table++)
        for (int kind = 0; kind < ADELE_COUNT_KINDS; kind++)
            for (int c = 0; c < 2; c++)
                if (counted(&out, table, kind, c) != want[table][kind][c])
                    fail_msg("table %d, kind %d, category %d: %lld", table, kind, c,
                             (long long)counted(&out, table, kind, c));
    arena_close(&arena);
}

// A tie of all categories goes to the lowest; nothing but 255 gives no loss and no NaN.
static void check_all_ignored(struct adele_device *device) {
    for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
        struct arena arena;
        arena_open(&arena, device);
        struct loss_problem p =
            loss_problem_make(&arena, loss_with_form(shape, form, true), 9.0, false);
        struct loss_outputs out;
        memset(p.labels, 255, loss_pixels(&p, p.desc.n));
        memset(p.logits[0], 0, shape_count(loss_scale_shape(&p, 0)) * sizeof(float));
        loss_run(&arena, &p, true, &out);
        assert_true(fabs(out.sums[ADELE_SUM_TOTAL] - 2.0) < 1e-12);
        assert_true(fabs(out.sums[ADELE_SUM_MASKED_IMAGES] - 2.0) < 1e-12);
        for (int k = 0; k < p.desc.n_scales; k++)
            for (size_t i = 0; i < shape_count(loss_scale_shape(&p, k)); i++)
                assert_true(fabsf(out.d_logits[k][i]) <= 0.0f);
        for (size_t i = 0; i < loss_pixels(&p, 1); i++)
            assert_int_equal(out.prediction[loss_pixels(&p, p.ids[0]) + i], 0);
        arena_close(&arena);
    }
}

// One confident pixel switches its image on; under a label of 255 it does not count.
static void check_mask(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct loss_problem p =
        loss_problem_make(&arena, loss_with_form(shape, ADELE_LOSS_PROGRAM, false), 0.1, false);
    struct loss_outputs out;
    memset(p.labels, 1, loss_pixels(&p, p.desc.n));
    // Logits of images 0 and 1 that every scale agrees on in one corner.
    for (int k = 0; k < p.desc.n_scales; k++)
        for (size_t n = 0; n < 2; n++)
            p.logits[k][n * shape_count(loss_scale_shape(&p, k)) / 3] = 20.0f;
    p.labels[loss_pixels(&p, 1)] = 255;
    loss_run(&arena, &p, true, &out);
    assert_memory_equal(out.image_mask, ((uint8_t[]){1, 0, 0}), 3);
    arena_close(&arena);
}

// Logits of +-200 and of +-1e30 (sizes that bf16 holds) in every form: all finite, and as the
// reference in double.
static void check_extreme(struct adele_device *device) {
    static const double sizes[] = {200.0, 0x1p13, 0x1p100};
    for (size_t i = 0; i < 3; i++)
        for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
            struct arena arena;
            arena_open(&arena, device);
            struct loss_problem p =
                loss_problem_make(&arena, loss_with_form(shape, form, true), sizes[i], true);
            struct loss_outputs got, want;
            for (int k = 0; k < p.desc.n_scales;
                 k++) // the very ends, so that probabilities underflow to 0
                for (size_t j = 0; j < shape_count(loss_scale_shape(&p, k)); j++)
                    p.logits[k][j] =
                        j % 3 == 0 ? p.logits[k][j] : copysignf((float)sizes[i], p.logits[k][j]);
            loss_run(&arena, &p, true, &got);
            loss_run_reference(&arena, &p, &want);
            loss_check_sums(&got, &want, 1e-5);
            for (int k = 0; k < p.desc.n_scales; k++)
                assert_true(compare_l2("d_logits", got.d_logits[k], want.d_logits[k],
                                       shape_count(loss_scale_shape(&p, k)),
                                       sizes[i] > 1e3 ? 1e-2 : device_tolerance(device, 1e-4)));
            arena_close(&arena);
        }
}

// A NaN or an infinity among the logits: the sums of the other steps stay, counts stay within the
// pixels, and a gradient that is not finite itself carries it on, so that the optimizer finds it.
static void check_not_finite(struct adele_device *device) {
    static const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++)
        for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
            struct arena arena;
            arena_open(&arena, device);
            struct loss_problem p =
                loss_problem_make(&arena, loss_with_form(shape, form, false), 1.0, true);
            struct loss_outputs got, want;
            p.n_batches = form == ADELE_LOSS_PAPER ? 2 : 0;
            memset(p.labels, 1, loss_pixels(&p, p.desc.n)); // no pixel is left out
            size_t n = (size_t)p.desc.h_scale[0] * (size_t)p.desc.w_scale[0], n_bad = 0;
            for (size_t j = 0; j < n; j++) // category 1 of image 0
                p.logits[0][n + j] = values[i];
            loss_run(&arena, &p, true, &got);
            loss_run_reference(&arena, &p, &want);
            assert_int_equal(got.is_finite, 0);
            assert_int_equal(want.is_finite, 0);
            for (int k = 0; k < ADELE_SUM_COUNT; k++) {
                assert_true(got.sums[k] == 2.0);
                assert_true(want.sums[k] == 2.0);
            }
            for (size_t j = 0; j < shape_count(loss_scale_shape(&p, 0)); j++)
                n_bad += !isfinite(got.d_logits[0][j]);
            if (i < 2) // a probability of 0 has an infinite loss, and a gradient of -1
                assert_true(n_bad > 0);
            arena_close(&arena);
        }
}

static void check_bad_descriptors(struct adele_device *device) {
    struct adele_loss_desc bad[12];
    for (int i = 0; i < 12; i++)
        bad[i] = loss_with_form(shape, ADELE_LOSS_PROGRAM, true);
    bad[0].n = 0;
    bad[1].c = 256;
    bad[2].h = -1;
    bad[3].w = 0;
    bad[4].n_scales = 0;
    bad[5].n_scales = ADELE_MAX_SCALES + 1;
    bad[6].w_scale[2] = 0;
    bad[7].form = 3;
    bad[8].lambda = -1.0;
    bad[9].rho = (double)NAN;
    bad[10].divisor = 0.0;
    bad[11].lambda = (double)INFINITY;
    for (int i = 0; i < 12; i++)
        op_check_refused(device, ADELE_OP_loss, &bad[i]);
}

static void check_bad_arguments(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct loss_problem p =
        loss_problem_make(&arena, loss_with_form(shape, ADELE_LOSS_PROGRAM, true), 1.0, false);
    struct loss_outputs out;
    struct adele_loss_args good = {0};
    struct adele_op *op = NULL;
    loss_start_outputs(&arena, &p, &out);
    loss_upload(&arena, &p, &out, true, &good);
    assert_int_equal(device->iface->loss_create(device, &p.desc, &op), ADELE_OK);
    good.workspace = arena_workspace(&arena, op);
    struct adele_loss_args bad[5] = {good, good, good, good, good};
    bad[0].logits[1] = NULL;
    bad[1].d_logits[2] = NULL;
    bad[2].labels = NULL;
    bad[3].workspace = NULL;
    bad[4].scale_weights = NULL;
    for (int i = 0; i < 5; i++)
        assert_int_equal(device->iface->loss_forward(op, &bad[i]), ADELE_INVALID_ARGUMENT);
    // All that is optional left out at once.
    struct adele_loss_args bare = {
        .scale_weights = good.scale_weights, .labels = good.labels, .workspace = good.workspace};
    for (int k = 0; k < p.desc.n_scales; k++)
        bare.logits[k] = good.logits[k];
    assert_int_equal(device->iface->loss_forward(op, &bare), ADELE_OK);
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void check_allocator(struct adele_device *device) {
    struct adele_loss_desc desc = loss_with_form(shape, ADELE_LOSS_PROGRAM, true);
    op_check_allocations(device, ADELE_OP_loss, &desc);
}

ON_EACH_DEVICE_3_THREADS(literal_weights)
ON_EACH_DEVICE_3_THREADS(literal)
ON_EACH_DEVICE_3_THREADS(counts)
ON_EACH_DEVICE_3_THREADS(all_ignored)
ON_EACH_DEVICE_3_THREADS(mask)
ON_EACH_DEVICE_3_THREADS(extreme)
ON_EACH_DEVICE_3_THREADS(not_finite)
ON_EACH_DEVICE_3_THREADS(bad_descriptors)
ON_EACH_DEVICE_3_THREADS(bad_arguments)
ON_EACH_DEVICE_3_THREADS(allocator)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literal_weights),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_all_ignored),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_extreme),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_bad_descriptors),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_allocator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
