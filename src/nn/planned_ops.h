// SPDX-License-Identifier: MIT
// The ops of a training step of a network at one input shape, with their descriptors: nothing is
// run, and no tensor is allocated.
#ifndef ADELE_NN_PLANNED_OPS_H
#define ADELE_NN_PLANNED_OPS_H

#include "base/memory.h"
#include "nn/network.h"

struct planned_op {
    enum adele_op_kind kind;
    const struct node *node; // borrowed from the graph
    const void *desc;        // struct adele_<kind>_desc, borrowed from the planned ops
    struct adele_shape in, out;
};

struct planned_ops;

// For a training plan of inputs of that shape; `precision` goes into the descriptors. Borrows the
// graph until planned_ops_destroy.
ADELE_MUST_CHECK adele_status planned_ops_create(const struct graph *graph,
                                                 struct adele_shape input,
                                                 enum adele_precision precision,
                                                 struct planned_ops **out);
void planned_ops_destroy(struct planned_ops *ops); // NULL is legal
OWNER(planned_ops_destroy, struct planned_ops)
// In the order in which they run; *n: how many.
const struct planned_op *planned_ops_list(const struct planned_ops *ops, int *n);
// Of the plan, with tensors of 2 bytes and channels in multiples of 8.
struct plan_memory planned_ops_memory(const struct planned_ops *ops);
#endif
