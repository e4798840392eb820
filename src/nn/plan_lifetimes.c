// SPDX-License-Identifier: MIT
// Which nodes have gradients, which blocks of memory a plan needs, and the times of the first and
// last use of each.
#include "base/fail.h"
#include "nn/node_traits.h"

// Which nodes run backward (those with a trained parameter at or before them) and which of their
// inputs need a gradient.
void plan_find_gradients(struct plan *plan) {
    const struct graph *graph = &plan->network->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        struct plan_step *step = &plan->steps[i];
        int n_inputs = node_n_data_inputs(node), trained[NODE_MAX_TRAINED];
        step->has_backward = node_trained(node, trained) > 0;
        for (int j = 0; j < n_inputs; j++) {
            step->wants_gradient[j] = plan->steps[node->inputs[j]].has_backward;
            step->has_backward = step->has_backward || step->wants_gradient[j];
        }
        if (node_traits(node->kind)->writes_both_gradients && step->has_backward)
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

// Whether the output is given up and computed again when backward reads it: where the device can,
// from an input that is kept, and not where it is a slice of a concat's memory, which is kept as a
// whole.
static bool is_value_recomputed(const struct plan *plan, int i_node) {
    const struct network *network = plan->network;
    const struct node *node = &network->graph.nodes[i_node];
    const struct plan_step *step = &plan->steps[i_node];
    return plan->is_training && !network->keeps_outputs && step->op != NULL &&
           step->op->can_recompute && node->inputs[1] == -1 && step->into == -1 &&
           i_node != network->graph.output && !plan->steps[node->inputs[0]].is_recomputed;
}

// The times of backward at which such an output is read: by the node itself, which finds the ReLU's
// mask there, and by those behind it.
static void add_recomputation(struct plan *plan, int i_node) {
    const struct graph *graph = &plan->network->graph;
    struct plan_step *step = &plan->steps[i_node];
    struct plan_block *block = &plan->blocks[step->blocks[BLOCK_VALUE]];
    int i_last = -1; // the backward pass comes to it last
    for (int k = i_node; k < graph->n_nodes; k++) {
        bool is_read = k == i_node || (graph->nodes[k].inputs[0] == i_node &&
                                       node_traits(graph->nodes[k].kind)->backward_reads_input);
        if (!is_read || !plan->steps[k].has_backward)
            continue;
        i_last = i_last == -1 ? k : i_last;
        step->recompute_for = k;
    }
    if (i_last == -1)
        return;
    block->first_again = 2 * graph->n_nodes - 1 - step->recompute_for;
    block->last_again = 2 * graph->n_nodes - 1 - i_last;
}

// Whether the value must outlive the forward pass. The network's input is always kept: one sampling
// op fills the inputs of several plans before the first of them runs.
static bool is_value_kept(const struct plan *plan, int i_node) {
    const struct graph *graph = &plan->network->graph;
    enum node_kind kind = graph->nodes[i_node].kind;
    if (kind == NODE_INPUT)
        return true;
    if (!plan->is_training || plan->steps[i_node].is_recomputed)
        return false;
    bool is_kept = i_node == graph->output || node_traits(kind)->backward_reads_output;
    for (int k = i_node + 1; k < graph->n_nodes && !is_kept; k++)
        is_kept = graph->nodes[k].inputs[0] == i_node &&
                  node_traits(graph->nodes[k].kind)->backward_reads_input;
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

// The block of a concat without an op begins with the first of its inputs, which write into it.
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
    size_t n_statistics = (size_t)node_traits(node->kind)->n_statistics * (size_t)node->c;
    step->is_recomputed = is_value_recomputed(plan, i_node);
    add_value_block(plan, i_node);
    if (step->is_recomputed)
        add_recomputation(plan, i_node);
    add_block(plan, BLOCK_STATISTICS, i_node, n_statistics * sizeof(float), i_node, i_node,
              !plan->is_training);
    if (step->op != NULL)
        add_block(plan, BLOCK_WORKSPACE_FORWARD, i_node, step->op->workspace_bytes, i_node, i_node,
                  true);
}

// The gradient of input j of node i, at the time of i's backward: the first writer adds the block.
// Batch norm (is_gradient_in_place) overwrites, in the memory of its own gradient, which no other
// op reads afterwards; where it is not the first writer, an add op adds the result to the gradient.
static adele_status add_input_gradient(struct plan *plan, int i_node, int j, int time) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    bool is_in_place = node_traits(node->kind)->is_gradient_in_place;
    struct plan_step *step = &plan->steps[i_node];
    struct plan_step *input = &plan->steps[node->inputs[j]];
    if (step->is_joined) { // the inputs' gradients are slices of its own
        input->blocks[BLOCK_GRADIENT] = step->blocks[BLOCK_GRADIENT];
        return ADELE_OK;
    }
    step->accumulates[j] = input->blocks[BLOCK_GRADIENT] != -1;
    if (step->accumulates[j]) {
        if (is_in_place && j == 1)
            return FAIL(
                ADELE_UNSUPPORTED, "Add the batch norm behind the other users of its residual.",
                "%s: a later node also uses its residual, node %d (%s), and a batch norm cannot "
                "add to that gradient",
                node->name, node->inputs[j], plan->network->graph.nodes[node->inputs[j]].name);
        if (is_in_place) {
            struct adele_add_desc desc = {input->shape.n, input->shape.c, input->shape.h,
                                          input->shape.w};
            TRY(device->iface->add_create(device, &desc, &step->join));
        }
        plan->blocks[input->blocks[BLOCK_GRADIENT]].last = time;
        return ADELE_OK;
    }
    if (is_in_place && j == 0 && step->into == -1)
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
