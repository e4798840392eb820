// SPDX-License-Identifier: MIT
// Nodes that add two tensors.
#include "base/fail.h"
#include "nn/graph_build.h"
#include "nn/node_traits.h"

adele_status graph_add(struct graph *graph, int a, int b, int *out) {
    struct node *node;
    TRY(graph_append(graph, NODE_ADD, NULL, a, b, graph_channels(graph, a), &node, out));
    if (a == b || graph_channels(graph, b) != node->c)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d (%s): nodes %d and %d of %d and %d channels, want two nodes of equal "
                    "channels",
                    *out, node->name, a, b, node->c, graph_channels(graph, b));
    return ADELE_OK;
}

static adele_status create(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    struct adele_shape in = plan->steps[i_node].shape;
    struct adele_add_desc desc = {in.n, in.c, in.h, in.w};
    return device->iface->add_create(device, &desc, &plan->steps[i_node].op);
}

NODE_BIND_TWO(add)
NODE_PASSES(add)

const struct node_traits node_traits_add = {NODE_FUNCTIONS};
