// SPDX-License-Identifier: MIT
// Concatenation without copies: where a device has slices, the inputs of a concat write their
// channels directly into its memory, and read their gradients from its gradient. Such a concat has
// no op. This is done where every op that would have to can read or write a slice; elsewhere the
// concat copies.
#include "nn/node_traits.h"

#include <stddef.h>

// Whether all users of the node, apart from the concat, can read it as a slice. A user behind the
// concat cannot: its gradient would come before the concat's.
static bool can_be_read(const struct plan *plan, int i_node, int i_concat) {
    const struct graph *graph = &plan->network->graph;
    for (int k = 0; k < graph->n_nodes; k++) {
        const struct node *user = &graph->nodes[k];
        for (int j = 0; j < node_n_data_inputs(user); j++)
            if (user->inputs[j] == i_node && k != i_concat &&
                (!node_traits(user->kind)->can_read_slice || k > i_concat))
                return false;
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

// A gradient in a slice cannot become the input's in place: so the input of such a node needs a
// gradient of its own, which no other node adds to.
static bool can_be_written(const struct plan *plan, int i_node) {
    const struct graph *graph = &plan->network->graph;
    const struct node *node = &graph->nodes[i_node];
    const struct node_traits *traits = node_traits(node->kind);
    if (i_node == graph->output || plan->steps[i_node].into != -1 || !traits->can_write_slice)
        return false;
    return !traits->is_gradient_in_place ||
           (n_users(graph, node->inputs[0]) == 1 &&
            (!plan->is_training || plan->steps[i_node].wants_gradient[0]));
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
