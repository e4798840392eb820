// SPDX-License-Identifier: MIT
// Nodes that concatenate two tensors along channels. Where the inputs can write their channels into
// the concatenated tensor themselves, the node has no op (plan_slices.c).
#include "base/fail.h"
#include "nn/graph_build.h"
#include "nn/node_traits.h"

adele_status graph_concat(struct graph *graph, int a, int b, int *out) {
    struct node *node;
    TRY(graph_append(graph, NODE_CONCAT, NULL, a, b,
                     graph_channels(graph, a) + graph_channels(graph, b), &node, out));
    if (b == -1 || a == b)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d (%s): inputs %d and %d, want two different nodes", *out, node->name, a,
                    b);
    return ADELE_OK;
}

static adele_status create(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    struct adele_concat_desc desc = {
        .n = in.n, .c0 = in.c, .c1 = plan->steps[node->inputs[1]].shape.c, .h = in.h, .w = in.w};
    return device->iface->concat_create(device, &desc, &plan->steps[i_node].op);
}

NODE_BIND_TWO(concat)
NODE_PASSES(concat)

const struct node_traits node_traits_concat = {NODE_FUNCTIONS, .writes_both_gradients = true};
