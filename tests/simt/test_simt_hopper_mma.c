// SPDX-License-Identifier: MIT
// Tests of the emulator: wgmma beside the published sums, for each layout of its operands in shared
// memory; stmatrix; registers of warpgroups; and each rule broken once.
#include "planted_hopper.h"
#include "reference/tensor_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { K = 64, MOST_N = 256 };

static float a_values[64 * K], b_values[K * MOST_N]; // (64, K), (K, n)
static uint16_t a_bits[64 * K], b_bits[K * MOST_N];  // as they lie in memory
static float out[64 * MOST_N];

static uint16_t draw(uint32_t *seed, float *value) {
    *seed = *seed * 1664525u + 1013904223u;
    uint32_t bits = (*seed >> 31) << 31 | (118 + *seed % 17) << 23 | (*seed >> 12 & 0x7fu) << 16;
    memcpy(value, &bits, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static void draw_matrices(const struct planted_product *shape) {
    uint32_t seed = 7;
    for (int row = 0; row < 64; row++)
        for (int k = 0; k < K; k++)
            a_bits[shape->is_mn_major_a ? k * 64 + row : row * K + k] =
                draw(&seed, &a_values[row * K + k]);
    for (int k = 0; k < K; k++)
        for (int column = 0; column < shape->n; column++)
            b_bits[shape->is_mn_major_b ? k * shape->n + column : column * K + k] =
                draw(&seed, &b_values[k * shape->n + column]);
}

static float expected_at(const struct planted_product *shape, int row, int column) {
    float sum = 0.0f;
    for (int k = 0; k < K; k += 16)
        sum =
            reference_tensor_core_sum(sum, a_values + row * K + k, 1,
                                      b_values + k * shape->n + column, shape->n, 16, false, true);
    return sum;
}

// True when the result is right in every element.
static bool run(const struct planted_product *shape, enum planted_product_fault fault,
                const char **failure) {
    draw_matrices(shape);
    memset(out, 0, sizeof out);
    *failure = planted_product(shape, a_bits, b_bits, fault, out);
    if (fault == PLANTED_PRODUCT_STORED_FENCED)
        memset(a_values + 8 * K, 0, K * sizeof *a_values);
    bool is_right = *failure == NULL;
    for (int row = 0; row < 64 && is_right; row++)
        for (int column = 0; column < shape->n; column++)
            is_right = is_right && out[row * shape->n + column] == expected_at(shape, row, column);
    return is_right;
}

static void products_have_the_published_bits(void **state) {
    (void)state;
    static const struct planted_product shapes[] = {
        {64, false, false, 128, 128}, {64, true, true, 128, 128}, {64, true, false, 64, 64},
        {64, false, true, 64, 64},    {64, false, true, 32, 32},  {64, true, false, 32, 32},
        {64, false, true, 0, 0},      {64, true, false, 0, 0},    {128, false, false, 128, 64},
        {128, true, true, 0, 128},    {256, false, false, 32, 0}, {256, true, true, 64, 128},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const char *failure;
        if (!run(&shapes[i], PLANTED_PRODUCT_RIGHT, &failure))
            fail_msg("shape %d: %s", (int)i, failure != NULL ? failure : "wrong result");
    }
}

static const struct planted_product usual = {64, false, false, 128, 128};

static void fenced_stores_are_multiplied(void **state) {
    (void)state;
    const char *failure;
    if (!run(&usual, PLANTED_PRODUCT_STORED_FENCED, &failure))
        fail_msg("%s", failure != NULL ? failure : "wrong result");
}

// NULL: the result is wrong, and nothing is reported.
static const char *const texts[PLANTED_PRODUCT_FAULT_COUNT] = {
    [PLANTED_PRODUCT_STORED] = "where ordinary stores wrote with no fence_proxy_async",
    [PLANTED_PRODUCT_NO_BARRIER] = "that a tensor copy to byte",
    [PLANTED_PRODUCT_NO_FENCE] = "no wgmma_fence after its accumulators were written",
    [PLANTED_PRODUCT_NO_COMMIT] = "the thread ends while a wgmma of planted_hopper_mma.cu",
    [PLANTED_PRODUCT_NO_WAIT] = "the thread ends while a wgmma of planted_hopper_mma.cu",
    [PLANTED_PRODUCT_OVERWRITTEN] = "that reads it was in flight",
    [PLANTED_PRODUCT_TOUCHED] = "accumulators of a wgmma were written before wgmma_wait",
    [PLANTED_PRODUCT_CHANGED] = "its accumulators were written since the last wgmma_fence",
    [PLANTED_PRODUCT_CHANGED_LATE] = "its accumulators were written since the last wgmma_fence",
    [PLANTED_PRODUCT_DIVERGENT] = "must execute one instruction together",
    [PLANTED_PRODUCT_ENDED] = "96 of 128 threads at planted_hopper_mma.cu",
    [PLANTED_PRODUCT_HALF] = "a block of 64 threads, which is no multiple of 128",
    [PLANTED_PRODUCT_OUTSIDE] = "which is no shared memory of this block",
};

static void check_fault(const struct planted_product *shape, enum planted_product_fault fault) {
    const char *failure, *text = texts[fault];
    if (run(shape, fault, &failure))
        fail_msg("fault %d went unnoticed", (int)fault);
    if ((text == NULL) != (failure == NULL) || (text != NULL && strstr(failure, text) == NULL))
        fail_msg("fault %d: no \"%s\" in \"%s\"", (int)fault, text != NULL ? text : "(nothing)",
                 failure != NULL ? failure : "(nothing)");
}

static void faults_of_products_are_found(void **state) {
    (void)state;
    static const struct planted_product transposed = {64, true, true, 64, 64};
    for (int fault = PLANTED_PRODUCT_STORED; fault < PLANTED_PRODUCT_FAULT_COUNT; fault++)
        check_fault(fault == PLANTED_PRODUCT_LEADING ? &transposed : &usual,
                    (enum planted_product_fault)fault);
}

static void matrices_are_stored(void **state) {
    (void)state;
    uint16_t stored[256];
    const char *failure = planted_stmatrix(stored);
    if (failure != NULL)
        fail_msg("%s", failure);
    for (int i = 0; i < 256; i++)
        assert_int_equal(stored[i], i);
}

static void registers_are_counted(void **state) {
    (void)state;
    static const char *const messages[] = {
        NULL, "set_max_registers_increase<232>: the other warpgroups have not left so many",
        "set_max_registers_decrease<240> at planted_hopper_mma.cu", "deadlock in kernel"};
    const char *failure = planted_registers(PLANTED_REGISTERS_RIGHT);
    if (failure != NULL)
        fail_msg("%s", failure);
    for (int fault = PLANTED_REGISTERS_TOO_MANY; fault <= PLANTED_REGISTERS_PARTLY; fault++) {
        failure = planted_registers((enum planted_registers_fault)fault);
        if (failure == NULL || strstr(failure, messages[fault]) == NULL)
            fail_msg("fault %d: \"%s\"", fault, failure != NULL ? failure : "(nothing)");
    }
}

static int use_hopper(void **state) {
    (void)state;
    return setenv("SIMT_DEVICE", "hopper", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_have_the_published_bits),
        cmocka_unit_test(fenced_stores_are_multiplied),
        cmocka_unit_test(faults_of_products_are_found),
        cmocka_unit_test(matrices_are_stored),
        cmocka_unit_test(registers_are_counted),
    };
    return cmocka_run_group_tests(tests, use_hopper, NULL);
}
