// SPDX-License-Identifier: MIT
// Nodes that take the mean over all pixels.
#include "nn/graph_build.h"
#include "nn/node_traits.h"

adele_status graph_global_pool(struct graph *graph, int input, int *out) {
    struct node *node;
    return graph_append(graph, NODE_GLOBAL_POOL, NULL, input, -1, graph_channels(graph, input),
                        &node, out);
}

static adele_status infer_extent(const struct plan *plan, const struct node *node,
                                 struct adele_shape in, int64_t *h, int64_t *w) {
    (void)plan;
    (void)node;
    (void)in;
    *h = *w = 1;
    return ADELE_OK;
}

static adele_status create(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    struct adele_global_pool_desc desc = {in.n, in.c, in.h, in.w};
    return device->iface->global_pool_create(device, &desc, &plan->steps[i_node].op);
}

NODE_BIND_ONE(global_pool)
NODE_PASSES_WORKSPACE(global_pool)

const struct node_traits node_traits_global_pool = {.infer_extent = infer_extent, NODE_FUNCTIONS};
