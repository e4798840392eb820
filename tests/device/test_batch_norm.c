// SPDX-License-Identifier: MIT
#include "reference/reference.h"
#include "support/compare.h"
#include "support/op_errors.h"
#include "support/op_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void open_run(struct op_run *run, struct adele_device *device,
                     struct adele_batch_norm_desc desc, bool use_batch_statistics) {
    struct problem problem;
    problem_batch_norm(&desc, &problem);
    problem.args.batch_norm.use_batch_statistics = use_batch_statistics;
    op_open(run, device, &problem);
}

// From the statistics that forward saved, dst becomes the same bytes again and nothing else
// changes.
static void check_recomputed(struct op_run *run) {
    struct arena *arena = &run->arena;
    struct adele_shape shape = op_shape(run, "dst");
    size_t n = (size_t)shape.c, bytes = n * sizeof(float);
    struct adele_batch_norm_args again = run->device.batch_norm;
    again.from_saved = true;
    again.workspace = NULL;
    again.dst = arena_tensor(arena, shape, NULL);
    again.running_mean = arena_upload(arena, NULL, bytes);
    again.running_variance = arena_upload(arena, NULL, bytes);
    const float *untouched[] = {again.saved_mean, again.saved_inv_std, again.running_mean,
                                again.running_variance};
    float *before[4];
    for (int i = 0; i < 4; i++)
        before[i] = arena_download(arena, untouched[i], n);
    assert_int_equal(arena->device->iface->batch_norm_forward(run->op, &again), ADELE_OK);
    assert_true(compare_bytes("dst again", arena_tensor_download(arena, again.dst, shape),
                              arena_tensor_download(arena, run->device.batch_norm.dst, shape),
                              shape_count(shape) * sizeof(float)));
    for (int i = 0; i < 4; i++)
        assert_true(
            compare_bytes("statistics", arena_download(arena, untouched[i], n), before[i], bytes));
}

// The device computes a src + b in float with a and b exact to float, so an output is off by a few
// roundings of values of at most about 10: 4e-6; where tensors are bf16 it is then rounded once
// more, and the gradients pass through that dst. Sums are in double on the way, or in float over
// short runs, and rounded once.
static void check(struct adele_device *device, struct adele_batch_norm_desc desc,
                  bool use_batch_statistics, bool in_place) {
    static const char *const statistics[] = {"saved_mean", "saved_inv_std", "running_mean",
                                             "running_variance"};
    struct op_run run;
    double rounding = device_tolerance(device, 4e-6);
    open_run(&run, device, desc, use_batch_statistics);
    if (in_place) {
        run.device.batch_norm.d_dst = run.device.batch_norm.d_src;
        op_set(&run, "d_dst", NULL);
    }
    op_forward(&run);
    reference_batch_norm_forward(&desc, &run.host.batch_norm);
    float *dst = op_result(&run, "dst");
    assert_true(compare_f32("dst", dst, run.host.batch_norm.dst, desc.n, desc.c, desc.h, desc.w,
                            4e-6, rounding));
    for (int i = 0; i < 4; i++)
        op_compare(&run, statistics[i], NULL, 1e-6, 1e-6);
    if (run.op->can_recompute)
        check_recomputed(&run);

    op_backward(&run);
    // The device's own dst decides the mask: near zero the two may round to different sides.
    run.host.batch_norm.dst = dst;
    reference_batch_norm_backward(&desc, &run.host.batch_norm);
    op_compare(&run, "d_src", NULL, 4e-6, rounding);
    if (desc.has_residual)
        op_compare(&run, "d_residual", NULL, 0.0, 0.0);
    op_compare(&run, "d_scale", NULL, 2e-5, 2e-5);
    op_compare(&run, "d_shift", NULL, 2e-5, 2e-5);
    op_close(&run);
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
    static const float zeros[3] = {0};
    struct op_run run;
    struct adele_batch_norm_desc desc = desc_of((const int[]){1, 3, 1, 1});
    desc.has_relu = false;
    open_run(&run, device, desc, true);
    op_forward(&run);
    op_backward(&run);
    // 1 / sqrt(eps) = 316 enlarges the rounding of src - mean.
    op_compare(&run, "dst", op_values(&run, "shift"), 2e-4, device_tolerance(device, 0.0));
    op_compare(&run, "d_src", zeros, 2e-4, 0.0);
    op_close(&run);
}

// A mean 10,000 times the deviation, and a first pixel far from it. Statistics lose nothing by
// that; the mean itself is rounded to float. bf16 tensors cannot hold such values.
static void check_large_mean(struct adele_device *device) {
    if (device_is_bf16(device))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op_run run;
        struct adele_batch_norm_desc desc = desc_of(cases[i]);
        size_t plane = (size_t)desc.h * (size_t)desc.w;
        if (plane < 8)
            continue;
        open_run(&run, device, desc, true);
        float *src = op_values(&run, "src");
        for (size_t k = 0; k < plane * (size_t)(desc.n * desc.c); k++)
            src[k] = k % plane == 0 ? 990.0f : 1000.0f + 0.1f * src[k];
        op_set(&run, "src", NULL);
        op_forward(&run);
        problem_run_reference(&run.problem, &run.host, false);
        op_compare(&run, "saved_mean", NULL, 2e-7, 2e-7);
        op_compare(&run, "saved_inv_std", NULL, 1e-6, 1e-6);
        op_close(&run);
    }
}

// A literal case: values 1, 2, 3, 6 have mean 3, biased variance 3.5, unbiased 14/3.
static void check_literal(struct adele_device *device) {
    static const float src[] = {1, 2, 3, 6}, scale = 2.0f, shift = 1.5f, old_mean = 10.0f,
                       old_variance = 1.0f;
    static const float dst[] = {0.0f, 0.5f, 1.5f, 4.5f}; // std = sqrt(3.5 + 0.5) = 2
    const float mean = 9.3f, variance = (float)(0.9 + 0.1 * 14.0 / 3.0);
    struct adele_batch_norm_desc desc = {1, 1, 2, 2, 0.5f, 0.1f, true, false, {0, 0}};
    struct op_run run;
    open_run(&run, device, desc, true);
    op_set(&run, "src", src);
    op_set(&run, "scale", &scale);
    op_set(&run, "shift", &shift);
    op_set(&run, "running_mean", &old_mean);
    op_set(&run, "running_variance", &old_variance);
    op_forward(&run);
    op_compare(&run, "dst", dst, 1e-6, 0.0);
    op_compare(&run, "running_mean", &mean, 1e-6, 1e-6);
    op_compare(&run, "running_variance", &variance, 1e-6, 1e-6);
    op_close(&run);
}

// The ReLU must not switch within the step, so channels are moved clear of zero: all open or all
// shut. A step of 0.01 leaves third-order terms of about 1e-4 and output rounding of about 1e-5.
static void check_gradient_of(struct adele_device *device, struct adele_batch_norm_desc desc,
                              bool use_batch_statistics) {
    struct op_run run;
    open_run(&run, device, desc, use_batch_statistics);
    for (int c = 0; c < desc.c && desc.has_relu; c++)
        op_values(&run, "shift")[c] = c % 3 == 2 ? -20.0f : 20.0f;
    op_set(&run, "shift", NULL);
    op_check_gradients(&run, 0.01, 2e-3 + device_tolerance(device, 0.0), 2e-3);
    op_close(&run);
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

static void check_threads(struct adele_device *device) {
    struct problem problem;
    struct adele_batch_norm_desc desc = desc_of(cases[LARGE_CASE]);
    problem_batch_norm(&desc, &problem);
    op_check_threads(device, &problem);
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
    for (int i = 0; i < 6; i++)
        op_check_refused(device, ADELE_OP_batch_norm, &bad[i]);
    op_check_allocations(device, ADELE_OP_batch_norm, &good);
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
