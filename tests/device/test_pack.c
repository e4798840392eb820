// SPDX-License-Identifier: MIT
// Packed weights: what a convolution multiplies by when it is given them, and that its results are
// those of a convolution that packs for itself, bit by bit.
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/op_errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_ok(adele_status status) {
    if (status != ADELE_OK)
        fail_msg("status %d: %s", (int)status, adele_error_message());
}

static struct adele_shape shape_in(const struct adele_conv2d_desc *desc) {
    return (struct adele_shape){desc->n, desc->c_in, desc->h_in, desc->w_in};
}

static struct adele_shape shape_out(const struct adele_conv2d_desc *desc) {
    return (struct adele_shape){
        desc->n, desc->c_out,
        adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, desc->dilation),
        adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, desc->dilation)};
}

static size_t n_weights(const struct adele_conv2d_desc *desc) {
    return (size_t)desc->c_out * (size_t)desc->c_in * (size_t)(desc->kernel * desc->kernel);
}

// Packs the weights of one convolution that lie `before` floats into an array, behind a first item
// that takes the same; NULL when its op takes none.
static const void *pack(struct arena *arena, const struct adele_conv2d_desc *desc,
                        const struct adele_op *conv2d, const float *weights) {
    struct adele_device *device = arena->device;
    size_t count = n_weights(desc);
    int64_t bytes = (int64_t)conv2d->packed_bytes;
    if (bytes == 0)
        return NULL;
    int64_t second = (bytes + ADELE_PACK_ALIGNMENT - 1) / ADELE_PACK_ALIGNMENT;
    second *= ADELE_PACK_ALIGNMENT;
    struct adele_pack_item items[2] = {
        {0, 0, bytes, desc->c_out, desc->c_in, desc->kernel},
        {(int64_t)count, second, bytes, desc->c_out, desc->c_in, desc->kernel}};
    struct adele_pack_desc pack_desc = {2, items, desc->precision};
    float *both = arena_random(arena, 99, 2 * count, -1.0, 1.0);
    memcpy(both + count, weights, count * sizeof *both);
    struct adele_pack_args args = {arena_upload(arena, both, 2 * count * sizeof *both),
                                   arena_upload(arena, NULL, (size_t)(second + bytes))};
    struct adele_op *op;
    assert_ok(device->iface->pack_create(device, &pack_desc, &op));
    assert_ok(device->iface->pack_forward(op, &args));
    device->iface->op_destroy(op);
    return (const char *)args.packed + second;
}

// ---- what is multiplied by ----------------------------------------------------------------------

// Image i is 1 in channel i of its middle pixel, and 0 elsewhere: so the result is the weights,
// turned about.
static void check_read_back(struct adele_device *device, int c_out, int c_in, int kernel,
                            enum adele_precision precision, int *n_packed) {
    struct adele_conv2d_desc desc = {.n = c_in,
                                     .c_in = c_in,
                                     .h_in = kernel,
                                     .w_in = kernel,
                                     .c_out = c_out,
                                     .kernel = kernel,
                                     .stride = 1,
                                     .pad = kernel / 2,
                                     .dilation = 1,
                                     .precision = precision};
    struct arena arena;
    struct adele_op *op;
    arena_open(&arena, device);
    assert_ok(device->iface->conv2d_create(device, &desc, &op));
    int area = kernel * kernel;
    size_t count = n_weights(&desc);
    float *weights = arena_random(&arena, 3, count, -1.0, 1.0);
    float *want = arena_floats(&arena, count),
          *src = arena_floats(&arena, shape_count(shape_in(&desc)));
    for (int i = 0; i < c_in; i++)
        src[(i * c_in + i) * area + area / 2] = 1.0F;
    struct adele_pack_item item = {0, 0, 1, c_out, c_in, kernel};
    reference_pack_forward(&(struct adele_pack_desc){1, &item, precision},
                           &(struct adele_pack_args){weights, want});
    // Other plain weights beside the packed ones show that the packed ones are read.
    const void *packed = pack(&arena, &desc, op, weights);
    float *beside = packed == NULL ? weights : arena_random(&arena, 4, count, 5.0, 6.0);
    struct adele_conv2d_args args = {.src = arena_tensor(&arena, shape_in(&desc), src),
                                     .weight = arena_upload(&arena, beside, count * sizeof *beside),
                                     .packed_weight = packed,
                                     .dst = arena_tensor(&arena, shape_out(&desc), NULL),
                                     .workspace = arena_workspace(&arena, op)};
    assert_ok(device->iface->conv2d_forward(op, &args));
    const float *got = arena_tensor_download(&arena, args.dst, shape_out(&desc));
    for (int i = 0; i < c_in; i++)
        for (int o = 0; o < c_out; o++)
            for (int tap = 0; tap < area; tap++) {
                float value = got[(i * c_out + o) * area + area - 1 - tap];
                float wanted = want[(o * c_in + i) * area + tap];
                if (!(value == wanted))
                    fail_msg("%d x %d channels, kernel %d: weight (%d, %d, %d) is %g, want %g",
                             c_out, c_in, kernel, o, i, tap, (double)value, (double)wanted);
            }
    *n_packed += packed != NULL;
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static bool is_plain(const struct adele_device *device, const struct adele_op *op) {
    return strcmp(device->iface->name, "cpu") != 0 && strstr(op->engine, "plain") != NULL;
}

static void check_values(struct adele_device *device) {
    static const int cases[][3] = {{1, 1, 1},  {5, 7, 3},   {8, 8, 3},    {9, 16, 1},  {17, 31, 3},
                                   {33, 9, 5}, {127, 8, 1}, {128, 33, 1}, {129, 40, 1}};
    int n_packed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int k = 0; k < 2; k++) {
            // With bf16 tensors a convolution rounds to bf16 whatever it is asked for.
            enum adele_precision precision =
                k == 0 && !device_is_bf16(device) ? ADELE_PRECISION_FP32 : ADELE_PRECISION_BF16;
            check_read_back(device, cases[i][0], cases[i][1], cases[i][2], precision, &n_packed);
        }
    struct adele_conv2d_desc desc = {
        1, 9, 4, 4, 9, 1, 1, 0, 1, false, false, false, ADELE_PRECISION_BF16};
    struct adele_op *op;
    assert_ok(device->iface->conv2d_create(device, &desc, &op));
    assert_int_equal(n_packed > 0, !is_plain(device, op));
    device->iface->op_destroy(op);
}
ON_EACH_DEVICE(values)

// ---- the same bits ------------------------------------------------------------------------------

struct results {
    const float *dst, *d_src, *d_weight;
};

static struct results run(struct arena *arena, const struct adele_conv2d_desc *desc,
                          struct adele_op *op, const float *weights, const void *packed) {
    const struct adele_device_iface *iface = arena->device->iface;
    size_t count = n_weights(desc);
    float *src = arena_random(arena, 1, shape_count(shape_in(desc)), -1.0, 1.0);
    float *d_dst = arena_random(arena, 2, shape_count(shape_out(desc)), -1.0, 1.0);
    float *d_weight = arena_floats(arena, count);
    struct adele_conv2d_args args = {
        .src = arena_tensor(arena, shape_in(desc), src),
        .weight = arena_upload(arena, weights, count * sizeof *weights),
        .packed_weight = packed,
        .dst = arena_tensor(arena, shape_out(desc), NULL),
        .d_dst = arena_tensor(arena, shape_out(desc), d_dst),
        .d_src = arena_tensor(arena, shape_in(desc), NULL),
        .d_weight = arena_upload(arena, d_weight, count * sizeof(float)),
        .workspace = arena_workspace(arena, op)};
    assert_ok(iface->conv2d_forward(op, &args));
    struct results results = {.dst = arena_tensor_download(arena, args.dst, shape_out(desc))};
    if (!desc->is_training)
        return results;
    assert_ok(iface->conv2d_backward(op, &args));
    results.d_src = arena_tensor_download(arena, args.d_src, shape_in(desc));
    results.d_weight = arena_download(arena, args.d_weight, count);
    return results;
}

// The inference op reads the beginning of what was packed for training.
static void check_bits(struct adele_device *device, struct adele_conv2d_desc desc) {
    struct arena arena;
    struct adele_op *training, *inference;
    arena_open(&arena, device);
    desc.is_training = desc.needs_d_src = true;
    assert_ok(device->iface->conv2d_create(device, &desc, &training));
    struct adele_conv2d_desc forward_only = desc;
    forward_only.is_training = forward_only.needs_d_src = false;
    assert_ok(device->iface->conv2d_create(device, &forward_only, &inference));
    assert_true(inference->packed_bytes <= training->packed_bytes);
    float *weights = arena_random(&arena, 3, n_weights(&desc), -1.0, 1.0);
    const void *packed = pack(&arena, &desc, training, weights);
    struct results want = run(&arena, &desc, training, weights, NULL);
    struct results got = run(&arena, &desc, training, weights, packed);
    struct results other = run(&arena, &forward_only, inference, weights, packed);
    size_t in = shape_count(shape_in(&desc)) * sizeof(float);
    size_t out = shape_count(shape_out(&desc)) * sizeof(float);
    assert_true(compare_bytes("dst", got.dst, want.dst, out));
    assert_true(compare_bytes("dst of inference", other.dst, want.dst, out));
    assert_true(compare_bytes("d_src", got.d_src, want.d_src, in));
    assert_true(
        compare_bytes("d_weight", got.d_weight, want.d_weight, n_weights(&desc) * sizeof(float)));
    device->iface->op_destroy(training);
    device->iface->op_destroy(inference);
    arena_close(&arena);
}

static const struct adele_conv2d_desc convolutions[] = {{.n = 2,
                                                         .c_in = 9,
                                                         .h_in = 11,
                                                         .w_in = 7,
                                                         .c_out = 21,
                                                         .kernel = 3,
                                                         .stride = 1,
                                                         .pad = 1,
                                                         .dilation = 1},
                                                        {.n = 1,
                                                         .c_in = 16,
                                                         .h_in = 9,
                                                         .w_in = 9,
                                                         .c_out = 65,
                                                         .kernel = 3,
                                                         .stride = 2,
                                                         .pad = 1,
                                                         .dilation = 1},
                                                        {.n = 1,
                                                         .c_in = 24,
                                                         .h_in = 8,
                                                         .w_in = 8,
                                                         .c_out = 8,
                                                         .kernel = 3,
                                                         .stride = 1,
                                                         .pad = 2,
                                                         .dilation = 2},
                                                        {.n = 1,
                                                         .c_in = 130,
                                                         .h_in = 4,
                                                         .w_in = 5,
                                                         .c_out = 17,
                                                         .kernel = 1,
                                                         .stride = 1,
                                                         .pad = 0,
                                                         .dilation = 1},
                                                        {.n = 1,
                                                         .c_in = 3,
                                                         .h_in = 9,
                                                         .w_in = 8,
                                                         .c_out = 12,
                                                         .kernel = 3,
                                                         .stride = 1,
                                                         .pad = 1,
                                                         .dilation = 1},
                                                        {.n = 1,
                                                         .c_in = 5,
                                                         .h_in = 9,
                                                         .w_in = 8,
                                                         .c_out = 5,
                                                         .kernel = 7,
                                                         .stride = 1,
                                                         .pad = 3,
                                                         .dilation = 1}};

static void check_same_bits(struct adele_device *device) {
    static const enum adele_precision precisions[] = {ADELE_PRECISION_FP32, ADELE_PRECISION_TF32,
                                                      ADELE_PRECISION_BF16};
    for (size_t i = 0; i < sizeof convolutions / sizeof convolutions[0]; i++)
        for (size_t k = 0; k < sizeof precisions / sizeof precisions[0]; k++) {
            struct adele_conv2d_desc desc = convolutions[i];
            desc.precision = precisions[k];
            check_bits(device, desc);
        }
}
ON_EACH_ENGINE(same_bits)

// ---- error paths --------------------------------------------------------------------------------

static void refuse(struct adele_device *device, struct adele_pack_item item, const char *text) {
    struct adele_pack_desc desc = {1, &item, ADELE_PRECISION_BF16};
    struct adele_op *op;
    assert_int_equal(device->iface->pack_create(device, &desc, &op), ADELE_INVALID_ARGUMENT);
    assert_null(op);
    if (strstr(adele_error_message(), text) == NULL)
        fail_msg("the message lacks \"%s\": %s", text, adele_error_message());
}

static void check_errors(struct adele_device *device) {
    refuse(device, (struct adele_pack_item){0, 0, 1, 9, 9, 3}, "1 bytes");
    refuse(device, (struct adele_pack_item){-1, 0, 64, 9, 9, 3}, "float -1");
    refuse(device, (struct adele_pack_item){0, 64, 64, 9, 9, 3}, "at 64");
    refuse(device, (struct adele_pack_item){0, 0, 64, 0, 9, 3}, "0 x 9");
    struct adele_op *op;
    struct adele_pack_desc desc = {2, NULL, ADELE_PRECISION_FP32};
    assert_int_equal(device->iface->pack_create(device, &desc, &op), ADELE_INVALID_ARGUMENT);
    desc = (struct adele_pack_desc){0, NULL, (enum adele_precision)7};
    assert_int_equal(device->iface->pack_create(device, &desc, &op), ADELE_INVALID_ARGUMENT);
    // Nothing to pack is no mistake.
    desc = (struct adele_pack_desc){0, NULL, ADELE_PRECISION_FP32};
    assert_ok(device->iface->pack_create(device, &desc, &op));
    assert_ok(device->iface->pack_forward(op, &(struct adele_pack_args){NULL, NULL}));
    device->iface->op_destroy(op);
    op_check_allocations(device, ADELE_OP_pack, &desc);
}
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
