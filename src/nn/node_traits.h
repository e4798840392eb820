// SPDX-License-Identifier: MIT
// The properties and functions of each kind of node that the planner uses: one row a kind, so that
// no other file distinguishes kinds. A kind is a row of NODE_KINDS (graph.h) and a file
// node_<kind>.c with its builder and its `const struct node_traits node_traits_<kind>`.
#ifndef ADELE_NN_NODE_TRAITS_H
#define ADELE_NN_NODE_TRAITS_H

#include "nn/plan.h"

// The addresses that a node's op works on. Index j is that of the node's inputs.
struct node_tensors {
    const void *src[2]; // values of the inputs, NULL without
    void *dst, *d_dst;
    void *d_src[2];      // gradients of the inputs, NULL when not wanted
    bool accumulates[2]; // add to d_src[j] instead of overwriting it
};

struct node_traits {
    // Extents of the output for an input of shape `in`. NULL: those of the input; two inputs must
    // then agree.
    adele_status (*infer_extent)(const struct plan *plan, const struct node *node,
                                 struct adele_shape in, int64_t *h, int64_t *w);
    // Creates the op of the node's step. Shapes, wanted gradients and slices are known.
    adele_status (*create)(struct plan *plan, int i_node);
    // Writes addresses into the arguments of the step.
    void (*bind)(struct plan *plan, int i_node, const struct node_tensors *tensors);
    // Call the op. is_training: batch norms use the statistics of the batch, and dropouts drop.
    adele_status (*forward)(const struct plan *plan, struct plan_step *step, bool is_training);
    adele_status (*backward)(const struct plan *plan, struct plan_step *step);
    // Writes the output of the last forward once more; NULL where no op can_recompute.
    adele_status (*recompute)(const struct plan *plan, struct plan_step *step);
    bool backward_reads_input, backward_reads_output;
    bool can_read_slice, can_write_slice; // input 0, output; see plan_slices.c
    // Backward turns the gradient of its output into that of input 0, in the same memory.
    bool is_gradient_in_place;
    bool writes_both_gradients; // so both inputs get one as soon as either needs it
    int n_statistics;           // floats a channel that forward keeps for backward
};

const struct node_traits *node_traits(enum node_kind kind);

// Errors name the node. node_check_extent: whether the planner can handle the extents.
// node_infer_window: infer_extent of a sliding window.
ADELE_MUST_CHECK adele_status node_check_extent(const struct node *node, struct adele_shape in,
                                                int64_t h, int64_t w);
ADELE_MUST_CHECK adele_status node_infer_window(const struct plan *plan, const struct node *node,
                                                struct adele_shape in, int64_t *h, int64_t *w);

// Of node_traits_<kind>: what each file node_<kind>.c defines.
#define NODE_FUNCTIONS .create = create, .bind = bind, .forward = forward, .backward = backward

// ---- functions of the usual kinds ---------------------------------------------------------------

// bind for one input, and for two.
#define NODE_BIND_ONE(name)                                                                        \
    static void bind(struct plan *plan, int i_node, const struct node_tensors *tensors) {          \
        plan->steps[i_node].args.name =                                                            \
            (struct adele_##name##_args){.src = tensors->src[0],                                   \
                                         .dst = tensors->dst,                                      \
                                         .d_dst = tensors->d_dst,                                  \
                                         .d_src = tensors->d_src[0],                               \
                                         .accumulate_d_src = tensors->accumulates[0]};             \
    }
#define NODE_BIND_TWO(name)                                                                        \
    static void bind(struct plan *plan, int i_node, const struct node_tensors *tensors) {          \
        plan->steps[i_node].args.name =                                                            \
            (struct adele_##name##_args){.src0 = tensors->src[0],                                  \
                                         .src1 = tensors->src[1],                                  \
                                         .dst = tensors->dst,                                      \
                                         .d_dst = tensors->d_dst,                                  \
                                         .d_src0 = tensors->d_src[0],                              \
                                         .d_src1 = tensors->d_src[1],                              \
                                         .accumulate_d_src0 = tensors->accumulates[0],             \
                                         .accumulate_d_src1 = tensors->accumulates[1]};            \
    }

// forward and backward; the second for an op that takes a workspace.
#define NODE_PASSES(name) NODE_PASSES_AFTER(name, , )
#define NODE_PASSES_WORKSPACE(name)                                                                \
    NODE_PASSES_AFTER(name, step->args.name.workspace = step->workspace_forward,                   \
                      step->args.name.workspace = step->workspace_backward)
#define NODE_PASSES_AFTER(name, before_forward, before_backward)                                   \
    static adele_status forward(const struct plan *plan, struct plan_step *step,                   \
                                bool is_training) {                                                \
        (void)is_training;                                                                         \
        before_forward;                                                                            \
        return plan->network->device->iface->name##_forward(step->op, &step->args.name);           \
    }                                                                                              \
    static adele_status backward(const struct plan *plan, struct plan_step *step) {                \
        before_backward;                                                                           \
        return plan->network->device->iface->name##_backward(step->op, &step->args.name);          \
    }

#endif
