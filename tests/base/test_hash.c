// SPDX-License-Identifier: MIT
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static void test_known_answer_of_nothing(void **state) {
    (void)state;
    // The published value of XXH3_64bits for the empty input and seed 0.
    assert_true(hash_xxh3("", 0) == 0x2d06800538d394c2u);
    char text[17];
    hash_xxh3_hex("", 0, text);
    assert_string_equal(text, "2d06800538d394c2");
}

static void test_every_bit_counts(void **state) {
    (void)state;
    unsigned char data[64];
    memset(data, 0x5a, sizeof data);
    uint64_t base = hash_xxh3(data, sizeof data);
    for (size_t i = 0; i < 8 * sizeof data; i++) {
        data[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_true(hash_xxh3(data, sizeof data) != base);
        data[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    assert_true(hash_xxh3(data, sizeof data - 1) != base);
    assert_true(hash_xxh3(data, sizeof data) == base);
}

static void test_hexadecimal_keeps_leading_zeros(void **state) {
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        char text[17];
        uint64_t value = 0;
        hash_xxh3_hex(&i, sizeof i, text);
        assert_int_equal(strlen(text), 16);
        for (const char *c = text; *c != '\0'; c++) {
            assert_non_null(strchr("0123456789abcdef", *c));
            value = value << 4 | (uint64_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
        }
        assert_true(value == hash_xxh3(&i, sizeof i));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answer_of_nothing),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_hexadecimal_keeps_leading_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
