// SPDX-License-Identifier: MIT
// The allowance for tensor cores beside what sums computed as published are off by: it covers them,
// and it is not much more.
#include "support/tensor_core_tolerance.h"

#include "base/random.h"
#include "reference/tensor_core.h"
#include "support/sums.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_SUMS 400

struct chain {
    int n_terms, run; // as in tensor_core_rms
    bool is_tf32;
};

// Cut off to the bits of an operand: to which values they are rounded does not matter here.
static float draw(struct random_stream *stream, bool is_tf32) {
    float value = (float)random_range(stream, -1.0, 1.0);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits &= is_tf32 ? 0xffffe000U : 0xffff0000U;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

// The errors of N_SUMS sums, relative to the allowed root mean square: theirs, and the worst one.
static double errors_of(const struct chain *chain, bool is_hopper, double *worst) {
    int padded = (chain->run + 7) / 8 * 8, n = chain->n_terms / chain->run * padded;
    float *a = calloc((size_t)n, sizeof *a), *b = calloc((size_t)n, sizeof *b);
    double rms = tensor_core_rms(chain->n_terms, chain->run, chain->is_tf32), squares = 0.0;
    struct random_stream stream;
    random_stream_init(&stream, 1, RANDOM_TEST, (uint64_t)n, 0);
    assert_non_null(a);
    assert_non_null(b);
    *worst = 0.0;
    for (int i = 0; i < N_SUMS; i++) {
        double exact = 0.0;
        for (int j = 0; j < n; j++)
            if (j % padded < chain->run) {
                a[j] = draw(&stream, chain->is_tf32);
                b[j] = draw(&stream, chain->is_tf32);
                exact += (double)a[j] * (double)b[j];
            }
        float got = reference_tensor_core_sum(0.0F, a, 1, b, 1, n, chain->is_tf32, is_hopper);
        double error = ((double)got - exact) / rms;
        squares += error * error;
        *worst = fmax(*worst, fabs(error));
    }
    free(a);
    free(b);
    return sqrt(squares / N_SUMS);
}

static const struct chain chains[] = {
    {4, 4, true},     {8, 8, false},     {64, 64, true},     {64, 64, false},
    {81, 9, true},    {576, 64, true},   {576, 64, false},   {1152, 128, true},
    {1071, 17, true}, {1071, 17, false}, {4000, 4000, true}, {4000, 4000, false},
};

static void sums_stay_within_the_allowance(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++)
        for (int is_hopper = 0; is_hopper < 2; is_hopper++) {
            double worst, mean = errors_of(&chains[i], is_hopper != 0, &worst);
            print_message(
                "%4d terms in runs of %4d, %s, %s: %.2f of the allowance, at worst %.2f\n",
                chains[i].n_terms, chains[i].run, chains[i].is_tf32 ? "TF32" : "bf16",
                is_hopper ? "Hopper" : "Ampere", mean, worst);
            assert_true(mean <= 1.0);
            assert_true(worst <= SUMS_WORST_NORMAL);
        }
}

// Of long sums of TF32 on Ampere, which it was made for.
static void the_allowance_is_not_much_more(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        double worst, mean = errors_of(&chains[i], false, &worst);
        if (chains[i].is_tf32 && chains[i].n_terms > 500)
            assert_true(mean >= 0.4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_stay_within_the_allowance),
        cmocka_unit_test(the_allowance_is_not_much_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
