// SPDX-License-Identifier: MIT
// What one training step of a network costs at one input shape, counted from its ops, for tests and
// benchmarks. A multiplication and its addition are two FLOPs, taps that fall
// into padding included.
#ifndef ADELE_TESTS_COSTS_H
#define ADELE_TESTS_COSTS_H

#include "nn/planned_ops.h"

struct op_cost {
    enum adele_op_kind kind;
    const char *name; // of the node; borrowed from the graph
    const void *desc; // struct adele_<kind>_desc, borrowed from the costs
    struct adele_shape out;
    int64_t n_parameters;                              // that are trained
    double flops_forward, flops_d_src, flops_d_weight; // of convolutions; others have 0
    // Tensor elements that the op reads and writes when it runs alone.
    double elements_forward, elements_backward;
};

struct cost_totals {
    double flops_forward, flops_step;           // step: forward and both gradients
    double conv_elements;                       // E: what convolutions write
    double elements_forward, elements_backward; // of all ops
    int64_t n_parameters;
    struct plan_memory memory; // with tensors of 2 bytes and channels in multiples of 8
};

// Bytes of a step whose ops are fused, with tensors of 2 bytes, are 2 E times this. Strict: y is
// written, read by the next convolution and once more in backward, its gradient written and read.
// Realistic: the data and the weight gradient each read both.
#define COSTS_PASSES_STRICT    5
#define COSTS_PASSES_REALISTIC 7
// SGD with momentum, float weights and their copy in 16 bits: bytes a parameter.
#define COSTS_OPTIMIZER_BYTES 22

struct costs;

// For a training plan of inputs of that shape; `precision` goes into the descriptors and changes no
// count. Borrows the graph until costs_destroy.
ADELE_MUST_CHECK adele_status costs_create(const struct graph *graph, struct adele_shape input,
                                           enum adele_precision precision, struct costs **out);
void costs_destroy(struct costs *costs); // NULL is legal
int costs_n_ops(const struct costs *costs);
const struct op_cost *costs_op(const struct costs *costs, int i_op); // in the order they run
struct cost_totals costs_totals(const struct costs *costs);
#endif
