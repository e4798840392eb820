// SPDX-License-Identifier: MIT
// float <-> half against all 65536 halves and the ties between neighbours.
#include "base/half.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

static void every_half_comes_back(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = half_to_float((uint16_t)bits);
        if ((bits & 0x7C00) == 0x7C00)
            continue;
        assert_int_equal(half_from_float(value), bits);
    }
}

static void ties_go_to_even(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x7BFF; bits++) {
        float low = half_to_float((uint16_t)bits), high = half_to_float((uint16_t)(bits + 1));
        float middle = 0.5f * (low + high); // exact
        uint32_t even = bits & 1 ? bits + 1 : bits;
        assert_int_equal(half_from_float(middle), even);
        assert_int_equal(half_from_float(nextafterf(middle, 0.0f)), bits);
        assert_int_equal(half_from_float(nextafterf(middle, INFINITY)), bits + 1);
        assert_int_equal(half_from_float(-middle), even | 0x8000);
    }
}

static void literal_values(void **state) {
    (void)state;
    assert_int_equal(half_from_float(1.0f), 0x3C00);
    assert_int_equal(half_from_float(-2.0f), 0xC000);
    assert_int_equal(half_from_float(65504.0f), 0x7BFF);
    assert_int_equal(half_from_float(65519.0f), 0x7BFF);
    assert_int_equal(half_from_float(1e30f), 0x7BFF); // clamped, never infinite
    assert_int_equal(half_from_float(-INFINITY), 0xFBFF);
    assert_int_equal(half_from_float(1e-30f), 0);
    assert_int_equal(half_from_float(-0.0f), 0x8000);
    assert_int_equal(half_from_float(ldexpf(1.0f, -24)), 1);
    assert_int_equal(half_from_float(ldexpf(1.0f, -25)), 0); // a tie, to even
    assert_true(isnan(half_to_float(half_from_float(NAN))));
    assert_true(isinf(half_to_float(0x7C00)));
    const float nan = half_to_float(0xFE01);
    uint32_t bits;
    memcpy(&bits, &nan, sizeof bits);
    assert_int_equal(bits, 0xFFC02000u); // sign and payload of a NaN stay
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_comes_back),
        cmocka_unit_test(ties_go_to_even),
        cmocka_unit_test(literal_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
