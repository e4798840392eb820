// SPDX-License-Identifier: MIT
// Addresses into the ops' arguments: once after every allocation, so that a step only calls ops.
#include "nn/plan.h"

void *plan_block_address(const struct plan *plan, int i_block) {
    if (i_block == -1)
        return NULL;
    const struct plan_block *block = &plan->blocks[i_block];
    char *region = block->is_shared ? plan->network->shared : plan->activations;
    return region + block->offset;
}

static void *address(const struct plan *plan, int i_node, enum block_role role) {
    return plan_block_address(plan, plan->steps[i_node].blocks[role]);
}

// Where to write the gradient of input j of a node; NULL when it wants none.
static void *input_gradient(const struct plan *plan, int i_node, int j) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    if (!plan->steps[i_node].wants_gradient[j])
        return NULL;
    return address(plan, node->inputs[j], BLOCK_GRADIENT);
}

// A parameter in one of the arenas that share offsets; NULL for -1.
static float *parameter_address(const struct plan *plan, float *arena, int i_parameter) {
    return i_parameter == -1 ? NULL : arena + plan->network->graph.parameters[i_parameter].offset;
}

static void bind_conv2d(struct plan *plan, int i_node) {
    struct network *network = plan->network;
    const struct node *node = &network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    step->args.conv2d = (struct adele_conv2d_args){
        .src = address(plan, node->inputs[0], BLOCK_VALUE),
        .weight = parameter_address(plan, network->weights, node->i_weight),
        .packed_weight = packing_address(network, i_node),
        .bias = parameter_address(plan, network->weights, node->i_bias),
        .dst = address(plan, i_node, BLOCK_VALUE),
        .d_dst = address(plan, i_node, BLOCK_GRADIENT),
        .d_src = input_gradient(plan, i_node, 0),
        .accumulate_d_src = step->accumulates[0],
        .d_weight = parameter_address(plan, network->gradients, node->i_weight),
        .d_bias = parameter_address(plan, network->gradients, node->i_bias)};
}

static void bind_batch_norm(struct plan *plan, int i_node) {
    struct network *network = plan->network;
    const struct node *node = &network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    float *statistics = address(plan, i_node, BLOCK_STATISTICS);
    bool has_residual = node->inputs[1] != -1;
    step->args.batch_norm = (struct adele_batch_norm_args){
        .src = address(plan, node->inputs[0], BLOCK_VALUE),
        .residual = has_residual ? address(plan, node->inputs[1], BLOCK_VALUE) : NULL,
        .scale = parameter_address(plan, network->weights, node->i_weight),
        .shift = parameter_address(plan, network->weights, node->i_bias),
        .running_mean = parameter_address(plan, network->buffers, node->i_mean),
        .running_variance = parameter_address(plan, network->buffers, node->i_variance),
        .saved_mean = statistics,
        .saved_inv_std = statistics + node->c,
        .dst = address(plan, i_node, BLOCK_VALUE),
        .d_dst = address(plan, i_node, BLOCK_GRADIENT),
        // In place, whether or not it is read on; but not in a slice.
        .d_src = step->into == -1 ? address(plan, i_node, BLOCK_GRADIENT)
                                  : input_gradient(plan, i_node, 0),
        .d_residual = has_residual ? input_gradient(plan, i_node, 1) : NULL,
        .d_scale = parameter_address(plan, network->gradients, node->i_weight),
        .d_shift = parameter_address(plan, network->gradients, node->i_bias)};
    step->join_args = (struct adele_add_args){.d_dst = address(plan, i_node, BLOCK_GRADIENT),
                                              .d_src0 = input_gradient(plan, i_node, 0),
                                              .accumulate_d_src0 = true};
}

static void bind_concat(struct plan *plan, int i_node) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    step->args.concat =
        (struct adele_concat_args){.src0 = address(plan, node->inputs[0], BLOCK_VALUE),
                                   .src1 = address(plan, node->inputs[1], BLOCK_VALUE),
                                   .dst = address(plan, i_node, BLOCK_VALUE),
                                   .d_dst = address(plan, i_node, BLOCK_GRADIENT),
                                   .d_src0 = input_gradient(plan, i_node, 0),
                                   .d_src1 = input_gradient(plan, i_node, 1),
                                   .accumulate_d_src0 = step->accumulates[0],
                                   .accumulate_d_src1 = step->accumulates[1]};
}

static void bind_add(struct plan *plan, int i_node) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    step->args.add = (struct adele_add_args){.src0 = address(plan, node->inputs[0], BLOCK_VALUE),
                                             .src1 = address(plan, node->inputs[1], BLOCK_VALUE),
                                             .dst = address(plan, i_node, BLOCK_VALUE),
                                             .d_dst = address(plan, i_node, BLOCK_GRADIENT),
                                             .d_src0 = input_gradient(plan, i_node, 0),
                                             .d_src1 = input_gradient(plan, i_node, 1),
                                             .accumulate_d_src0 = step->accumulates[0],
                                             .accumulate_d_src1 = step->accumulates[1]};
}

static void bind_aspp(struct plan *plan, int i_node) {
    struct network *network = plan->network;
    const struct node *node = &network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    struct adele_aspp_args *args = &step->args.aspp;
    *args = (struct adele_aspp_args){.src = address(plan, node->inputs[0], BLOCK_VALUE),
                                     .dst = address(plan, i_node, BLOCK_VALUE),
                                     .d_dst = address(plan, i_node, BLOCK_GRADIENT),
                                     .d_src = input_gradient(plan, i_node, 0),
                                     .accumulate_d_src = step->accumulates[0]};
    for (int r = 0; r < node->n_rates; r++) {
        args->weights[r] = parameter_address(plan, network->weights, node->i_weights[r]);
        args->biases[r] = parameter_address(plan, network->weights, node->i_biases[r]);
        args->d_weights[r] = parameter_address(plan, network->gradients, node->i_weights[r]);
        args->d_biases[r] = parameter_address(plan, network->gradients, node->i_biases[r]);
    }
}

static void bind_step(struct plan *plan, int i_node) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    step->workspace_forward = address(plan, i_node, BLOCK_WORKSPACE_FORWARD);
    step->workspace_backward = address(plan, i_node, BLOCK_WORKSPACE_BACKWARD);
    if (node->kind == NODE_INPUT)
        return;
    const void *src = address(plan, node->inputs[0], BLOCK_VALUE);
    void *dst = address(plan, i_node, BLOCK_VALUE);
    const void *d_dst = address(plan, i_node, BLOCK_GRADIENT);
    void *d_src = input_gradient(plan, i_node, 0);
    bool accumulates = step->accumulates[0];
    switch (node->kind) {
    case NODE_CONV2D:
        bind_conv2d(plan, i_node);
        break;
    case NODE_BATCH_NORM:
        bind_batch_norm(plan, i_node);
        break;
    case NODE_MAX_POOL:
        step->args.max_pool = (struct adele_max_pool_args){.src = src,
                                                           .dst = dst,
                                                           .d_dst = d_dst,
                                                           .d_src = d_src,
                                                           .accumulate_d_src = accumulates};
        break;
    case NODE_RESCALE:
        step->args.rescale = (struct adele_rescale_args){.src = src,
                                                         .dst = dst,
                                                         .d_dst = d_dst,
                                                         .d_src = d_src,
                                                         .accumulate_d_src = accumulates};
        break;
    case NODE_CONCAT:
        bind_concat(plan, i_node);
        break;
    case NODE_ADD:
        bind_add(plan, i_node);
        break;
    case NODE_GLOBAL_POOL:
        step->args.global_pool = (struct adele_global_pool_args){.src = src,
                                                                 .dst = dst,
                                                                 .d_dst = d_dst,
                                                                 .d_src = d_src,
                                                                 .accumulate_d_src = accumulates};
        break;
    case NODE_DROPOUT:
        step->args.dropout = (struct adele_dropout_args){.src = src,
                                                         .dst = dst,
                                                         .d_dst = d_dst,
                                                         .d_src = d_src,
                                                         .accumulate_d_src = accumulates};
        break;
    case NODE_ASPP:
        bind_aspp(plan, i_node);
        break;
    default:
        break;
    }
}

void plan_bind(struct plan *plan) {
    for (int i = 0; i < plan->network->graph.n_nodes; i++)
        bind_step(plan, i);
    plan->is_bound = true;
}
