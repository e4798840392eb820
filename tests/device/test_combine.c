// SPDX-License-Identifier: MIT
#include "reference/reference.h"
#include "support/compare.h"
#include "support/op_errors.h"
#include "support/op_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum place { APART, IN_A, IN_B, NO_B, NO_B_IN_A, N_PLACES };

// One rounding of the sum and one of the product: exact.
static void check_size(struct adele_device *device, int64_t n, enum place place, float scale) {
    struct problem problem;
    struct op_run run;
    problem_combine(&(struct adele_combine_desc){n}, &problem);
    problem.args.combine.scale = scale;
    problem_find(&problem, "b")->low = -1e4;
    problem_find(&problem, "b")->high = 1e4;
    op_open(&run, device, &problem);
    struct adele_combine_args *args = &run.device.combine;
    if (place == IN_A || place == NO_B_IN_A)
        args->out = (float *)args->a;
    else if (place == IN_B)
        args->out = (float *)args->b;
    if (place == NO_B || place == NO_B_IN_A)
        args->b = run.host.combine.b = NULL;
    op_forward(&run);
    reference_combine_forward(&problem.desc.combine, &run.host.combine);
    op_compare_bits(&run, "out", op_values(&run, "out"));
    if (place == APART) {
        op_compare_bits(&run, "a", op_values(&run, "a"));
        op_compare_bits(&run, "b", op_values(&run, "b"));
    }
    op_close(&run);
}

// Around a block of threads, and around the chunk of a CPU's thread.
static void check_sizes(struct adele_device *device) {
    static const int64_t sizes[] = {1, 7, 255, 256, 257, 16383, 16384, 16385, 40009};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_size(device, sizes[i], APART, 1.0f);
}

static void check_places(struct adele_device *device) {
    for (enum place place = APART; place < N_PLACES; place++) {
        check_size(device, 1031, place, 0.125f);
        check_size(device, 16411, place, 0.3f);
    }
}

// 2^24 + 1 rounds to 2^24 before it is scaled; zeros keep their sign; NaN and infinity go on.
static void check_literal(struct adele_device *device) {
    static const float a[] = {16777216.0f, -0.0f, 1.0f, INFINITY, 3.0f};
    static const float b[] = {1.0f, -0.0f, NAN, 1.0f, -1.0f};
    static const float wanted[] = {8388608.0f, -0.0f, NAN, INFINITY, 1.0f};
    struct problem problem;
    struct op_run run;
    problem_combine(&(struct adele_combine_desc){5}, &problem);
    problem.args.combine.scale = 0.5f;
    op_open(&run, device, &problem);
    op_set(&run, "a", a);
    op_set(&run, "b", b);
    op_forward(&run);
    const float *got = op_result(&run, "out");
    for (int i = 0; i < 5; i++) {
        if (isnan(wanted[i]))
            assert_true(isnan(got[i]));
        else
            assert_true(compare_bytes("out", &got[i], &wanted[i], sizeof wanted[i]));
    }
    op_close(&run);
}

static void check_errors(struct adele_device *device) {
    static const int64_t bad[] = {0, -1};
    for (int i = 0; i < 2; i++) {
        struct adele_combine_desc desc = {bad[i]};
        op_check_refused(device, ADELE_OP_combine, &desc);
    }
    struct adele_combine_desc good = {3};
    op_check_allocations(device, ADELE_OP_combine, &good);
}

ON_EACH_DEVICE(sizes)
ON_EACH_DEVICE(places)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
