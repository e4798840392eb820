// SPDX-License-Identifier: MIT
#include "support/op_errors.h"
#include "support/op_run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// n, c, h, w: both sides of blocks of 8, 16 and 64 channels, and of 32 pixels.
static const struct adele_global_pool_desc cases[] = {
    {1, 1, 1, 1},  {2, 3, 1, 7},  {1, 7, 5, 3},   {3, 8, 31, 1}, {1, 9, 8, 4},  {2, 15, 3, 11},
    {1, 16, 9, 7}, {2, 17, 2, 2}, {1, 21, 13, 5}, {1, 63, 3, 3}, {1, 64, 2, 9}, {2, 65, 5, 5},
};
#define N_CASES (sizeof cases / sizeof cases[0])

// Float sums of a few hundred values of size 1, divided by their number.
static void check(struct adele_device *device, const struct adele_global_pool_desc *desc,
                  bool accumulate) {
    struct problem problem;
    struct op_run run;
    problem_global_pool(desc, &problem);
    problem_accumulate(&problem, accumulate);
    op_open(&run, device, &problem);
    op_check_forward(&run, 1e-6, device_tolerance(device, 1e-6));
    op_check_backward(&run, 1e-7, device_tolerance(device, 1e-6));
    op_close(&run);
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < N_CASES; i++) {
        check(device, &cases[i], false);
        check(device, &cases[i], true);
    }
}

static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < N_CASES; i++) {
        struct problem problem;
        struct op_run run;
        problem_global_pool(&cases[i], &problem);
        op_open(&run, device, &problem);
        op_check_gradients(&run, 0.5, device_tolerance(device, 1e-4), 0.0);
        op_close(&run);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    static const struct adele_global_pool_desc bad[] = {
        {0, 1, 4, 4}, {1, 0, 4, 4}, {1, 1, 0, 4}, {1, 1, 4, -1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_global_pool, &bad[i]);
    op_check_allocations(device, ADELE_OP_global_pool, &cases[1]);
}

ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(bad_descriptors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_bad_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
