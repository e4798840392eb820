// SPDX-License-Identifier: MIT
#include "reference/reference.h"
#include "support/op_errors.h"
#include "support/op_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// Whole numbers below `n_levels` make ties; spread over the plane they make none. bf16 holds 256 of
// them exactly.
static void open_run(struct op_run *run, struct adele_device *device,
                     struct adele_max_pool_desc desc, int n_levels, bool accumulate) {
    struct problem problem;
    problem_max_pool(&desc, &problem);
    problem_accumulate(&problem, accumulate);
    struct field *field = problem_find(&problem, "src");
    if (device_is_bf16(device) && n_levels > 256)
        n_levels = 256;
    field->low = 0.0;
    field->high = n_levels;
    op_open(run, device, &problem);
    float *src = op_values(run, "src");
    for (size_t i = 0; i < field_count(field); i++)
        src[i] = (float)(int)src[i] - (float)n_levels / 2;
    op_set(run, "src", NULL);
}

// A maximum is a copy: exact. A pixel of d_src adds at most kernel^2 values of size 1; a bf16
// tensor rounds the sum once.
static void check(struct adele_device *device, struct adele_max_pool_desc desc, int n_levels,
                  bool accumulate) {
    struct op_run run;
    open_run(&run, device, desc, n_levels, accumulate);
    op_check_forward(&run, 0.0, 0.0);
    op_check_backward(&run, 1e-6, device_tolerance(device, 0.0));
    op_close(&run);
}

// n, c, h, w, kernel, stride, pad
static const int cases[][7] = {
    {1, 1, 1, 1, 1, 1, 0},   {2, 1, 2, 2, 2, 2, 0},   {1, 2, 7, 5, 2, 2, 0},
    {2, 3, 9, 8, 3, 2, 1},   {1, 5, 11, 13, 3, 1, 1}, {1, 7, 6, 6, 2, 2, 0},
    {3, 8, 17, 16, 2, 2, 0}, {1, 9, 15, 7, 3, 3, 0},  {1, 15, 5, 5, 2, 3, 0},
    {1, 16, 8, 8, 2, 2, 1},  {2, 17, 4, 7, 3, 2, 0},  {1, 21, 13, 6, 5, 2, 2},
    {1, 2, 1, 9, 3, 1, 1},   {1, 2, 10, 10, 2, 4, 0}, {1, 3, 5, 257, 2, 2, 0},
    {1, 1, 2, 256, 2, 2, 0}, {1, 9, 3, 130, 3, 2, 1},
};

static struct adele_max_pool_desc desc_of(const int *row) {
    struct adele_max_pool_desc desc = {row[0], row[1], row[2], row[3],
                                       row[4], row[5], row[6], {0, 0}};
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(device, desc_of(cases[i]), 1000000, false);
        check(device, desc_of(cases[i]), 1000000, true);
    }
}

// Few levels, so that most windows hold their maximum more than once; one level: all equal.
static void check_ties(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(device, desc_of(cases[i]), 2, false);
        check(device, desc_of(cases[i]), 1, true);
    }
}

// The gradient of four equal pixels goes to the first in row order.
static void check_literal(struct adele_device *device) {
    static const float src[] = {5, 5, 1, 2, 5, 5, 3, 3}, d_dst[] = {10, 20};
    static const float dst[] = {5, 3}, d_src[] = {10, 0, 0, 0, 0, 0, 20, 0};
    struct op_run run;
    open_run(&run, device, (struct adele_max_pool_desc){1, 1, 2, 4, 2, 2, 0, {0, 0}}, 2, false);
    op_run_both(&run, src, d_dst);
    op_compare(&run, "dst", dst, 0.0, 0.0);
    op_compare(&run, "d_src", d_src, 0.0, 0.0);
    op_close(&run);
}

// The middle is the maximum of all nine windows, and 264 is a bf16: the sum is rounded once, and
// not after each window, as from 256 on adding 1 changes no bf16.
static void check_overlapping_windows(struct adele_device *device) {
    static const float src[] = {1, 2, 3, 4, 9, 5, 6, 7, 8}, d_dst[] = {256, 1, 1, 1, 1, 1, 1, 1, 1};
    static const float d_src[] = {0, 0, 0, 0, 264, 0, 0, 0, 0};
    struct op_run run;
    open_run(&run, device, (struct adele_max_pool_desc){1, 1, 3, 3, 3, 1, 1, {0, 0}}, 2, false);
    op_run_both(&run, src, d_dst);
    op_compare(&run, "d_src", d_src, 0.0, 0.0);
    op_close(&run);
}

// A NaN wherever it lies in its windows makes them NaN, and no others.
static void check_nan(struct adele_device *device) {
    struct adele_max_pool_desc descs[] = {{1, 9, 4, 4, 2, 2, 0, {0, 0}},
                                          {1, 2, 5, 7, 3, 2, 1, {0, 0}}};
    for (size_t i = 0; i < sizeof descs / sizeof descs[0]; i++) {
        struct op_run run;
        open_run(&run, device, descs[i], 100, false);
        size_t plane = (size_t)descs[i].h_in * (size_t)descs[i].w_in;
        for (size_t c = 0; c < (size_t)descs[i].c; c++)
            op_values(&run, "src")[c * plane + (5 * c + 4) % plane] = NAN;
        op_set(&run, "src", NULL);
        op_forward(&run);
        reference_max_pool_forward(&descs[i], &run.host.max_pool);
        const float *got = op_result(&run, "dst"), *want = op_values(&run, "dst");
        for (size_t k = 0; k < shape_count(op_shape(&run, "dst")); k++)
            assert_true(isnan(want[k]) ? isnan(got[k]) : got[k] == want[k]);
        op_close(&run);
    }
}

// Without ties values differ by 1 at least, so a step of 0.25 changes no maximum. bf16 tensors do
// not hold that many whole numbers.
static void check_gradient(struct adele_device *device) {
    if (device_is_bf16(device))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op_run run;
        open_run(&run, device, desc_of(cases[i]), 1, false);
        // A stride coprime to the number of pixels visits each level of the tensor once.
        size_t n = shape_count(op_shape(&run, "src"));
        for (size_t k = 0; k < n; k++)
            op_values(&run, "src")[k] = (float)((k * 7919) % n);
        op_set(&run, "src", NULL);
        op_check_gradients(&run, 0.25, 1e-3, 0.0);
        op_close(&run);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    static const int bad[][7] = {
        {0, 1, 4, 4, 2, 2, 0}, {1, 0, 4, 4, 2, 2, 0}, {1, 1, 0, 4, 2, 2, 0}, {1, 1, 4, 0, 2, 2, 0},
        {1, 1, 4, 4, 0, 2, 0}, {1, 1, 4, 4, 2, 0, 0}, {1, 1, 4, 4, 2, 2, 2}, {1, 1, 4, 4, 2, 2, -1},
        {1, 1, 1, 4, 2, 2, 0}, {1, 1, 4, 1, 2, 2, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct adele_max_pool_desc desc = desc_of(bad[i]);
        op_check_refused(device, ADELE_OP_max_pool, &desc);
    }
    struct adele_max_pool_desc good = desc_of(cases[1]);
    op_check_allocations(device, ADELE_OP_max_pool, &good);
}

ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(ties)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(overlapping_windows)
ON_EACH_DEVICE(nan)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(bad_descriptors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_overlapping_windows),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_bad_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
