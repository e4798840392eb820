// SPDX-License-Identifier: MIT
// Rounding to bf16: every upper half of a float, with lower halves below, at and above a tie.
#include "cpu/elementwise.h"
#include "cpu/isa.h"
#include "cpu/values.h"
#include "reference/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT (1 << 16)
#define ROOM  (2 * COUNT) // bf16 for a kernel: GCC checks its branch for floats, too

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// The kernels that an op would have.
CPU_VALUE_KERNEL(static void, store_values, (void *to, const float *from, size_t n),
                 (to, from, n)) {
    for (size_t i = 0; i < n; i++)
        value_store(to, i, from[i], is_bf16);
}

CPU_VALUE_KERNEL(static void, store_lanes, (void *to, const float *from, size_t n), (to, from, n)) {
    for (size_t i = 0; i < n; i += LANES)
        lanes_store(to, i, LANES_AT(from + i), is_bf16);
}

CPU_VALUE_KERNEL(static void, load_values, (const void *from, float *to, size_t n), (from, to, n)) {
    for (size_t i = 0; i < n; i++)
        to[i] = value_at(from, i, is_bf16);
}

CPU_VALUE_KERNEL(static void, load_lanes, (const void *from, float *to, size_t n), (from, to, n)) {
    for (size_t i = 0; i < n; i += LANES)
        LANES_STORE(to + i, lanes_at(from, i, is_bf16));
}

// The largest bf16 is 0x7f7f: from the middle of it and the next power of two on, which would be
// even, values become infinite.
static float nearest_bf16(uint32_t bits) {
    float value = from_bits(bits);
    return (bits & 0x7fffffff) < 0x7f7f8000 ? reference_bf16(value) : copysignf(INFINITY, value);
}

// A NaN stays one and keeps its sign.
static void check_rounded(const char *what, uint32_t bits, uint16_t got) {
    float value = from_bits(bits), rounded = from_bits((uint32_t)got << 16);
    bool has_value = isnan(value) ? isnan(rounded) : rounded == nearest_bf16(bits);
    if (!has_value || got >> 15 != bits >> 31)
        fail_msg("%s: the float %08x became the bf16 %04x", what, bits, got);
}

static void floats_become_the_nearest_bf16(void **state) {
    (void)state;
    static const uint32_t lower[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    static float from[COUNT];
    static uint16_t one[ROOM], eight[ROOM], run[COUNT];
    assert_int_equal(cpu_isa_open(), ADELE_OK);
    for (size_t k = 0; k < sizeof lower / sizeof lower[0]; k++) {
        for (uint32_t i = 0; i < COUNT; i++)
            from[i] = from_bits(i << 16 | lower[k]);
        store_values(one, from, COUNT, true);
        store_lanes(eight, from, COUNT, true);
        elementwise_narrow(run, from, COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            check_rounded("value_store", i << 16 | lower[k], one[i]);
            check_rounded("lanes_store", i << 16 | lower[k], eight[i]);
            check_rounded("elementwise_narrow", i << 16 | lower[k], run[i]);
        }
    }
}

static void reading_a_bf16_changes_no_bit(void **state) {
    (void)state;
    static uint16_t from[ROOM];
    static float want[COUNT], one[COUNT], eight[COUNT], run[COUNT];
    assert_int_equal(cpu_isa_open(), ADELE_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        from[i] = (uint16_t)i;
        want[i] = from_bits(i << 16);
    }
    load_values(from, one, COUNT, true);
    load_lanes(from, eight, COUNT, true);
    elementwise_widen(run, from, COUNT);
    assert_memory_equal(one, want, sizeof want);
    assert_memory_equal(eight, want, sizeof want);
    assert_memory_equal(run, want, sizeof want);
}

static void floats_stay_as_they_are(void **state) {
    (void)state;
    static float from[COUNT], to[COUNT];
    assert_int_equal(cpu_isa_open(), ADELE_OK);
    for (uint32_t i = 0; i < COUNT; i++)
        from[i] = from_bits(i * 65537U);
    void (*const kernels[])(void *to, const float *from, size_t n, bool is_bf16) = {store_values,
                                                                                    store_lanes};
    for (int i = 0; i < 2; i++) {
        memset(to, 0, sizeof to);
        kernels[i](to, from, COUNT, false);
        assert_memory_equal(to, from, sizeof from);
    }
    load_values(from, to, COUNT, false);
    assert_memory_equal(to, from, sizeof from);
    load_lanes(from, to, COUNT, false);
    assert_memory_equal(to, from, sizeof from);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_become_the_nearest_bf16),
        cmocka_unit_test(reading_a_bf16_changes_no_bit),
        cmocka_unit_test(floats_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
