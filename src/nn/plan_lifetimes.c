// SPDX-License-Identifier: MIT
// Which nodes have gradients, which blocks of memory a plan wants, and from when to when each
// lives.
#include "base/fail.h"
#include "nn/plan.h"

// Which nodes run backward (a parameter lies at or before them) and which of their inputs want a
// gradient. Concat always writes both of its gradients, so both inputs get one as soon as either
// has.
void plan_find_gradients(struct plan *plan) {
    const struct graph *graph = &plan->network->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        struct plan_step *step = &plan->steps[i];
        int n_inputs = node_n_data_inputs(node);
        step->has_backward =
            node->kind == NODE_CONV2D || node->kind == NODE_BATCH_NORM || node->kind == NODE_ASPP;
        for (int j = 0; j < n_inputs; j++) {
            step->wants_gradient[j] = plan->steps[node->inputs[j]].has_backward;
            step->has_backward = step->has_backward || step->wants_gradient[j];
        }
        if (node->kind == NODE_CONCAT && step->has_backward)
            step->wants_gradient[0] = step->wants_gradient[1] = true;
    }
}

static void add_block(struct plan *plan, enum block_role role, int i_node, size_t bytes, int first,
                      int last, bool is_shared) {
    if (bytes == 0)
        return;
    plan->steps[i_node].blocks[role] = plan->n_blocks;
    plan->blocks[plan->n_blocks++] = (struct plan_block){.role = role,
                                                         .i_node = i_node,
                                                         .bytes = bytes,
                                                         .first = first,
                                                         .last = last,
                                                         .is_shared = is_shared};
}

// Backward reads the input of a convolution and of a pyramid, both sides of a batch norm and of a
// max-pooling. The input is always kept: one sampling op fills the inputs of several plans before
// the first of them runs.
static bool is_value_kept(const struct plan *plan, int i_node) {
    const struct graph *graph = &plan->network->graph;
    enum node_kind kind = graph->nodes[i_node].kind;
    if (kind == NODE_INPUT)
        return true;
    if (!plan->is_training)
        return false;
    bool is_kept = i_node == graph->output || kind == NODE_BATCH_NORM || kind == NODE_MAX_POOL;
    for (int k = i_node + 1; k < graph->n_nodes && !is_kept; k++) {
        const struct node *user = &graph->nodes[k];
        is_kept = user->inputs[0] == i_node &&
                  (user->kind == NODE_CONV2D || user->kind == NODE_BATCH_NORM ||
                   user->kind == NODE_MAX_POOL || user->kind == NODE_ASPP);
    }
    return is_kept;
}

// The last node that reads the value of node i; n_nodes for the output, which the caller reads.
static int last_reader(const struct graph *graph, int i_node) {
    int last = i_node;
    for (int k = i_node + 1; k < graph->n_nodes; k++)
        for (int j = 0; j < node_n_data_inputs(&graph->nodes[k]); j++)
            if (graph->nodes[k].inputs[j] == i_node)
                last = k;
    return i_node == graph->output ? graph->n_nodes : last;
}

// A concat that has no op lives from the first of its inputs on, in whose place it is added.
static void add_value_block(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct graph *graph = &plan->network->graph;
    int i_whole = plan->steps[i_node].into != -1 ? plan->steps[i_node].into : i_node;
    struct plan_step *whole = &plan->steps[i_whole], *step = &plan->steps[i_node];
    if (whole->blocks[BLOCK_VALUE] == -1) {
        bool is_kept = is_value_kept(plan, i_whole);
        for (int j = 0; whole->is_joined && j < 2; j++)
            is_kept = is_kept || is_value_kept(plan, graph->nodes[i_whole].inputs[j]);
        add_block(plan, BLOCK_VALUE, i_whole, device->iface->tensor_bytes(device, whole->shape),
                  i_node, last_reader(graph, i_whole), !is_kept);
    }
    step->blocks[BLOCK_VALUE] = whole->blocks[BLOCK_VALUE];
}

void plan_add_forward_blocks(struct plan *plan, int i_node) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    add_value_block(plan, i_node);
    if (node->kind == NODE_BATCH_NORM)
        add_block(plan, BLOCK_STATISTICS, i_node, 2 * (size_t)node->c * sizeof(float), i_node,
                  i_node, !plan->is_training);
    if (step->op != NULL)
        add_block(plan, BLOCK_WORKSPACE_FORWARD, i_node, step->op->workspace_bytes, i_node, i_node,
                  true);
}

// The gradient of input j of node i, at the time of i's backward: the first writer makes the block.
// Batch norm overwrites, and does so in the memory of its own gradient, which nobody reads after
// it; where it is not the first writer, an add op carries the result over.
static adele_status add_input_gradient(struct plan *plan, int i_node, int j, int time) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    struct plan_step *input = &plan->steps[node->inputs[j]];
    if (step->is_joined) { // the inputs' gradients are slices of its own
        input->blocks[BLOCK_GRADIENT] = step->blocks[BLOCK_GRADIENT];
        return ADELE_OK;
    }
    step->accumulates[j] = input->blocks[BLOCK_GRADIENT] != -1;
    if (step->accumulates[j]) {
        if (node->kind == NODE_BATCH_NORM && j == 1)
            return FAIL(
                ADELE_UNSUPPORTED, "Add the batch norm behind the other users of its residual.",
                "%s: a later node also uses its residual, node %d (%s), and a batch norm cannot "
                "add to that gradient",
                node->name, node->inputs[j], plan->network->graph.nodes[node->inputs[j]].name);
        if (node->kind == NODE_BATCH_NORM) {
            struct adele_add_desc desc = {input->shape.n, input->shape.c, input->shape.h,
                                          input->shape.w};
            TRY(device->iface->add_create(device, &desc, &step->join));
        }
        plan->blocks[input->blocks[BLOCK_GRADIENT]].last = time;
        return ADELE_OK;
    }
    if (node->kind == NODE_BATCH_NORM && j == 0 && step->into == -1)
        input->blocks[BLOCK_GRADIENT] = step->blocks[BLOCK_GRADIENT];
    else
        add_block(plan, BLOCK_GRADIENT, node->inputs[j],
                  device->iface->tensor_bytes(device, input->shape), time, time, true);
    return ADELE_OK;
}

adele_status plan_add_backward_blocks(struct plan *plan) {
    const struct adele_device *device = plan->network->device;
    const struct graph *graph = &plan->network->graph;
    add_block(plan, BLOCK_GRADIENT, graph->output,
              device->iface->tensor_bytes(device, plan->steps[graph->output].shape), 0, 0, false);
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        struct plan_step *step = &plan->steps[i];
        if (!step->has_backward)
            continue;
        int time = 2 * graph->n_nodes - 1 - i;
        for (int j = 0; j < 2; j++)
            if (step->wants_gradient[j])
                TRY(add_input_gradient(plan, i, j, time));
        plan->blocks[step->blocks[BLOCK_GRADIENT]].last = time;
        if (step->op != NULL)
            add_block(plan, BLOCK_WORKSPACE_BACKWARD, i, step->op->workspace_bytes, time, time,
                      true);
    }
    return ADELE_OK;
}
