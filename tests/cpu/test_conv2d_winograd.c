// SPDX-License-Identifier: MIT
// Our own Winograd convolution, on its own: where oneDNN has one, the device uses that.
#include "cpu/conv2d_parts.h"
#include "cpu/isa.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/skip.h"
#include "support/sums.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// An op of the users' device with tensors of that precision, which multiplies floats, and a pass of
// it that runs by our own kernels.
struct fixture {
    struct arena arena;
    struct adele_device *device;
    struct adele_op *op;
    struct conv2d_pass pass;
    struct adele_shape in, out;
    struct adele_conv2d_args host; // plain arrays, whose results are the reference's
};

static bool fixture_open(struct fixture *f, const int *row, enum conv2d_direction direction,
                         enum adele_precision precision) {
    struct adele_conv2d_desc desc = {.n = row[0],
                                     .c_in = row[1],
                                     .h_in = row[2],
                                     .w_in = row[3],
                                     .c_out = row[4],
                                     .kernel = 3,
                                     .stride = 1,
                                     .pad = row[5],
                                     .dilation = 1,
                                     .has_bias = true,
                                     .needs_d_src = true,
                                     .is_training = true};
    memset(f, 0, sizeof *f);
    assert_int_equal(adele_device_open("cpu", precision, &f->device), ADELE_OK);
    arena_open(&f->arena, f->device);
    assert_int_equal(f->device->iface->conv2d_create(f->device, &desc, &f->op), ADELE_OK);
    const struct conv2d *self = (const struct conv2d *)f->op;
    f->pass.direction = direction;
    f->in = (struct adele_shape){desc.n, desc.c_in, desc.h_in, desc.w_in};
    f->out = (struct adele_shape){desc.n, desc.c_out, self->h_out, self->w_out};
    size_t n_weights = (size_t)desc.c_out * (size_t)desc.c_in * 9;
    size_t n_in = shape_count(f->in), n_out = shape_count(f->out);
    f->host = (struct adele_conv2d_args){
        .src = arena_random(&f->arena, 1, n_in, -1.0, 1.0),
        .weight = arena_random(&f->arena, 2, n_weights, -1.0, 1.0),
        .bias = arena_random(&f->arena, 3, (size_t)desc.c_out, -1.0, 1.0),
        .dst = arena_random(&f->arena, 4, n_out, -1.0, 1.0),
        .d_dst = arena_random(&f->arena, 5, n_out, -1.0, 1.0),
        .d_src = arena_random(&f->arena, 6, n_in, -1.0, 1.0),
        .d_weight = arena_random(&f->arena, 7, n_weights, -1.0, 1.0),
        .d_bias = arena_random(&f->arena, 8, (size_t)desc.c_out, -1.0, 1.0),
    };
    return conv2d_winograd_plan(self, &f->pass);
}

static void fixture_close(struct fixture *f) {
    f->device->iface->op_destroy(f->op);
    arena_close(&f->arena);
    adele_device_close(f->device);
}

// The pass, from the plain arrays of the fixture to one that it returns. `adds`: to d_src.
static float *run_pass(struct fixture *f, bool adds) {
    const struct conv2d *self = (const struct conv2d *)f->op;
    bool is_back = f->pass.direction == CONV2D_BACKWARD_DATA;
    float *bias = calloc((size_t)f->out.c + 16, sizeof *bias); // zeros for the last block
    assert_non_null(bias);
    memcpy(bias, f->host.bias, (size_t)f->out.c * sizeof(float));
    void *src = is_back ? arena_tensor(&f->arena, f->in, adds ? f->host.d_src : NULL)
                        : arena_tensor(&f->arena, f->in, f->host.src);
    void *dst = is_back ? arena_tensor(&f->arena, f->out, f->host.d_dst)
                        : arena_tensor(&f->arena, f->out, NULL);
    float *weights = malloc(f->pass.weights_bytes), *scratchpad = malloc(f->pass.scratchpad_bytes);
    assert_non_null(weights);
    assert_non_null(scratchpad);
    conv2d_winograd_pack(self, &f->pass, f->host.weight, weights);
    struct conv2d_pointers pointers = {src, weights, bias, dst, scratchpad, adds};
    conv2d_winograd_run(self, &f->pass, &pointers);
    free(bias);
    free(weights);
    free(scratchpad);
    return is_back ? arena_tensor_download(&f->arena, src, f->in)
                   : arena_tensor_download(&f->arena, dst, f->out);
}

// n, c_in, h, w, c_out, pad: one channel, blocks and pairs of blocks that are full or not, extents
// around the tile of 4 pixels, every padding, and more input channels than are added up at once.
static const int cases[][6] = {
    {1, 1, 8, 8, 1, 1},    {2, 16, 9, 11, 16, 1},  {1, 17, 12, 13, 31, 0},
    {3, 32, 15, 8, 33, 2}, {1, 40, 23, 24, 16, 1}, {2, 128, 17, 31, 64, 1},
    {1, 8, 10, 10, 24, 2}, {1, 264, 12, 12, 8, 1}, {1, 9, 12, 12, 24, 0},
};

static void check_accuracy(enum adele_precision precision) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int is_back = 0; is_back < 2; is_back++) {
            struct fixture f;
            if (!fixture_open(&f, cases[i], is_back ? CONV2D_BACKWARD_DATA : CONV2D_FORWARD,
                              precision))
                fail_msg("case %zu is not Winograd's", i);
            bool adds = is_back && i % 2 == 0;
            const float *got = run_pass(&f, adds);
            f.host.accumulate_d_src = adds;
            const struct adele_conv2d_desc *desc = &((const struct conv2d *)f.op)->desc;
            if (is_back)
                reference_conv2d_backward(desc, &f.host);
            else
                reference_conv2d_forward(desc, &f.host);
            struct sums_error error = {.n_terms = 9.0 * (is_back ? desc->c_out : desc->c_in),
                                       .factor = SUMS_OWN_WINOGRAD,
                                       .relative = device_tolerance(f.device, SUMS_STORED)};
            assert_true(sums_agree(is_back ? "d_src" : "dst", got,
                                   is_back ? f.host.d_src : f.host.dst, is_back ? f.in : f.out,
                                   &error));
            fixture_close(&f);
        }
}

static void test_accuracy(void **state) {
    (void)state;
    check_accuracy(ADELE_PRECISION_FP32);
    check_accuracy(ADELE_PRECISION_BF16);
}

// The bits depend neither on the number of threads nor on the blocks of tiles that each of them
// takes, which are cut anew: there are 45 tiles, and 24 of d_src, for 1, 3 and 5 threads.
static void test_threads(void **state) {
    (void)state;
    int n_threads = omp_get_max_threads();
    for (int is_back = 0; is_back < 2; is_back++) {
        float *results[3] = {0};
        struct fixture fixtures[3];
        for (int run = 0; run < 3; run++) {
            omp_set_num_threads(1 + 2 * run);
            assert_true(fixture_open(&fixtures[run], cases[3],
                                     is_back ? CONV2D_BACKWARD_DATA : CONV2D_FORWARD,
                                     ADELE_PRECISION_FP32));
            results[run] = run_pass(&fixtures[run], false);
        }
        omp_set_num_threads(n_threads);
        assert_int_not_equal(fixtures[0].pass.winograd.n_block, fixtures[2].pass.winograd.n_block);
        size_t bytes = shape_count(is_back ? fixtures[0].in : fixtures[0].out) * sizeof(float);
        for (int run = 1; run < 3; run++)
            assert_true(compare_bytes("result", results[run], results[0], bytes));
        for (int run = 0; run < 3; run++)
            fixture_close(&fixtures[run]);
    }
}

// ---- the weight gradient ------------------------------------------------------------------------

// n, c_in, h, w, c_out, pad: as above; fewer tiles than a block of them, several blocks, and more
// tiles than are added up at once. The last two have less memory in their points than in sums.
static const int gradient_cases[][6] = {
    {1, 9, 8, 8, 1, 1},    {2, 16, 9, 11, 16, 1},   {1, 17, 12, 13, 31, 0},
    {3, 32, 15, 8, 33, 2}, {5, 40, 23, 24, 16, 1},  {1, 72, 70, 41, 24, 1},
    {2, 16, 64, 95, 8, 0}, {1, 264, 12, 12, 24, 1}, {1, 72, 12, 12, 200, 1},
};

// The op's weight gradient, added to the fixture's d_weight; the op may have been created for
// another number of threads than run now.
static float *run_gradient(struct fixture *f) {
    const struct conv2d *self = (const struct conv2d *)f->op;
    size_t n_weights = (size_t)f->out.c * (size_t)f->in.c * 9;
    assert_non_null(self->weight_gradient.winograd);
    struct adele_conv2d_args args = {
        .src = arena_tensor(&f->arena, f->in, f->host.src),
        .d_dst = arena_tensor(&f->arena, f->out, f->host.d_dst),
        .weight = arena_upload(&f->arena, f->host.weight, n_weights * sizeof(float)),
        .d_weight = arena_upload(&f->arena, f->host.d_weight, n_weights * sizeof(float)),
        .d_bias = arena_upload(&f->arena, f->host.d_bias, (size_t)f->out.c * sizeof(float)),
        .workspace = arena_workspace(&f->arena, f->op),
    };
    assert_int_equal(f->device->iface->conv2d_backward(f->op, &args), ADELE_OK);
    return arena_download(&f->arena, args.d_weight, n_weights);
}

// Fewer terms are added up at each point than in the direct sum, but their errors are multiplied.
static void check_gradient(enum adele_precision precision) {
    for (size_t i = 0; i < sizeof gradient_cases / sizeof gradient_cases[0]; i++) {
        struct fixture f;
        (void)fixture_open(&f, gradient_cases[i], CONV2D_FORWARD, precision);
        const float *got = run_gradient(&f);
        f.host.d_src = NULL;
        reference_conv2d_backward(&((const struct conv2d *)f.op)->desc, &f.host);
        struct sums_error error = {.n_terms = (double)f.out.n * f.out.h * f.out.w,
                                   .factor = SUMS_WINOGRAD_GRADIENT,
                                   .relative = SUMS_STORED};
        struct adele_shape weight = {f.out.c, f.in.c, 3, 3};
        assert_true(sums_agree("d_weight", got, f.host.d_weight, weight, &error));
        fixture_close(&f);
    }
}

static void test_gradient(void **state) {
    (void)state;
    check_gradient(ADELE_PRECISION_FP32);
    check_gradient(ADELE_PRECISION_BF16);
}

// Whether threads share the points or parts of the channels, which may depend on their number.
static void test_gradient_threads(void **state) {
    (void)state;
    int n_threads = omp_get_max_threads(), n_whole = 0, n_runs = 0;
    for (size_t i = 4; i < sizeof gradient_cases / sizeof gradient_cases[0]; i++) {
        struct fixture fixtures[2];
        float *results[2];
        for (int run = 0; run < 2; run++) {
            omp_set_num_threads(1 + 2 * run);
            (void)fixture_open(&fixtures[run], gradient_cases[i], CONV2D_FORWARD,
                               ADELE_PRECISION_FP32);
            results[run] = run_gradient(&fixtures[run]);
            n_whole += ((const struct conv2d *)fixtures[run].op)->weight_gradient.is_whole;
            n_runs++;
        }
        omp_set_num_threads(n_threads);
        size_t bytes = (size_t)fixtures[0].out.c * (size_t)fixtures[0].in.c * 9 * sizeof(float);
        assert_true(compare_bytes("d_weight", results[1], results[0], bytes));
        for (int run = 0; run < 2; run++)
            fixture_close(&fixtures[run]);
    }
    assert_true(n_whole > 0 && n_whole < n_runs);
}

// ---- NaN, choice --------------------------------------------------------------------------------

// A NaN in one pixel reaches every output that reads the pixel, and no tile that does not read it.
// There are no padding channels of dst, which it would reach as well.
static void check_nan(enum adele_precision precision) {
    static const int row[] = {1, 8, 16, 16, 16, 1};
    static const int at = 7; // read by the outputs 6 to 8, which lie in the tiles of 4 to 11
    struct fixture f;
    assert_true(fixture_open(&f, row, CONV2D_FORWARD, precision));
    const float *clean = run_pass(&f, false);
    ((float *)(uintptr_t)f.host.src)[at * 16 + at] = NAN;
    const float *got = run_pass(&f, false);
    for (int c = 0; c < 16; c++)
        for (int y = 0; y < 16; y++)
            for (int x = 0; x < 16; x++) {
                size_t i = (size_t)((c * 16 + y) * 16 + x);
                if (abs(y - at) <= 1 && abs(x - at) <= 1)
                    assert_true(isnan(got[i]));
                else if (y < 4 || y >= 12 || x < 4 || x >= 12)
                    assert_true(got[i] == clean[i]);
            }
    fixture_close(&f);
}

static void test_nan(void **state) {
    (void)state;
    check_nan(ADELE_PRECISION_FP32);
    check_nan(ADELE_PRECISION_BF16);
}

// Shapes that other kernels serve: other kernels than 3 x 3, strides, dilations, small maps.
static void test_choice(void **state) {
    (void)state;
    static const struct {
        int extent, channels, kernel, stride, dilation;
        enum adele_precision precision;
        bool is_winograd;
    } rows[] = {
        {8, 64, 3, 1, 1, ADELE_PRECISION_FP32, true},
        {7, 64, 3, 1, 1, ADELE_PRECISION_FP32, false},
        {8, 136, 3, 1, 1, ADELE_PRECISION_FP32, false}, // 4 tiles for many weights
        {12, 136, 3, 1, 1, ADELE_PRECISION_FP32, true},
        {16, 16, 1, 1, 1, ADELE_PRECISION_FP32, false},
        {16, 16, 5, 1, 1, ADELE_PRECISION_FP32, false},
        {16, 16, 3, 2, 1, ADELE_PRECISION_FP32, false},
        {16, 16, 3, 1, 2, ADELE_PRECISION_FP32, false},
        {16, 16, 3, 1, 1, ADELE_PRECISION_BF16, true},
        {7, 64, 3, 1, 1, ADELE_PRECISION_BF16, false},
    };
    struct adele_device *users = NULL, *direct = NULL;
    assert_int_equal(adele_device_open("cpu", ADELE_PRECISION_FP32, &users), ADELE_OK);
    assert_int_equal(adele_device_open("cpu/direct", ADELE_PRECISION_FP32, &direct), ADELE_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int is_direct = 0; is_direct < 2; is_direct++) {
            struct adele_device *device = is_direct ? direct : users;
            struct adele_conv2d_desc desc = {.n = 1,
                                             .c_in = rows[i].channels,
                                             .h_in = rows[i].extent,
                                             .w_in = rows[i].extent,
                                             .c_out = rows[i].channels,
                                             .kernel = rows[i].kernel,
                                             .stride = rows[i].stride,
                                             .pad = rows[i].kernel / 2,
                                             .dilation = rows[i].dilation,
                                             .precision = rows[i].precision};
            struct adele_op *op = NULL;
            struct conv2d_pass pass = {.direction = CONV2D_FORWARD};
            assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_OK);
            bool is_planned = conv2d_winograd_plan((const struct conv2d *)op, &pass);
            if (is_planned != (rows[i].is_winograd && !is_direct))
                fail_msg("row %zu%s: %s", i, is_direct ? ", direct" : "", op->engine);
            assert_true(!is_planned || strstr(op->engine, "wino") != NULL);
            device->iface->op_destroy(op);
        }
    adele_device_close(users);
    adele_device_close(direct);
}

int main(void) {
    struct adele_device *device = NULL;
    if (adele_device_open("cpu", ADELE_PRECISION_FP32, &device) != ADELE_OK)
        return 1;
    adele_device_close(device);
    if (cpu_isa() < CPU_ISA_AVX2)
        return skip_program("AVX2, and no ADELE_CPU_ISA below it");

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_gradient), cmocka_unit_test(test_gradient_threads),
        cmocka_unit_test(test_nan),      cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
