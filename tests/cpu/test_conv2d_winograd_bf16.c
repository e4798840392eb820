// SPDX-License-Identifier: MIT
// Winograd's convolution with products of bf16: its error beside the exact sums.
//
// A result is a sum over the points k of A_k times the sum over channels, or tiles, of U_k V_k.
// Rounding U_k and V_k to bf16 makes relative errors that do not depend on each other. Where the
// operands are random, of variance v, and B_k and G_k are the rows of the transforms that make V_k
// and U_k of them, the errors of a term have the variance, along each axis,
//
//     v^2 sum over k of A_k^2 |G_k|^2 |B_k|^2
//
// instead of the v^2 3 of rounding the operands of a direct sum. In all three passes the same
// matrices A, B and G take other places in this sum. Over both axes and both factors of a product,
// the root mean square of the relative error of a result is so d sqrt(2) times the ratio of the two
// sums: 4.8 times that of a direct convolution. d is the root mean square of the error of rounding
// once: a value from [1, 2) is off by an error that is spread evenly over 2^-7, so that d is
// between 2^-8 / sqrt(12) and 2^-8 / sqrt(3).
#include "cpu/conv2d_parts.h"
#include "cpu/isa.h"
#include "support/conv2d_problem.h"
#include "support/skip.h"
#include "support/sums.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_POINTS 6
#define N_FINITE 5

// ---- the error by the formula above -------------------------------------------------------------

static const double points[N_FINITE] = {0.0, WINOGRAD_P, -WINOGRAD_P, WINOGRAD_Q, -WINOGRAD_Q};

// The squares of row k of A (powers of the point), of G (the same, divided by the distances to the
// other points) and of B (the coefficients of the product of all x - point but its own), added up.
// Infinity has the highest power alone, and the product of all.
static double squares_of_powers(int k, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += k == N_FINITE ? (double)(i == n - 1) : pow(points[k] * points[k], i);
    return sum;
}

static double square_of_distances(int k) {
    double product = 1.0;
    for (int i = 0; k < N_FINITE && i < N_FINITE; i++)
        product *= i == k ? 1.0 : (points[k] - points[i]) * (points[k] - points[i]);
    return product;
}

static double squares_of_product(int k) {
    double factors[N_POINTS] = {1.0}, sum = 0.0; // coefficients, from that of x^0 on
    for (int i = 0; i < N_FINITE; i++)
        for (int j = N_FINITE; i != k && j >= 0; j--)
            factors[j] = (j > 0 ? factors[j - 1] : 0.0) - points[i] * factors[j];
    for (int j = 0; j < N_POINTS; j++)
        sum += factors[j] * factors[j];
    return sum;
}

// The root mean square of the relative error of a result, at most: with the upper bound of d.
static double relative_error(void) {
    double sum = 0.0;
    for (int k = 0; k < N_POINTS; k++)
        sum += squares_of_powers(k, 4) * squares_of_powers(k, 3) / square_of_distances(k) *
               squares_of_product(k);
    return 0x1p-8 / sqrt(3.0) * sqrt(2.0) * sum / (4.0 * 3.0);
}

static void test_formula(void **state) {
    (void)state;
    double direct = 0x1p-8 / sqrt(3.0) * sqrt(2.0);
    assert_true(fabs(relative_error() / direct - 4.806) < 0.001);
}

// ---- error, threads -----------------------------------------------------------------------------

// An op of the users' device that multiplies in bf16; its reference does not.
static void run(struct op_run *r, const int *row, bool adds) {
    struct adele_device *device = NULL;
    struct adele_conv2d_desc desc = conv2d_desc_of(row);
    desc.has_bias = false;
    desc.precision = ADELE_PRECISION_BF16;
    assert_int_equal(adele_device_open("cpu", ADELE_PRECISION_BF16, &device), ADELE_OK);
    conv2d_open(r, device, desc, adds);
    r->problem.desc.conv2d.precision = ADELE_PRECISION_FP32;
    memset(op_values(r, "d_weight"), 0,
           problem_find(&r->problem, "d_weight")->count * sizeof(float));
    op_set(r, "d_weight", NULL);
    if (strncmp(r->op->engine, "our winograd avx512_bf16", 24) != 0)
        fail_msg("runs as: %s", r->op->engine);
    op_forward(r);
    op_backward(r);
}

static void close_run(struct op_run *r) {
    struct adele_device *device = r->arena.device;
    op_close(r);
    adele_device_close(device);
}

// n_terms products of values from [-1, 1] have the variance n_terms / 9. Each element is close, and
// all of them are in the mean.
static void check_pass(struct op_run *r, const char *what, struct adele_shape shape, double n_terms,
                       double stored) {
    const float *got = op_result(r, what), *want = op_values(r, what);
    double rms = relative_error() * sqrt(n_terms / 9.0), squares = 0.0;
    struct sums_error error = {
        .n_terms = n_terms, .factor = SUMS_OWN_WINOGRAD, .random = rms, .relative = stored};
    assert_true(sums_agree(what, got, want, shape, &error));
    size_t n = shape_count(shape);
    for (size_t i = 0; i < n; i++)
        squares += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
    if (!(sqrt(squares / (double)n) <= rms))
        fail_msg("%s: error %g, at most %g was expected", what, sqrt(squares / (double)n), rms);
}

// n, c_in, h, w, c_out, kernel, stride, pad, dilation: from one pair of channels to more than are
// added up at once; blocks of channels that are full or not, one and several pairs of them; odd and
// even numbers of tiles, fewer and more than a block of them; extents around the tile of 4.
static const int cases[][9] = {
    {1, 9, 12, 12, 2, 3, 1, 1, 1},    {3, 16, 9, 9, 16, 3, 1, 1, 1},
    {2, 17, 12, 13, 31, 3, 1, 1, 1},  {3, 32, 15, 12, 33, 3, 1, 2, 1},
    {2, 40, 23, 24, 16, 3, 1, 1, 1},  {1, 64, 20, 20, 64, 3, 1, 0, 1},
    {2, 128, 17, 31, 64, 3, 1, 1, 1}, {1, 264, 12, 12, 24, 3, 1, 1, 1},
    {2, 16, 64, 95, 24, 3, 1, 1, 1},  {1, 24, 12, 12, 264, 3, 1, 1, 1},
    {1, 72, 12, 12, 200, 3, 1, 1, 1},
};

static void test_error(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op_run r;
        run(&r, cases[i], i % 2 == 0);
        problem_run_reference(&r.problem, &r.host, false);
        problem_run_reference(&r.problem, &r.host, true);
        struct adele_shape in = op_shape(&r, "src"), out = op_shape(&r, "dst");
        struct adele_shape weight = {out.c, in.c, 3, 3};
        double stored = device_tolerance(r.arena.device, SUMS_STORED);
        check_pass(&r, "dst", out, 9.0 * in.c, stored);
        check_pass(&r, "d_src", in, 9.0 * out.c, stored);
        check_pass(&r, "d_weight", weight, (double)out.n * out.h * out.w, SUMS_STORED);
        close_run(&r);
    }
}

static void test_threads(void **state) {
    static const char *const written[] = {"dst", "d_src", "d_weight"};
    (void)state;
    int n_threads = omp_get_max_threads();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op_run r[3];
        for (int k = 0; k < 3; k++) {
            omp_set_num_threads(1 + 2 * k);
            run(&r[k], cases[i], false);
        }
        omp_set_num_threads(n_threads);
        for (int j = 0; j < 3; j++) {
            const float *first = op_result(&r[0], written[j]);
            for (int k = 1; k < 3; k++)
                op_compare_bits(&r[k], written[j], first);
        }
        for (int k = 0; k < 3; k++)
            close_run(&r[k]);
    }
}

// There are no copies of rounded operands, and transforms take 2 bytes a value.
static void test_memory(void **state) {
    (void)state;
    static const int row[] = {2, 64, 128, 128, 64, 3, 1, 1, 1};
    struct adele_conv2d_desc desc = conv2d_desc_of(row);
    size_t bytes[2];
    struct adele_device *device = NULL;
    assert_int_equal(adele_device_open("cpu", ADELE_PRECISION_BF16, &device), ADELE_OK);
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        struct adele_op *op = NULL;
        desc.precision = is_bf16 ? ADELE_PRECISION_BF16 : ADELE_PRECISION_FP32;
        assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_OK);
        bytes[is_bf16] = op->workspace_bytes;
        device->iface->op_destroy(op);
    }
    if (!(bytes[1] < bytes[0]))
        fail_msg("bf16 needs %zu bytes of workspace, fp32 %zu", bytes[1], bytes[0]);
    adele_device_close(device);
}

int main(void) {
    struct adele_device *device = NULL;
    if (adele_device_open("cpu", ADELE_PRECISION_BF16, &device) != ADELE_OK)
        return 1;
    adele_device_close(device);
    if (cpu_isa() < CPU_ISA_AVX512_BF16)
        return skip_program("AVX-512 with bf16, and no ADELE_CPU_ISA below it");

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
