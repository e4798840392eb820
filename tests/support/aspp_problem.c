// SPDX-License-Identifier: MIT
#include "support/aspp_problem.h"

#include "reference/reference.h"
#include "support/compare.h"
#include "support/sums.h"
#include "support/tensor_core_tolerance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int kernel_of(const struct adele_aspp_desc *desc, int r) {
    return desc->rates[r] > 0 ? 3 : 1;
}

struct aspp_problem aspp_problem_make(struct arena *arena, struct adele_aspp_desc desc) {
    struct aspp_problem p = {.desc = desc,
                             .in = {desc.n, desc.c_in, desc.h, desc.w},
                             .out = {desc.n, desc.c_out, desc.h, desc.w}};
    if (desc.form == ADELE_ASPP_CONCAT)
        p.out.c *= desc.n_rates;
    p.src = arena_random(arena, 1, shape_count(p.in), -1.0, 1.0);
    p.d_dst = arena_random(arena, 2, shape_count(p.out), -1.0, 1.0);
    p.d_src = arena_random(arena, 3, shape_count(p.in), -1.0, 1.0);
    p.dst = arena_floats(arena, shape_count(p.out));
    for (int r = 0; r < desc.n_rates; r++) {
        int kernel = kernel_of(&desc, r);
        uint64_t seed = 10 + 4 * (uint64_t)r;
        p.n_weights[r] = (size_t)desc.c_out * (size_t)desc.c_in * (size_t)(kernel * kernel);
        p.weights[r] = arena_random(arena, seed, p.n_weights[r], -1.0, 1.0);
        p.d_weights[r] = arena_random(arena, seed + 1, p.n_weights[r], -1.0, 1.0);
        if (!desc.has_bias)
            continue;
        p.biases[r] = arena_random(arena, seed + 2, (size_t)desc.c_out, -1.0, 1.0);
        p.d_biases[r] = arena_random(arena, seed + 3, (size_t)desc.c_out, -1.0, 1.0);
    }
    return p;
}

struct adele_aspp_args aspp_host_args(const struct aspp_problem *p, bool accumulate) {
    struct adele_aspp_args args = {.src = p->src,
                                   .dst = p->dst,
                                   .d_dst = p->d_dst,
                                   .d_src = p->desc.needs_d_src ? p->d_src : NULL,
                                   .accumulate_d_src = accumulate};
    for (int r = 0; r < p->desc.n_rates; r++) {
        args.weights[r] = p->weights[r];
        args.biases[r] = p->biases[r];
        args.d_weights[r] = p->d_weights[r];
        args.d_biases[r] = p->d_biases[r];
    }
    return args;
}

struct adele_aspp_args aspp_device_args(struct arena *arena, const struct aspp_problem *p,
                                        const struct adele_op *op, bool accumulate) {
    size_t n_bias = (size_t)p->desc.c_out * sizeof(float);
    struct adele_aspp_args args = {.accumulate_d_src = accumulate};
    args.src = arena_tensor(arena, p->in, p->src);
    args.dst = arena_tensor(arena, p->out, NULL);
    args.d_dst = arena_tensor(arena, p->out, p->d_dst);
    // Without accumulation d_src starts as NaN, so that an element left unwritten shows.
    // An op without this gradient does not touch it.
    args.d_src = arena_tensor(arena, p->in, accumulate ? p->d_src : NULL);
    for (int r = 0; r < p->desc.n_rates; r++) {
        size_t bytes = p->n_weights[r] * sizeof(float);
        args.weights[r] = arena_upload(arena, p->weights[r], bytes);
        args.d_weights[r] = arena_upload(arena, p->d_weights[r], bytes);
        if (!p->desc.has_bias)
            continue;
        args.biases[r] = arena_upload(arena, p->biases[r], n_bias);
        args.d_biases[r] = arena_upload(arena, p->d_biases[r], n_bias);
    }
    args.workspace = arena_workspace(arena, op);
    return args;
}

// A bias counts as three of the products, whose variance it has. TF32 rounds both operands by up to
// 2^-11 of them, which makes a product wrong by 1.3e-4 in the root mean square. Where operands are
// rounded to bf16, SUM may round the sum of the centre weights of all R branches: by up to 2^-8 R /
// 3 in `n_centre` of the products. The terms come in runs of `run`: channels, or all pixels.
static struct sums_error error_of(const struct adele_device *device,
                                  const struct adele_aspp_desc *desc, double n_terms, double run,
                                  double n_centre) {
    struct sums_error error = {.n_terms = n_terms + (desc->has_bias ? 3.0 * desc->n_rates : 0.0),
                               .relative = SUMS_STORED};
    if (devices_are_cpu())
        return error;
    bool rounds = desc->precision == ADELE_PRECISION_BF16 || device_is_bf16(device);
    if (desc->precision == ADELE_PRECISION_TF32)
        error.random = 1.3e-4 * sqrt(n_terms);
    if (rounds && desc->form == ADELE_ASPP_SUM && desc->n_rates > 1)
        error.random += 0x1p-8 / 3.0 / 3.0 * desc->n_rates * sqrt(n_centre);
    error.random = hypot(error.random, tensor_core_rms_on(device, desc->precision, n_terms, run));
    return error;
}

static double n_taps(const struct adele_aspp_desc *desc, bool of_all) {
    double most = 0, sum = 0;
    for (int r = 0; r < desc->n_rates; r++) {
        double taps = kernel_of(desc, r) * kernel_of(desc, r);
        sum += taps;
        most = taps > most ? taps : most;
    }
    return of_all ? sum : most;
}

static void compare_forward(struct arena *arena, const struct aspp_problem *p,
                            const struct adele_aspp_args *args) {
    double n_terms = n_taps(&p->desc, p->desc.form == ADELE_ASPP_SUM) * p->desc.c_in;
    struct sums_error error =
        error_of(arena->device, &p->desc, n_terms, p->desc.c_in, p->desc.c_in);
    error.relative = device_tolerance(arena->device, SUMS_STORED);
    assert_true(
        sums_agree("dst", arena_tensor_download(arena, args->dst, p->out), p->dst, p->out, &error));
}

static void compare_backward(struct arena *arena, const struct aspp_problem *p,
                             const struct adele_aspp_args *args) {
    const struct adele_aspp_desc *desc = &p->desc;
    struct sums_error of_src =
        error_of(arena->device, desc, n_taps(desc, true) * desc->c_out, desc->c_out, desc->c_out);
    of_src.relative = device_tolerance(arena->device, SUMS_STORED);
    if (desc->needs_d_src)
        assert_true(sums_agree("d_src", arena_tensor_download(arena, args->d_src, p->in), p->d_src,
                               p->in, &of_src));
    double n_pixels = (double)p->out.n * p->out.h * p->out.w;
    struct sums_error of_weight = error_of(arena->device, desc, n_pixels, n_pixels, 0.0);
    struct adele_shape bias = {1, desc->c_out, 1, 1};
    for (int r = 0; r < desc->n_rates; r++) {
        int kernel = kernel_of(desc, r);
        struct adele_shape weight = {desc->c_out, desc->c_in, kernel, kernel};
        assert_true(sums_agree("d_weight",
                               arena_download(arena, args->d_weights[r], p->n_weights[r]),
                               p->d_weights[r], weight, &of_weight));
        if (desc->has_bias)
            assert_true(sums_agree("d_bias",
                                   arena_download(arena, args->d_biases[r], (size_t)desc->c_out),
                                   p->d_biases[r], bias, &of_weight));
    }
}

void aspp_check(struct adele_device *device, struct adele_aspp_desc desc, bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    struct aspp_problem p = aspp_problem_make(&arena, desc);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_aspp);
    assert_non_null(op->engine);
    struct adele_aspp_args args = aspp_device_args(&arena, &p, op, accumulate);
    struct adele_aspp_args host = aspp_host_args(&p, accumulate);
    assert_int_equal(device->iface->aspp_forward(op, &args), ADELE_OK);
    reference_aspp_forward(&desc, &host);
    compare_forward(&arena, &p, &args);
    if (desc.is_training) {
        assert_int_equal(device->iface->aspp_backward(op, &args), ADELE_OK);
        reference_aspp_backward(&desc, &host);
        compare_backward(&arena, &p, &args);
    }
    device->iface->op_destroy(op);
    arena_close(&arena);
}

void aspp_check_engine(struct adele_device *device, struct adele_aspp_desc desc,
                       const char *engine) {
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
    if (strstr(op->engine, engine) == NULL)
        fail_msg("form %d, %d -> %d channels: \"%s\" instead of \"%s\"", (int)desc.form, desc.c_in,
                 desc.c_out, op->engine, engine);
    device->iface->op_destroy(op);
}
