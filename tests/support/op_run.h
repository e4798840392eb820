// SPDX-License-Identifier: MIT
// Runs the op of a problem on a device and by tests/reference, on the same values, and compares.
// Every failure fails the running CMocka test.
#ifndef ADELE_TESTS_OP_RUN_H
#define ADELE_TESTS_OP_RUN_H

#include "support/devices.h"
#include "support/op_create.h"
#include "support/problem.h"

struct op_run {
    struct arena arena;
    struct problem problem;
    struct adele_op *op;
    union op_args host, device; // arguments of the reference and of the op
};

// Random values from seeds that follow the order of the arrays. What the op must write before it is
// read is NaN on the device, so that an element left unwritten shows.
void op_open(struct op_run *run, struct adele_device *device, const struct problem *problem);
void op_close(struct op_run *run);

// The host's array `name`, of tensors and floats; op_set brings other values into it, or those that
// it has been given by hand (NULL), and to the device.
float *op_values(const struct op_run *run, const char *name);
struct adele_shape op_shape(const struct op_run *run, const char *name); // of a tensor
void op_set(struct op_run *run, const char *name, const void *values);

void op_forward(struct op_run *run); // on the device
void op_backward(struct op_run *run);
// Both, of an op from src to dst, with these values of src and d_dst.
void op_run_both(struct op_run *run, const float *src, const float *d_dst);
float *op_result(struct op_run *run, const char *name); // of tensors and floats, from the device
// Array `name` on the device against `want`; NULL: against the host's.
void op_compare(struct op_run *run, const char *name, const float *want, double absolute,
                double relative);
// The same bits, of tensors and floats.
void op_compare_bits(struct op_run *run, const char *name, const float *want);
// A pass of both, then all that it writes; copies have to be equal.
void op_check_forward(struct op_run *run, double absolute, double relative);
void op_check_backward(struct op_run *run, double absolute, double relative);

// The same bits with one thread as with three, and no allocation in a pass.
void op_check_threads(struct adele_device *device, const struct problem *problem);

// Every gradient of an array that forward reads, against finite differences of the reference:
// gradients that are tensors, but for copies, and the others.
void op_check_gradients(struct op_run *run, double step, double of_tensors, double of_others);
#endif
