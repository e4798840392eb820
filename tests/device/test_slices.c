// SPDX-License-Identifier: MIT
// Ops that read or write a slice of a wide tensor, against tests/reference: the slice is right, and
// the channels beside it stay as they are.
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_ok(adele_status status) {
    if (status != ADELE_OK)
        fail_msg("status %d: %s", (int)status, adele_error_message());
}

// A slice of c channels.
struct part {
    int c;
    struct adele_slice slice;
};

// A wide tensor and the slice's own values, side by side.
struct wide {
    struct part part;
    struct adele_shape shape, own; // of the whole, of the slice
    float *before, *values;        // of the whole; of the slice
    void *tensor;
};

static void copy_slice(const struct wide *wide, float *whole, float *own, bool is_out) {
    size_t plane = (size_t)wide->shape.h * (size_t)wide->shape.w;
    size_t bytes = (size_t)wide->part.c * plane * sizeof(float);
    for (int n = 0; n < wide->shape.n; n++) {
        float *in_whole = whole + ((size_t)(n * wide->shape.c + wide->part.slice.first)) * plane;
        float *in_own = own + (size_t)(n * wide->part.c) * plane;
        memcpy(is_out ? in_own : in_whole, is_out ? in_whole : in_own, bytes);
    }
}

static struct wide make_wide(struct arena *arena, struct part part, int n, int h, int w,
                             uint64_t seed) {
    struct wide wide = {.part = part, .shape = {n, part.slice.of, h, w}, .own = {n, part.c, h, w}};
    wide.before = arena_random(arena, seed, shape_count(wide.shape), -1.0, 1.0);
    wide.values = arena_floats(arena, shape_count(wide.own));
    copy_slice(&wide, wide.before, wide.values, true);
    wide.tensor = arena_tensor(arena, wide.shape, wide.before);
    return wide;
}

// wide->values is what the slice shall be now.
static void check_wide(struct arena *arena, const char *what, struct wide *wide) {
    float *got = arena_tensor_download(arena, wide->tensor, wide->shape);
    float *own = arena_floats(arena, shape_count(wide->own));
    copy_slice(wide, got, own, true);
    assert_true(compare_f32(what, own, wide->values, wide->own.n, wide->own.c, wide->own.h,
                            wide->own.w, 2e-6, device_tolerance(arena->device, 1e-5)));
    copy_slice(wide, wide->before, own, true);
    copy_slice(wide, got, own, false);
    assert_true(compare_bytes(what, got, wide->before, shape_count(wide->shape) * sizeof(float)));
}

// A slice at the beginning, in the middle and at the end (with padding channels), and the whole.
static void each_part(struct adele_device *device,
                      void (*check)(struct adele_device *, struct part)) {
    int g = device->iface->slice_channels(device);
    const struct part parts[] = {{g, {0, 2 * g}},    {g, {g, 2 * g}},     {5, {g, g + 5}},
                                 {g, {0, g + 3}},    {2 * g, {g, 4 * g}}, {1, {3 * g, 3 * g + 1}},
                                 {g + 2, {0, g + 2}}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        check(device, parts[i]);
}

// ---- batch norm ---------------------------------------------------------------------------------

struct plain {
    float *host, *on_device;
};

static struct plain channels(struct arena *arena, uint64_t seed, int c, double low, double high) {
    struct plain plain = {arena_random(arena, seed, (size_t)c, low, high), NULL};
    plain.on_device = arena_upload(arena, plain.host, (size_t)c * sizeof(float));
    return plain;
}

static void batch_norm_of(struct adele_device *device, struct part part, bool use_batch,
                          bool has_residual) {
    struct arena arena;
    arena_open(&arena, device);
    int n = 2, h = 9, w = 7, c = part.c;
    struct adele_batch_norm_desc desc = {n, c, h, w, 1e-5F, 0.1F, true, has_residual, part.slice};
    struct wide dst = make_wide(&arena, part, n, h, w, 1);
    struct wide d_dst = make_wide(&arena, part, n, h, w, 2);
    size_t count = shape_count(dst.own);
    float *src = arena_random(&arena, 3, count, -1.0, 1.0);
    float *residual = arena_random(&arena, 4, count, -1.0, 1.0);
    struct plain scale = channels(&arena, 5, c, 0.5, 1.5),
                 shift = channels(&arena, 6, c, -1.0, 1.0);
    struct plain mean = channels(&arena, 7, c, -1.0, 1.0),
                 variance = channels(&arena, 8, c, 0.5, 2.0);
    struct plain kept = channels(&arena, 9, c, 0.0, 1.0),
                 inverse = channels(&arena, 10, c, 0.0, 1.0);
    struct plain d_scale = channels(&arena, 11, c, 0.0, 1.0);
    struct plain d_shift = channels(&arena, 12, c, 0.0, 1.0);
    struct adele_op *op;
    assert_ok(device->iface->batch_norm_create(device, &desc, &op));
    struct adele_batch_norm_args host = {.use_batch_statistics = use_batch,
                                         .src = src,
                                         .residual = has_residual ? residual : NULL,
                                         .scale = scale.host,
                                         .shift = shift.host,
                                         .running_mean = mean.host,
                                         .running_variance = variance.host,
                                         .saved_mean = kept.host,
                                         .saved_inv_std = inverse.host,
                                         .dst = dst.values,
                                         .d_dst = d_dst.values,
                                         .d_src = arena_floats(&arena, count),
                                         .d_residual =
                                             has_residual ? arena_floats(&arena, count) : NULL,
                                         .d_scale = d_scale.host,
                                         .d_shift = d_shift.host};
    struct adele_batch_norm_args args = {
        .use_batch_statistics = use_batch,
        .src = arena_tensor(&arena, dst.own, src),
        .residual = has_residual ? arena_tensor(&arena, dst.own, residual) : NULL,
        .scale = scale.on_device,
        .shift = shift.on_device,
        .running_mean = mean.on_device,
        .running_variance = variance.on_device,
        .saved_mean = kept.on_device,
        .saved_inv_std = inverse.on_device,
        .dst = dst.tensor,
        .d_dst = d_dst.tensor,
        .d_src = arena_tensor(&arena, dst.own, NULL),
        .d_residual = has_residual ? arena_tensor(&arena, dst.own, NULL) : NULL,
        .d_scale = d_scale.on_device,
        .d_shift = d_shift.on_device,
        .workspace = arena_workspace(&arena, op)};
    desc.dst = (struct adele_slice){0, 0};
    assert_ok(device->iface->batch_norm_forward(op, &args));
    reference_batch_norm_forward(&desc, &host);
    check_wide(&arena, "batch_norm dst", &dst);
    assert_ok(device->iface->batch_norm_backward(op, &args));
    reference_batch_norm_backward(&desc, &host);
    check_wide(&arena, "batch_norm d_dst", &d_dst);
    assert_true(compare_f32("d_src", arena_tensor_download(&arena, args.d_src, dst.own), host.d_src,
                            n, c, h, w, 1e-5, device_tolerance(device, 1e-5)));
    if (has_residual)
        assert_true(compare_f32("d_residual",
                                arena_tensor_download(&arena, args.d_residual, dst.own),
                                host.d_residual, n, c, h, w, 1e-5, device_tolerance(device, 1e-5)));
    assert_true(compare_f32("d_scale", arena_download(&arena, args.d_scale, (size_t)c),
                            host.d_scale, 1, c, 1, 1, 1e-4, 1e-5));
    assert_true(compare_f32("d_shift", arena_download(&arena, args.d_shift, (size_t)c),
                            host.d_shift, 1, c, 1, 1, 1e-4, 1e-5));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void batch_norm_part(struct adele_device *device, struct part part) {
    batch_norm_of(device, part, true, false);
    batch_norm_of(device, part, false, true);
}

static void check_batch_norm(struct adele_device *device) {
    each_part(device, batch_norm_part);
}
ON_EACH_DEVICE(batch_norm)

// ---- max-pooling --------------------------------------------------------------------------------

static void max_pool_of(struct adele_device *device, struct part part, int kernel, int pad,
                        bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    int n = 2, h = 9, w = 8;
    struct adele_max_pool_desc desc = {n, part.c, h, w, kernel, 2, pad, part.slice};
    struct adele_shape out = {n, part.c, adele_conv2d_extent(h, kernel, 2, pad, 1),
                              adele_conv2d_extent(w, kernel, 2, pad, 1)};
    struct wide src = make_wide(&arena, part, n, h, w, 1);
    struct wide d_src = make_wide(&arena, part, n, h, w, 2);
    float *d_dst = arena_random(&arena, 3, shape_count(out), -1.0, 1.0);
    struct adele_op *op;
    assert_ok(device->iface->max_pool_create(device, &desc, &op));
    struct adele_max_pool_args host = {.src = src.values,
                                       .dst = arena_floats(&arena, shape_count(out)),
                                       .d_dst = d_dst,
                                       .d_src = d_src.values,
                                       .accumulate_d_src = accumulate};
    struct adele_max_pool_args args = {.src = src.tensor,
                                       .dst = arena_tensor(&arena, out, NULL),
                                       .d_dst = arena_tensor(&arena, out, d_dst),
                                       .d_src = d_src.tensor,
                                       .accumulate_d_src = accumulate,
                                       .workspace = arena_workspace(&arena, op)};
    desc.src = (struct adele_slice){0, 0};
    assert_ok(device->iface->max_pool_forward(op, &args));
    reference_max_pool_forward(&desc, &host);
    assert_true(compare_f32("max_pool dst", arena_tensor_download(&arena, args.dst, out), host.dst,
                            n, out.c, out.h, out.w, 0.0, 0.0));
    assert_ok(device->iface->max_pool_backward(op, &args));
    reference_max_pool_backward(&desc, &host);
    check_wide(&arena, "max_pool src", &src);
    check_wide(&arena, "max_pool d_src", &d_src);
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void max_pool_part(struct adele_device *device, struct part part) {
    max_pool_of(device, part, 2, 0, true);
    max_pool_of(device, part, 2, 0, false);
    max_pool_of(device, part, 3, 1, true);
    max_pool_of(device, part, 3, 1, false);
}

static void check_max_pool(struct adele_device *device) {
    each_part(device, max_pool_part);
}
ON_EACH_DEVICE(max_pool)

// ---- rescaling ----------------------------------------------------------------------------------

static void rescale_of(struct adele_device *device, struct part part, bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    int n = 2, h = 5, w = 4;
    struct adele_rescale_desc desc = {n, part.c, h, w, 10, 8, 11, 9, 0, 0, part.slice};
    struct adele_shape in = {n, part.c, h, w};
    struct wide dst = make_wide(&arena, part, n, desc.h_dst, desc.w_dst, 1);
    struct wide d_dst = make_wide(&arena, part, n, desc.h_dst, desc.w_dst, 2);
    float *src = arena_random(&arena, 3, shape_count(in), -1.0, 1.0);
    float *d_src = arena_random(&arena, 4, shape_count(in), -1.0, 1.0);
    struct adele_op *op;
    assert_ok(device->iface->rescale_create(device, &desc, &op));
    struct adele_rescale_args args = {.src = arena_tensor(&arena, in, src),
                                      .dst = dst.tensor,
                                      .d_dst = d_dst.tensor,
                                      .d_src = arena_tensor(&arena, in, d_src),
                                      .accumulate_d_src = accumulate,
                                      .workspace = arena_workspace(&arena, op)};
    struct adele_rescale_args host = {.src = src,
                                      .dst = dst.values,
                                      .d_dst = d_dst.values,
                                      .d_src = d_src,
                                      .accumulate_d_src = accumulate};
    desc.dst = (struct adele_slice){0, 0};
    assert_ok(device->iface->rescale_forward(op, &args));
    reference_rescale_forward(&desc, &host);
    check_wide(&arena, "rescale dst", &dst);
    assert_ok(device->iface->rescale_backward(op, &args));
    reference_rescale_backward(&desc, &host);
    check_wide(&arena, "rescale d_dst", &d_dst);
    assert_true(compare_f32("rescale d_src", arena_tensor_download(&arena, args.d_src, in), d_src,
                            n, in.c, h, w, 1e-5, device_tolerance(device, 1e-5)));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void rescale_part(struct adele_device *device, struct part part) {
    rescale_of(device, part, false);
    rescale_of(device, part, true);
}

static void check_rescale(struct adele_device *device) {
    each_part(device, rescale_part);
}
ON_EACH_DEVICE(rescale)

// ---- error paths --------------------------------------------------------------------------------

static void refuse(struct adele_device *device, int c, struct adele_slice slice,
                   adele_status status, const char *text) {
    struct adele_batch_norm_desc norm = {1, c, 4, 4, 1e-5F, 0.1F, true, false, slice};
    struct adele_max_pool_desc pool = {1, c, 4, 4, 2, 2, 0, slice};
    struct adele_rescale_desc scale = {1, c, 4, 4, 4, 4, 4, 4, 0, 0, slice};
    struct adele_op *op[3];
    assert_int_equal(device->iface->batch_norm_create(device, &norm, &op[0]), status);
    assert_non_null(strstr(adele_error_message(), text));
    assert_int_equal(device->iface->max_pool_create(device, &pool, &op[1]), status);
    assert_non_null(strstr(adele_error_message(), text));
    assert_int_equal(device->iface->rescale_create(device, &scale, &op[2]), status);
    assert_non_null(strstr(adele_error_message(), text));
    for (int i = 0; i < 3; i++)
        assert_null(op[i]);
}

static void check_errors(struct adele_device *device) {
    int g = device->iface->slice_channels(device);
    refuse(device, g, (struct adele_slice){g / 2, 2 * g}, ADELE_UNSUPPORTED, "multiples");
    refuse(device, 3, (struct adele_slice){0, g}, ADELE_UNSUPPORTED, "multiples");
    refuse(device, g, (struct adele_slice){2 * g, 2 * g}, ADELE_INVALID_ARGUMENT, "channels from");
    refuse(device, g, (struct adele_slice){-g, 2 * g}, ADELE_INVALID_ARGUMENT, "channels from");
    refuse(device, g, (struct adele_slice){0, 1}, ADELE_INVALID_ARGUMENT, "channels from");
    refuse(device, g, (struct adele_slice){g, 0}, ADELE_INVALID_ARGUMENT, "channels from");
}
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_max_pool),
        cmocka_unit_test(test_rescale),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
