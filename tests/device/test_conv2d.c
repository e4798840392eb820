// SPDX-License-Identifier: MIT
// Convolutions against the reference: every stride, pad and dilation that the networks use, in each
// precision. test_conv2d_kernels asks for the tuned kernels of GPUs by name;
// test_conv2d_weight_gradient has many pixels.
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "support/conv2d_problem.h"
#include "support/op_errors.h"
#include "support/train_step.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// n, c_in, h, w, c_out, kernel, stride, pad, dilation: extents 1, primes, one below, at and above
// the blocks of 8 and 16, and every stride, pad and dilation that the networks use.
static const int cases[][9] = {
    {1, 1, 1, 1, 1, 1, 1, 0, 1},       {1, 1, 1, 1, 1, 3, 1, 1, 1},
    {2, 1, 7, 5, 16, 3, 1, 1, 1},      {3, 1, 17, 16, 8, 3, 1, 1, 1},
    {1, 2, 6, 9, 15, 3, 1, 1, 1},      {1, 3, 11, 13, 8, 3, 1, 1, 1},
    {2, 3, 16, 31, 17, 3, 1, 1, 1},    {2, 16, 9, 9, 4, 1, 1, 0, 1},
    {1, 16, 8, 8, 21, 1, 1, 0, 1},     {2, 5, 7, 11, 7, 3, 2, 1, 1},
    {1, 8, 8, 8, 8, 3, 1, 1, 1},       {1, 9, 8, 9, 15, 3, 1, 1, 1},
    {1, 7, 16, 17, 9, 3, 1, 1, 1},     {1, 17, 7, 7, 17, 3, 1, 2, 2},
    {1, 2, 13, 13, 21, 3, 1, 4, 4},    {1, 15, 13, 11, 2, 3, 1, 12, 12},
    {1, 21, 6, 5, 3, 3, 2, 1, 1},      {2, 32, 16, 15, 16, 3, 1, 1, 1},
    {1, 8, 9, 9, 16, 1, 2, 0, 1},      {1, 8, 6, 6, 8, 3, 1, 0, 1},
    {2, 16, 1, 37, 24, 3, 1, 1, 1},    {1, 24, 37, 1, 40, 3, 1, 1, 1},
    {5, 16, 4, 4, 16, 3, 1, 1, 1},     {1, 48, 3, 2, 64, 3, 1, 1, 1},
    {1, 16, 23, 19, 32, 3, 1, 1, 1},   {2, 1, 12, 10, 16, 3, 2, 1, 1},
    {1, 16, 14, 15, 16, 3, 1, 12, 12}, {1, 8, 5, 7, 8, 5, 1, 2, 1},
    {1, 4, 9, 12, 1, 3, 1, 1, 1},      {2, 3, 5, 6, 33, 5, 2, 2, 1},
    {1, 2, 9, 8, 5, 7, 1, 3, 1},       {1, 9, 11, 10, 6, 3, 3, 1, 2},
    {1, 10, 17, 16, 5, 3, 7, 0, 1},    {1, 6, 5, 4, 7, 2, 2, 0, 1},
    {2, 17, 5, 3, 33, 3, 1, 12, 12},   {1, 40, 13, 11, 24, 3, 1, 24, 24},
    {2, 16, 9, 14, 16, 5, 1, 10, 6},   {1, 3, 15, 13, 9, 7, 2, 3, 1},
    {2, 9, 12, 11, 33, 7, 2, 3, 1},    {1, 2, 11, 12, 5, 9, 2, 4, 1},
};

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct adele_conv2d_desc desc = conv2d_desc_of(cases[i]);
        conv2d_check(device, desc, false);
        conv2d_check(device, desc, true);
        desc.has_bias = false;
        desc.needs_d_src = false;
        conv2d_check(device, desc, false);
    }
}

static void check_inference(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i += 3) {
        struct adele_conv2d_desc desc = conv2d_desc_of(cases[i]);
        desc.is_training = false;
        conv2d_check(device, desc, false);
    }
    struct adele_conv2d_desc desc = conv2d_desc_of(cases[0]);
    desc.is_training = false;
    struct adele_op *op = NULL;
    struct adele_conv2d_args args = {0};
    check_ok(device->iface->conv2d_create(device, &desc, &op));
    assert_int_equal(device->iface->conv2d_backward(op, &args), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
}

// The reference rounds its operands too, so the tolerance is that of fp32.
static void check_bf16(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i += 2) {
        struct adele_conv2d_desc desc = conv2d_desc_of(cases[i]);
        desc.precision = ADELE_PRECISION_BF16;
        conv2d_check(device, desc, i % 4 == 0);
    }
}

static void check_tf32(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i += 2) {
        struct adele_conv2d_desc desc = conv2d_desc_of(cases[i]);
        desc.precision = ADELE_PRECISION_TF32;
        conv2d_check(device, desc, i % 4 != 0);
    }
}

// The convolution is linear in each argument, so a large step costs no accuracy; what is left is
// the rounding of the outputs to float.
static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op_run run;
        // Each value of a bf16 tensor is rounded by 0.43 of 2^-8 of it in the root mean square, and
        // so is the sum, of its terms: nearly five times that.
        double of_tensors = device_is_bf16(device) ? 2.0 / 256.0 : 1e-4;
        conv2d_open(&run, device, conv2d_desc_of(cases[i]), false);
        op_check_gradients(&run, 0.5, of_tensors, 1e-4);
        op_close(&run);
    }
}

static void check_bad_descriptors(struct adele_device *device) {
    static const int bad[][9] = {
        {0, 1, 4, 4, 1, 3, 1, 1, 1},  {1, 0, 4, 4, 1, 3, 1, 1, 1}, {1, 1, 4, 4, 0, 3, 1, 1, 1},
        {1, 1, 4, 4, 1, 0, 1, 1, 1},  {1, 1, 4, 4, 1, 3, 0, 1, 1}, {1, 1, 4, 4, 1, 3, 1, -1, 1},
        {1, 1, 4, 4, 1, 3, 1, 1, 0},  {1, 1, 2, 8, 1, 3, 1, 0, 1}, {1, 1, 8, 8, 1, 3, 1, 0, 4},
        {1, 1, -4, 4, 1, 3, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct adele_conv2d_desc desc = conv2d_desc_of(bad[i]);
        op_check_refused(device, ADELE_OP_conv2d, &desc);
    }
    device->iface->op_destroy(NULL);
}

static void check_allocator(struct adele_device *device) {
    struct adele_conv2d_desc desc = conv2d_desc_of(cases[2]);
    op_check_allocations(device, ADELE_OP_conv2d, &desc);
}

// A run allocates nothing, and two ops, and the same op twice, give the same bits.
static void check_repeatable(struct adele_device *device) {
    struct op_run runs[2];
    for (int i = 0; i < 2; i++) {
        conv2d_open(&runs[i], device, conv2d_desc_of(cases[24]), false);
        memory_fail_at(-1);
        op_forward(&runs[i]);
        op_backward(&runs[i]);
        assert_int_equal(memory_count(), 0);
    }
    op_compare_bits(&runs[1], "dst", op_result(&runs[0], "dst"));
    op_compare_bits(&runs[1], "d_weight", op_result(&runs[0], "d_weight"));
    op_forward(&runs[1]);
    op_compare_bits(&runs[1], "dst", op_result(&runs[0], "dst"));
    for (int i = 0; i < 2; i++)
        op_close(&runs[i]);
}

// Our own kernels promise the same bits for any number of threads; oneDNN's weight gradient does
// not.
static void test_threads(void **state) {
    (void)state;
    if (!devices_are_cpu())
        return;
    static const int shapes[][9] = {{3, 1, 17, 16, 8, 3, 1, 1, 1},
                                    {2, 32, 16, 15, 24, 3, 1, 1, 1},
                                    {2, 17, 16, 15, 24, 1, 1, 0, 1}};
    int n_threads = omp_get_max_threads();
    for (size_t i = 0; i < 2 * sizeof shapes / sizeof shapes[0]; i++) {
        struct op_run runs[2];
        for (int k = 0; k < 2; k++) {
            struct adele_device *device = NULL;
            omp_set_num_threads(k == 0 ? 1 : 3);
            check_ok(cpu_device_create_with_block(8, i % 2 == 1, &device));
            conv2d_open(&runs[k], device, conv2d_desc_of(shapes[i / 2]), false);
            op_forward(&runs[k]);
            op_backward(&runs[k]);
            assert_non_null(strstr(runs[k].op->engine, "d_weight our"));
        }
        omp_set_num_threads(n_threads);
        op_compare_bits(&runs[1], "dst", op_result(&runs[0], "dst"));
        op_compare_bits(&runs[1], "d_weight", op_result(&runs[0], "d_weight"));
        for (int k = 0; k < 2; k++) {
            struct adele_device *device = runs[k].arena.device;
            op_close(&runs[k]);
            adele_device_close(device);
        }
    }
}

// The users' device, whose convolutions may be Winograd's: around its tile of 4 pixels and its
// block of 16 channels.
static void test_winograd(void **state) {
    (void)state;
    static const int shapes[][4] = {{1, 8, 8, 1},    {16, 9, 11, 16},  {17, 12, 13, 31},
                                    {32, 16, 8, 33}, {33, 23, 24, 16}, {128, 17, 31, 64}};
    struct adele_device *device = NULL;
    check_ok(adele_device_open("cpu", ADELE_PRECISION_FP32, &device));
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int *s = shapes[i];
        struct adele_conv2d_desc desc = {.n = 2,
                                         .c_in = s[0],
                                         .h_in = s[1],
                                         .w_in = s[2],
                                         .c_out = s[3],
                                         .kernel = 3,
                                         .stride = 1,
                                         .pad = 1,
                                         .dilation = 1,
                                         .has_bias = i % 2 == 0,
                                         .needs_d_src = true,
                                         .is_training = true};
        conv2d_check(device, desc, i % 3 == 0);
    }
    adele_device_close(device);
}

// bf16 products are the processor's own where it has them, and float ones of rounded values where
// not.
static void test_bf16_products(void **state) {
    (void)state;
    struct adele_conv2d_desc desc = {.n = 1,
                                     .c_in = 32,
                                     .h_in = 8,
                                     .w_in = 8,
                                     .c_out = 32,
                                     .kernel = 3,
                                     .stride = 1,
                                     .pad = 1,
                                     .dilation = 1,
                                     .needs_d_src = true,
                                     .is_training = true,
                                     .precision = ADELE_PRECISION_BF16};
    struct adele_device *device = NULL;
    struct adele_op *op = NULL;
    check_ok(cpu_device_create_with_block(16, false, &device));
    check_ok(device->iface->conv2d_create(device, &desc, &op));
    bool has_products = cpu_isa() == CPU_ISA_AVX512_BF16;
    assert_true((strstr(op->engine, "avx512_core_bf16") != NULL) == has_products);
    device->iface->op_destroy(op);
    adele_device_close(device);
}

ON_EACH_ENGINE(shapes)
ON_EACH_DEVICE(inference)
ON_EACH_ENGINE(bf16)
ON_EACH_ENGINE(tf32)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(bad_descriptors)
ON_EACH_DEVICE(allocator)
ON_EACH_ENGINE(repeatable)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),    cmocka_unit_test(test_inference),
        cmocka_unit_test(test_bf16),      cmocka_unit_test(test_bf16_products),
        cmocka_unit_test(test_winograd),  cmocka_unit_test(test_tf32),
        cmocka_unit_test(test_gradient),  cmocka_unit_test(test_bad_descriptors),
        cmocka_unit_test(test_allocator), cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
