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

// Segments of 1, a prime, and around the chunks of 4096 and 16384 floats, with a gap that must stay
// as it is.
static const struct adele_sgd_segment segments[] = {
    {0, 1, 1.0f, 0.0f},         {1, 7, 2.0f, 5e-4f},         {8, 16383, 10.0f, 5e-4f},
    {16391, 16384, 1.0f, 0.1f}, {32775, 16385, 20.0f, 0.0f}, {49163, 0, 1.0f, 1.0f},
    {49163, 4097, 0.0f, 1.0f},
};
#define N_SEGMENTS (int)(sizeof segments / sizeof segments[0])
#define N_FLOATS   53271 // 3 untouched at 49160 and 11 at the end
#define N_STATE    300

struct problem {
    struct adele_adamw_desc desc;
    float *weights, *gradients, *first, *second, *average;
    float state[N_STATE], kept[N_STATE];
    int64_t n_updates, health[ADELE_HEALTH_COUNT];
    struct adele_adamw_args host, device;
};

// The device's arguments hold copies of the host's arrays.
static void upload(struct arena *arena, struct problem *p, bool is_guarded) {
    const size_t bytes = N_FLOATS * sizeof(float);
    p->host = (struct adele_adamw_args){.weights = p->weights,
                                        .gradients = p->gradients,
                                        .first = p->first,
                                        .second = p->second,
                                        .n_updates = &p->n_updates,
                                        .rate = 0.001f,
                                        .beta1 = 0.9,
                                        .beta2 = 0.999,
                                        .eps = 1e-8f,
                                        .health = is_guarded ? p->health : NULL,
                                        .state = p->state,
                                        .kept = p->kept,
                                        .n_kept = is_guarded ? N_STATE : 0,
                                        .average = p->average,
                                        .average_decay = 0.75f};
    p->device = p->host;
    p->device.weights = arena_upload(arena, p->weights, bytes);
    p->device.gradients = arena_upload(arena, p->gradients, bytes);
    p->device.first = arena_upload(arena, p->first, bytes);
    p->device.second = arena_upload(arena, p->second, bytes);
    p->device.average = arena_upload(arena, p->average, bytes);
    p->device.n_updates = arena_upload(arena, &p->n_updates, sizeof p->n_updates);
    if (!is_guarded)
        return;
    p->device.health = arena_upload(arena, p->health, sizeof p->health);
    p->device.state = arena_upload(arena, p->state, sizeof p->state);
    p->device.kept = arena_upload(arena, p->kept, sizeof p->kept);
}

static void problem_init(struct arena *arena, struct problem *p, bool is_guarded) {
    memset(p, 0, sizeof *p);
    p->desc = (struct adele_adamw_desc){N_SEGMENTS, segments};
    p->weights = arena_random(arena, 1, N_FLOATS, -1.0, 1.0);
    p->gradients = arena_random(arena, 3, N_FLOATS, -1.0, 1.0);
    p->first = arena_random(arena, 0, N_FLOATS, 0.0, 0.0);
    p->second = arena_random(arena, 0, N_FLOATS, 0.0, 0.0);
    p->average = arena_random(arena, 4, N_FLOATS, -1.0, 1.0);
    upload(arena, p, is_guarded);
}

static int64_t updates_of(const struct adele_device *device, const int64_t *n_updates) {
    int64_t n = -1;
    assert_int_equal(device->iface->download(device, &n, n_updates, sizeof n), ADELE_OK);
    return n;
}

// A step is at most the rate of 0.02 and rounds a few times, the moments are below 1: 1e-6.
static void assert_same(struct arena *arena, const struct problem *p) {
    const struct {
        const char *name;
        const float *got, *want;
    } arrays[] = {{"weights", p->device.weights, p->weights},
                  {"first", p->device.first, p->first},
                  {"second", p->device.second, p->second},
                  {"average", p->device.average, p->average}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        assert_true(compare_f32(arrays[i].name, arena_download(arena, arrays[i].got, N_FLOATS),
                                arrays[i].want, 1, 1, 1, N_FLOATS, 1e-6, 1e-6));
    assert_int_equal(updates_of(arena->device, p->device.n_updates), p->n_updates);
}

// Three steps from zero, so that the corrections matter.
static void check_steps(struct adele_device *device) {
    struct arena arena;
    struct problem p;
    arena_open(&arena, device);
    problem_init(&arena, &p, false);
    struct adele_sgd_segment copy[N_SEGMENTS];
    memcpy(copy, segments, sizeof copy);
    struct adele_adamw_desc desc = {N_SEGMENTS, copy};
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->adamw_create(device, &desc, &op), ADELE_OK);
    memset(copy, 0xff, sizeof copy); // the op has its own copy
    for (int step = 0; step < 3; step++) {
        assert_int_equal(device->iface->adamw_forward(op, &p.device), ADELE_OK);
        reference_adamw_forward(&p.desc, &p.host);
    }
    assert_int_equal(p.n_updates, 3);
    assert_same(&arena, &p);
    assert_true(compare_bytes("gradients", arena_download(&arena, p.device.gradients, N_FLOATS),
                              p.gradients, N_FLOATS * sizeof(float)));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// Update 1000, whose corrections are near 1 and 0.63, and no overflow of a count beyond 2^32.
static void check_late_updates(struct adele_device *device) {
    static const int64_t done[] = {999, (int64_t)1 << 40};
    for (size_t i = 0; i < 2; i++) {
        struct arena arena;
        struct problem p;
        struct adele_op *op = NULL;
        arena_open(&arena, device);
        problem_init(&arena, &p, false);
        p.n_updates = done[i];
        assert_int_equal(
            device->iface->upload(device, p.device.n_updates, &p.n_updates, sizeof p.n_updates),
            ADELE_OK);
        assert_int_equal(device->iface->adamw_create(device, &p.desc, &op), ADELE_OK);
        assert_int_equal(device->iface->adamw_forward(op, &p.device), ADELE_OK);
        reference_adamw_forward(&p.desc, &p.host);
        assert_same(&arena, &p);
        device->iface->op_destroy(op);
        arena_close(&arena);
    }
}

// Weight 1, gradient 4, decay 0.5, rate 0.25 * 2, betas 0.5 and 0.75: m = 2 and v = 4, corrected to
// 4 and 16. The step is 0.5 * 4 / (4 + 0) and the decay 0.25: 1 - 0.25 - 0.5.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    const struct adele_sgd_segment segment = {1, 1, 2.0f, 0.5f};
    struct adele_adamw_desc desc = {1, &segment};
    struct adele_op *op = NULL;
    int64_t n_updates = 0;
    assert_int_equal(device->iface->adamw_create(device, &desc, &op), ADELE_OK);
    const float weights[] = {7, 1, 7}, gradients[] = {9, 4, 9}, zeros[] = {3, 0, 3};
    struct adele_adamw_args args = {.weights = arena_upload(&arena, weights, sizeof weights),
                                    .gradients = arena_upload(&arena, gradients, sizeof gradients),
                                    .first = arena_upload(&arena, zeros, sizeof zeros),
                                    .second = arena_upload(&arena, zeros, sizeof zeros),
                                    .n_updates = arena_upload(&arena, &n_updates, sizeof n_updates),
                                    .rate = 0.25f,
                                    .beta1 = 0.5,
                                    .beta2 = 0.75};
    assert_int_equal(device->iface->adamw_forward(op, &args), ADELE_OK);
    const float new_weights[] = {7, 0.25f, 7}, first[] = {3, 2, 3}, second[] = {3, 4, 3};
    assert_true(compare_bytes("weights", arena_download(&arena, args.weights, 3), new_weights,
                              sizeof new_weights));
    assert_true(compare_bytes("first", arena_download(&arena, args.first, 3), first, sizeof first));
    assert_true(
        compare_bytes("second", arena_download(&arena, args.second, 3), second, sizeof second));
    assert_int_equal(updates_of(device, args.n_updates), 1);
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// Two of four updates are skipped, for a NaN and for an infinity; they do not count in n_updates,
// and everything is as after the first and the last alone.
static void check_not_finite(struct adele_device *device) {
    static const struct {
        int i;
        float value; // at i; those of the first and the last step lie in a gap between segments
    } steps[] = {{49160, NAN}, {32774, NAN}, {0, -INFINITY}, {49161, INFINITY}};
    static const int64_t wanted[ADELE_HEALTH_COUNT] = {4, 2, 2, 3};
    struct arena arena;
    struct problem p;
    struct adele_op *op = NULL;
    int64_t health[ADELE_HEALTH_COUNT];
    arena_open(&arena, device);
    problem_init(&arena, &p, true);
    assert_int_equal(device->iface->adamw_create(device, &p.desc, &op), ADELE_OK);
    for (int step = 0; step < 4; step++) {
        float good = p.gradients[steps[step].i];
        p.gradients[steps[step].i] = steps[step].value;
        for (int i = 0; i < N_STATE; i++) // what forward did
            p.state[i] = (float)(1000 * step + i);
        assert_int_equal(device->iface->upload(device, p.device.gradients, p.gradients,
                                               N_FLOATS * sizeof(float)),
                         ADELE_OK);
        assert_int_equal(device->iface->upload(device, p.device.state, p.state, sizeof p.state),
                         ADELE_OK);
        assert_int_equal(device->iface->adamw_forward(op, &p.device), ADELE_OK);
        reference_adamw_forward(&p.desc, &p.host);
        p.gradients[steps[step].i] = good;
    }
    assert_int_equal(p.n_updates, 2);
    assert_same(&arena, &p);
    assert_int_equal(device->iface->download(device, health, p.device.health, sizeof health),
                     ADELE_OK);
    assert_true(compare_bytes("health", health, wanted, sizeof wanted));
    assert_true(compare_bytes("health", p.health, wanted, sizeof wanted));
    assert_true(compare_bytes("state", arena_download(&arena, p.device.state, N_STATE), p.state,
                              sizeof p.state));
    device->iface->op_destroy(op);
    arena_close(&arena);
}

// A loss that is not finite skips the update, and with skip_all_later those that follow.
static void check_left_out(struct adele_device *device) {
    static const struct {
        int32_t loss_is_finite;
        bool skip_all_later;
        int n_updates; // after it
    } steps[] = {{1, true, 1}, {0, false, 1}, {1, false, 2}, {1, true, 2}};
    struct arena arena;
    struct problem p;
    struct adele_op *op = NULL;
    arena_open(&arena, device);
    problem_init(&arena, &p, true);
    int32_t is_finite = 1;
    int32_t *flag = arena_upload(&arena, &is_finite, sizeof is_finite);
    p.host.loss_is_finite = &is_finite;
    p.device.loss_is_finite = flag;
    assert_int_equal(device->iface->adamw_create(device, &p.desc, &op), ADELE_OK);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        is_finite = steps[i].loss_is_finite;
        p.device.skip_all_later = p.host.skip_all_later = steps[i].skip_all_later;
        assert_int_equal(device->iface->upload(device, flag, &is_finite, sizeof is_finite),
                         ADELE_OK);
        assert_int_equal(device->iface->adamw_forward(op, &p.device), ADELE_OK);
        reference_adamw_forward(&p.desc, &p.host);
        assert_int_equal(p.n_updates, steps[i].n_updates);
        assert_int_equal(updates_of(device, p.device.n_updates), steps[i].n_updates);
    }
    assert_same(&arena, &p);
    device->iface->op_destroy(op);
    arena_close(&arena);
}

static void check_errors(struct adele_device *device) {
    const struct adele_sgd_segment bad[] = {{-1, 4, 1.0f, 0.0f}, {0, -4, 1.0f, 0.0f}};
    struct adele_op *op = NULL;
    for (int i = 0; i < 2; i++) {
        struct adele_adamw_desc desc = {1, &bad[i]};
        op_check_refused(device, ADELE_OP_adamw, &desc);
    }
    struct adele_adamw_desc good = {N_SEGMENTS, segments};
    for (long i = 0; i < 2; i++) {
        memory_fail_at(i);
        assert_int_equal(device->iface->adamw_create(device, &good, &op), ADELE_NO_MEMORY);
        memory_fail_at(-1);
        assert_null(op);
    }
    struct adele_adamw_desc empty = {0, NULL};
    struct adele_adamw_args args = {0};
    assert_int_equal(device->iface->adamw_create(device, &empty, &op), ADELE_OK);
    assert_int_equal(device->iface->adamw_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
}

ON_EACH_DEVICE(steps)
ON_EACH_DEVICE(late_updates)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(not_finite)
ON_EACH_DEVICE(left_out)
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),    cmocka_unit_test(test_late_updates),
        cmocka_unit_test(test_literal),  cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_left_out), cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
