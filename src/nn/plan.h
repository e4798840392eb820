// SPDX-License-Identifier: MIT
// Internal to src/nn: the contents of a network and of its plans.
//
// Times of a plan: the forward of node i runs at time i, its backward at time 2 n_nodes - 1 - i. A
// block of the shared region is live from the time of its first write to the time of its last read.
#ifndef ADELE_NN_PLAN_H
#define ADELE_NN_PLAN_H

#include "base/memory.h"
#include "nn/network.h"

enum block_role {
    BLOCK_VALUE,              // a node's output, tensor
    BLOCK_GRADIENT,           // of a node's output, tensor
    BLOCK_STATISTICS,         // batch norm: mean, then 1 / std of the last forward, plain
    BLOCK_WORKSPACE_FORWARD,  // of the op
    BLOCK_WORKSPACE_BACKWARD, // of the op
    BLOCK_ROLE_COUNT
};

struct plan_block {
    enum block_role role;
    int i_node;
    size_t bytes;
    int first, last; // times, both included
    // When it is live for a second time, because its contents are computed again; 0, 0: it is not.
    int first_again, last_again;
    bool is_shared; // else in the plan's own activation arena, live all the time
    size_t offset;  // bytes, into its region
};

// plan_memory.c: computes the offset of every block and the sizes of the two regions. Blocks of the
// plan's own arena lie one behind the other; a shared block goes into the tightest gap that is free
// while it is live, the largest blocks first. The same blocks in the same order always get the same
// offsets.
ADELE_MUST_CHECK adele_status plan_blocks_place(struct plan_block *blocks, int n_blocks,
                                                struct plan_memory *memory);

struct plan_step {
    struct adele_shape shape; // of the node's output
    struct adele_op *op;      // NULL for the input, and for a concat that needs none
    bool has_backward;
    // The concat into whose memory the output is written, from first_channel on; -1: none.
    int into, first_channel;
    bool is_joined; // a concat whose inputs write into its memory
    // A batch norm whose output is not kept until backward, and the node whose backward it is
    // computed again for; -1: none.
    bool is_recomputed;
    int recompute_for;
    int blocks[BLOCK_ROLE_COUNT]; // block numbers, -1 = none
    // Whether this node's backward adds to the gradient of input j (else it is the first to write
    // it), and whether input j needs a gradient at all.
    bool accumulates[2], wants_gradient[2];
    // Batch norm whose input already has a gradient: batch norm writes its own in place, and this
    // add op adds it to the other. NULL otherwise.
    struct adele_op *join;
    struct adele_add_args join_args;
    void *workspace_forward, *workspace_backward;
    union {
        struct adele_conv2d_args conv2d;
        struct adele_batch_norm_args batch_norm;
        struct adele_max_pool_args max_pool;
        struct adele_rescale_args rescale;
        struct adele_concat_args concat;
        struct adele_add_args add;
        struct adele_global_pool_args global_pool;
        struct adele_aspp_args aspp;
        struct adele_dropout_args dropout;
    } args; // bound to memory by plan_bind
};

struct plan {
    struct network *network;
    bool is_training;
    int i_plan;                // its number in the network
    uint32_t epoch;            // what dropouts draw for
    const int32_t *sample_ids; // borrowed, on the device
    bool has_forward;          // a forward has run since the memory was bound
    bool has_single_values;    // a batch norm has one value a channel, which has no variance
    bool has_single_pixels;    // a batch norm would have one in a batch of one image
    struct plan_step *steps;   // one a node
    struct plan_block *blocks;
    int n_blocks;
    struct plan_memory memory;
    void *activations; // the plan's own arena on the device
    bool is_bound;
    struct plan_group *group; // NULL: none
    size_t shared_first;      // bytes, of the network's shared region that come before the plan's
};

static inline size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

// Plans that run together have parts of the shared region of their own, one behind the other, and
// the workspace behind these; otherwise they take turns, and shared_bytes is the most of any.
struct plan_group {
    struct network *network;
    int n;
    struct plan *plans[ADELE_MAX_SCALES];
    // One a node: its convolution in all plans; NULL: each plan runs its own op.
    struct adele_op **convolutions;
    int n_convolutions; // that are not NULL; 0: the plans take turns
    size_t workspace_first, shared_bytes;
};

// Packed weights, packing.c; all zero while no plan has memory, and on a device that reads them
// plain.
struct packing {
    struct adele_op *op;
    void *block; // on the device
    int64_t bytes;
    struct adele_pack_item *items;
    int n_items;
    int *of_node;    // node -> item, -1: none
    bool is_current; // the weights have not changed since they were packed
};

struct network {
    const struct adele_device *device;
    struct graph graph;
    enum adele_precision precision;
    uint64_t seed;
    float *weights, *gradients, *momenta, *buffers; // arenas on the device
    float *second_moments;                          // the same; NULL: not needed
    int64_t n_momenta;                              // floats of momenta and second moments
    struct network_range *ranges; // that these hold; NULL: all that the weights have
    int n_ranges;
    float *average; // of weights, and of buffers behind them; NULL: not needed
    // Plans that are made keep all outputs that backward reads: for tests that change them.
    bool keeps_outputs;
    struct plan **plans;
    int n_plans;
    struct plan_group **groups;
    int n_groups;
    void *shared; // on the device
    size_t shared_bytes;
    struct packing packing;
};

// network.c. A network without arenas, of a graph whose nodes move into it.
ADELE_MUST_CHECK adele_status network_take_graph(const struct adele_device *device,
                                                 struct graph *graph, uint64_t seed,
                                                 enum adele_precision precision,
                                                 struct network **out);
// Allocates the arenas; after an error the network is destroyed.
ADELE_MUST_CHECK adele_status network_complete(struct network *network, struct network **out);

// packing.c. packing_allocate: before plans are bound, after each new plan. packing_bytes: the size
// for all plans so far. packing_address: of a node's packed weights, NULL without.
ADELE_MUST_CHECK adele_status packing_allocate(struct network *network);
void packing_release(struct network *network);
int64_t packing_bytes(const struct network *network);
const void *packing_address(const struct network *network, int i_node);

// plan_build.c: shapes, ops and blocks of a plan; nothing is allocated on the device but what ops
// hold themselves.
ADELE_MUST_CHECK adele_status plan_create(struct network *network, struct adele_shape input,
                                          bool is_training, struct plan **out);
void plan_destroy(struct plan *plan); // NULL is legal
OWNER(plan_destroy, struct plan)

// plan.c: checks and packed weights before the first node of a pass.
ADELE_MUST_CHECK adele_status plan_begin_forward(struct plan *plan, bool use_batch_statistics);
ADELE_MUST_CHECK adele_status plan_begin_backward(const struct plan *plan);
// One node of a plan that has its memory. Backward does nothing where there is none; it begins with
// outputs that were not kept and that it reads, which plan_node_recompute computes.
ADELE_MUST_CHECK adele_status plan_node_forward(struct plan *plan, int i_node,
                                                bool use_batch_statistics);
ADELE_MUST_CHECK adele_status plan_node_recompute(struct plan *plan, int i_node);
ADELE_MUST_CHECK adele_status plan_node_backward(struct plan *plan, int i_node);

// plan_group.c. Sets group and shared_first of the plans.
ADELE_MUST_CHECK adele_status plan_group_create(struct network *network, int n,
                                                struct plan *const *plans, struct plan_group **out);
void plan_group_destroy(struct plan_group *group); // before its plans; NULL is legal
OWNER(plan_group_destroy, struct plan_group)

// plan_lifetimes.c, called by plan_create. Blocks of the forward pass are added node by node, in
// order, once a node has its op; those of the backward pass after them.
void plan_find_gradients(struct plan *plan);
void plan_add_forward_blocks(struct plan *plan, int i_node);
ADELE_MUST_CHECK adele_status plan_add_backward_blocks(struct plan *plan);

// plan_slices.c: which nodes write into the memory of a concat, once shapes and wanted gradients
// are known.
void plan_find_slices(struct plan *plan);

// plan_bind.c: writes the addresses of all regions into the ops' arguments.
void plan_bind(struct plan *plan);
// A block (-1: NULL), a parameter in one of the arenas that share offsets (-1: NULL), and the slice
// that a node's output is.
void *plan_block_address(const struct plan *plan, int i_block);
float *network_parameter(const struct network *network, float *arena, int i_parameter);
struct adele_slice plan_slice(const struct plan *plan, int i_node);

// init.c: default weights into the arenas.
ADELE_MUST_CHECK adele_status network_initialize(struct network *network, uint64_t seed);
#endif
