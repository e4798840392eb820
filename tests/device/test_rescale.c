// SPDX-License-Identifier: MIT
#include "support/op_errors.h"
#include "support/op_run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// An output mixes four values of size 1 with weights of one rounding each. A source pixel gathers
// at most (2 h_dst / h_in + 2)^2 target pixels with weights <= 1; in these cases below 80.
// Where tensors are bf16 each result is rounded once more.
static void check(struct adele_device *device, struct adele_rescale_desc desc, bool accumulate) {
    struct problem problem;
    struct op_run run;
    problem_rescale(&desc, &problem);
    problem_accumulate(&problem, accumulate);
    op_open(&run, device, &problem);
    op_check_forward(&run, 4e-7, device_tolerance(device, 0.0));
    op_check_backward(&run, 8e-6, device_tolerance(device, 0.0));
    op_close(&run);
}

// n, c, h_in, w_in, h_out, w_out, h_dst, w_dst, top, left
static const int cases[][10] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 0},       {2, 1, 1, 1, 4, 3, 4, 3, 0, 0},
    {1, 2, 4, 5, 1, 1, 1, 1, 0, 0},       {1, 3, 4, 4, 8, 8, 8, 8, 0, 0},
    {2, 5, 7, 5, 14, 10, 15, 11, 0, 0},   {1, 7, 3, 4, 6, 8, 9, 12, 1, 2},
    {1, 8, 8, 8, 16, 16, 16, 16, 0, 0},   {1, 9, 13, 11, 9, 7, 9, 7, 0, 0},
    {2, 15, 5, 5, 5, 5, 5, 5, 0, 0},      {1, 16, 6, 7, 12, 14, 10, 11, -1, -2},
    {1, 17, 17, 3, 23, 31, 23, 31, 0, 0}, {1, 21, 10, 1, 1, 10, 4, 12, 3, 1},
    {1, 24, 4, 4, 8, 8, 4, 4, -9, 0},     {1, 3, 2, 2, 3, 3, 5, 5, 7, -1},
    {1, 4, 30, 29, 3, 4, 3, 4, 0, 0},     {1, 9, 9, 5, 17, 9, 17, 9, 0, 0},
    {1, 2, 3, 70, 6, 140, 7, 141, 0, 1},  {2, 3, 24, 3, 7, 2, 9, 3, 1, 0},
    {1, 1, 4, 2, 40, 3, 33, 3, -3, 0},
};
#define N_CASES (sizeof cases / sizeof cases[0])

static struct adele_rescale_desc desc_of(const int *row) {
    struct adele_rescale_desc desc = {row[0], row[1], row[2], row[3], row[4], row[5],
                                      row[6], row[7], row[8], row[9], {0, 0}};
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < N_CASES; i++) {
        check(device, desc_of(cases[i]), false);
        check(device, desc_of(cases[i]), true);
    }
}

// (0, 1, 3) on three pixels becomes (0, 0.5, 1, 2, 3) on five, set one pixel in from the left.
static void check_literal(struct adele_device *device) {
    static const struct adele_rescale_desc desc = {1, 1, 1, 3, 1, 5, 2, 7, 1, 1, {0, 0}};
    static const float src[] = {0, 1, 3};
    // The first is outside the image and reads nothing; the other reads half of the first and half
    // of the second pixel.
    static const float d_dst[14] = {[0] = 100.0f, [9] = 1.0f};
    static const float dst[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5f, 1, 2, 3, 0};
    static const float d_src[] = {0.5f, 0.5f, 0};
    struct problem problem;
    struct op_run run;
    problem_rescale(&desc, &problem);
    op_open(&run, device, &problem);
    op_run_both(&run, src, d_dst);
    op_compare(&run, "dst", dst, 0.0, 0.0);
    op_compare(&run, "d_src", d_src, 0.0, 0.0);
    op_close(&run);
}

// The same size is a copy, bit for bit.
static void check_identity(struct adele_device *device) {
    struct problem problem;
    struct op_run run;
    struct adele_rescale_desc desc = desc_of(cases[8]);
    problem_rescale(&desc, &problem);
    op_open(&run, device, &problem);
    op_forward(&run);
    op_compare_bits(&run, "dst", op_values(&run, "src"));
    op_close(&run);
}

// Linear: a large step costs nothing. Case 12 crops everything away, so all is 0 there.
static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < N_CASES; i++) {
        struct problem problem;
        struct op_run run;
        struct adele_rescale_desc desc = desc_of(cases[i]);
        problem_rescale(&desc, &problem);
        op_open(&run, device, &problem);
        op_check_gradients(&run, 0.5, device_tolerance(device, 1e-4), 0.0);
        op_close(&run);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    static const int bad[][10] = {
        {0, 5, 7, 5, 14, 10, 15, 11, 0, 0}, {2, -3, 7, 5, 14, 10, 15, 11, 0, 0},
        {2, 5, 0, 5, 14, 10, 15, 11, 0, 0}, {2, 5, 7, -3, 14, 10, 15, 11, 0, 0},
        {2, 5, 7, 5, 0, 10, 15, 11, 0, 0},  {2, 5, 7, 5, 14, -3, 15, 11, 0, 0},
        {2, 5, 7, 5, 14, 10, 0, 11, 0, 0},  {2, 5, 7, 5, 14, 10, 15, -3, 0, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct adele_rescale_desc desc = desc_of(bad[i]);
        op_check_refused(device, ADELE_OP_rescale, &desc);
    }
}

static void check_allocator(struct adele_device *device) {
    struct adele_rescale_desc desc = desc_of(cases[4]);
    op_check_allocations(device, ADELE_OP_rescale, &desc);
}

ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(identity)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(bad_descriptors)
ON_EACH_DEVICE(allocator)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),          cmocka_unit_test(test_literal),
        cmocka_unit_test(test_identity),        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_bad_descriptors), cmocka_unit_test(test_allocator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
