// SPDX-License-Identifier: MIT
// Compares a problem on a device with tests/reference.
#include "bench.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

bool bench_rounds_sums(const struct instance *instance) {
    const char *engine = instance->op->engine;
    return engine != NULL && bench_is_bf16(instance->device) &&
           (strstr(engine, "cudnn") != NULL || strstr(engine, "cublas") != NULL);
}

// The values of one field on both sides.
struct both {
    void *want, *got;
    size_t n;
};

static adele_status host_field(const struct field *field, union op_args *args, struct both *out) {
    size_t image = (size_t)field->shape.c * (size_t)field->shape.h * (size_t)field->shape.w;
    out->n = field->type == FIELD_TENSOR ? image * (size_t)field->shape.n : field->count;
    out->want = memory_calloc(out->n + 1, field_element_bytes(field->type));
    out->got = memory_calloc(out->n + 1, field_element_bytes(field->type));
    TRY(CHECK_MEMORY(out->want));
    TRY(CHECK_MEMORY(out->got));
    args_set_pointer(args, field->offset, out->want);
    if (!field_is_filled(field))
        return ADELE_OK;
    if (field->type != FIELD_TENSOR)
        field_fill_host(field, out->want, out->n);
    for (size_t i = 0; i < out->n && field->type == FIELD_TENSOR; i++)
        ((float *)out->want)[i] = field_value(field, i / image, i % image);
    return ADELE_OK;
}

static double value_of(enum field_type type, const void *values, size_t i) {
    switch (type) {
    case FIELD_HALVES:
        return (double)half_to_float(((const uint16_t *)values)[i]);
    case FIELD_BYTES:
        return ((const uint8_t *)values)[i];
    case FIELD_INTS:
        return ((const int32_t *)values)[i];
    case FIELD_COUNTS:
        return (double)((const int64_t *)values)[i];
    case FIELD_DOUBLES:
        return ((const double *)values)[i];
    default:
        return (double)((const float *)values)[i];
    }
}

// Floats: within the tolerance of the largest value, and of the rounding of 16-bit tensors. Whole
// numbers: equal, except for a few that depend on a comparison of floats.
static adele_status compare_field(const struct problem *problem, const struct field *field,
                                  const struct both *both, const struct instance *instance) {
    bool is_bf16 = bench_is_bf16(instance->device);
    bool is_whole = field->type == FIELD_BYTES || field->type == FIELD_INTS;
    double largest = 0.0, worst = 0.0;
    size_t n_bad = 0, i_bad = 0;
    for (size_t i = 0; i < both->n; i++)
        largest = fmax(largest, fabs(value_of(field->type, both->want, i)));
    double tolerance = problem->tolerance * largest + 1e-30;
    if (bench_rounds_sums(instance))
        tolerance += largest / 256.0;
    if (field->type == FIELD_COUNTS)
        tolerance = 2.0 + 2e-3 * largest;
    for (size_t i = 0; i < both->n; i++) {
        double want = value_of(field->type, both->want, i);
        double got = value_of(field->type, both->got, i), difference = fabs(got - want);
        double allowed = is_whole ? 0.0 : tolerance;
        if (is_bf16 && field->type == FIELD_TENSOR)
            allowed += fabs(want) / 256.0;
        if (!(difference <= allowed)) {
            i_bad = n_bad++ == 0 ? i : i_bad;
            worst = !(difference <= worst) ? difference : worst;
        }
    }
    if (n_bad == 0 || (is_whole && (double)n_bad <= 2e-3 * (double)both->n))
        return ADELE_OK;
    return FAIL(
        ADELE_NUMERIC, "The op's own test gives details: ctest -R.",
        "%s is wrong: %zu of %zu elements, element %zu is %g and should be %g, the worst is "
        "off by %g",
        field->name, n_bad, both->n, i_bad, value_of(field->type, both->got, i_bad),
        value_of(field->type, both->want, i_bad), worst);
}

static adele_status compare_outputs(const struct problem *problem, const struct instance *instance,
                                    struct both *both, bool is_backward) {
    const struct adele_device *device = instance->device;
    for (int i = 0; i < problem->n_fields; i++) {
        const struct field *field = &problem->fields[i];
        if ((field->role & (is_backward ? WRITE_B : WRITE_F)) == 0)
            continue;
        const void *from = instance_pointer(instance, field->offset);
        if (field->type == FIELD_TENSOR)
            TRY(device->iface->tensor_download(device, both[i].got, from, field->shape));
        else
            TRY(device->iface->download(device, both[i].got, from,
                                        both[i].n * field_element_bytes(field->type)));
        TRY(compare_field(problem, field, &both[i], instance));
    }
    return ADELE_OK;
}

adele_status problem_check(struct adele_device *device, const struct problem *problem) {
    struct instance instance = {0};
    struct both both[MAX_FIELDS] = {{0}};
    union op_args host = problem->args;
    adele_status status;
    for (int i = 0; i < problem->n_fields; i++)
        TRY_GOTO(host_field(&problem->fields[i], &host, &both[i]), done);
    TRY_GOTO(instance_open(device, problem, &instance), done);
    for (int pass = 0; pass <= (int)problem_has_backward(problem); pass++) {
        TRY_GOTO(instance_run(&instance, pass == 1), done);
        problem_run_reference(problem, &host, pass == 1);
        TRY_GOTO(device->iface->synchronize(device), done);
        TRY_GOTO(compare_outputs(problem, &instance, both, pass == 1), done);
    }
done:
    for (int i = 0; i < problem->n_fields; i++) {
        memory_free(both[i].want);
        memory_free(both[i].got);
    }
    instance_close(&instance);
    return status;
}
