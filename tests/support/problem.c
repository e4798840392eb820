// SPDX-License-Identifier: MIT
#include "support/problem.h"

#include "reference/reference.h"
#include "reference/reference_method.h"

#include <string.h>

// ---- the list of arrays -------------------------------------------------------------------------

struct field *problem_field(struct problem *problem, const char *name, size_t offset,
                            enum field_type type, int role) {
    struct field *field = &problem->fields[problem->n_fields++];
    *field = (struct field){
        .name = name, .offset = offset, .type = type, .role = role, .low = -1.0, .high = 1.0};
    return field;
}

struct field *problem_last(struct problem *problem) {
    return &problem->fields[problem->n_fields - 1];
}

void problem_range(struct problem *problem, double low, double high) {
    problem_last(problem)->low = low;
    problem_last(problem)->high = high;
}

void problem_accumulate(struct problem *problem, unsigned which) {
    static const bool accumulates = true;
    for (int i = 0; i < problem->n_fields; i++) {
        struct field *field = &problem->fields[i];
        if (field->accumulate == 0)
            continue;
        if ((which & 1) != 0) {
            field->role |= READ_B;
            field->is_copy = false;
            memcpy((char *)&problem->args + field->accumulate, &accumulates, sizeof accumulates);
        }
        which >>= 1;
    }
}

struct field *problem_find(struct problem *problem, const char *name) {
    for (int i = 0; i < problem->n_fields; i++)
        if (strcmp(problem->fields[i].name, name) == 0)
            return &problem->fields[i];
    return NULL;
}

bool problem_has_backward(const struct problem *problem) {
    for (int i = 0; i < problem->n_fields; i++)
        if ((problem->fields[i].role & WRITE_B) != 0)
            return true;
    return false;
}

bool field_is_input(const struct field *field) {
    return (field->role & READ_F) != 0 || (field->role & (READ_B | WRITE_F)) == READ_B;
}

size_t field_count(const struct field *field) {
    struct adele_shape shape = field->shape;
    if (field->type != FIELD_TENSOR)
        return field->count;
    return (size_t)shape.n * (size_t)shape.c * (size_t)shape.h * (size_t)shape.w;
}

size_t field_element_bytes(enum field_type type) {
    static const size_t bytes[] = {sizeof(float),   sizeof(float),   sizeof(uint16_t), 1,
                                   sizeof(int32_t), sizeof(int64_t), sizeof(double)};
    return bytes[type];
}

void *args_pointer(const union op_args *args, size_t offset) {
    void *pointer;
    memcpy(&pointer, (const char *)args + offset, sizeof pointer);
    return pointer;
}

void args_set_pointer(union op_args *args, size_t offset, void *pointer) {
    memcpy((char *)args + offset, &pointer, sizeof pointer);
}

// ---- the op of a problem ------------------------------------------------------------------------

#define BACKWARD_0(call) ADELE_UNSUPPORTED
#define BACKWARD_1(call) (call)

adele_status problem_run(const struct adele_device *device, struct adele_op *op,
                         const union op_args *args, bool is_backward) {
    const struct adele_device_iface *iface = device->iface;
    switch (op->kind) {
#define RUN_CASE(name, has_backward)                                                               \
    case ADELE_OP_##name:                                                                          \
        return is_backward ? BACKWARD_##has_backward(iface->name##_backward(op, &args->name))      \
                           : iface->name##_forward(op, &args->name);
        ADELE_OPS(RUN_CASE)
#undef RUN_CASE
    default:
        return ADELE_UNSUPPORTED;
    }
}

#define REFERENCE_BACKWARD_0(call) (void)0
#define REFERENCE_BACKWARD_1(call) (call)

void problem_run_reference(const struct problem *problem, const union op_args *args,
                           bool is_backward) {
    switch (problem->kind) {
#define REFERENCE_CASE(name, has_backward)                                                         \
    case ADELE_OP_##name:                                                                          \
        if (is_backward)                                                                           \
            REFERENCE_BACKWARD_##has_backward(                                                     \
                reference_##name##_backward(&problem->desc.name, &args->name));                    \
        else                                                                                       \
            reference_##name##_forward(&problem->desc.name, &args->name);                          \
        break;
        ADELE_OPS(REFERENCE_CASE)
#undef REFERENCE_CASE
    default:
        break;
    }
}
