// SPDX-License-Identifier: MIT
#include "support/op_errors.h"
#include "support/op_run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// n, c0, c1, h, w: both sides of every block boundary.
static const struct adele_concat_desc cases[] = {
    {1, 1, 1, 1, 1},   {2, 1, 7, 3, 5},   {1, 2, 3, 7, 2},   {3, 5, 8, 2, 2},  {1, 7, 9, 3, 3},
    {1, 8, 1, 5, 4},   {2, 8, 8, 4, 4},   {1, 9, 7, 2, 3},   {1, 15, 2, 3, 1}, {2, 16, 16, 5, 3},
    {1, 16, 5, 4, 3},  {1, 17, 15, 2, 2}, {1, 21, 21, 3, 2}, {1, 3, 16, 2, 5}, {1, 24, 9, 3, 3},
    {1, 8, 16, 2, 50}, {2, 5, 16, 3, 50},
};
#define N_CASES (sizeof cases / sizeof cases[0])

// Copies and single float sums: exact, but for the rounding of a sum to a bf16 tensor.
static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < N_CASES; i++)
        for (unsigned which = 0; which < 4; which++) {
            struct problem problem;
            struct op_run run;
            problem_concat(&cases[i], &problem);
            problem_accumulate(&problem, which);
            op_open(&run, device, &problem);
            op_check_forward(&run, 0.0, 0.0);
            op_check_backward(&run, 0.0, device_tolerance(device, 0.0));
            op_close(&run);
        }
}

static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < N_CASES; i++) {
        struct problem problem;
        struct op_run run;
        problem_concat(&cases[i], &problem);
        op_open(&run, device, &problem);
        op_check_gradients(&run, 0.5, 1e-6, 1e-6);
        op_close(&run);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    static const struct adele_concat_desc bad[] = {
        {-4, 2, 3, 4, 5}, {1, -3, 3, 4, 5}, {1, 2, -2, 4, 5}, {1, 2, 3, -1, 5}, {1, 2, 3, 4, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_concat, &bad[i]);
    op_check_allocations(device, ADELE_OP_concat, &cases[1]);
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
