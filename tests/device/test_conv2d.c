// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "device/families.h"
#include "reference/reference.h"
#include "runtime/cuda_device.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/gradient.h"
#include "support/sums.h"
#include "support/tensor_core_tolerance.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_ok(adele_status status) {
    if (status != ADELE_OK)
        fail_msg("status %d: %s", (int)status, adele_error_message());
}

// One convolution in plain host arrays: inputs, upstream gradient, and what gradients start from.
struct problem {
    struct adele_conv2d_desc desc;
    struct adele_shape in, out;
    size_t n_weights;
    float *src, *weight, *bias, *d_dst, *d_src, *d_weight, *d_bias, *dst;
};

// To the nearest float with 10 bits of mantissa, ties away from zero.
static void round_to_tf32(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits = (bits + 0x1000u) & 0xffffe000u;
        memcpy(&values[i], &bits, sizeof bits);
    }
}

// For TF32 the operands are rounded here already: a device that multiplies in TF32 and one that
// multiplies in float then agree with the reference to float accuracy.
static struct problem make_problem(struct arena *arena, struct adele_conv2d_desc desc) {
    struct problem p = {.desc = desc};
    p.in = (struct adele_shape){desc.n, desc.c_in, desc.h_in, desc.w_in};
    p.out = (struct adele_shape){
        desc.n, desc.c_out,
        adele_conv2d_extent(desc.h_in, desc.kernel, desc.stride, desc.pad, desc.dilation),
        adele_conv2d_extent(desc.w_in, desc.kernel, desc.stride, desc.pad, desc.dilation)};
    p.n_weights =
        (size_t)desc.c_out * (size_t)desc.c_in * (size_t)desc.kernel * (size_t)desc.kernel;
    p.src = arena_random(arena, 1, shape_count(p.in), -1.0, 1.0);
    p.weight = arena_random(arena, 2, p.n_weights, -1.0, 1.0);
    p.bias = arena_random(arena, 3, (size_t)desc.c_out, -1.0, 1.0);
    p.d_dst = arena_random(arena, 4, shape_count(p.out), -1.0, 1.0);
    p.d_src = arena_random(arena, 5, shape_count(p.in), -1.0, 1.0);
    p.d_weight = arena_random(arena, 6, p.n_weights, -1.0, 1.0);
    p.d_bias = arena_random(arena, 7, (size_t)desc.c_out, -1.0, 1.0);
    p.dst = arena_floats(arena, shape_count(p.out));
    if (desc.precision == ADELE_PRECISION_TF32) {
        round_to_tf32(p.src, shape_count(p.in));
        round_to_tf32(p.weight, p.n_weights);
        round_to_tf32(p.d_dst, shape_count(p.out));
    }
    return p;
}

static struct adele_conv2d_args host_args(const struct problem *p, bool accumulate) {
    struct adele_conv2d_args args = {.src = p->src,
                                     .weight = p->weight,
                                     .bias = p->desc.has_bias ? p->bias : NULL,
                                     .dst = p->dst,
                                     .d_dst = p->d_dst,
                                     .d_src = p->desc.needs_d_src ? p->d_src : NULL,
                                     .accumulate_d_src = accumulate,
                                     .d_weight = p->d_weight,
                                     .d_bias = p->desc.has_bias ? p->d_bias : NULL};
    return args;
}

static struct adele_conv2d_args device_args(struct arena *arena, const struct problem *p,
                                            const struct adele_op *op, bool accumulate) {
    size_t n_bias = (size_t)p->desc.c_out * sizeof(float);
    struct adele_conv2d_args args = host_args(p, accumulate);
    args.src = arena_tensor(arena, p->in, p->src);
    args.weight = arena_upload(arena, p->weight, p->n_weights * sizeof(float));
    if (p->desc.has_bias) {
        args.bias = arena_upload(arena, p->bias, n_bias);
        args.d_bias = arena_upload(arena, p->d_bias, n_bias);
    }
    args.dst = arena_tensor(arena, p->out, NULL);
    args.d_dst = arena_tensor(arena, p->out, p->d_dst);
    // Without accumulation d_src starts as NaN, so that an element left unwritten shows.
    if (p->desc.needs_d_src)
        args.d_src = arena_tensor(arena, p->in, accumulate ? p->d_src : NULL);
    args.d_weight = arena_upload(arena, p->d_weight, p->n_weights * sizeof(float));
    args.workspace = arena_workspace(arena, op);
    return args;
}

// Of a pass's sums over the taps, each a run of channels; winograd's round more. What is stored is
// rounded to float once, which the relative part covers, or to bf16.
static struct sums_error pass_error(const struct arena *arena, const struct problem *p,
                                    const struct adele_op *op, int channels) {
    const struct adele_device *device = arena->device;
    enum adele_precision precision = p->desc.precision;
    double n_terms = (double)p->desc.kernel * p->desc.kernel * channels;
    struct sums_error error = {
        .n_terms = n_terms,
        .factor = strstr(op->engine, "wino") != NULL ? SUMS_WINOGRAD : 1.0,
        .random = hypot(tensor_core_rms_on(device, precision, n_terms, channels),
                        device_library_rounding(device, op, precision, n_terms)),
        .relative = device_tolerance(arena->device, SUMS_STORED),
    };
    return error;
}

static void compare_backward(struct arena *arena, const struct problem *p,
                             const struct adele_op *op, const struct adele_conv2d_args *args) {
    int kernel = p->desc.kernel;
    struct sums_error of_src = pass_error(arena, p, op, p->desc.c_out);
    if (p->desc.needs_d_src)
        assert_true(sums_agree("d_src", arena_tensor_download(arena, args->d_src, p->in), p->d_src,
                               p->in, &of_src));
    double n_pixels = (double)p->out.n * p->out.h * p->out.w;
    struct sums_error of_bias = {.n_terms = n_pixels, .relative = SUMS_STORED};
    struct sums_error of_weight = of_bias;
    const char *engine = strstr(op->engine, "d_weight");
    if (strstr(engine != NULL ? engine : op->engine, "wino") != NULL)
        of_weight.factor = SUMS_WINOGRAD_GRADIENT;
    of_weight.random =
        hypot(tensor_core_rms_on(arena->device, p->desc.precision, n_pixels, n_pixels),
              device_library_rounding(arena->device, op, p->desc.precision, n_pixels));
    struct adele_shape weight = {p->desc.c_out, p->desc.c_in, kernel, kernel};
    struct adele_shape bias = {1, p->desc.c_out, 1, 1};
    assert_true(sums_agree("d_weight", arena_download(arena, args->d_weight, p->n_weights),
                           p->d_weight, weight, &of_weight));
    if (p->desc.has_bias)
        assert_true(sums_agree("d_bias", arena_download(arena, args->d_bias, (size_t)p->desc.c_out),
                               p->d_bias, bias, &of_bias));
}

static void check(struct adele_device *device, struct adele_conv2d_desc desc, bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_ok(device->iface->conv2d_create(device, &desc, &op));
    assert_int_equal(op->kind, ADELE_OP_conv2d);
    assert_non_null(op->engine);
    if (device_leaves_op(device, op)) {
        device->iface->op_destroy(op);
        arena_close(&arena);
        return;
    }
    struct adele_conv2d_args args = device_args(&arena, &p, op, accumulate);
    struct adele_conv2d_args host = host_args(&p, accumulate);

    assert_ok(device->iface->conv2d_forward(op, &args));
    reference_conv2d_forward(&desc, &host);
    struct sums_error error = pass_error(&arena, &p, op, desc.c_in);
    assert_true(
        sums_agree("dst", arena_tensor_download(&arena, args.dst, p.out), p.dst, p.out, &error));
    if (desc.is_training) {
        assert_ok(device->iface->conv2d_backward(op, &args));
        reference_conv2d_backward(&desc, &host);
        compare_backward(&arena, &p, op, &args);
    }
    device->iface->op_destroy(op);
    arena_close(&arena);
}

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

// For the tiled kernels of the GPU, of 64 and 128 pixels and of 32, 64 and 128 channels: one below,
// at and above these, sums of fewer and of more steps than are under way at a time, tiles whose
// pixels differ in their live taps.
static const int tile_cases[][9] = {
    {1, 9, 9, 7, 31, 3, 1, 1, 1},    {1, 16, 8, 8, 64, 3, 1, 1, 1},
    {1, 33, 5, 13, 65, 1, 1, 0, 1},  {1, 8, 1, 127, 32, 3, 1, 1, 1},
    {2, 24, 8, 8, 63, 1, 1, 0, 1},   {1, 40, 3, 43, 33, 3, 1, 1, 1},
    {1, 64, 9, 9, 129, 1, 1, 0, 1},  {1, 31, 16, 9, 127, 1, 1, 0, 1},
    {2, 12, 13, 14, 40, 3, 1, 6, 6}, {1, 65, 17, 16, 34, 3, 2, 1, 1},
    {3, 128, 2, 3, 128, 3, 1, 2, 2},
};

static struct adele_conv2d_desc desc_of(const int *row) {
    struct adele_conv2d_desc desc = {.n = row[0],
                                     .c_in = row[1],
                                     .h_in = row[2],
                                     .w_in = row[3],
                                     .c_out = row[4],
                                     .kernel = row[5],
                                     .stride = row[6],
                                     .pad = row[7],
                                     .dilation = row[8],
                                     .has_bias = true,
                                     .needs_d_src = true,
                                     .is_training = true,
                                     .precision = ADELE_PRECISION_FP32};
    return desc;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct adele_conv2d_desc desc = desc_of(cases[i]);
        check(device, desc, false);
        check(device, desc, true);
        desc.has_bias = false;
        desc.needs_d_src = false;
        check(device, desc, false);
    }
}

static void check_inference(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i += 3) {
        struct adele_conv2d_desc desc = desc_of(cases[i]);
        desc.is_training = false;
        check(device, desc, false);
    }
    struct adele_conv2d_desc desc = desc_of(cases[0]);
    desc.is_training = false;
    struct adele_op *op = NULL;
    struct adele_conv2d_args args = {0};
    assert_ok(device->iface->conv2d_create(device, &desc, &op));
    assert_int_equal(device->iface->conv2d_backward(op, &args), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
}

// The reference rounds its operands too, so the tolerance is that of fp32.
static void check_bf16(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i += 2) {
        struct adele_conv2d_desc desc = desc_of(cases[i]);
        desc.precision = ADELE_PRECISION_BF16;
        check(device, desc, i % 4 == 0);
    }
}

static void check_tf32(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i += 2) {
        struct adele_conv2d_desc desc = desc_of(cases[i]);
        desc.precision = ADELE_PRECISION_TF32;
        check(device, desc, i % 4 != 0);
    }
}

// The tile is chosen from the shape, large ones for more work than a test has time for: so each is
// asked for by name.
static void check_tiles(struct adele_device *device) {
    static const char *const tiles[] = {"128x128", "128x64", "128x32", "64x64"};
    static const enum adele_precision precisions[] = {ADELE_PRECISION_FP32, ADELE_PRECISION_TF32,
                                                      ADELE_PRECISION_BF16};
    for (size_t i = 0; i < sizeof tile_cases / sizeof tile_cases[0]; i++)
        for (size_t j = 0; j < sizeof tiles / sizeof tiles[0]; j++) {
            struct adele_conv2d_desc desc = desc_of(tile_cases[i]);
            desc.precision = precisions[(i + j) % 3];
            setenv("ADELE_CONV2D_TILE", tiles[j], 1);
            check(device, desc, (i + j) % 2 == 0);
            unsetenv("ADELE_CONV2D_TILE");
            if (devices_are_cpu())
                break; // has no tiles
        }
}

static void check_engine_of(struct adele_device *device, struct adele_conv2d_desc desc,
                            const char *engine) {
    struct adele_op *op = NULL;
    assert_ok(device->iface->conv2d_create(device, &desc, &op));
    if (strstr(op->engine, engine) == NULL)
        fail_msg("kernel %d, precision %d: \"%s\" instead of \"%s\"", desc.kernel,
                 (int)desc.precision, op->engine, engine);
    device->iface->op_destroy(op);
}

// ResNet's stem of 7 x 7 has tuned kernels: the first layer's with float products, tensor cores
// otherwise. What has still more taps runs on the plain one.
static void check_engines(struct adele_device *device) {
    static const int stem[] = {2, 3, 64, 64, 64, 7, 2, 3, 1};
    static const int large[] = {1, 3, 32, 32, 16, 9, 2, 4, 1};
    if (devices_are_cpu())
        return;
    struct adele_conv2d_desc of_stem = desc_of(stem);
    of_stem.needs_d_src = false;
    if (strcmp(device->engine, "plain") == 0) {
        check_engine_of(device, of_stem, "plain");
        return;
    }
    if (!device_is_bf16(device)) {
        check_engine_of(device, of_stem, "direct: first layer fp32");
        of_stem.precision = ADELE_PRECISION_TF32;
        check_engine_of(device, of_stem, "direct: mma tf32");
    }
    of_stem.precision = ADELE_PRECISION_BF16;
    check_engine_of(device, of_stem, "direct: mma bf16");
    of_stem.needs_d_src = true;
    check_engine_of(device, of_stem, "d_src mma bf16");
    struct adele_conv2d_desc of_large = desc_of(large);
    check_engine_of(device, of_large, "direct: plain");
}

// For the kernels of Hopper, which take channels in multiples of 64: boxes of pixels over one and
// over several images, more steps than stages, taps and whole tiles in the padding, channels that
// do not fill the last tile.
static const int hopper_cases[][9] = {
    {1, 64, 9, 7, 64, 3, 1, 1, 1},      {2, 128, 13, 11, 64, 3, 1, 2, 2},
    {5, 64, 14, 13, 128, 3, 1, 6, 6},   {1, 64, 8, 16, 256, 1, 1, 0, 1},
    {2, 64, 15, 17, 192, 3, 1, 12, 12}, {5, 64, 25, 3, 64, 3, 1, 24, 24},
    {1, 256, 5, 5, 64, 3, 1, 1, 1},     {2, 64, 9, 15, 320, 1, 1, 0, 1},
    {1, 64, 6, 5, 64, 3, 1, 0, 1},      {1, 64, 5, 7, 64, 5, 1, 4, 2},
    {1, 64, 4, 4, 64, 3, 1, 12, 2},
};

// Whether the CUDA device, interpreted or real, is a GPU of compute capability 9.0.
static bool is_real_hopper(void) {
    bool is_hopper = false;
#ifdef ADELE_HAVE_CUDA
    char identity[200];
    cuda_device_identity(0, identity, sizeof identity);
    is_hopper = strstr(identity, ", sm_90,") != NULL;
#endif
    return is_hopper;
}

static void check_hopper(struct adele_device *device) {
    static const char *const tiles[] = {"128x64", "128x128", "128x256"};
    if (!device_is_bf16(device) || strcmp(device->engine, "plain") == 0)
        return;
    // All tiles at the first three shapes, then one after the other.
    for (size_t i = 0; i < sizeof hopper_cases / sizeof hopper_cases[0]; i++)
        for (size_t j = 0; j < sizeof tiles / sizeof tiles[0]; j++) {
            struct adele_conv2d_desc desc = desc_of(hopper_cases[i]);
            if (i >= 3 && i % 3 != j)
                continue;
            char engine[32];
            desc.precision = ADELE_PRECISION_BF16;
            desc.has_bias = (i + j) % 2 == 0;
            (void)snprintf(engine, sizeof engine, "direct: wgmma bf16 %s", tiles[j]);
            setenv("ADELE_CONV2D_TILE", tiles[j], 1);
            setenv("ADELE_CONV2D_BLOCKS", "4", 1); // so that each takes several tiles
            check_engine_of(device, desc, engine);
            check(device, desc, (i + j) % 3 == 0);
            unsetenv("ADELE_CONV2D_TILE");
            unsetenv("ADELE_CONV2D_BLOCKS");
        }
}

// What the family leaves to others, and what takes over where it is disabled.
static void check_hopper_choice(struct adele_device *device) {
    static const struct {
        int shape[9];
        const char *engine;
    } rows[] = {
        {{1, 64, 9, 9, 64, 3, 1, 1, 1}, "direct: wgmma bf16 128x64"},
        {{1, 64, 9, 9, 128, 3, 2, 1, 1}, "direct: mma bf16"},
        {{1, 72, 9, 9, 64, 3, 1, 1, 1}, "direct: mma bf16"},
        {{1, 64, 9, 9, 40, 3, 1, 1, 1}, "direct: mma bf16"},
        {{1, 64, 9, 9, 64, 7, 1, 3, 1}, "direct: mma bf16"},
        {{4, 64, 65, 67, 256, 3, 1, 1, 1}, "dst wgmma bf16 128x256"},
    };
    struct adele_conv2d_desc desc = desc_of(rows[0].shape);
    if (strcmp(device->engine, "plain") == 0)
        return;
    desc.precision = ADELE_PRECISION_BF16;
    if (!device_is_bf16(device)) {
        check_engine_of(device, desc, "direct: mma bf16");
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_engine_of(device, desc_of(rows[i].shape), rows[i].engine);
    device->disabled_families = family_bit(ADELE_FAMILY_conv2d_hopper);
    check_engine_of(device, desc, "direct: mma bf16");
    device->disabled_families = family_bit(ADELE_FAMILY_conv2d_mma);
    check_engine_of(device, desc, "direct: wgmma bf16");
    device->disabled_families = 0;
}

// The emulator becomes a GPU of compute capability 9.0. The interpreter is one where PTX_SM is 90,
// and a real GPU is what it is: on others the family does not run.
static void test_hopper(void **state) {
    (void)state;
    const char *kind = getenv("ADELE_TEST_DEVICES");
    if (devices_are_cpu())
        return;
    if (kind != NULL && strcmp(kind, "simt") == 0) {
        setenv("SIMT_DEVICE", "hopper", 1);
    } else if (!is_real_hopper()) {
        print_message("SKIPPED: not a GPU of compute capability 9.0\n");
        return;
    }
    devices_each(check_hopper);
    devices_each(check_hopper_choice);
    unsetenv("SIMT_DEVICE");
}

static double evaluate(const void *context) {
    const struct problem *p = context;
    struct adele_conv2d_args args = host_args(p, false);
    reference_conv2d_forward(&p->desc, &args);
    return gradient_dot(p->d_dst, p->dst, shape_count(p->out));
}

// The convolution is linear in each argument, so a large step costs no accuracy; what is left is
// the rounding of the outputs to float.
static void check_gradient(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_conv2d_desc desc = desc_of(cases[i]);
        struct problem p = make_problem(&arena, desc);
        // Each value of a bf16 tensor is rounded by 0.43 of 2^-8 of it in the root mean square, and
        // so is the sum, of its terms: nearly five times that.
        double tolerance = device_is_bf16(device) ? 2.0 / 256.0 : 1e-4;
        memset(p.d_weight, 0, p.n_weights * sizeof(float));
        memset(p.d_bias, 0, (size_t)desc.c_out * sizeof(float));
        struct adele_op *op = NULL;
        assert_ok(device->iface->conv2d_create(device, &desc, &op));
        struct adele_conv2d_args args = device_args(&arena, &p, op, false);
        assert_ok(device->iface->conv2d_backward(op, &args));
        assert_true(gradient_agrees("src", evaluate, &p, p.src,
                                    arena_tensor_download(&arena, args.d_src, p.in),
                                    shape_count(p.in), 11, 0.5, tolerance));
        assert_true(gradient_agrees("weight", evaluate, &p, p.weight,
                                    arena_download(&arena, args.d_weight, p.n_weights), p.n_weights,
                                    12, 0.5, 1e-4));
        assert_true(gradient_agrees("bias", evaluate, &p, p.bias,
                                    arena_download(&arena, args.d_bias, (size_t)desc.c_out),
                                    (size_t)desc.c_out, 13, 0.5, 1e-4));
        device->iface->op_destroy(op);
        arena_close(&arena);
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
        struct adele_conv2d_desc desc = desc_of(bad[i]);
        struct adele_op *op = (struct adele_op *)device;
        assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
    device->iface->op_destroy(NULL);
}

static void check_allocator(struct adele_device *device) {
    struct adele_conv2d_desc desc = desc_of(cases[2]);
    struct adele_op *op = NULL;
    memory_fail_at(0);
    assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_NO_MEMORY);
    memory_fail_at(-1);
    assert_null(op);
}

// A run allocates nothing, and twice the same call gives the same bits.
static void check_repeatable(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_conv2d_desc desc = desc_of(cases[24]);
    struct problem p = make_problem(&arena, desc);
    struct adele_op *op = NULL;
    assert_ok(device->iface->conv2d_create(device, &desc, &op));
    struct adele_conv2d_args first = device_args(&arena, &p, op, false);
    struct adele_conv2d_args second = device_args(&arena, &p, op, false);
    memory_fail_at(-1);
    assert_ok(device->iface->conv2d_forward(op, &first));
    assert_ok(device->iface->conv2d_backward(op, &first));
    assert_ok(device->iface->conv2d_forward(op, &second));
    assert_ok(device->iface->conv2d_backward(op, &second));
    assert_int_equal(memory_count(), 0);
    assert_true(compare_bytes("dst", arena_tensor_download(&arena, first.dst, p.out),
                              arena_tensor_download(&arena, second.dst, p.out),
                              shape_count(p.out) * sizeof(float)));
    assert_true(compare_bytes("d_weight", arena_download(&arena, first.d_weight, p.n_weights),
                              arena_download(&arena, second.d_weight, p.n_weights),
                              p.n_weights * sizeof(float)));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// Our own kernels promise the same bits for any number of threads; oneDNN's weight gradient does
// not.
static void test_threads(void **state) {
    (void)state;
    if (!devices_are_cpu())
        return;
    static const int shapes[][9] = {{3, 1, 17, 16, 8, 3, 1, 1, 1}, {2, 32, 16, 15, 24, 3, 1, 1, 1}};
    int n_threads = omp_get_max_threads();
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct adele_conv2d_desc desc = desc_of(shapes[i]);
        struct arena arenas[2];
        float *dst[2], *d_weight[2];
        struct problem p;
        bool is_own = false;
        for (int run = 0; run < 2; run++) {
            struct adele_device *device = NULL;
            struct adele_op *op = NULL;
            omp_set_num_threads(run == 0 ? 1 : 3);
            assert_ok(cpu_device_create_with_block(8, &device));
            arena_open(&arenas[run], device);
            p = make_problem(&arenas[run], desc);
            assert_ok(device->iface->conv2d_create(device, &desc, &op));
            struct adele_conv2d_args args = device_args(&arenas[run], &p, op, false);
            assert_ok(device->iface->conv2d_forward(op, &args));
            assert_ok(device->iface->conv2d_backward(op, &args));
            dst[run] = arena_tensor_download(&arenas[run], args.dst, p.out);
            d_weight[run] = arena_download(&arenas[run], args.d_weight, p.n_weights);
            is_own = strstr(op->engine, "d_weight our") != NULL;
            device->iface->op_destroy(op);
        }
        omp_set_num_threads(n_threads);
        assert_true(compare_bytes("dst", dst[1], dst[0], shape_count(p.out) * sizeof(float)));
        assert_true(is_own);
        assert_true(
            compare_bytes("d_weight", d_weight[1], d_weight[0], p.n_weights * sizeof(float)));
        for (int run = 0; run < 2; run++) {
            struct adele_device *device = arenas[run].device;
            arena_close(&arenas[run]);
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
    assert_ok(adele_device_open("cpu", ADELE_PRECISION_FP32, &device));
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
        check(device, desc, i % 3 == 0);
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
    assert_ok(cpu_device_create_with_block(16, &device));
    assert_ok(device->iface->conv2d_create(device, &desc, &op));
    bool has_products = cpu_isa() == CPU_ISA_AVX512_BF16;
    assert_true((strstr(op->engine, "avx512_core_bf16") != NULL) == has_products);
    device->iface->op_destroy(op);
    adele_device_close(device);
}

ON_EACH_ENGINE(shapes)
ON_EACH_DEVICE(inference)
ON_EACH_ENGINE(bf16)
ON_EACH_ENGINE(tf32)
ON_EACH_DEVICE(tiles)
ON_EACH_DEVICE(engines)
ON_EACH_DEVICE(gradient)
ON_EACH_DEVICE(bad_descriptors)
ON_EACH_DEVICE(allocator)
ON_EACH_ENGINE(repeatable)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),    cmocka_unit_test(test_inference),
        cmocka_unit_test(test_bf16),      cmocka_unit_test(test_bf16_products),
        cmocka_unit_test(test_winograd),  cmocka_unit_test(test_tf32),
        cmocka_unit_test(test_tiles),     cmocka_unit_test(test_engines),
        cmocka_unit_test(test_gradient),  cmocka_unit_test(test_bad_descriptors),
        cmocka_unit_test(test_allocator), cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_threads),   cmocka_unit_test(test_hopper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
