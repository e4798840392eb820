// SPDX-License-Identifier: MIT
// Concatenation without copies: where a device has slices, the nodes that a concat joins write
// their channels straight into its memory, and find their gradients in its gradient. Such a concat
// has no op. It is done where every op that would meet a slice can read or write one; elsewhere the
// concat copies.
#include "nn/plan.h"

#include <stddef.h>

// A max-pooling can read a slice; a rescale that only takes its size reads nothing.
static bool can_be_read(const struct plan *plan, int i_node, int i_concat) {
    const struct graph *graph = &plan->network->graph;
    for (int k = 0; k < graph->n_nodes; k++) {
        const struct node *user = &graph->nodes[k];
        for (int j = 0; j < node_n_data_inputs(user); j++)
            if (user->inputs[j] == i_node && k != i_concat &&
                (user->kind != NODE_MAX_POOL || k > i_concat))
                return false; // k > i_concat: its gradient would come before the concat's
    }
    return true;
}

static int n_users(const struct graph *graph, int i_node) {
    int n = 0;
    for (int k = 0; k < graph->n_nodes; k++)
        for (int j = 0; j < node_n_data_inputs(&graph->nodes[k]); j++)
            n += graph->nodes[k].inputs[j] == i_node;
    return n;
}

// Rescale can write a slice. Batch norm can, but a gradient that comes in a slice does not become
// its input's in place: so its input has one of its own, which no other node adds to.
static bool can_be_written(const struct plan *plan, int i_node) {
    const struct graph *graph = &plan->network->graph;
    const struct node *node = &graph->nodes[i_node];
    if (i_node == graph->output || plan->steps[i_node].into != -1)
        return false;
    if (node->kind == NODE_RESCALE)
        return true;
    return node->kind == NODE_BATCH_NORM && n_users(graph, node->inputs[0]) == 1 &&
           (!plan->is_training || plan->steps[i_node].wants_gradient[0]);
}

void plan_find_slices(struct plan *plan) {
    const struct adele_device *device = plan->network->device;
    const struct graph *graph = &plan->network->graph;
    for (int i = 0; i < graph->n_nodes; i++)
        plan->steps[i].into = -1;
    if (device->iface->slice_channels == NULL)
        return;
    int multiple = device->iface->slice_channels(device);
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        if (node->kind != NODE_CONCAT || i == graph->output)
            continue;
        int a = node->inputs[0], b = node->inputs[1];
        if (graph->nodes[a].c % multiple != 0 || !can_be_written(plan, a) ||
            !can_be_written(plan, b) || !can_be_read(plan, a, i) || !can_be_read(plan, b, i))
            continue;
        plan->steps[a].into = plan->steps[b].into = i;
        plan->steps[b].first_channel = graph->nodes[a].c;
        plan->steps[i].is_joined = true;
    }
}

struct adele_slice plan_slice(const struct plan *plan, int i_node) {
    const struct plan_step *step = &plan->steps[i_node];
    struct adele_slice none = {0, 0};
    if (step->into == -1)
        return none;
    return (struct adele_slice){step->first_channel, plan->network->graph.nodes[step->into].c};
}
