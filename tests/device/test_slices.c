// SPDX-License-Identifier: MIT
// Ops that read or write a slice of a wide tensor, against tests/reference: the slice is right, and
// the channels beside it stay as they are.
#include "support/compare.h"
#include "support/op_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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

// Brings array `name` of the op into a slice of a tensor of other values.
static struct wide widen(struct op_run *run, const char *name, struct part part, uint64_t seed) {
    const struct field *field = problem_find(&run->problem, name);
    struct wide wide = {.part = part, .shape = field->shape, .own = field->shape};
    wide.shape.c = part.slice.of;
    wide.before = arena_random(&run->arena, seed, shape_count(wide.shape), -1.0, 1.0);
    wide.values = op_values(run, name);
    if (field_is_input(field)) // else the op must overwrite what stands there
        copy_slice(&wide, wide.before, wide.values, false);
    wide.tensor = arena_tensor(&run->arena, wide.shape, wide.before);
    args_set_pointer(&run->device, field->offset, wide.tensor);
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

// An op with array `name` and its gradient in slices. The reference gets the slices alone: its
// descriptor's slice lies at `offset`.
static void check_op(struct adele_device *device, struct problem *problem, size_t offset,
                     struct part part, const char *name, const char *gradient) {
    struct op_run run;
    op_open(&run, device, problem);
    memset((char *)&run.problem.desc + offset, 0, sizeof(struct adele_slice));
    struct wide wide = widen(&run, name, part, 101), d_wide = widen(&run, gradient, part, 102);
    op_forward(&run);
    op_backward(&run);
    problem_run_reference(&run.problem, &run.host, false);
    problem_run_reference(&run.problem, &run.host, true);
    check_wide(&run.arena, name, &wide);
    check_wide(&run.arena, gradient, &d_wide);
    for (int i = 0; i < run.problem.n_fields; i++) {
        const struct field *field = &run.problem.fields[i];
        bool is_sum = field->type == FIELD_TENSOR && !field->is_copy;
        if ((field->role & (WRITE_F | WRITE_B)) != 0 && strcmp(field->name, name) != 0 &&
            strcmp(field->name, gradient) != 0)
            op_compare(&run, field->name, NULL, field->is_copy ? 0.0 : 2e-5,
                       is_sum ? device_tolerance(device, 1e-5) : 0.0);
    }
    op_close(&run);
}

static void batch_norm_part(struct adele_device *device, struct part part) {
    for (int is_eval = 0; is_eval < 2; is_eval++) {
        struct problem problem;
        struct adele_batch_norm_desc desc = {2,    part.c, 9,       7,         1e-5F,
                                             0.1F, true,   is_eval, part.slice};
        problem_batch_norm(&desc, &problem);
        problem.args.batch_norm.use_batch_statistics = !is_eval;
        check_op(device, &problem, offsetof(struct adele_batch_norm_desc, dst), part, "dst",
                 "d_dst");
    }
}

static void check_batch_norm(struct adele_device *device) {
    each_part(device, batch_norm_part);
}
ON_EACH_DEVICE(batch_norm)

static void max_pool_part(struct adele_device *device, struct part part) {
    for (unsigned variant = 0; variant < 4; variant++) {
        struct problem problem;
        int is_wide = variant / 2;
        struct adele_max_pool_desc desc = {2, part.c, 9, 8, 2 + is_wide, 2, is_wide, part.slice};
        problem_max_pool(&desc, &problem);
        problem_accumulate(&problem, variant % 2);
        check_op(device, &problem, offsetof(struct adele_max_pool_desc, src), part, "src", "d_src");
    }
}

static void check_max_pool(struct adele_device *device) {
    each_part(device, max_pool_part);
}
ON_EACH_DEVICE(max_pool)

static void rescale_part(struct adele_device *device, struct part part) {
    for (unsigned accumulate = 0; accumulate < 2; accumulate++) {
        struct problem problem;
        struct adele_rescale_desc desc = {2, part.c, 5, 4, 10, 8, 11, 9, 0, 0, part.slice};
        problem_rescale(&desc, &problem);
        problem_accumulate(&problem, accumulate);
        check_op(device, &problem, offsetof(struct adele_rescale_desc, dst), part, "dst", "d_dst");
    }
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
