// SPDX-License-Identifier: MIT
// What an op reads and writes, as a list of its arrays, made from its descriptor: tests
// (support/op_run.h) and benchmarks (bench/bench.h) allocate, fill and compare by this list.
#ifndef ADELE_TESTS_PROBLEM_H
#define ADELE_TESTS_PROBLEM_H

#include "device/device.h"

enum field_type {
    FIELD_TENSOR, // of `shape`
    FIELD_FLOATS, // plain, `count` of them
    FIELD_HALVES, // half precision, as uint16_t
    FIELD_BYTES,
    FIELD_INTS,   // int32_t
    FIELD_COUNTS, // int64_t
    FIELD_DOUBLES
};
enum field_role { // which pass reads or writes it; F = forward, B = backward
    READ_F = 1,
    WRITE_F = 2,
    READ_B = 4,
    WRITE_B = 8
};
struct field {
    const char *name;
    size_t offset; // of the pointer in the op's args
    enum field_type type;
    int role;
    struct adele_shape shape;
    size_t count;
    double low, high; // of the values it starts with; bytes and ints: whole numbers, both included
    size_t moved_count; // elements that one call moves, when that is not all of them
    size_t accumulate;  // of a gradient: the offset of its bool in the op's args; 0: it has none
    bool is_copy;       // its values are copies of others, without rounding
};

#define MAX_FIELDS   48
#define NO_WORKSPACE ((size_t)-1)

union op_args {
#define OP_ARGS(name, has_backward) struct adele_##name##_args name;
    ADELE_OPS(OP_ARGS)
#undef OP_ARGS
};
union op_desc {
#define OP_DESC(name, has_backward) struct adele_##name##_desc name;
    ADELE_OPS(OP_DESC)
#undef OP_DESC
};

struct problem {
    enum adele_op_kind kind;
    union op_desc desc;
    union op_args args; // scalars are set; pointers are filled in where it runs
    struct field fields[MAX_FIELDS];
    int n_fields;
    size_t workspace_offset; // in args, or NO_WORKSPACE
    double tolerance;        // of benchmarks: relative to the largest value of an output
};

// problem_<op>: the problem of a descriptor, in problem_network.c, problem_training.c and
// problem_labels.c, as the ops' headers are.
#define OP_PROBLEM(name, has_backward)                                                             \
    void problem_##name(const struct adele_##name##_desc *desc, struct problem *out);
ADELE_OPS(OP_PROBLEM)
#undef OP_PROBLEM

// ---- how problem_<op> describes its op ----------------------------------------------------------

#define PROBLEM(to, op, desc_of_op, of_tolerance)                                                  \
    (*(to) = (struct problem){.kind = ADELE_OP_##op,                                               \
                              .desc.op = *(desc_of_op),                                            \
                              .workspace_offset = NO_WORKSPACE,                                    \
                              .tolerance = (of_tolerance)})
#define WORKSPACE(to, op) ((to)->workspace_offset = offsetof(struct adele_##op##_args, workspace))
// Adds a field with initial values in [-1, 1) and returns it.
struct field *problem_field(struct problem *problem, const char *name, size_t offset,
                            enum field_type type, int role);
#define TENSOR(to, op, member, role, ...)                                                          \
    (problem_field((to), #member, offsetof(struct adele_##op##_args, member), FIELD_TENSOR,        \
                   (role))                                                                         \
         ->shape = (struct adele_shape){__VA_ARGS__})
#define PLAIN(to, op, member, type, role, n)                                                       \
    (problem_field((to), #member, offsetof(struct adele_##op##_args, member), (type), (role))      \
         ->count = (size_t)(n))
// A gradient that backward overwrites, unless its accumulate_<member> is set.
#define GRADIENT(to, op, member, ...)                                                              \
    (TENSOR(to, op, member, WRITE_B, __VA_ARGS__),                                                 \
     problem_last(to)->accumulate = offsetof(struct adele_##op##_args, accumulate_##member))
struct field *problem_last(struct problem *problem);                  // the field added last
void problem_range(struct problem *problem, double low, double high); // its initial values

// ---- what is made of it -------------------------------------------------------------------------

// Sets accumulate_<member> of gradient i where bit i of `which` is set.
void problem_accumulate(struct problem *problem, unsigned which);
struct field *problem_find(struct problem *problem, const char *name); // NULL: no such field
bool problem_has_backward(const struct problem *problem);

bool field_is_input(const struct field *field); // has values before the first pass that uses it
size_t field_count(const struct field *field);
size_t field_element_bytes(enum field_type type);
void *args_pointer(const union op_args *args, size_t offset);
void args_set_pointer(union op_args *args, size_t offset, void *pointer);

adele_status problem_run(const struct adele_device *device, struct adele_op *op,
                         const union op_args *args, bool is_backward);
// tests/reference
void problem_run_reference(const struct problem *problem, const union op_args *args,
                           bool is_backward);

#endif
