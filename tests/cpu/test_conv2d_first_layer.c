// SPDX-License-Identifier: MIT
// The forward pass of a first layer, on the users' device: which shapes it serves, around the
// register tiles of its kernels (6 pixels; 12 and 4), and for any number of threads.
#include "cpu/conv2d_parts.h"
#include "cpu/isa.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/skip.h"
#include "support/sums.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// n, c_in, h, w, c_out, stride, pad, dilation. Output widths 1 to 29; one block of output channels
// of 8 or 16, an odd last one, pairs of them; more rows than a task has.
static const int cases[][8] = {
    {1, 1, 1, 1, 1, 1, 1, 1},    {2, 1, 9, 3, 8, 1, 1, 1},    {1, 2, 8, 4, 9, 1, 1, 1},
    {1, 3, 7, 5, 16, 1, 1, 1},   {1, 4, 6, 6, 17, 1, 1, 1},   {1, 1, 5, 11, 24, 1, 1, 1},
    {3, 3, 17, 12, 32, 1, 1, 1}, {1, 2, 16, 13, 33, 1, 1, 1}, {1, 1, 19, 15, 64, 1, 1, 1},
    {1, 3, 9, 16, 7, 1, 0, 1},   {1, 4, 8, 29, 40, 1, 2, 1},  {2, 3, 17, 27, 16, 2, 1, 1},
    {1, 1, 11, 40, 24, 3, 1, 1}, {1, 2, 20, 23, 16, 1, 4, 4}, {1, 3, 21, 19, 15, 2, 2, 3},
};

static struct adele_conv2d_desc desc_of(const int *row) {
    return (struct adele_conv2d_desc){.n = row[0],
                                      .c_in = row[1],
                                      .h_in = row[2],
                                      .w_in = row[3],
                                      .c_out = row[4],
                                      .kernel = 3,
                                      .stride = row[5],
                                      .pad = row[6],
                                      .dilation = row[7],
                                      .has_bias = true};
}

// The result of the device and, in *want, the reference's.
static float *run_forward(struct arena *arena, const struct adele_conv2d_desc *desc, float **want,
                          struct adele_shape *out) {
    const struct adele_device *device = arena->device;
    struct adele_shape in = {desc->n, desc->c_in, desc->h_in, desc->w_in};
    size_t n_weights = (size_t)desc->c_out * (size_t)desc->c_in * 9;
    *out = (struct adele_shape){
        desc->n, desc->c_out,
        adele_conv2d_extent(desc->h_in, 3, desc->stride, desc->pad, desc->dilation),
        adele_conv2d_extent(desc->w_in, 3, desc->stride, desc->pad, desc->dilation)};
    struct adele_conv2d_args host = {
        .src = arena_random(arena, 1, shape_count(in), -1.0, 1.0),
        .weight = arena_random(arena, 2, n_weights, -1.0, 1.0),
        .bias = desc->has_bias ? arena_random(arena, 3, (size_t)desc->c_out, -1.0, 1.0) : NULL,
        .dst = arena_random(arena, 4, shape_count(*out), -1.0, 1.0)};
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->conv2d_create(device, desc, &op), ADELE_OK);
    assert_true(((const struct conv2d *)op)->first_layer.is_used);
    struct adele_conv2d_args args = {
        .src = arena_tensor(arena, in, host.src),
        .weight = arena_upload(arena, host.weight, n_weights * sizeof(float)),
        .bias = desc->has_bias ? arena_upload(arena, host.bias, (size_t)desc->c_out * sizeof(float))
                               : NULL,
        .dst = arena_tensor(arena, *out, NULL),
        .workspace = arena_workspace(arena, op)};
    assert_int_equal(device->iface->conv2d_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    reference_conv2d_forward(desc, &host);
    *want = host.dst;
    return arena_tensor_download(arena, args.dst, *out);
}

static struct adele_device *open_device(enum adele_precision precision) {
    struct adele_device *device = NULL;
    assert_int_equal(adele_device_open("cpu", precision, &device), ADELE_OK);
    return device;
}

// With tensors of that precision.
static void check_accuracy(enum adele_precision precision) {
    struct adele_device *device = open_device(precision);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int variant = 0; variant < 3; variant++) {
            struct arena arena;
            struct adele_shape out;
            float *want = NULL;
            arena_open(&arena, device);
            struct adele_conv2d_desc desc = desc_of(cases[i]);
            desc.has_bias = variant != 1;
            desc.precision = variant == 2 ? ADELE_PRECISION_BF16 : ADELE_PRECISION_FP32;
            const float *got = run_forward(&arena, &desc, &want, &out);
            struct sums_error error = {.n_terms = 9.0 * desc.c_in,
                                       .relative = device_tolerance(device, SUMS_STORED)};
            assert_true(sums_agree("dst", got, want, out, &error));
            arena_close(&arena);
        }
    adele_device_close(device);
}

static void test_accuracy(void **state) {
    (void)state;
    check_accuracy(ADELE_PRECISION_FP32);
    check_accuracy(ADELE_PRECISION_BF16);
}

static void test_threads(void **state) {
    (void)state;
    int n_threads = omp_get_max_threads();
    for (size_t i = 6; i < sizeof cases / sizeof cases[0]; i++) {
        struct adele_conv2d_desc desc = desc_of(cases[i]);
        struct arena arenas[2];
        struct adele_shape out;
        float *results[2], *want;
        for (int run = 0; run < 2; run++) {
            omp_set_num_threads(1 + 2 * run);
            arena_open(&arenas[run], open_device(ADELE_PRECISION_FP32));
            results[run] = run_forward(&arenas[run], &desc, &want, &out);
        }
        omp_set_num_threads(n_threads);
        assert_true(compare_bytes("dst", results[1], results[0], shape_count(out) * sizeof(float)));
        for (int run = 0; run < 2; run++) {
            struct adele_device *device = arenas[run].device;
            arena_close(&arenas[run]);
            adele_device_close(device);
        }
    }
}

// From 5 channels on, and with other kernels than 3 x 3, other kernels are used.
static void test_choice(void **state) {
    (void)state;
    static const struct {
        int channels, kernel;
        bool is_first_layer;
    } rows[] = {{1, 3, true}, {4, 3, true}, {5, 3, false}, {1, 1, false}, {3, 5, false}};
    struct adele_device *device = open_device(ADELE_PRECISION_FP32);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct adele_conv2d_desc desc = desc_of(cases[8]);
        struct adele_op *op = NULL;
        desc.c_in = rows[i].channels;
        desc.kernel = rows[i].kernel;
        assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_OK);
        if (((const struct conv2d *)op)->first_layer.is_used != rows[i].is_first_layer)
            fail_msg("row %zu: %s", i, op->engine);
        device->iface->op_destroy(op);
    }
    adele_device_close(device);
}

int main(void) {
    struct adele_device *device = open_device(ADELE_PRECISION_FP32); // chooses the instruction set
    adele_device_close(device);
    if (cpu_isa() < CPU_ISA_AVX2)
        return skip_program("AVX2, and no ADELE_CPU_ISA below it");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
