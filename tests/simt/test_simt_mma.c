// SPDX-License-Identifier: MIT
// Tests of the emulator: mma.sync cuts off what tensor cores cut off (simt_dot_add.h), in literal
// cases and beside the published steps in double.
#include "planted.h"
#include "reference/tensor_core.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct product {
    float a[16 * 16], b[16 * 8], d[16 * 8];
    int k; // 16: bf16, 8: TF32
};

static void run(struct product *p, const char *tensor_core) {
    setenv("SIMT_TENSOR_CORE", tensor_core, 1);
    const char *failure =
        p->k == 16 ? planted_mma_bf16(p->a, p->b, p->d) : planted_mma_tf32(p->a, p->b, p->d);
    unsetenv("SIMT_TENSOR_CORE");
    if (failure != NULL)
        fail_msg("%s", failure);
}

// ---- literal cases ------------------------------------------------------------------------------

// c + the sum of `terms` (k of them), each a product with 1, in one element; what d becomes.
static float sum_of(const char *tensor_core, int k, float c, const float *terms) {
    struct product p = {.k = k};
    for (int i = 0; i < k; i++) {
        p.a[3 * k + i] = terms[i];
        p.b[i * 8 + 5] = 1.0f;
    }
    p.d[3 * 8 + 5] = c;
    run(&p, tensor_core);
    for (int i = 0; i < 16 * 8; i++)
        assert_true(i / 8 == 3 || p.d[i] == 0.0f);
    return p.d[3 * 8 + 5];
}

static void small_terms_are_cut_off_beside_a_large_one(void **state) {
    (void)state;
    float terms[16], negative[16];
    for (int i = 0; i < 16; i++)
        terms[i] = i == 0 ? 1.0f : 0x1p-25f;
    for (int i = 0; i < 16; i++)
        negative[i] = -terms[i];
    assert_true(sum_of("nearest", 16, 0.0f, terms) == 1.0f);
    // 24 fractional bits below 1: nothing is left of 2^-25.
    assert_true(sum_of("ampere", 16, 0.0f, terms) == 1.0f);
    assert_true(sum_of("ampere", 8, 0.0f, terms) == 1.0f);
    // 25 bits: 15 terms make 3.75 steps of a float, and 7 make 1.75; towards zero.
    assert_true(sum_of("hopper", 16, 0.0f, terms) == 1.0f + 3.0f * 0x1p-23f);
    assert_true(sum_of("hopper", 8, 0.0f, terms) == 1.0f + 0x1p-23f);
    assert_true(sum_of("hopper", 16, 0.0f, negative) == -1.0f - 3.0f * 0x1p-23f);
}

static void ampere_takes_k_in_halves(void **state) {
    (void)state;
    static const float terms[16] = {1.0f, -1.0f, 0, 0, 0, 0, 0, 0, 0x1p-26f};
    static const float of_tf32[8] = {1.0f, -1.0f, 0, 0, 0x1p-26f};
    // The second half meets a sum of zero and keeps its term.
    assert_true(sum_of("ampere", 16, 0.0f, terms) == 0x1p-26f);
    assert_true(sum_of("ampere", 8, 0.0f, of_tf32) == 0x1p-26f);
    assert_true(sum_of("hopper", 16, 0.0f, terms) == 0.0f);
    assert_true(sum_of("hopper", 8, 0.0f, of_tf32) == 0.0f);
}

static void sums_are_cut_off_to_floats(void **state) {
    (void)state;
    static const float terms[16] = {1.0f, 1.0f, 1.0f}, negative[16] = {-1.0f, -1.0f, -1.0f};
    static const char *const both[] = {"ampere", "hopper"};
    for (int i = 0; i < 2; i++) { // to nearest it would be 4 and 8
        assert_true(sum_of(both[i], 16, 0x1p24f, terms) == 0x1p24f + 2.0f);
        assert_true(sum_of(both[i], 8, -0x1p24f - 4.0f, negative) == -0x1p24f - 6.0f);
    }
}

static void infinities_and_nan_pass(void **state) {
    (void)state;
    static const char *const all[] = {"nearest", "ampere", "hopper"};
    for (int i = 0; i < 3; i++) {
        float terms[16] = {1.0f, INFINITY};
        assert_true(sum_of(all[i], 16, 1.0f, terms) == INFINITY);
        terms[3] = -INFINITY;
        assert_true(isnan(sum_of(all[i], 16, 1.0f, terms)));
        terms[1] = terms[3] = FLT_MAX; // rounded to bf16: infinity; TF32 rounds it up, too
        assert_true(sum_of(all[i], 16, 1.0f, terms) == INFINITY);
        terms[1] = terms[3] = 0x1.fep127f;
        assert_true(sum_of(all[i], 16, 0.0f, terms) == INFINITY);
    }
}

// ---- beside the published steps -----------------------------------------------------------------

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

// A number of n_bits bits with an exponent around `exponent`; one of 8 is zero.
static float draw(uint32_t *seed, int n_bits, int exponent, int spread) {
    int significand = (int)(next_random(seed) % (1u << n_bits));
    int shift = exponent - n_bits + (int)(next_random(seed) % (uint32_t)(2 * spread + 1)) - spread;
    float value = ldexpf((float)(significand - (1 << (n_bits - 1))), shift);
    return next_random(seed) % 8 == 0 ? 0.0f : value;
}

static void compare(uint32_t *seed, int k, int exponent, int spread, bool is_hopper) {
    struct product p = {.k = k};
    int n_bits = k == 16 ? 8 : 11;
    for (int i = 0; i < 16 * k; i++)
        p.a[i] = draw(seed, n_bits, exponent, spread);
    for (int i = 0; i < k * 8; i++)
        p.b[i] = draw(seed, n_bits, exponent, spread);
    for (int i = 0; i < 16 * 8; i++)
        p.d[i] = draw(seed, 24, 2 * exponent, spread);
    struct product got = p;
    run(&got, is_hopper ? "hopper" : "ampere");
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++) {
            float want = reference_tensor_core_sum(p.d[row * 8 + column], p.a + row * k, 1,
                                                   p.b + column, 8, k, k == 8, is_hopper);
            if (!(got.d[row * 8 + column] == want))
                fail_msg("k %d, exponent %d, %s: %a instead of %a", k, exponent,
                         is_hopper ? "hopper" : "ampere", (double)got.d[row * 8 + column],
                         (double)want);
        }
}

static void any_numbers_give_the_published_bits(void **state) {
    (void)state;
    // The last ones have products and sums below the smallest normal number.
    static const int exponents[][2] = {{0, 0}, {0, 3}, {5, 12}, {-40, 20}, {-62, 3}, {-70, 4}};
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++)
        for (int n = 0; n < 80; n++)
            compare(&seed, n % 2 == 0 ? 16 : 8, exponents[i][0], exponents[i][1], n % 4 < 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_terms_are_cut_off_beside_a_large_one),
        cmocka_unit_test(ampere_takes_k_in_halves),
        cmocka_unit_test(sums_are_cut_off_to_floats),
        cmocka_unit_test(infinities_and_nan_pass),
        cmocka_unit_test(any_numbers_give_the_published_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
