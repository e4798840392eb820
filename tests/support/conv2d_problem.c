// SPDX-License-Identifier: MIT
#include "support/conv2d_problem.h"

#include "reference/reference.h"
#include "support/compare.h"
#include "support/sums.h"
#include "support/tensor_core_tolerance.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// To the nearest float with 10 bits of mantissa, ties away from zero.
static void round_to_tf32(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits = (bits + 0x1000u) & 0xffffe000u;
        memcpy(&values[i], &bits, sizeof bits);
    }
}

struct conv2d_problem conv2d_problem_make(struct arena *arena, struct adele_conv2d_desc desc) {
    struct conv2d_problem p = {.desc = desc};
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

struct adele_conv2d_desc conv2d_desc_of(const int *row) {
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

struct adele_conv2d_args conv2d_host_args(const struct conv2d_problem *p, bool accumulate) {
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

struct adele_conv2d_args conv2d_device_args(struct arena *arena, const struct conv2d_problem *p,
                                            const struct adele_op *op, bool accumulate) {
    size_t n_bias = (size_t)p->desc.c_out * sizeof(float);
    struct adele_conv2d_args args = conv2d_host_args(p, accumulate);
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
static struct sums_error pass_error(const struct arena *arena, const struct conv2d_problem *p,
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

static void compare_backward(struct arena *arena, const struct conv2d_problem *p,
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

void conv2d_check(struct adele_device *device, struct adele_conv2d_desc desc, bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    struct conv2d_problem p = conv2d_problem_make(&arena, desc);
    struct adele_op *op = NULL;
    check_ok(device->iface->conv2d_create(device, &desc, &op));
    assert_int_equal(op->kind, ADELE_OP_conv2d);
    assert_non_null(op->engine);
    if (device_leaves_op(device, op)) {
        device->iface->op_destroy(op);
        arena_close(&arena);
        return;
    }
    struct adele_conv2d_args args = conv2d_device_args(&arena, &p, op, accumulate);
    struct adele_conv2d_args host = conv2d_host_args(&p, accumulate);

    check_ok(device->iface->conv2d_forward(op, &args));
    reference_conv2d_forward(&desc, &host);
    struct sums_error error = pass_error(&arena, &p, op, desc.c_in);
    assert_true(
        sums_agree("dst", arena_tensor_download(&arena, args.dst, p.out), p.dst, p.out, &error));
    if (desc.is_training) {
        check_ok(device->iface->conv2d_backward(op, &args));
        reference_conv2d_backward(&desc, &host);
        compare_backward(&arena, &p, op, &args);
    }
    device->iface->op_destroy(op);
    arena_close(&arena);
}

void conv2d_check_engine(struct adele_device *device, struct adele_conv2d_desc desc,
                         const char *engine) {
    struct adele_op *op = NULL;
    check_ok(device->iface->conv2d_create(device, &desc, &op));
    if (strstr(op->engine, engine) == NULL)
        fail_msg("kernel %d, precision %d: \"%s\" instead of \"%s\"", desc.kernel,
                 (int)desc.precision, op->engine, engine);
    device->iface->op_destroy(op);
}
