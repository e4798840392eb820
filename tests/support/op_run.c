// SPDX-License-Identifier: MIT
#include "support/op_run.h"

#include "base/half.h"
#include "base/memory.h"
#include "support/compare.h"
#include "support/gradient.h"
#include "support/maps.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_float(const struct field *field) {
    return field->type == FIELD_TENSOR || field->type == FIELD_FLOATS;
}

static size_t bytes_of(const struct field *field) {
    return field_count(field) * field_element_bytes(field->type);
}

static const struct field *find(const struct op_run *run, const char *name) {
    for (int i = 0; i < run->problem.n_fields; i++)
        if (strcmp(run->problem.fields[i].name, name) == 0)
            return &run->problem.fields[i];
    fail_msg("the op has no array \"%s\"", name);
    return NULL;
}

// ---- memory -------------------------------------------------------------------------------------

static void *make_host(struct arena *arena, const struct field *field, uint64_t seed) {
    size_t count = field_count(field);
    if (is_float(field) && !field_is_input(field))
        return arena_floats(arena, count);
    if (is_float(field))
        return arena_random(arena, seed, count, field->low, field->high);
    void *out = maps_empty(arena, bytes_of(field));
    if (field->type == FIELD_HALVES) {
        const float *values = arena_random(arena, seed, count, field->low, field->high);
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)out)[i] = half_from_float(values[i]);
    } else if (field->type == FIELD_BYTES) {
        const float *values = arena_random(arena, seed, count, field->low, field->high + 1.0);
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = (uint8_t)fmin(values[i], field->high); // rounded to bf16
    } else if (field->type == FIELD_INTS) {
        for (size_t i = 0; i < count; i++)
            ((int32_t *)out)[i] = (int32_t)field->low + (int32_t)i;
    }
    return out;
}

static void *make_device(struct arena *arena, const struct field *field, const void *host) {
    const void *values = field_is_input(field) ? host : NULL;
    return field->type == FIELD_TENSOR ? arena_tensor(arena, field->shape, values)
                                       : arena_upload(arena, values, bytes_of(field));
}

void op_open(struct op_run *run, struct adele_device *device, const struct problem *problem) {
    *run = (struct op_run){.problem = *problem, .host = problem->args, .device = problem->args};
    arena_open(&run->arena, device);
    for (int i = 0; i < problem->n_fields; i++) {
        const struct field *field = &problem->fields[i];
        void *host = make_host(&run->arena, field, (uint64_t)i + 1);
        args_set_pointer(&run->host, field->offset, host);
        args_set_pointer(&run->device, field->offset, make_device(&run->arena, field, host));
    }
    if (op_create(device, problem->kind, &problem->desc, &run->op) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    assert_int_equal(run->op->kind, problem->kind);
    if (problem->workspace_offset != NO_WORKSPACE)
        args_set_pointer(&run->device, problem->workspace_offset,
                         arena_workspace(&run->arena, run->op));
    else
        assert_int_equal(run->op->workspace_bytes, 0);
}

void op_close(struct op_run *run) {
    run->arena.device->iface->op_destroy(run->op);
    arena_close(&run->arena);
}

float *op_values(const struct op_run *run, const char *name) {
    const struct field *field = find(run, name);
    assert_true(is_float(field));
    return args_pointer(&run->host, field->offset);
}

struct adele_shape op_shape(const struct op_run *run, const char *name) {
    return find(run, name)->shape;
}

static void upload(struct op_run *run, const struct field *field) {
    const struct adele_device *device = run->arena.device;
    const void *host = args_pointer(&run->host, field->offset);
    void *to = args_pointer(&run->device, field->offset);
    adele_status status = field->type == FIELD_TENSOR
                              ? device->iface->tensor_upload(device, to, field->shape, host)
                              : device->iface->upload(device, to, host, bytes_of(field));
    assert_int_equal(status, ADELE_OK);
}

void op_set(struct op_run *run, const char *name, const void *values) {
    const struct field *field = find(run, name);
    if (values != NULL)
        memcpy(args_pointer(&run->host, field->offset), values, bytes_of(field));
    upload(run, field);
}

// ---- passes -------------------------------------------------------------------------------------

// Ops that run in turn share their workspace (device/device.h): nothing that one pass leaves there
// may be read by the next.
static void spoil_workspace(struct op_run *run) {
    size_t bytes = run->op->workspace_bytes;
    if (bytes == 0)
        return;
    void *ones = malloc(bytes);
    assert_non_null(ones);
    memset(ones, 0xff, bytes);
    void *workspace = args_pointer(&run->device, run->problem.workspace_offset);
    adele_status status =
        run->arena.device->iface->upload(run->arena.device, workspace, ones, bytes);
    free(ones);
    assert_int_equal(status, ADELE_OK);
}

static void run_pass(struct op_run *run, bool is_backward) {
    spoil_workspace(run);
    if (problem_run(run->arena.device, run->op, &run->device, is_backward) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

void op_forward(struct op_run *run) {
    run_pass(run, false);
}

void op_backward(struct op_run *run) {
    run_pass(run, true);
}

void op_run_both(struct op_run *run, const float *src, const float *d_dst) {
    op_set(run, "src", src);
    op_set(run, "d_dst", d_dst);
    op_forward(run);
    op_backward(run);
}

// From the device; halves become floats.
static void *fetch(struct op_run *run, const struct field *field) {
    const void *from = args_pointer(&run->device, field->offset);
    if (field->type == FIELD_TENSOR)
        return arena_tensor_download(&run->arena, from, field->shape);
    if (field->type == FIELD_FLOATS)
        return arena_download(&run->arena, from, field->count);
    return maps_download(&run->arena, from, bytes_of(field));
}

float *op_result(struct op_run *run, const char *name) {
    const struct field *field = find(run, name);
    assert_true(is_float(field));
    return fetch(run, field);
}

static const float *floats_of_halves(struct arena *arena, const uint16_t *halves, size_t count) {
    float *out = arena_floats(arena, count);
    for (size_t i = 0; i < count; i++)
        out[i] = half_to_float(halves[i]);
    return out;
}

static void compare(struct op_run *run, const struct field *field, const void *want,
                    double absolute, double relative) {
    struct adele_shape shape = field->shape;
    const void *got = fetch(run, field);
    if (field->type == FIELD_HALVES) {
        got = floats_of_halves(&run->arena, got, field->count);
        want = floats_of_halves(&run->arena, want, field->count);
    } else if (!is_float(field)) {
        assert_true(compare_bytes(field->name, got, want, bytes_of(field)));
        return;
    }
    if (field->type != FIELD_TENSOR)
        shape = (struct adele_shape){1, 1, 1, (int)field->count};
    assert_true(compare_f32(field->name, got, want, shape.n, shape.c, shape.h, shape.w, absolute,
                            relative));
}

void op_compare(struct op_run *run, const char *name, const float *want, double absolute,
                double relative) {
    const struct field *field = find(run, name);
    compare(run, field, want != NULL ? want : args_pointer(&run->host, field->offset), absolute,
            relative);
}

void op_compare_bits(struct op_run *run, const char *name, const float *want) {
    size_t bytes = field_count(find(run, name)) * sizeof(float);
    assert_true(compare_bytes(name, op_result(run, name), want, bytes));
}

static void check_pass(struct op_run *run, bool is_backward, double absolute, double relative) {
    run_pass(run, is_backward);
    problem_run_reference(&run->problem, &run->host, is_backward);
    for (int i = 0; i < run->problem.n_fields; i++) {
        const struct field *field = &run->problem.fields[i];
        if ((field->role & (is_backward ? WRITE_B : WRITE_F)) != 0)
            compare(run, field, args_pointer(&run->host, field->offset),
                    field->is_copy ? 0.0 : absolute, field->is_copy ? 0.0 : relative);
    }
}

void op_check_forward(struct op_run *run, double absolute, double relative) {
    check_pass(run, false, absolute, relative);
}

void op_check_backward(struct op_run *run, double absolute, double relative) {
    check_pass(run, true, absolute, relative);
}

// Compares all that the op has written with `first`, or puts it there in the first run.
static void same_bits(struct op_run *run, bool is_first, const void *first[MAX_FIELDS]) {
    struct adele_device *device = run->arena.device;
    for (int i = 0; i < run->problem.n_fields; i++) {
        const struct field *field = &run->problem.fields[i];
        if ((field->role & (WRITE_F | WRITE_B)) == 0)
            continue;
        size_t bytes = field->type == FIELD_TENSOR
                           ? device->iface->tensor_bytes(device, field->shape)
                           : bytes_of(field);
        const void *from = args_pointer(&run->device, field->offset);
        const void *got = maps_download(&run->arena, from, bytes);
        if (is_first)
            first[i] = got;
        assert_true(compare_bytes(field->name, got, first[i], bytes));
    }
}

void op_check_threads(struct adele_device *device, const struct problem *problem) {
    struct op_run runs[2];
    const void *first[MAX_FIELDS] = {NULL};
    int n_threads = omp_get_max_threads();
    for (int i = 0; i < 2; i++) {
        op_open(&runs[i], device, problem);
        omp_set_num_threads(i == 0 ? 1 : 3);
        memory_fail_at(-1);
        op_forward(&runs[i]);
        if (problem_has_backward(problem))
            op_backward(&runs[i]);
        assert_int_equal(memory_count(), 0);
        same_bits(&runs[i], i == 0, first);
    }
    omp_set_num_threads(n_threads);
    for (int i = 0; i < 2; i++)
        op_close(&runs[i]);
}

// ---- finite differences -------------------------------------------------------------------------

// The host's values of the arrays that forward reads and changes, before the first forward.
struct objective {
    const struct op_run *run;
    float *before[MAX_FIELDS];
};

static double evaluate(const void *context) {
    const struct objective *objective = context;
    const struct op_run *run = objective->run;
    for (int i = 0; i < run->problem.n_fields; i++) {
        const struct field *field = &run->problem.fields[i];
        if (objective->before[i] != NULL)
            memcpy(args_pointer(&run->host, field->offset), objective->before[i], bytes_of(field));
    }
    problem_run_reference(&run->problem, &run->host, false);
    return gradient_dot(op_values(run, "d_dst"), op_values(run, "dst"),
                        field_count(find(run, "dst")));
}

// A gradient that the op adds to begins at zero.
static void start_gradients(struct op_run *run, struct objective *objective) {
    *objective = (struct objective){.run = run};
    for (int i = 0; i < run->problem.n_fields; i++) {
        const struct field *field = &run->problem.fields[i];
        void *host = args_pointer(&run->host, field->offset);
        if ((field->role & (READ_B | WRITE_B)) == (READ_B | WRITE_B)) {
            memset(host, 0, bytes_of(field));
            upload(run, field);
        } else if ((field->role & (READ_F | WRITE_F)) == (READ_F | WRITE_F)) {
            objective->before[i] = arena_floats(&run->arena, field_count(field));
            memcpy(objective->before[i], host, bytes_of(field));
        }
    }
}

// d_<name>, which comes after <name>.
static const struct field *gradient_of(const struct problem *problem, int i_field) {
    const char *name = problem->fields[i_field].name;
    for (int i = i_field + 1; i < problem->n_fields; i++)
        if (strncmp(problem->fields[i].name, "d_", 2) == 0 &&
            strcmp(problem->fields[i].name + 2, name) == 0)
            return &problem->fields[i];
    fail_msg("the op has no gradient of \"%s\"", name);
    return NULL;
}

void op_check_gradients(struct op_run *run, double step, double of_tensors, double of_others) {
    struct objective objective;
    int n_checked = 0;
    start_gradients(run, &objective);
    op_forward(run);
    op_backward(run);
    for (int i = 0; i < run->problem.n_fields; i++) {
        const struct field *field = &run->problem.fields[i];
        if ((field->role & (READ_F | WRITE_F)) != READ_F || !is_float(field))
            continue;
        const struct field *gradient = gradient_of(&run->problem, i);
        bool is_sum = gradient->type == FIELD_TENSOR && !gradient->is_copy;
        assert_true(gradient_agrees(field->name, evaluate, &objective,
                                    args_pointer(&run->host, field->offset), fetch(run, gradient),
                                    field_count(field), 11 + (uint64_t)i, step,
                                    is_sum ? of_tensors : of_others));
        n_checked++;
    }
    assert_true(n_checked > 0);
}
