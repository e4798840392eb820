// SPDX-License-Identifier: MIT
// From a graph and an input shape to a plan: shapes, then ops; plan_lifetimes.c computes which
// block is live when.
#include "base/fail.h"
#include "base/memory.h"
#include "nn/graph_build.h"
#include "nn/node_traits.h"

// ---- shapes -------------------------------------------------------------------------------------

static adele_status same_size_check(const struct node *node, struct adele_shape a,
                                    struct adele_shape b) {
    if (a.h != b.h || a.w != b.w)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "%s: inputs of %d x %d and %d x %d pixels do not fit together", node->name, a.h,
                    a.w, b.h, b.w);
    return ADELE_OK;
}

static adele_status infer_shape(struct plan *plan, int i_node, struct adele_shape input) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    const struct node_traits *traits = node_traits(node->kind);
    struct adele_shape in = node->inputs[0] == -1 ? input : plan->steps[node->inputs[0]].shape;
    int64_t h = in.h, w = in.w;
    if (traits->infer_extent != NULL)
        TRY(traits->infer_extent(plan, node, in, &h, &w));
    else if (node->inputs[1] != -1)
        TRY(same_size_check(node, in, plan->steps[node->inputs[1]].shape));
    TRY(node_check_extent(node, in, h, w));
    plan->steps[i_node].shape = (struct adele_shape){in.n, node->c, (int)h, (int)w};
    return ADELE_OK;
}

// A node whose output is not used would be computed for nothing and have no gradient.
static adele_status dead_nodes_check(const struct graph *graph) {
    for (int i = 0; i < graph->n_nodes; i++) {
        bool is_used = i == graph->output;
        for (int k = i + 1; k < graph->n_nodes && !is_used; k++)
            for (int j = 0; j < node_n_data_inputs(&graph->nodes[k]); j++)
                is_used = is_used || graph->nodes[k].inputs[j] == i;
        if (!is_used)
            return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                        "node %d (%s) is used by no other node and is not the output", i,
                        graph->nodes[i].name);
    }
    return ADELE_OK;
}

// ---- ops ----------------------------------------------------------------------------------------

static adele_status create_op(struct plan *plan, int i_node) {
    const struct node_traits *traits = node_traits(plan->network->graph.nodes[i_node].kind);
    if (traits->create == NULL || plan->steps[i_node].is_joined)
        return ADELE_OK;
    return traits->create(plan, i_node);
}

// ---- the whole ----------------------------------------------------------------------------------

static adele_status plan_fill(struct plan *plan, struct adele_shape input) {
    const struct graph *graph = &plan->network->graph;
    TRY(dead_nodes_check(graph));
    for (int i = 0; i < graph->n_nodes; i++) {
        for (int role = 0; role < BLOCK_ROLE_COUNT; role++)
            plan->steps[i].blocks[role] = -1;
        plan->steps[i].recompute_for = -1;
        TRY(infer_shape(plan, i, input));
    }
    if (plan->is_training)
        plan_find_gradients(plan);
    if (plan->is_training && !plan->steps[graph->output].has_backward)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "the network has no parameter to train");
    plan_find_slices(plan);
    for (int i = 0; i < graph->n_nodes; i++) {
        TRY(create_op(plan, i));
        plan_add_forward_blocks(plan, i);
    }
    if (plan->is_training)
        TRY(plan_add_backward_blocks(plan));
    return plan_blocks_place(plan->blocks, plan->n_blocks, &plan->memory);
}

adele_status plan_create(struct network *network, struct adele_shape input, bool is_training,
                         struct plan **out) {
    size_t n_nodes = (size_t)network->graph.n_nodes;
    if (n_nodes == 0 || network->graph.nodes[0].kind != NODE_INPUT)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "the network does not begin with an input");
    OWNED_BY(plan_destroy) struct plan *plan = NULL;
    TRY(ALLOCATE(&plan, 1));
    plan->network = network;
    plan->is_training = is_training;
    plan->i_plan = network->n_plans;
    TRY(ALLOCATE(&plan->steps, n_nodes));
    TRY(ALLOCATE(&plan->blocks, n_nodes * BLOCK_ROLE_COUNT));
    TRY(plan_fill(plan, input));
    *out = plan;
    plan = NULL;
    return ADELE_OK;
}

void plan_destroy(struct plan *plan) {
    if (plan == NULL)
        return;
    const struct adele_device *device = plan->network->device;
    for (int i = 0; plan->steps != NULL && i < plan->network->graph.n_nodes; i++) {
        device->iface->op_destroy(plan->steps[i].op);
        device->iface->op_destroy(plan->steps[i].join);
    }
    device->iface->release(device, plan->activations);
    memory_free(plan->steps);
    memory_free(plan->blocks);
    memory_free(plan);
}
