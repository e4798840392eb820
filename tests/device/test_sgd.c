// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/op_errors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Segments around the chunk of 16384 floats, with a gap that must stay as it is.
static const struct adele_sgd_segment segments[] = {
    {0, 1, 1.0f, 0.0f},         {1, 7, 2.0f, 5e-4f},         {8, 16383, 10.0f, 5e-4f},
    {16391, 16384, 1.0f, 0.1f}, {32775, 16385, 20.0f, 0.0f}, {49163, 0, 1.0f, 1.0f},
    {49163, 37, 0.0f, 1.0f},
};
#define N_SEGMENTS (int)(sizeof segments / sizeof segments[0])
#define N_FLOATS   49211 // 3 untouched at 49160 and 11 at the end

// Three steps, so that the momentum matters. A weight of size 1 moves by at most about 0.1 per step
// and rounds a few times: 1e-6.
static void check_steps(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_sgd_segment copy[N_SEGMENTS];
    memcpy(copy, segments, sizeof copy);
    struct adele_sgd_desc desc = {N_SEGMENTS, copy};
    float *weights = arena_random(&arena, 1, N_FLOATS, -1.0, 1.0);
    float *momenta = arena_random(&arena, 2, N_FLOATS, -1.0, 1.0);
    float *gradients = arena_random(&arena, 3, N_FLOATS, -1.0, 1.0);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->sgd_create(device, &desc, &op), ADELE_OK);
    struct adele_sgd_args args = {arena_upload(&arena, weights, N_FLOATS * sizeof(float)),
                                  arena_upload(&arena, gradients, N_FLOATS * sizeof(float)),
                                  arena_upload(&arena, momenta, N_FLOATS * sizeof(float)),
                                  0.001f,
                                  0.9f,
                                  NULL,
                                  NULL,
                                  NULL,
                                  0,
                                  NULL,
                                  0,
                                  false,
                                  NULL,
                                  0.0f,
                                  false};
    struct adele_sgd_args host = {.weights = weights,
                                  .gradients = gradients,
                                  .momenta = momenta,
                                  .rate = 0.001f,
                                  .momentum = 0.9f};
    memset(copy, 0xff, sizeof copy); // the op has its own copy
    desc.segments = segments;
    memory_fail_at(-1);
    for (int step = 0; step < 3; step++) {
        assert_int_equal(device->iface->sgd_forward(op, &args), ADELE_OK);
        reference_sgd_forward(&desc, &host);
    }
    assert_int_equal(memory_count(), 0);
    assert_true(compare_f32("weights", arena_download(&arena, args.weights, N_FLOATS), weights, 1,
                            1, 1, N_FLOATS, 1e-6, 1e-6));
    assert_true(compare_f32("momenta", arena_download(&arena, args.momenta, N_FLOATS), momenta, 1,
                            1, 1, N_FLOATS, 1e-6, 1e-6));
    assert_true(compare_bytes("gradients", arena_download(&arena, args.gradients, N_FLOATS),
                              gradients, N_FLOATS * sizeof(float)));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// weight 1, gradient 0.5, decay 0.25: g = 0.75, m = 0.5 * 2 + 0.75 = 1.75, weight = 1 - 0.5 * 2
// * 1.75.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    const struct adele_sgd_segment segment = {1, 1, 2.0f, 0.25f};
    struct adele_sgd_desc desc = {1, &segment};
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->sgd_create(device, &desc, &op), ADELE_OK);
    const float weights[] = {7, 1, 7}, gradients[] = {9, 0.5f, 9}, momenta[] = {3, 2, 3};
    struct adele_sgd_args args = {arena_upload(&arena, weights, sizeof weights),
                                  arena_upload(&arena, gradients, sizeof gradients),
                                  arena_upload(&arena, momenta, sizeof momenta),
                                  0.5f,
                                  0.5f,
                                  NULL,
                                  NULL,
                                  NULL,
                                  0,
                                  NULL,
                                  0,
                                  false,
                                  NULL,
                                  0.0f,
                                  false};
    assert_int_equal(device->iface->sgd_forward(op, &args), ADELE_OK);
    const float new_weights[] = {7, -0.75f, 7}, new_momenta[] = {3, 1.75f, 3};
    assert_true(compare_bytes("weights", arena_download(&arena, args.weights, 3), new_weights,
                              sizeof new_weights));
    assert_true(compare_bytes("momenta", arena_download(&arena, args.momenta, 3), new_momenta,
                              sizeof new_momenta));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// The average follows in the same pass, in aligned arenas and in others, and the weights are the
// same bits with and without one. All powers of two: exact. Gaps stay as they are.
static void check_average(struct adele_device *device) {
    enum { N = 4200 };
    static const struct adele_sgd_segment parts[] = {{0, 4099, 1.0f, 0.0f}, {4101, 97, 1.0f, 0.0f}};
    for (int shift = 0; shift < 2; shift++) {
        struct arena arena;
        struct adele_sgd_desc desc = {2, parts};
        struct adele_op *op = NULL;
        arena_open(&arena, device);
        float *values = arena_floats(&arena, N + 1), *zeros = arena_floats(&arena, N + 1);
        for (int i = 0; i < N + 1; i++)
            values[i] = (float)(i % 64);
        const size_t bytes = (N + 1) * sizeof(float);
        assert_int_equal(device->iface->sgd_create(device, &desc, &op), ADELE_OK);
        struct adele_sgd_args args = {.weights = arena_upload(&arena, values, bytes),
                                      .gradients = arena_upload(&arena, values, bytes),
                                      .momenta = arena_upload(&arena, zeros, bytes),
                                      .rate = 0.5f,
                                      .average =
                                          (float *)arena_upload(&arena, zeros, bytes) + shift,
                                      .average_decay = 0.75f};
        assert_int_equal(device->iface->sgd_forward(op, &args), ADELE_OK);
        const float *weights = arena_download(&arena, args.weights, N);
        const float *average = arena_download(&arena, args.average, N);
        for (int i = 0; i < N; i++) {
            bool is_gap = i == 4099 || i == 4100 || i >= 4198;
            assert_true(weights[i] == values[i] * (is_gap ? 1.0f : 0.5f));
            assert_true(average[i] == (is_gap ? 0.0f : values[i] / 8.0f));
        }
        device->iface->op_destroy(op);
        arena_close(&arena);
    }
}

static void check_errors(struct adele_device *device) {
    const struct adele_sgd_segment bad[] = {{-1, 4, 1.0f, 0.0f}, {0, -4, 1.0f, 0.0f}};
    struct adele_op *op = NULL;
    for (int i = 0; i < 2; i++) {
        struct adele_sgd_desc desc = {1, &bad[i]};
        op_check_refused(device, ADELE_OP_sgd, &desc);
    }
    struct adele_sgd_desc good = {N_SEGMENTS, segments};
    for (long i = 0; i < 2; i++) {
        memory_fail_at(i);
        assert_int_equal(device->iface->sgd_create(device, &good, &op), ADELE_NO_MEMORY);
        memory_fail_at(-1);
        assert_null(op);
    }
    struct adele_sgd_desc empty = {0, NULL};
    struct adele_sgd_args args = {0};
    assert_int_equal(device->iface->sgd_create(device, &empty, &op), ADELE_OK);
    assert_int_equal(device->iface->sgd_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
}

static void check_upload(const struct adele_device *device, void *to, const void *from,
                         size_t bytes) {
    assert_int_equal(device->iface->upload(device, to, from, bytes), ADELE_OK);
}

// Two updates are skipped, for a NaN and for an infinity; then everything is as after the first
// and the last alone, and the device remembers which was the first and where.
static void check_not_finite(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct adele_sgd_desc desc = {N_SEGMENTS, segments};
    float *weights = arena_random(&arena, 1, N_FLOATS, -1.0, 1.0);
    float *momenta = arena_random(&arena, 2, N_FLOATS, -1.0, 1.0);
    float *gradients = arena_random(&arena, 3, N_FLOATS, -1.0, 1.0);
    int64_t health[ADELE_HEALTH_COUNT] = {0}, of_device[ADELE_HEALTH_COUNT];
    float state[300], kept[300];
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->sgd_create(device, &desc, &op), ADELE_OK);
    memset(state, 0, sizeof state);
    memset(kept, 0, sizeof kept);
    struct adele_sgd_args args = {arena_upload(&arena, weights, N_FLOATS * sizeof(float)),
                                  arena_upload(&arena, gradients, N_FLOATS * sizeof(float)),
                                  arena_upload(&arena, momenta, N_FLOATS * sizeof(float)),
                                  0.001f,
                                  0.9f,
                                  arena_upload(&arena, health, sizeof health),
                                  arena_upload(&arena, state, sizeof state),
                                  arena_upload(&arena, kept, sizeof kept),
                                  300,
                                  NULL,
                                  0,
                                  false,
                                  NULL,
                                  0.0f,
                                  false};
    float *average = arena_random(&arena, 4, N_FLOATS, -1.0, 1.0);
    struct adele_sgd_args host = {.weights = weights,
                                  .gradients = gradients,
                                  .momenta = momenta,
                                  .rate = 0.001f,
                                  .momentum = 0.9f,
                                  .health = health,
                                  .state = state,
                                  .kept = kept,
                                  .n_kept = 300,
                                  .average = average,
                                  .average_decay = 0.75f};
    args.average = arena_upload(&arena, average, N_FLOATS * sizeof(float));
    args.average_decay = host.average_decay;
    static const struct {
        int i;
        float value; // at i; those of the first and the last step lie in a gap between segments
    } steps[] = {{49160, NAN}, {32774, NAN}, {0, -INFINITY}, {49161, INFINITY}};
    for (int step = 0; step < 4; step++) {
        float good = gradients[steps[step].i];
        gradients[steps[step].i] = steps[step].value;
        for (int i = 0; i < 300; i++) // what forward did
            state[i] = (float)(1000 * step + i);
        check_upload(device, args.gradients, gradients, N_FLOATS * sizeof(float));
        check_upload(device, args.state, state, sizeof state);
        assert_int_equal(device->iface->sgd_forward(op, &args), ADELE_OK);
        reference_sgd_forward(&desc, &host);
        gradients[steps[step].i] = good;
    }
    assert_int_equal(device->iface->download(device, of_device, args.health, sizeof health),
                     ADELE_OK);
    static const int64_t wanted[ADELE_HEALTH_COUNT] = {4, 2, 2, 3};
    assert_true(compare_bytes("health", of_device, wanted, sizeof wanted));
    assert_true(compare_bytes("health", health, wanted, sizeof wanted));
    assert_true(
        compare_bytes("state", arena_download(&arena, args.state, 300), state, sizeof state));
    assert_true(state[1] == 3001.0f); // of the last update, which gaps do not stop
    assert_true(compare_f32("weights", arena_download(&arena, args.weights, N_FLOATS), weights, 1,
                            1, 1, N_FLOATS, 1e-6, 1e-6));
    assert_true(compare_f32("momenta", arena_download(&arena, args.momenta, N_FLOATS), momenta, 1,
                            1, 1, N_FLOATS, 1e-6, 1e-6));
    assert_true(compare_f32("average", arena_download(&arena, args.average, N_FLOATS), average, 1,
                            1, 1, N_FLOATS, 1e-6, 1e-6));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// One parameter, six updates: which are done, by the loss, the gradient and skip_all_later.
static void check_left_out(struct adele_device *device) {
    static const struct {
        float gradient;
        int32_t loss_is_finite;
        bool skip_all_later;
        float weight; // after it: 1 less with each update that is done
    } steps[] = {{1, 1, true, 9},    {NAN, 0, false, 9}, {1, 1, false, 8},
                 {NAN, 1, false, 8}, {1, 1, false, 7},   {1, 1, true, 7}};
    static const int64_t wanted[ADELE_HEALTH_COUNT] = {6, 3, 2, -1,
                                                       1}; // first the loss: no segment
    struct arena arena;
    arena_open(&arena, device);
    const struct adele_sgd_segment segment = {0, 1, 1.0f, 0.0f};
    struct adele_sgd_desc desc = {1, &segment};
    struct adele_op *op = NULL;
    int64_t health[ADELE_HEALTH_COUNT] = {0}, of_device[ADELE_HEALTH_COUNT];
    int32_t is_finite[3] = {1, 1, 1}; // one of three losses that the gradient is of is bad
    float weight = 10, gradient = 1, momentum = 0, state = 0, kept = 0;
    assert_int_equal(device->iface->sgd_create(device, &desc, &op), ADELE_OK);
    struct adele_sgd_args host = {.weights = &weight,
                                  .gradients = &gradient,
                                  .momenta = &momentum,
                                  .rate = 1.0f,
                                  .health = health,
                                  .state = &state,
                                  .kept = &kept,
                                  .n_kept = 1,
                                  .loss_is_finite = is_finite,
                                  .n_losses = 3};
    struct adele_sgd_args args = host;
    args.weights = arena_upload(&arena, &weight, sizeof weight);
    args.gradients = arena_upload(&arena, &gradient, sizeof gradient);
    args.momenta = arena_upload(&arena, &momentum, sizeof momentum);
    args.health = arena_upload(&arena, health, sizeof health);
    args.state = arena_upload(&arena, &state, sizeof state);
    args.kept = arena_upload(&arena, &kept, sizeof kept);
    int32_t *flag = arena_upload(&arena, is_finite, sizeof is_finite);
    args.loss_is_finite = flag;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        gradient = steps[i].gradient;
        is_finite[i % 3] = steps[i].loss_is_finite;
        args.skip_all_later = host.skip_all_later = steps[i].skip_all_later;
        state = (float)i + 1; // what forward did
        check_upload(device, args.gradients, &gradient, sizeof gradient);
        check_upload(device, flag, is_finite, sizeof is_finite);
        check_upload(device, args.state, &state, sizeof state);
        assert_int_equal(device->iface->sgd_forward(op, &args), ADELE_OK);
        reference_sgd_forward(&desc, &host);
        is_finite[i % 3] = 1;
        assert_true(*arena_download(&arena, args.weights, 1) == steps[i].weight);
        assert_true(weight == steps[i].weight);
        assert_true(*arena_download(&arena, args.state, 1) == state);
    }
    assert_true(state == 5.0f);
    assert_int_equal(device->iface->download(device, of_device, args.health, sizeof health),
                     ADELE_OK);
    assert_true(compare_bytes("health", of_device, wanted, sizeof wanted));
    assert_true(compare_bytes("health", health, wanted, sizeof wanted));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// With gradients_are_checked, the flags alone say whether an update is skipped.
static void check_gradients_are_checked(struct adele_device *device) {
    static const struct {
        float gradient;
        int32_t is_finite;
        float weight; // after it, from 10
    } steps[] = {{1, 1, 9}, {NAN, 0, 10}, {INFINITY, 1, -INFINITY}};
    static const int64_t wanted[ADELE_HEALTH_COUNT] = {3, 1, 2, -1, 0};
    const struct adele_sgd_segment segment = {0, 1, 1.0f, 0.0f};
    struct adele_sgd_desc desc = {1, &segment};
    struct adele_op *op = NULL;
    int64_t health[ADELE_HEALTH_COUNT] = {0}, of_device[ADELE_HEALTH_COUNT];
    struct arena arena;
    arena_open(&arena, device);
    assert_int_equal(device->iface->sgd_create(device, &desc, &op), ADELE_OK);
    int64_t *device_health = arena_upload(&arena, health, sizeof health);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        float weight = 10, gradient = steps[i].gradient, momentum = 0;
        struct adele_sgd_args host = {.weights = &weight,
                                      .gradients = &gradient,
                                      .momenta = &momentum,
                                      .rate = 1.0f,
                                      .health = health,
                                      .loss_is_finite = &steps[i].is_finite,
                                      .gradients_are_checked = true};
        struct adele_sgd_args args = host;
        args.weights = arena_upload(&arena, &weight, sizeof weight);
        args.gradients = arena_upload(&arena, &gradient, sizeof gradient);
        args.momenta = arena_upload(&arena, &momentum, sizeof momentum);
        args.health = device_health;
        args.loss_is_finite = arena_upload(&arena, host.loss_is_finite, sizeof(int32_t));
        assert_int_equal(device->iface->sgd_forward(op, &args), ADELE_OK);
        reference_sgd_forward(&desc, &host);
        assert_true(*arena_download(&arena, args.weights, 1) == steps[i].weight);
        assert_true(weight == steps[i].weight);
    }
    assert_int_equal(device->iface->download(device, of_device, device_health, sizeof of_device),
                     ADELE_OK);
    assert_true(compare_bytes("health", of_device, wanted, sizeof wanted));
    assert_true(compare_bytes("health", health, wanted, sizeof wanted));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

ON_EACH_DEVICE(steps)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(average)
ON_EACH_DEVICE(not_finite)
ON_EACH_DEVICE(left_out)
ON_EACH_DEVICE(gradients_are_checked)
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),    cmocka_unit_test(test_literal),
        cmocka_unit_test(test_average),  cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_left_out), cmocka_unit_test(test_gradients_are_checked),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
