// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/gradient.h"
#include "support/maps.h"
#include "support/outputs.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define K     4
#define N_SET 8 // images in the set that predictions are stored for

struct problem {
    struct adele_loss_desc desc;
    float *logits[K], *scale_weights;
    float *class_weights; // (C); NULL: none
    uint8_t *labels, *noisy, *truth;
    const int32_t *ids;
    int n_batches;
};
struct outputs {
    float *d_logits[K], *d_scale_weights, *mixture, *foreground, *background;
    uint8_t *image_mask, *prediction;
    int64_t counts[ADELE_COUNT_SIZE];
    double sums[ADELE_SUM_COUNT];
    int32_t is_finite;
};

static size_t pixels(const struct problem *p, int n) {
    return (size_t)n * (size_t)p->desc.h * (size_t)p->desc.w;
}

static struct adele_shape shape_of(const struct problem *p, int k) {
    struct adele_shape shape = {p->desc.n, p->desc.c, p->desc.h_scale[k], p->desc.w_scale[k]};
    return shape;
}

static struct problem make_problem(struct arena *arena, struct adele_loss_desc desc, double size,
                                   bool has_truth) {
    static const int32_t ids[] = {6, -1, 0, 3, 5};
    struct problem p = {.desc = desc, .ids = ids};
    for (int k = 0; k < desc.n_scales; k++)
        p.logits[k] =
            arena_random(arena, 10 + (uint64_t)k, shape_count(shape_of(&p, k)), -size, size);
    p.scale_weights = arena_random(arena, 20, K, -1.0, 1.0);
    p.labels = maps_random(arena, 21, pixels(&p, desc.n), desc.c, 0.2);
    p.noisy = maps_random(arena, 22, pixels(&p, desc.n), desc.c, 0.1);
    p.truth = has_truth ? maps_random(arena, 23, pixels(&p, desc.n), desc.c, 0.1) : NULL;
    return p;
}

// Outputs as they are before the op: what accumulates starts at 2, rows of the set at 0.
static void start_outputs(struct arena *arena, const struct problem *p, struct outputs *out) {
    memset(out, 0, sizeof *out);
    for (int i = 0; i < ADELE_COUNT_SIZE; i++)
        out->counts[i] = 2;
    for (int i = 0; i < ADELE_SUM_COUNT; i++)
        out->sums[i] = 2.0;
    out->is_finite = 7; // overwritten
    out->d_scale_weights = arena_random(arena, 0, K, 2.0, 2.0);
    for (int k = 0; k < p->desc.n_scales; k++)
        out->d_logits[k] = arena_floats(arena, shape_count(shape_of(p, k)));
    out->mixture = arena_floats(arena, pixels(p, p->desc.n * p->desc.c));
    out->image_mask = maps_empty(arena, (size_t)p->desc.n);
    out->prediction = maps_empty(arena, pixels(p, N_SET));
    out->foreground = arena_floats(arena, pixels(p, N_SET));
    out->background = arena_floats(arena, pixels(p, N_SET));
}

static void upload(struct arena *arena, const struct problem *p, const struct outputs *start,
                   bool has_gradient, struct adele_loss_args *args) {
    size_t n_labels = pixels(p, p->desc.n), n_set = pixels(p, N_SET);
    for (int k = 0; k < p->desc.n_scales; k++) {
        args->logits[k] = arena_tensor(arena, shape_of(p, k), p->logits[k]);
        args->d_logits[k] = has_gradient ? arena_tensor(arena, shape_of(p, k), NULL) : NULL;
    }
    args->n_batches = p->n_batches;
    args->scale_weights = arena_upload(arena, p->scale_weights, K * sizeof(float));
    args->d_scale_weights = arena_upload(arena, start->d_scale_weights, K * sizeof(float));
    if (p->class_weights != NULL)
        args->class_weights =
            arena_upload(arena, p->class_weights, (size_t)p->desc.c * sizeof(float));
    args->labels = arena_upload(arena, p->labels, n_labels);
    args->noisy = arena_upload(arena, p->noisy, n_labels);
    args->truth = p->truth != NULL ? arena_upload(arena, p->truth, n_labels) : NULL;
    args->counts = arena_upload(arena, start->counts, sizeof start->counts);
    args->sums = arena_upload(arena, start->sums, sizeof start->sums);
    args->is_finite = arena_upload(arena, &start->is_finite, sizeof start->is_finite);
    args->mixture = arena_upload(arena, NULL, n_labels * (size_t)p->desc.c * sizeof(float));
    args->image_mask = arena_upload(arena, NULL, (size_t)p->desc.n);
    args->sample_ids = arena_upload(arena, p->ids, (size_t)p->desc.n * sizeof(int32_t));
    args->prediction = arena_upload(arena, start->prediction, n_set);
    args->confidence_foreground = arena_upload(arena, start->foreground, n_set * sizeof(float));
    args->confidence_background = arena_upload(arena, start->background, n_set * sizeof(float));
}

// An op of one pixel, made after another of the same kernel: it must not disturb that one (on CUDA,
// the shared memory that a kernel may take is a setting of the program's).
static struct adele_op *create_later(const struct adele_device *device,
                                     struct adele_loss_desc desc) {
    struct adele_op *op = NULL;
    desc.h = desc.w = 1;
    for (int k = 0; k < desc.n_scales; k++)
        desc.h_scale[k] = desc.w_scale[k] = 1;
    assert_int_equal(device->iface->loss_create(device, &desc, &op), ADELE_OK);
    return op;
}

static void run(struct arena *arena, const struct problem *p, bool has_gradient,
                struct outputs *out) {
    const struct adele_device *device = arena->device;
    struct adele_loss_args args = {0};
    struct adele_op *op = NULL, *later;
    start_outputs(arena, p, out);
    upload(arena, p, out, has_gradient, &args);
    assert_int_equal(device->iface->loss_create(device, &p->desc, &op), ADELE_OK);
    later = create_later(device, p->desc);
    args.workspace = arena_workspace(arena, op);
    assert_int_equal(device->iface->loss_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    device->iface->op_destroy(later);
    for (int k = 0; k < p->desc.n_scales && has_gradient; k++)
        out->d_logits[k] = arena_tensor_download(arena, args.d_logits[k], shape_of(p, k));
    out->d_scale_weights = arena_download(arena, args.d_scale_weights, K);
    out->mixture = arena_download(arena, args.mixture, pixels(p, p->desc.n * p->desc.c));
    out->image_mask = maps_download(arena, args.image_mask, (size_t)p->desc.n);
    out->prediction = maps_download(arena, args.prediction, pixels(p, N_SET));
    out->foreground = arena_download(arena, args.confidence_foreground, pixels(p, N_SET));
    out->background = arena_download(arena, args.confidence_background, pixels(p, N_SET));
    assert_int_equal(device->iface->download(device, out->counts, args.counts, sizeof out->counts),
                     ADELE_OK);
    assert_int_equal(device->iface->download(device, out->sums, args.sums, sizeof out->sums),
                     ADELE_OK);
    assert_int_equal(
        device->iface->download(device, &out->is_finite, args.is_finite, sizeof out->is_finite),
        ADELE_OK);
    outputs_add(out->sums, sizeof out->sums);
    outputs_add(out->counts, sizeof out->counts);
}

static void run_reference(struct arena *arena, const struct problem *p, struct outputs *out) {
    start_outputs(arena, p, out);
    struct adele_loss_args args = {.scale_weights = p->scale_weights,
                                   .d_scale_weights = out->d_scale_weights,
                                   .class_weights = p->class_weights,
                                   .n_batches = p->n_batches,
                                   .labels = p->labels,
                                   .noisy = p->noisy,
                                   .truth = p->truth,
                                   .counts = out->counts,
                                   .sums = out->sums,
                                   .is_finite = &out->is_finite,
                                   .mixture = out->mixture,
                                   .image_mask = out->image_mask,
                                   .sample_ids = p->ids,
                                   .prediction = out->prediction,
                                   .confidence_foreground = out->foreground,
                                   .confidence_background = out->background};
    for (int k = 0; k < p->desc.n_scales; k++) {
        args.logits[k] = p->logits[k];
        args.d_logits[k] = out->d_logits[k];
    }
    reference_loss_forward(&p->desc, &args);
}

static void check_sums(const struct outputs *got, const struct outputs *want, double tolerance) {
    assert_int_equal(got->is_finite, want->is_finite);
    for (int i = 0; i < ADELE_SUM_COUNT; i++)
        if (!(fabs(got->sums[i] - want->sums[i]) <= tolerance * fabs(want->sums[i])))
            fail_msg("sum %d: got %.9g, want %.9g", i, got->sums[i], want->sums[i]);
}

// Gradients as the golden files ask, or as bf16 rounds them; values of single pixels carry the
// rounding of logits of size 10.
static void check_equal(const struct adele_device *device, const struct problem *p,
                        const struct outputs *got, const struct outputs *want, bool has_gradient) {
    const struct adele_loss_desc *desc = &p->desc;
    check_sums(got, want, 1e-6);
    assert_true(compare_bytes("counts", got->counts, want->counts, sizeof want->counts));
    assert_true(compare_bytes("mask", got->image_mask, want->image_mask, (size_t)desc->n));
    assert_true(compare_bytes("prediction", got->prediction, want->prediction, pixels(p, N_SET)));
    assert_true(compare_f32("foreground", got->foreground, want->foreground, N_SET, 1, desc->h,
                            desc->w, 3e-6, 0.0));
    assert_true(compare_f32("background", got->background, want->background, N_SET, 1, desc->h,
                            desc->w, 3e-6, 0.0));
    assert_true(compare_f32("mixture", got->mixture, want->mixture, desc->n, desc->c, desc->h,
                            desc->w, 3e-6, 0.0));
    for (int k = 0; k < desc->n_scales && has_gradient; k++)
        assert_true(compare_l2("d_logits", got->d_logits[k], want->d_logits[k],
                               shape_count(shape_of(p, k)), device_tolerance(device, 1e-5)));
    if (has_gradient)
        assert_true(compare_f32("d_scale_weights", got->d_scale_weights, want->d_scale_weights, 1,
                                1, 1, K, 1e-5, 0.0));
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

static struct adele_loss_desc with_form(struct adele_loss_desc desc, enum adele_loss_form form,
                                        bool learn) {
    desc.form = form;
    desc.lambda = 0.7;
    desc.rho = 0.8;
    desc.divisor = 3.0;
    desc.learn_scale_weights = learn;
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < N_SHAPES; i++)
        for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++)
            for (int flags = 0; flags < 4; flags++) {
                struct arena arena;
                arena_open(&arena, device);
                struct adele_loss_desc desc = with_form(shapes[i], form, (flags & 1) != 0);
                // Small logits leave some images without a confident pixel.
                struct problem p =
                    make_problem(&arena, desc, flags & 1 ? 2.0 : 10.0, (flags & 2) != 0);
                struct outputs got, want;
                run(&arena, &p, flags != 2, &got);
                run_reference(&arena, &p, &want);
                check_equal(device, &p, &got, &want, flags != 2);
                arena_close(&arena);
            }
}

static void check_tiles(struct adele_device *device) {
    for (size_t i = 0; i < N_TILE_SHAPES; i++)
        for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
            struct arena arena;
            arena_open(&arena, device);
            struct problem p =
                make_problem(&arena, with_form(tile_shapes[i], form, true), 10.0, true);
            struct outputs got, want;
            // Labels of categories that do not exist are counted, and train nothing.
            for (size_t j = 0; j + 2 < pixels(&p, p.desc.n); j += 7) {
                p.labels[j] = 254;
                p.noisy[j + 1] = (uint8_t)p.desc.c;
                p.truth[j + 2] = (uint8_t)(p.desc.c + 60);
            }
            run(&arena, &p, true, &got);
            run_reference(&arena, &p, &want);
            check_equal(device, &p, &got, &want, true);
            arena_close(&arena);
        }
}

static double total_of(const void *context) {
    const struct problem *p = context;
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
            struct outputs got, want;
            arena_open(&arena, device);
            const struct adele_loss_desc *shape =
                i < N_SHAPES ? &shapes[i] : &tile_shapes[i - N_SHAPES];
            struct problem p = make_problem(&arena, with_form(*shape, form, true), 4.0, true);
            p.desc.rho = 0.5;
            p.class_weights = arena_random(&arena, 24, (size_t)p.desc.c, 0.1, 3.0);
            p.class_weights[p.desc.c / 2] = 0.0f;
            run(&arena, &p, true, &got);
            run_reference(&arena, &p, &want);
            check_equal(device, &p, &got, &want, true);
            for (int k = 0; k < p.desc.n_scales && i > 0 && i < 4; k++)
                assert_true(gradient_agrees("logits", total_of, &p, p.logits[k], got.d_logits[k],
                                            shape_count(shape_of(&p, k)), 31, 1e-3,
                                            device_tolerance(device, 1e-3)));
            arena_close(&arena);
        }
}

// The same weight for all is none: the mean divides by the weights.
static void check_equal_weights(struct adele_device *device) {
    for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
        struct arena arena;
        struct outputs got, want;
        arena_open(&arena, device);
        struct problem p = make_problem(&arena, with_form(shapes[1], form, true), 4.0, false);
        run_reference(&arena, &p, &want);
        p.class_weights = arena_random(&arena, 24, (size_t)p.desc.c, 0.25, 0.25);
        run(&arena, &p, true, &got);
        check_equal(device, &p, &got, &want, true);
        arena_close(&arena);
    }
}

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
    struct outputs out;
    struct problem p = make_problem(&arena, literal_desc(2, ADELE_LOSS_PLAIN), 1.0, true);
    memcpy(p.logits[0], ((float[]){0, 0, ln3, ln3}), 4 * sizeof(float));
    memcpy(p.labels, ((uint8_t[]){1, 255}), 2);
    memcpy(p.noisy, ((uint8_t[]){0, 1}), 2);
    memcpy(p.truth, ((uint8_t[]){1, 1}), 2);
    run(&arena, &p, true, &out);
    // Plain: the mean over the one valid pixel, halved by the divisor.
    assert_int_equal(out.is_finite, 1);
    assert_true(fabs(out.sums[ADELE_SUM_CROSS_ENTROPY] - 2.0 + log(0.75)) < tolerance);
    assert_true(fabs(out.sums[ADELE_SUM_TOTAL] - 2.0 + log(0.75) / 2.0) < tolerance);
    assert_true(compare_f32("plain", out.d_logits[0], (float[]){0.125f, 0, -0.125f, 0}, 1, 2, 1, 2,
                            tolerance_gradient, 0.0));
    // Program: the ignored pixel stays in the mean. With one scale p = q, so the consistency is 0.
    p.desc.form = ADELE_LOSS_PROGRAM;
    run(&arena, &p, true, &out);
    assert_true(fabs(out.sums[ADELE_SUM_CROSS_ENTROPY] - 2.0 + log(0.75) / 2.0) < tolerance);
    assert_true(fabs(out.sums[ADELE_SUM_CONSISTENCY] - 2.0) < 1e-6);
    assert_true(fabs(out.sums[ADELE_SUM_MASKED_IMAGES] - 3.0) < 1e-12);
    assert_true(fabs(out.sums[ADELE_SUM_STEPS] - 3.0) < 1e-12);
    assert_true(compare_f32("program", out.d_logits[0], (float[]){0.0625f, 0, -0.0625f, 0}, 1, 2, 1,
                            2, tolerance_gradient, 0.0));
    assert_true(compare_f32("confidence", out.foreground + pixels(&p, p.ids[0]),
                            (float[]){0.75f, 0.75f}, 1, 1, 1, 2, tolerance, 0.0));
    assert_int_equal(out.prediction[pixels(&p, p.ids[0])], 1);
    arena_close(&arena);
}

// Three pixels, one ignored, of labels 1 and 0 with the weights 3 and 1: -ln 3/4 and -ln 1/4.
static void check_literal_weights(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    const float ln3 = logf(3.0f);
    const double tolerance = device_tolerance(device, 1e-6);
    const double weighted = -3.0 * log(0.75) - log(0.25);
    struct outputs out;
    struct problem p = make_problem(&arena, literal_desc(3, ADELE_LOSS_PLAIN), 1.0, true);
    memcpy(p.logits[0], ((float[]){0, 0, 0, ln3, ln3, ln3}), 6 * sizeof(float));
    memcpy(p.labels, ((uint8_t[]){1, 255, 0}), 3);
    p.class_weights = (float[]){1.0f, 3.0f};
    run(&arena, &p, true, &out);
    assert_true(fabs(out.sums[ADELE_SUM_CROSS_ENTROPY] - 2.0 - weighted / 4.0) < tolerance);
    assert_true(compare_f32("weighted", out.d_logits[0],
                            (float[]){0.09375f, 0, -0.09375f, -0.09375f, 0, 0.09375f}, 1, 2, 1, 3,
                            device_tolerance(device, 1e-7), 0.0));
    // Program: the ignored pixel counts with the mean weight of 2.
    p.desc.form = ADELE_LOSS_PROGRAM;
    run(&arena, &p, true, &out);
    assert_true(fabs(out.sums[ADELE_SUM_CROSS_ENTROPY] - 2.0 - weighted / 6.0) < tolerance);
    arena_close(&arena);
}

static int64_t counted(const struct outputs *out, enum adele_count_table table, int kind,
                       int category) {
    return out->counts[((int)table * ADELE_COUNT_KINDS + kind) * 256 + category] - 2;
}

// Four pixels predicted 1; on the first and last, noisy label and truth differ.
static void check_counts(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, literal_desc(4, ADELE_LOSS_PLAIN), 1.0, true);
    struct outputs out;
    memcpy(p.logits[0], ((float[]){0, 0, 0, 0, 1, 1, 1, 1}), 8 * sizeof(float));
    memcpy(p.labels, ((uint8_t[]){1, 1, 255, 0}), 4);
    memcpy(p.noisy, ((uint8_t[]){0, 1, 0, 255}), 4);
    memcpy(p.truth, ((uint8_t[]){1, 1, 0, 1}), 4);
    run(&arena, &p, true, &out);
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
        struct problem p = make_problem(&arena, with_form(shapes[1], form, true), 9.0, false);
        struct outputs out;
        memset(p.labels, 255, pixels(&p, p.desc.n));
        memset(p.logits[0], 0, shape_count(shape_of(&p, 0)) * sizeof(float));
        run(&arena, &p, true, &out);
        assert_true(fabs(out.sums[ADELE_SUM_TOTAL] - 2.0) < 1e-12);
        assert_true(fabs(out.sums[ADELE_SUM_MASKED_IMAGES] - 2.0) < 1e-12);
        for (int k = 0; k < p.desc.n_scales; k++)
            for (size_t i = 0; i < shape_count(shape_of(&p, k)); i++)
                assert_true(fabsf(out.d_logits[k][i]) <= 0.0f);
        for (size_t i = 0; i < pixels(&p, 1); i++)
            assert_int_equal(out.prediction[pixels(&p, p.ids[0]) + i], 0);
        arena_close(&arena);
    }
}

// One confident pixel switches its image on; under a label of 255 it does not count.
static void check_mask(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p =
        make_problem(&arena, with_form(shapes[1], ADELE_LOSS_PROGRAM, false), 0.1, false);
    struct outputs out;
    memset(p.labels, 1, pixels(&p, p.desc.n));
    // Logits of images 0 and 1 that every scale agrees on in one corner.
    for (int k = 0; k < p.desc.n_scales; k++)
        for (size_t n = 0; n < 2; n++)
            p.logits[k][n * shape_count(shape_of(&p, k)) / 3] = 20.0f;
    p.labels[pixels(&p, 1)] = 255;
    run(&arena, &p, true, &out);
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
            struct problem p =
                make_problem(&arena, with_form(shapes[1], form, true), sizes[i], true);
            struct outputs got, want;
            for (int k = 0; k < p.desc.n_scales;
                 k++) // the very ends, so that probabilities underflow to 0
                for (size_t j = 0; j < shape_count(shape_of(&p, k)); j++)
                    p.logits[k][j] =
                        j % 3 == 0 ? p.logits[k][j] : copysignf((float)sizes[i], p.logits[k][j]);
            run(&arena, &p, true, &got);
            run_reference(&arena, &p, &want);
            check_sums(&got, &want, 1e-5);
            for (int k = 0; k < p.desc.n_scales; k++)
                assert_true(compare_l2("d_logits", got.d_logits[k], want.d_logits[k],
                                       shape_count(shape_of(&p, k)),
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
            struct problem p = make_problem(&arena, with_form(shapes[1], form, false), 1.0, true);
            struct outputs got, want;
            p.n_batches = form == ADELE_LOSS_PAPER ? 2 : 0;
            memset(p.labels, 1, pixels(&p, p.desc.n)); // no pixel is left out
            size_t n = (size_t)p.desc.h_scale[0] * (size_t)p.desc.w_scale[0], n_bad = 0;
            for (size_t j = 0; j < n; j++) // category 1 of image 0
                p.logits[0][n + j] = values[i];
            run(&arena, &p, true, &got);
            run_reference(&arena, &p, &want);
            assert_int_equal(got.is_finite, 0);
            assert_int_equal(want.is_finite, 0);
            for (int k = 0; k < ADELE_SUM_COUNT; k++) {
                assert_true(got.sums[k] == 2.0);
                assert_true(want.sums[k] == 2.0);
            }
            for (size_t j = 0; j < shape_count(shape_of(&p, 0)); j++)
                n_bad += !isfinite(got.d_logits[0][j]);
            if (i < 2) // a probability of 0 has an infinite loss, and a gradient of -1
                assert_true(n_bad > 0);
            arena_close(&arena);
        }
}

// Finite differences of the reference's own loss against the gradients of the device.
static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < N_SHAPES - 1; i++)
        for (int form = 0; form <= (int)ADELE_LOSS_PAPER; form++) {
            struct arena arena;
            arena_open(&arena, device);
            struct problem p = make_problem(
                &arena, with_form(shapes[i], form, form == ADELE_LOSS_PROGRAM), 4.0, false);
            struct outputs got;
            p.desc.rho = 0.5;
            run(&arena, &p, true, &got);
            for (int k = 0; k < p.desc.n_scales; k++)
                assert_true(gradient_agrees("logits", total_of, &p, p.logits[k], got.d_logits[k],
                                            shape_count(shape_of(&p, k)), 31, 1e-3,
                                            device_tolerance(device, 1e-3)));
            for (int k = 0; k < K; k++)
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
        struct outputs got, want, one;
        arena_open(&arena, device);
        struct problem p = make_problem(&arena, with_form(shapes[1], form, true), 4.0, false);
        run_reference(&arena, &p, &one);
        p.n_batches = 3;
        run(&arena, &p, true, &got);
        run_reference(&arena, &p, &want);
        check_equal(device, &p, &got, &want, true);
        assert_int_equal(got.is_finite, 7);
        assert_true(fabs(want.sums[0] - one.sums[0]) <= 1e-12);
        for (size_t i = 0; i < shape_count(shape_of(&p, 0)); i++)
            assert_true(fabsf(3.0f * want.d_logits[0][i] - one.d_logits[0][i]) <= 1e-6f);
        arena_close(&arena);
    }
}

// No pixel of a category with a weight: no cross-entropy, and no division by zero.
static void check_no_weight(struct adele_device *device) {
    struct arena arena;
    struct outputs out;
    arena_open(&arena, device);
    struct problem p =
        make_problem(&arena, with_form(shapes[1], ADELE_LOSS_PLAIN, false), 4.0, false);
    p.class_weights = arena_random(&arena, 0, (size_t)p.desc.c, 0.0, 0.0);
    p.class_weights[2] = 1.0f;
    memset(p.labels, 1, pixels(&p, p.desc.n));
    run(&arena, &p, true, &out);
    assert_int_equal(out.is_finite, 1);
    assert_true(fabs(out.sums[ADELE_SUM_TOTAL] - 2.0) < 1e-12);
    for (size_t i = 0; i < shape_count(shape_of(&p, 0)); i++)
        assert_true(fabsf(out.d_logits[0][i]) <= 0.0f);
    arena_close(&arena);
}

static void check_threads(struct adele_device *device) {
    for (size_t i = 1; i < N_SHAPES; i++)
        for (int n_threads = 2; n_threads <= 3; n_threads++) {
            struct arena arena, more; // an arena lends a limited number of buffers
            arena_open(&arena, device);
            arena_open(&more, device);
            struct problem p =
                make_problem(&arena, with_form(shapes[i], ADELE_LOSS_PROGRAM, true), 6.0, true);
            struct outputs one, many;
            p.class_weights = arena_random(&arena, 24, (size_t)p.desc.c, 0.1, 3.0);
            omp_set_num_threads(1);
            run(&arena, &p, true, &one);
            omp_set_num_threads(n_threads);
            run(&more, &p, true, &many);
            assert_memory_equal(one.sums, many.sums, sizeof one.sums);
            assert_memory_equal(one.counts, many.counts, sizeof one.counts);
            assert_memory_equal(one.d_scale_weights, many.d_scale_weights, K * sizeof(float));
            for (int k = 0; k < p.desc.n_scales; k++)
                assert_memory_equal(one.d_logits[k], many.d_logits[k],
                                    shape_count(shape_of(&p, k)) * sizeof(float));
            arena_close(&arena);
            arena_close(&more);
        }
}

static void check_bad_descriptors(struct adele_device *device) {
    struct adele_loss_desc bad[12];
    for (int i = 0; i < 12; i++)
        bad[i] = with_form(shapes[1], ADELE_LOSS_PROGRAM, true);
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
    for (int i = 0; i < 12; i++) {
        struct adele_op *op = (struct adele_op *)device;
        assert_int_equal(device->iface->loss_create(device, &bad[i], &op), ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
}

static void check_bad_arguments(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p =
        make_problem(&arena, with_form(shapes[1], ADELE_LOSS_PROGRAM, true), 1.0, false);
    struct outputs out;
    struct adele_loss_args good = {0};
    struct adele_op *op = NULL;
    start_outputs(&arena, &p, &out);
    upload(&arena, &p, &out, true, &good);
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
    struct adele_loss_desc desc = with_form(shapes[1], ADELE_LOSS_PROGRAM, true);
    ASSERT_CREATE_SURVIVES_FAILURES(device, loss, &desc);
}

ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(tiles)
ON_EACH_DEVICE_3_THREADS(class_weights)
ON_EACH_DEVICE_3_THREADS(equal_weights)
ON_EACH_DEVICE_3_THREADS(no_weight)
ON_EACH_DEVICE_3_THREADS(batches)
ON_EACH_DEVICE_3_THREADS(literal)
ON_EACH_DEVICE_3_THREADS(literal_weights)
ON_EACH_DEVICE_3_THREADS(counts)
ON_EACH_DEVICE_3_THREADS(all_ignored)
ON_EACH_DEVICE_3_THREADS(mask)
ON_EACH_DEVICE_3_THREADS(extreme)
ON_EACH_DEVICE_3_THREADS(not_finite)
ON_EACH_DEVICE_3_THREADS(gradient)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE_3_THREADS(bad_descriptors)
ON_EACH_DEVICE_3_THREADS(bad_arguments)
ON_EACH_DEVICE_3_THREADS(allocator)

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_tiles),
                                       cmocka_unit_test(test_class_weights),
                                       cmocka_unit_test(test_equal_weights),
                                       cmocka_unit_test(test_no_weight),
                                       cmocka_unit_test(test_batches),
                                       cmocka_unit_test(test_literal_weights),
                                       cmocka_unit_test(test_literal),
                                       cmocka_unit_test(test_counts),
                                       cmocka_unit_test(test_all_ignored),
                                       cmocka_unit_test(test_mask),
                                       cmocka_unit_test(test_extreme),
                                       cmocka_unit_test(test_not_finite),
                                       cmocka_unit_test(test_gradient),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_bad_descriptors),
                                       cmocka_unit_test(test_bad_arguments),
                                       cmocka_unit_test(test_allocator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
