// SPDX-License-Identifier: MIT
// Where the blocks of a plan and the parameters of a network lie in device memory. Their addresses
// are written into the ops' arguments once after every allocation, so that a step only calls ops.
#include "nn/node_traits.h"

void *plan_block_address(const struct plan *plan, int i_block) {
    if (i_block == -1)
        return NULL;
    const struct plan_block *block = &plan->blocks[i_block];
    char *shared = plan->network->shared, *own = plan->activations;
    return (block->is_shared ? shared + plan->shared_first : own) + block->offset;
}

float *network_parameter(const struct network *network, float *arena, int i_parameter) {
    return i_parameter == -1 ? NULL : arena + network->graph.parameters[i_parameter].offset;
}

struct adele_slice plan_slice(const struct plan *plan, int i_node) {
    const struct plan_step *step = &plan->steps[i_node];
    struct adele_slice none = {0, 0};
    if (step->into == -1)
        return none;
    return (struct adele_slice){step->first_channel, plan->network->graph.nodes[step->into].c};
}

static void *address(const struct plan *plan, int i_node, enum block_role role) {
    return plan_block_address(plan, plan->steps[i_node].blocks[role]);
}

static void bind_step(struct plan *plan, int i_node) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    const struct node_traits *traits = node_traits(node->kind);
    struct plan_step *step = &plan->steps[i_node];
    step->workspace_forward = address(plan, i_node, BLOCK_WORKSPACE_FORWARD);
    step->workspace_backward = address(plan, i_node, BLOCK_WORKSPACE_BACKWARD);
    struct node_tensors tensors = {.dst = address(plan, i_node, BLOCK_VALUE),
                                   .d_dst = address(plan, i_node, BLOCK_GRADIENT)};
    for (int j = 0; j < 2; j++) {
        if (node->inputs[j] != -1)
            tensors.src[j] = address(plan, node->inputs[j], BLOCK_VALUE);
        if (step->wants_gradient[j])
            tensors.d_src[j] = address(plan, node->inputs[j], BLOCK_GRADIENT);
        tensors.accumulates[j] = step->accumulates[j];
    }
    if (traits->bind != NULL)
        traits->bind(plan, i_node, &tensors);
}

void plan_bind(struct plan *plan) {
    for (int i = 0; i < plan->network->graph.n_nodes; i++)
        bind_step(plan, i);
    plan->is_bound = true;
}
