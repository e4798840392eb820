// SPDX-License-Identifier: MIT
#include "support/op_errors.h"
#include "support/op_run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// n, c, h, w
static const struct adele_add_desc cases[] = {
    {1, 1, 1, 1},  {2, 3, 5, 7},  {1, 7, 3, 2},   {1, 8, 4, 4},    {3, 9, 2, 3},
    {1, 15, 5, 5}, {2, 16, 3, 3}, {1, 17, 11, 1}, {1, 21, 13, 17},
};

// Single float sums: exact.
static void check(struct adele_device *device, const struct adele_add_desc *desc, unsigned which) {
    struct problem problem;
    struct op_run run;
    double rounding = device_tolerance(device, 0.0);
    problem_add(desc, &problem);
    problem_accumulate(&problem, which);
    op_open(&run, device, &problem);
    op_check_forward(&run, 0.0, rounding);
    op_check_backward(&run, 0.0, rounding);
    // Each gradient on its own.
    void *d_src1 = run.device.add.d_src1, *host_d_src1 = run.host.add.d_src1;
    run.device.add.d_src1 = run.host.add.d_src1 = NULL;
    run.device.add.accumulate_d_src0 = run.host.add.accumulate_d_src0 = false;
    op_backward(&run);
    problem_run_reference(&problem, &run.host, true);
    run.device.add.d_src1 = d_src1;
    run.host.add.d_src1 = host_d_src1;
    op_compare(&run, "d_src0", NULL, 0.0, rounding);
    op_compare(&run, "d_src1", NULL, 0.0, rounding);
    op_close(&run);
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (unsigned which = 0; which < 4; which++)
            check(device, &cases[i], which);
}

static void check_gradient(struct adele_device *device) {
    struct problem problem;
    struct op_run run;
    problem_add(&cases[8], &problem);
    op_open(&run, device, &problem);
    op_check_gradients(&run, 0.5, 1e-4, 1e-4);
    op_close(&run);
}

static void check_bad_descriptors(struct adele_device *device) {
    static const struct adele_add_desc bad[] = {
        {0, 1, 4, 4}, {1, 0, 4, 4}, {1, 1, 0, 4}, {1, 1, 4, -1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_add, &bad[i]);
    op_check_allocations(device, ADELE_OP_add, &cases[1]);
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
