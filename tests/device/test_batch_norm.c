// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/gradient.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// One batch norm in plain host arrays.
struct problem {
    struct adele_batch_norm_desc desc;
    struct adele_shape shape;
    size_t n_values, n_channels;
    float *src, *residual, *d_dst;
    float *scale, *shift, *running_mean, *running_variance, *d_scale, *d_shift;
};

static struct problem make_problem(struct arena *arena, struct adele_batch_norm_desc desc) {
    struct problem p = {.desc = desc, .shape = {desc.n, desc.c, desc.h, desc.w}};
    p.n_values = shape_count(p.shape);
    p.n_channels = (size_t)desc.c;
    p.src = arena_random(arena, 1, p.n_values, -1.0, 3.0);
    p.residual = arena_random(arena, 2, p.n_values, -1.0, 1.0);
    p.d_dst = arena_random(arena, 3, p.n_values, -1.0, 1.0);
    p.scale = arena_random(arena, 4, p.n_channels, 0.5, 1.5);
    p.shift = arena_random(arena, 5, p.n_channels, -0.5, 0.5);
    p.running_mean = arena_random(arena, 6, p.n_channels, -1.0, 1.0);
    p.running_variance = arena_random(arena, 7, p.n_channels, 0.5, 2.0);
    p.d_scale = arena_random(arena, 8, p.n_channels, -1.0, 1.0);
    p.d_shift = arena_random(arena, 9, p.n_channels, -1.0, 1.0);
    return p;
}

// Fresh outputs and copies of all that the op writes, on the host.
static struct adele_batch_norm_args host_args(struct arena *arena, const struct problem *p,
                                              bool use_batch_statistics) {
    struct adele_batch_norm_args args = {
        .use_batch_statistics = use_batch_statistics,
        .src = p->src,
        .residual = p->desc.has_residual ? p->residual : NULL,
        .scale = p->scale,
        .shift = p->shift,
        .running_mean = arena_floats(arena, p->n_channels),
        .running_variance = arena_floats(arena, p->n_channels),
        .saved_mean = arena_floats(arena, p->n_channels),
        .saved_inv_std = arena_floats(arena, p->n_channels),
        .dst = arena_floats(arena, p->n_values),
        .d_dst = p->d_dst,
        .d_src = arena_floats(arena, p->n_values),
        .d_residual = p->desc.has_residual ? arena_floats(arena, p->n_values) : NULL,
        .d_scale = arena_floats(arena, p->n_channels),
        .d_shift = arena_floats(arena, p->n_channels),
    };
    size_t bytes = p->n_channels * sizeof(float);
    memcpy(args.running_mean, p->running_mean, bytes);
    memcpy(args.running_variance, p->running_variance, bytes);
    memcpy(args.d_scale, p->d_scale, bytes);
    memcpy(args.d_shift, p->d_shift, bytes);
    return args;
}

static struct adele_batch_norm_args device_args(struct arena *arena, const struct problem *p,
                                                const struct adele_op *op,
                                                bool use_batch_statistics, bool in_place) {
    size_t bytes = p->n_channels * sizeof(float);
    struct adele_batch_norm_args args = {
        .use_batch_statistics = use_batch_statistics,
        .src = arena_tensor(arena, p->shape, p->src),
        .residual = p->desc.has_residual ? arena_tensor(arena, p->shape, p->residual) : NULL,
        .scale = arena_upload(arena, p->scale, bytes),
        .shift = arena_upload(arena, p->shift, bytes),
        .running_mean = arena_upload(arena, p->running_mean, bytes),
        .running_variance = arena_upload(arena, p->running_variance, bytes),
        .saved_mean = arena_upload(arena, NULL, bytes),
        .saved_inv_std = arena_upload(arena, NULL, bytes),
        .dst = arena_tensor(arena, p->shape, NULL),
        .d_residual = p->desc.has_residual ? arena_tensor(arena, p->shape, NULL) : NULL,
        .d_scale = arena_upload(arena, p->d_scale, bytes),
        .d_shift = arena_upload(arena, p->d_shift, bytes),
        .workspace = arena_workspace(arena, op),
    };
    void *d_dst = arena_tensor(arena, p->shape, p->d_dst);
    args.d_dst = d_dst;
    args.d_src = in_place ? d_dst : arena_tensor(arena, p->shape, NULL);
    return args;
}

static void compare_channels(struct arena *arena, const char *what, const float *device,
                             const float *host, int c, double tolerance) {
    assert_true(compare_f32(what, arena_download(arena, device, (size_t)c), host, 1, c, 1, 1,
                            tolerance, tolerance));
}

// From the statistics that forward saved, dst becomes the same bytes again and nothing else
// changes.
static void check_recomputed(struct arena *arena, const struct problem *p, struct adele_op *op,
                             const struct adele_batch_norm_args *args) {
    size_t n = p->n_channels, bytes = n * sizeof(float);
    struct adele_batch_norm_args again = *args;
    again.from_saved = true;
    again.workspace = NULL;
    again.dst = arena_tensor(arena, p->shape, NULL);
    again.running_mean = arena_upload(arena, NULL, bytes);
    again.running_variance = arena_upload(arena, NULL, bytes);
    float *mean = arena_download(arena, args->saved_mean, n);
    float *inv_std = arena_download(arena, args->saved_inv_std, n);
    float *unused_mean = arena_download(arena, again.running_mean, n);
    float *unused_variance = arena_download(arena, again.running_variance, n);
    assert_int_equal(arena->device->iface->batch_norm_forward(op, &again), ADELE_OK);
    assert_true(compare_bytes("dst again", arena_tensor_download(arena, again.dst, p->shape),
                              arena_tensor_download(arena, args->dst, p->shape),
                              p->n_values * sizeof(float)));
    assert_true(
        compare_bytes("saved_mean", arena_download(arena, again.saved_mean, n), mean, bytes));
    assert_true(compare_bytes("saved_inv_std", arena_download(arena, again.saved_inv_std, n),
                              inv_std, bytes));
    assert_true(compare_bytes("running_mean", arena_download(arena, again.running_mean, n),
                              unused_mean, bytes));
    assert_true(compare_bytes("running_variance", arena_download(arena, again.running_variance, n),
                              unused_variance, bytes));
}

// The device computes a src + b in float with a and b exact to float, so an output is off by a few
// roundings of values of at most about 10: 4e-6; where tensors are bf16 it is then rounded once
// more, and the gradients pass through that dst. Sums are in double on the way, or in float over
// short runs, and rounded once.
static void check(struct adele_device *device, struct adele_batch_norm_desc desc,
                  bool use_batch_statistics, bool in_place) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->batch_norm_create(device, &desc, &op), ADELE_OK);
    struct adele_batch_norm_args args = device_args(&arena, &p, op, use_batch_statistics, in_place);
    struct adele_batch_norm_args host = host_args(&arena, &p, use_batch_statistics);

    assert_int_equal(device->iface->batch_norm_forward(op, &args), ADELE_OK);
    reference_batch_norm_forward(&desc, &host);
    float *dst = arena_tensor_download(&arena, args.dst, p.shape);
    assert_true(compare_f32("dst", dst, host.dst, desc.n, desc.c, desc.h, desc.w, 4e-6,
                            device_tolerance(device, 4e-6)));
    compare_channels(&arena, "saved_mean", args.saved_mean, host.saved_mean, desc.c, 1e-6);
    compare_channels(&arena, "saved_inv_std", args.saved_inv_std, host.saved_inv_std, desc.c, 1e-6);
    compare_channels(&arena, "running_mean", args.running_mean, host.running_mean, desc.c, 1e-6);
    compare_channels(&arena, "running_variance", args.running_variance, host.running_variance,
                     desc.c, 1e-6);
    if (op->can_recompute)
        check_recomputed(&arena, &p, op, &args);

    assert_int_equal(device->iface->batch_norm_backward(op, &args), ADELE_OK);
    // The device's own dst decides the mask: near zero the two may round to different sides.
    host.dst = dst;
    reference_batch_norm_backward(&desc, &host);
    assert_true(compare_f32("d_src", arena_tensor_download(&arena, args.d_src, p.shape), host.d_src,
                            desc.n, desc.c, desc.h, desc.w, 4e-6, device_tolerance(device, 4e-6)));
    if (desc.has_residual)
        assert_true(compare_f32("d_residual",
                                arena_tensor_download(&arena, args.d_residual, p.shape),
                                host.d_residual, desc.n, desc.c, desc.h, desc.w, 0.0, 0.0));
    compare_channels(&arena, "d_scale", args.d_scale, host.d_scale, desc.c, 2e-5);
    compare_channels(&arena, "d_shift", args.d_shift, host.d_shift, desc.c, 2e-5);
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// n, c, h, w: extent 1, primes, channels around the blocks, pixels around the chunk of 2048 (and
// the parts of 8 pixels a thread), more channels than one block of threads takes.
static const int cases[][4] = {
    {2, 1, 1, 1},   {3, 2, 1, 5},   {1, 3, 7, 11},   {2, 5, 4, 4},    {1, 7, 2, 3},
    {2, 8, 5, 5},   {1, 9, 3, 4},   {2, 15, 3, 3},   {1, 16, 6, 7},   {1, 17, 5, 2},
    {1, 21, 4, 9},  {2, 3, 89, 23}, {1, 2, 64, 32},  {1, 9, 3, 683},  {3, 24, 45, 91},
    {2, 40, 5, 13}, {1, 257, 3, 3}, {1, 64, 16, 16}, {1, 57, 17, 15},
};

#define LARGE_CASE 14 // takes long on the emulator: fewer variants

static struct adele_batch_norm_desc desc_of(const int *row) {
    struct adele_batch_norm_desc desc = {.n = row[0],
                                         .c = row[1],
                                         .h = row[2],
                                         .w = row[3],
                                         .eps = 1e-5f,
                                         .momentum = 0.1f,
                                         .has_relu = true,
                                         .has_residual = false};
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int variant = 0; variant < 8; variant += i == LARGE_CASE ? 3 : 1) {
            struct adele_batch_norm_desc desc = desc_of(cases[i]);
            desc.has_relu = variant & 1;
            desc.has_residual = (variant & 2) != 0;
            // Two values of a channel can lie so close that 1 / std is large: out of the
            // tolerance's scope.
            bool use_batch = (variant & 4) == 0 &&
                             shape_count((struct adele_shape){desc.n, 1, desc.h, desc.w}) > 4;
            check(device, desc, use_batch, variant % 3 == 0);
        }
}

// One value a channel, or all values equal: variance 0, output = shift, and nothing becomes NaN.
static void check_no_variance(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_batch_norm_desc desc = desc_of((const int[]){1, 3, 1, 1});
    desc.has_relu = false;
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->batch_norm_create(device, &desc, &op), ADELE_OK);
    struct adele_batch_norm_args args = device_args(&arena, &p, op, true, false);
    assert_int_equal(device->iface->batch_norm_forward(op, &args), ADELE_OK);
    assert_int_equal(device->iface->batch_norm_backward(op, &args), ADELE_OK);
    // 1 / sqrt(eps) = 316 enlarges the rounding of src - mean.
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.shape), p.shift, 1, 3,
                            1, 1, 2e-4, device_tolerance(device, 0.0)));
    float zeros[3] = {0};
    assert_true(compare_f32("d_src", arena_tensor_download(&arena, args.d_src, p.shape), zeros, 1,
                            3, 1, 1, 2e-4, 0.0));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// A mean 10,000 times the deviation, and a first pixel far from it. Statistics lose nothing by
// that; the mean itself is rounded to float. bf16 tensors cannot hold such values.
static void check_large_mean(struct adele_device *device) {
    if (device_is_bf16(device))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct adele_batch_norm_desc desc = desc_of(cases[i]);
        struct arena arena;
        arena_open(&arena, device);
        struct problem p = make_problem(&arena, desc);
        size_t plane = (size_t)desc.h * (size_t)desc.w;
        if (plane < 8) {
            arena_close(&arena);
            continue;
        }
        for (size_t k = 0; k < p.n_values; k++)
            p.src[k] = k % plane == 0 ? 990.0f : 1000.0f + 0.1f * p.src[k];
        struct adele_op *op = NULL;
        assert_int_equal(device->iface->batch_norm_create(device, &desc, &op), ADELE_OK);
        struct adele_batch_norm_args args = device_args(&arena, &p, op, true, false);
        struct adele_batch_norm_args host = host_args(&arena, &p, true);
        assert_int_equal(device->iface->batch_norm_forward(op, &args), ADELE_OK);
        reference_batch_norm_forward(&desc, &host);
        compare_channels(&arena, "saved_mean", args.saved_mean, host.saved_mean, desc.c, 2e-7);
        compare_channels(&arena, "saved_inv_std", args.saved_inv_std, host.saved_inv_std, desc.c,
                         1e-6);
        device->iface->op_destroy(op);
        arena_close(&arena);
    }
}

// A literal case: values 1, 2, 3, 6 have mean 3, biased variance 3.5, unbiased 14/3.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_batch_norm_desc desc = {1, 1, 2, 2, 0.5f, 0.1f, true, false, {0, 0}};
    struct problem p = make_problem(&arena, desc);
    memcpy(p.src, (const float[]){1, 2, 3, 6}, 4 * sizeof(float));
    p.scale[0] = 2.0f;
    p.shift[0] = 1.5f;
    p.running_mean[0] = 10.0f;
    p.running_variance[0] = 1.0f;
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->batch_norm_create(device, &desc, &op), ADELE_OK);
    struct adele_batch_norm_args args = device_args(&arena, &p, op, true, false);
    assert_int_equal(device->iface->batch_norm_forward(op, &args), ADELE_OK);
    const float dst[] = {0.0f, 0.5f, 1.5f, 4.5f}; // std = sqrt(3.5 + 0.5) = 2
    assert_true(compare_f32("dst", arena_tensor_download(&arena, args.dst, p.shape), dst, 1, 1, 2,
                            2, 1e-6, 0.0));
    const float mean = 9.3f, variance = (float)(0.9 + 0.1 * 14.0 / 3.0);
    compare_channels(&arena, "running_mean", args.running_mean, &mean, 1, 1e-6);
    compare_channels(&arena, "running_variance", args.running_variance, &variance, 1, 1e-6);
    device->iface->op_destroy(op);
    arena_close(&arena);
}

struct objective {
    const struct problem *problem;
    struct adele_batch_norm_args args;
};

static double evaluate(const void *context) {
    const struct objective *objective = context;
    const struct problem *p = objective->problem;
    memcpy(objective->args.running_mean, p->running_mean, p->n_channels * sizeof(float));
    memcpy(objective->args.running_variance, p->running_variance, p->n_channels * sizeof(float));
    reference_batch_norm_forward(&p->desc, &objective->args);
    return gradient_dot(p->d_dst, objective->args.dst, p->n_values);
}

// The ReLU must not switch within the step, so channels are moved clear of zero: all open or all
// shut. A step of 0.01 leaves third-order terms of about 1e-4 and output rounding of about 1e-5.
static void check_gradient_of(struct adele_device *device, struct adele_batch_norm_desc desc,
                              bool use_batch_statistics) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, desc);
    for (int c = 0; c < desc.c && desc.has_relu; c++)
        p.shift[c] = c % 3 == 2 ? -20.0f : 20.0f;
    memset(p.d_scale, 0, p.n_channels * sizeof(float));
    memset(p.d_shift, 0, p.n_channels * sizeof(float));
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->batch_norm_create(device, &desc, &op), ADELE_OK);
    struct adele_batch_norm_args args = device_args(&arena, &p, op, use_batch_statistics, false);
    assert_int_equal(device->iface->batch_norm_forward(op, &args), ADELE_OK);
    assert_int_equal(device->iface->batch_norm_backward(op, &args), ADELE_OK);
    struct objective objective = {&p, host_args(&arena, &p, use_batch_statistics)};
    assert_true(gradient_agrees("src", evaluate, &objective, p.src,
                                arena_tensor_download(&arena, args.d_src, p.shape), p.n_values, 11,
                                0.01, 2e-3 + device_tolerance(device, 0.0)));
    if (desc.has_residual)
        assert_true(gradient_agrees("residual", evaluate, &objective, p.residual,
                                    arena_tensor_download(&arena, args.d_residual, p.shape),
                                    p.n_values, 12, 0.01, 2e-3));
    assert_true(gradient_agrees("scale", evaluate, &objective, p.scale,
                                arena_download(&arena, args.d_scale, p.n_channels), p.n_channels,
                                13, 0.01, 2e-3));
    assert_true(gradient_agrees("shift", evaluate, &objective, p.shift,
                                arena_download(&arena, args.d_shift, p.n_channels), p.n_channels,
                                14, 0.01, 2e-3));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void check_gradient(struct adele_device *device) {
    for (size_t i = 2; i < 11; i++)
        for (int variant = 0; variant < 8; variant++) {
            struct adele_batch_norm_desc desc = desc_of(cases[i]);
            desc.has_relu = variant & 1;
            desc.has_residual = (variant & 2) != 0;
            check_gradient_of(device, desc, (variant & 4) == 0);
        }
}

// The same bits with one thread as with three, and no allocation in a run.
static void check_threads(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_batch_norm_desc desc = desc_of(cases[LARGE_CASE]);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->batch_norm_create(device, &desc, &op), ADELE_OK);
    struct adele_batch_norm_args args[2];
    int n_threads = omp_get_max_threads();
    for (int i = 0; i < 2; i++) {
        args[i] = device_args(&arena, &p, op, true, false);
        memory_fail_at(-1);
        omp_set_num_threads(i == 0 ? 1 : 3);
        assert_int_equal(device->iface->batch_norm_forward(op, &args[i]), ADELE_OK);
        assert_int_equal(device->iface->batch_norm_backward(op, &args[i]), ADELE_OK);
        assert_int_equal(memory_count(), 0);
    }
    omp_set_num_threads(n_threads);
    assert_true(compare_bytes("d_src", arena_tensor_download(&arena, args[0].d_src, p.shape),
                              arena_tensor_download(&arena, args[1].d_src, p.shape),
                              p.n_values * sizeof(float)));
    assert_true(compare_bytes("d_scale", arena_download(&arena, args[0].d_scale, p.n_channels),
                              arena_download(&arena, args[1].d_scale, p.n_channels),
                              p.n_channels * sizeof(float)));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void check_bad_descriptors(struct adele_device *device) {
    struct adele_batch_norm_desc good = desc_of(cases[2]);
    struct adele_batch_norm_desc bad[6] = {good, good, good, good, good, good};
    bad[0].n = 0;
    bad[1].c = -1;
    bad[2].h = 0;
    bad[3].w = 0;
    bad[4].eps = NAN;
    bad[5].momentum = 2.0f;
    for (int i = 0; i < 6; i++) {
        struct adele_op *op = (struct adele_op *)device;
        assert_int_equal(device->iface->batch_norm_create(device, &bad[i], &op),
                         ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
    struct adele_op *op = NULL;
    memory_fail_at(0);
    assert_int_equal(device->iface->batch_norm_create(device, &good, &op), ADELE_NO_MEMORY);
    memory_fail_at(-1);
}

ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(no_variance)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(large_mean)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(threads)
ON_EACH_DEVICE(bad_descriptors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),          cmocka_unit_test(test_no_variance),
        cmocka_unit_test(test_literal),         cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_large_mean),      cmocka_unit_test(test_threads),
        cmocka_unit_test(test_bad_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
