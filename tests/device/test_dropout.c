// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// n, c, h, w
static const int cases[][4] = {
    {1, 1, 1, 1},  {2, 3, 5, 7},  {1, 7, 3, 2},   {1, 8, 4, 4},    {3, 9, 2, 3},
    {1, 15, 5, 5}, {2, 16, 3, 3}, {1, 17, 11, 1}, {2, 21, 13, 17},
};
#define N_CASES (sizeof cases / sizeof cases[0])

static struct adele_dropout_desc desc_of(const int *row, double rate, bool per_channel) {
    return (struct adele_dropout_desc){.n = row[0],
                                       .c = row[1],
                                       .h = row[2],
                                       .w = row[3],
                                       .rate = rate,
                                       .per_channel = per_channel,
                                       .seed = 0x123456789ABCULL,
                                       .stream = 5};
}

// The same bits where tensors are float: one product each, and which are dropped is integer work.
static void compare(struct arena *arena, const char *what, const void *got, const float *want,
                    struct adele_shape shape) {
    assert_true(compare_f32(what, arena_tensor_download(arena, got, shape), want, shape.n, shape.c,
                            shape.h, shape.w, 1e-6, device_tolerance(arena->device, 1e-6)));
}

static void check(struct adele_device *device, struct adele_dropout_desc desc, bool is_active,
                  bool with_ids, bool accumulate) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_shape shape = {desc.n, desc.c, desc.h, desc.w};
    size_t count = shape_count(shape);
    static const int32_t ids[3] = {70001, 2, 9};
    struct adele_dropout_args host = {.is_active = is_active,
                                      .sample_ids = with_ids ? ids : NULL,
                                      .epoch = 3,
                                      .src = arena_random(&arena, 1, count, -1.0, 1.0),
                                      .dst = arena_floats(&arena, count),
                                      .d_dst = arena_random(&arena, 2, count, -1.0, 1.0),
                                      .d_src = arena_random(&arena, 3, count, -1.0, 1.0),
                                      .accumulate_d_src = accumulate};
    struct adele_dropout_args args = host;
    args.sample_ids = with_ids ? arena_upload(&arena, ids, sizeof ids) : NULL;
    args.src = arena_tensor(&arena, shape, host.src);
    args.dst = arena_tensor(&arena, shape, NULL);
    args.d_dst = arena_tensor(&arena, shape, host.d_dst);
    args.d_src = arena_tensor(&arena, shape, accumulate ? host.d_src : NULL);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->dropout_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_dropout);
    assert_int_equal(op->workspace_bytes, 0); // its arguments have none
    assert_int_equal(device->iface->dropout_forward(op, &args), ADELE_OK);
    reference_dropout_forward(&desc, &host);
    compare(&arena, "dst", args.dst, host.dst, shape);
    assert_int_equal(device->iface->dropout_backward(op, &args), ADELE_OK);
    reference_dropout_backward(&desc, &host);
    compare(&arena, "d_src", args.d_src, host.d_src, shape);
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < N_CASES; i++)
        for (int flags = 0; flags < 8; flags++)
            check(device, desc_of(cases[i], flags % 2 == 1 ? 0.5 : 0.3, flags / 2 % 2 == 1), true,
                  flags >= 4, flags % 3 == 0);
}

static void check_off(struct adele_device *device) {
    check(device, desc_of(cases[1], 0.5, false), false, true, false);
    check(device, desc_of(cases[4], 0.5, true), false, false, true);
    check(device, desc_of(cases[4], 0.0, false), true, false, false);
}

// ---- what is drawn ------------------------------------------------------------------------------

// Dropped values of a tensor of ones, as 0, others as their factor.
static void draw(struct adele_device *device, struct adele_dropout_desc desc, uint32_t epoch,
                 const int32_t *ids, float *out) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_shape shape = {desc.n, desc.c, desc.h, desc.w};
    float *ones = arena_floats(&arena, shape_count(shape));
    for (size_t i = 0; i < shape_count(shape); i++)
        ones[i] = 1.0F;
    struct adele_op *op = NULL;
    struct adele_dropout_args args = {.is_active = true,
                                      .epoch = epoch,
                                      .sample_ids =
                                          arena_upload(&arena, ids, (size_t)desc.n * sizeof *ids),
                                      .src = arena_tensor(&arena, shape, ones),
                                      .dst = arena_tensor(&arena, shape, NULL)};
    assert_int_equal(device->iface->dropout_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(device->iface->dropout_forward(op, &args), ADELE_OK);
    memcpy(out, arena_tensor_download(&arena, args.dst, shape), shape_count(shape) * sizeof *out);
    device->iface->op_destroy(op);
    arena_close(&arena);
}

#define N_DRAWN (2 * 21 * 13 * 17)

static int differences(const float *a, const float *b, int n) {
    int count = 0;
    for (int i = 0; i < n; i++)
        count += a[i] != b[i];
    return count;
}

// The share that is dropped; a row depends on its sample, the epoch, the seed and the stream, and
// on nothing else.
static void check_draws(struct adele_device *device) {
    static float first[N_DRAWN], other[N_DRAWN];
    const int half = N_DRAWN / 2;
    struct adele_dropout_desc desc = desc_of(cases[8], 0.25, false);
    draw(device, desc, 1, (const int32_t[]){4, 7}, first);
    int n_dropped = 0;
    for (int i = 0; i < N_DRAWN; i++) {
        n_dropped += first[i] == 0.0F;
        assert_true(first[i] == 0.0F || fabs((double)first[i] - 4.0 / 3.0) < 0.005);
    }
    double share = (double)n_dropped / N_DRAWN; // a standard deviation is 0.0045
    assert_true(fabs(share - 0.25) < 0.02);
    assert_true(differences(first, first + half, half) > half / 4);
    draw(device, desc, 1, (const int32_t[]){7, 4}, other);
    assert_int_equal(differences(first, other + half, half), 0);
    assert_int_equal(differences(first + half, other, half), 0);
    draw(device, desc, 2, (const int32_t[]){4, 7}, other);
    assert_true(differences(first, other, N_DRAWN) > N_DRAWN / 4);
    desc.stream++;
    draw(device, desc, 1, (const int32_t[]){4, 7}, other);
    assert_true(differences(first, other, N_DRAWN) > N_DRAWN / 4);
    desc.stream--;
    desc.seed += 1ULL << 32;
    draw(device, desc, 1, (const int32_t[]){4, 7}, other);
    assert_true(differences(first, other, N_DRAWN) > N_DRAWN / 4);
}

static void check_whole_channels(struct adele_device *device) {
    static float drawn[N_DRAWN];
    draw(device, desc_of(cases[8], 0.5, true), 1, (const int32_t[]){4, 7}, drawn);
    int n_dropped = 0;
    for (int plane = 0; plane < 2 * 21; plane++) {
        const float *at = drawn + (size_t)plane * 13 * 17;
        n_dropped += at[0] == 0.0F;
        for (int i = 1; i < 13 * 17; i++)
            assert_true(at[i] == at[0]);
    }
    assert_in_range(n_dropped, 9, 33); // 21, within 3.7 standard deviations
}

// ---- misuse -------------------------------------------------------------------------------------

static void check_bad_descriptors(struct adele_device *device) {
    struct adele_dropout_desc good = desc_of(cases[1], 0.5, false), bad[7];
    for (int i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].n = 0;
    bad[1].c = 0;
    bad[2].w = -1;
    bad[3].rate = 1.0;
    bad[4].rate = -0.1;
    bad[5].rate = NAN;
    bad[6].stream = ADELE_MAX_DROPOUT_STREAM + 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct adele_op *op = (struct adele_op *)device;
        assert_int_equal(device->iface->dropout_create(device, &bad[i], &op),
                         ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
    ASSERT_CREATE_SURVIVES_FAILURES(device, dropout, &good);
}

ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(off)
ON_EACH_DEVICE(draws)
ON_EACH_DEVICE(whole_channels)
ON_EACH_DEVICE(bad_descriptors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),          cmocka_unit_test(test_off),
        cmocka_unit_test(test_draws),           cmocka_unit_test(test_whole_channels),
        cmocka_unit_test(test_bad_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
