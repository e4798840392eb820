// SPDX-License-Identifier: MIT
// The generator against the known answers of its paper, and the distributions against their theory.
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static void test_philox_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t out[4];
        random_philox(cases[i].counter, cases[i].key, out);
        assert_memory_equal(out, cases[i].want, sizeof out);
    }
}

static void test_a_stream_is_philox_of_its_key(void **state) {
    (void)state;
    struct random_stream stream;
    random_stream_init(&stream, 0x123456789abcdef0u, RANDOM_NOISE, 3, 77);
    for (uint32_t index = 0; index < 3; index++) {
        const uint32_t counter[4] = {index, 77, 3, RANDOM_NOISE};
        const uint32_t key[2] = {0x9abcdef0u, 0x12345678u};
        uint32_t want[4];
        random_philox(counter, key, want);
        for (int i = 0; i < 4; i++)
            assert_int_equal(random_u32(&stream), want[i]);
    }
}

static uint32_t first_of(uint64_t seed, enum random_purpose purpose, uint32_t epoch,
                         uint32_t sample) {
    struct random_stream stream;
    random_stream_init(&stream, seed, purpose, epoch, sample);
    return random_u32(&stream);
}

static void test_each_part_of_the_key_counts(void **state) {
    (void)state;
    uint32_t base = first_of(1, RANDOM_INIT, 0, 0);
    assert_int_equal(base, first_of(1, RANDOM_INIT, 0, 0));
    assert_int_not_equal(base, first_of(2, RANDOM_INIT, 0, 0));
    assert_int_not_equal(base, first_of(1 + (1ull << 32), RANDOM_INIT, 0, 0));
    assert_int_not_equal(base, first_of(1, RANDOM_ORDER, 0, 0));
    assert_int_not_equal(base, first_of(1, RANDOM_INIT, 1, 0));
    assert_int_not_equal(base, first_of(1, RANDOM_INIT, 0, 1));
}

static void test_below_is_even_and_in_range(void **state) {
    (void)state;
    struct random_stream stream;
    random_stream_init(&stream, 5, RANDOM_TEST, 0, 0);
    int counts[7] = {0};
    const int n_draws = 70000;
    for (int i = 0; i < n_draws; i++) {
        uint32_t value = random_below(&stream, 7);
        assert_in_range(value, 0, 6);
        counts[value]++;
    }
    // Five standard deviations of a binomial count of mean 10,000.
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 10000 - 463, 10000 + 463);
    assert_int_equal(random_below(&stream, 1), 0);
    // A bound just above half the range: without rejection, low numbers would come twice as often.
    int n_low = 0;
    for (int i = 0; i < 10000; i++)
        n_low += random_below(&stream, 0xC0000000u) < 0x40000000u;
    assert_in_range(n_low, 3333 - 236, 3333 + 236);
}

static void test_uniform_and_range(void **state) {
    (void)state;
    struct random_stream stream;
    random_stream_init(&stream, 6, RANDOM_TEST, 0, 0);
    double sum = 0.0;
    for (int i = 0; i < 100000; i++) {
        double value = random_uniform(&stream);
        assert_true(value >= 0.0 && value < 1.0);
        sum += value;
    }
    assert_true(fabs(sum / 100000 - 0.5) < 5.0 * sqrt(1.0 / 12.0 / 100000));
    for (int i = 0; i < 1000; i++) {
        double value = random_range(&stream, -3.0, 2.0);
        assert_true(value >= -3.0 && value < 2.0);
    }
}

static void test_normal_has_its_moments(void **state) {
    (void)state;
    struct random_stream stream;
    random_stream_init(&stream, 7, RANDOM_TEST, 0, 0);
    const int n = 200000;
    double sums[4] = {0};
    for (int i = 0; i < n; i++) {
        double x = random_normal(&stream);
        assert_true(isfinite(x));
        sums[0] += x;
        sums[1] += x * x;
        sums[2] += x * x * x;
        sums[3] += x * x * x * x;
    }
    // Five standard errors: sqrt(1/n), sqrt(2/n), sqrt(15/n), sqrt(96/n).
    assert_true(fabs(sums[0] / n) < 0.0112);
    assert_true(fabs(sums[1] / n - 1.0) < 0.0159);
    assert_true(fabs(sums[2] / n) < 0.0434);
    assert_true(fabs(sums[3] / n - 3.0) < 0.1096);
}

static void test_a_permutation_is_one(void **state) {
    (void)state;
    enum { N = 101 };
    int a[N], b[N];
    bool is_seen[N] = {false};
    random_permutation(9, RANDOM_ORDER, 4, N, a);
    for (int i = 0; i < N; i++) {
        assert_in_range(a[i], 0, N - 1);
        assert_false(is_seen[a[i]]);
        is_seen[a[i]] = true;
    }
    random_permutation(9, RANDOM_ORDER, 4, N, b);
    assert_memory_equal(a, b, sizeof a);
    random_permutation(9, RANDOM_ORDER, 5, N, b);
    assert_memory_not_equal(a, b, sizeof a);
    random_permutation(9, RANDOM_ORDER, 4, 0, b);
    random_permutation(9, RANDOM_ORDER, 4, 1, b);
    assert_int_equal(b[0], 0);
}

static void test_every_permutation_of_three_is_as_likely(void **state) {
    (void)state;
    int counts[27] = {0};
    for (uint32_t epoch = 0; epoch < 6000; epoch++) {
        int p[3];
        random_permutation(1, RANDOM_ORDER, epoch, 3, p);
        counts[p[0] * 9 + p[1] * 3 + p[2]]++;
    }
    int n_kinds = 0;
    for (int i = 0; i < 27; i++) {
        if (counts[i] == 0)
            continue;
        n_kinds++;
        assert_in_range(counts[i], 1000 - 145, 1000 + 145);
    }
    assert_int_equal(n_kinds, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_a_stream_is_philox_of_its_key),
        cmocka_unit_test(test_each_part_of_the_key_counts),
        cmocka_unit_test(test_below_is_even_and_in_range),
        cmocka_unit_test(test_uniform_and_range),
        cmocka_unit_test(test_normal_has_its_moments),
        cmocka_unit_test(test_a_permutation_is_one),
        cmocka_unit_test(test_every_permutation_of_three_is_as_likely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
