// SPDX-License-Identifier: MIT
// First values of parameters: against the reference, uniform ones bit by bit against the stream;
// what lies between items stays as it was.
#include "base/random.h"
#include "reference/reference.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/op_errors.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED  0x123456789abcdef0u
#define GAP   3 // values between items, and before the first
#define N     7
#define TOTAL 8192

// Around one thread's values, and around one block's (512 normal ones, 1024 others).
static const int64_t counts[N] = {1, 0, 7, 511, 513, 1024, 1025};

static int64_t lay_out(enum adele_initial kind, struct adele_initialize_item items[N]) {
    int64_t at = GAP;
    for (int i = 0; i < N; i++) {
        items[i] = (struct adele_initialize_item){at, counts[i], kind, 0.25 * (i + 1),
                                                  (uint32_t)(100 - i)};
        at += counts[i] + GAP;
    }
    return at;
}

// What the device made of an arena of ones.
static const float *run(struct arena *arena, const struct adele_initialize_desc *desc) {
    const struct adele_device_iface *iface = arena->device->iface;
    struct adele_op *op;
    float *ones = arena_floats(arena, TOTAL);
    for (int i = 0; i < TOTAL; i++)
        ones[i] = 1.0F;
    struct adele_initialize_args args = {arena_upload(arena, ones, TOTAL * sizeof *ones)};
    check_ok(iface->initialize_create(arena->device, desc, &op));
    assert_int_equal(op->kind, ADELE_OP_initialize);
    check_ok(iface->initialize_forward(op, &args));
    const float *values = arena_download(arena, args.values, TOTAL);
    iface->op_destroy(op);
    return values;
}

static void check_kind(struct adele_device *device, enum adele_initial kind) {
    struct arena arena;
    struct adele_initialize_item items[N];
    arena_open(&arena, device);
    assert_true(lay_out(kind, items) <= TOTAL);
    struct adele_initialize_desc desc = {N, items, SEED};
    const float *got = run(&arena, &desc);
    float *want = arena_floats(&arena, TOTAL);
    for (int i = 0; i < TOTAL; i++)
        want[i] = 1.0F;
    reference_initialize_forward(&desc, &(struct adele_initialize_args){want});
    // Both are a double rounded to float; a normal value may be a few deviations large.
    for (int i = 0; i < TOTAL; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= 1e-6))
            fail_msg("kind %d, value %d is %.9g, want %.9g", (int)kind, i, (double)got[i],
                     (double)want[i]);
    arena_close(&arena);
}

static void check_reference(struct adele_device *device) {
    for (int kind = ADELE_INITIAL_CONSTANT; kind <= ADELE_INITIAL_NORMAL; kind++)
        check_kind(device, (enum adele_initial)kind);
}
ON_EACH_DEVICE(reference)

static void check_uniform_bits(struct adele_device *device) {
    struct arena arena;
    struct adele_initialize_item items[N];
    arena_open(&arena, device);
    lay_out(ADELE_INITIAL_UNIFORM, items);
    struct adele_initialize_desc desc = {N, items, SEED};
    const float *got = run(&arena, &desc);
    float *want = arena_floats(&arena, TOTAL);
    for (int i = 0; i < TOTAL; i++)
        want[i] = 1.0F;
    for (int k = 0; k < N; k++) {
        struct random_stream stream;
        random_stream_init(&stream, SEED, RANDOM_INIT, 0, items[k].stream);
        for (int64_t i = 0; i < items[k].count; i++)
            want[items[k].offset + i] =
                (float)random_range(&stream, -items[k].spread, items[k].spread);
    }
    assert_true(compare_bytes("uniform values", got, want, TOTAL * sizeof *got));
    arena_close(&arena);
}
ON_EACH_DEVICE(uniform_bits)

// ---- error paths --------------------------------------------------------------------------------

static void refuse(struct adele_device *device, struct adele_initialize_item item,
                   const char *text) {
    struct adele_initialize_desc desc = {1, &item, SEED};
    struct adele_op *op;
    assert_int_equal(device->iface->initialize_create(device, &desc, &op), ADELE_INVALID_ARGUMENT);
    assert_null(op);
    if (strstr(adele_error_message(), text) == NULL)
        fail_msg("the message lacks \"%s\": %s", text, adele_error_message());
}

static void check_errors(struct adele_device *device) {
    refuse(device, (struct adele_initialize_item){-1, 4, ADELE_INITIAL_UNIFORM, 1.0, 0},
           "float -1");
    refuse(device, (struct adele_initialize_item){0, -4, ADELE_INITIAL_UNIFORM, 1.0, 0},
           "-4 values");
    refuse(device, (struct adele_initialize_item){0, 4, (enum adele_initial)9, 1.0, 0}, "kind 9");
    refuse(device, (struct adele_initialize_item){0, 4, ADELE_INITIAL_NORMAL, NAN, 0}, "nan");
    struct adele_op *op;
    struct adele_initialize_desc desc = {2, NULL, SEED};
    assert_int_equal(device->iface->initialize_create(device, &desc, &op), ADELE_INVALID_ARGUMENT);
    // Nothing to initialize is no mistake.
    desc.n_items = 0;
    check_ok(device->iface->initialize_create(device, &desc, &op));
    check_ok(device->iface->initialize_forward(op, &(struct adele_initialize_args){NULL}));
    device->iface->op_destroy(op);
    struct adele_initialize_item item = {0, 5, ADELE_INITIAL_UNIFORM, 1.0, 0};
    desc = (struct adele_initialize_desc){1, &item, SEED};
    op_check_allocations(device, ADELE_OP_initialize, &desc);
}
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_uniform_bits),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
