// SPDX-License-Identifier: MIT
// Rescale nodes: by a factor, or to the size of another node.
#include "base/fail.h"
#include "nn/graph_build.h"
#include "nn/node_traits.h"

adele_status graph_rescale(struct graph *graph, int input, int like, int factor, int *out) {
    struct node *node;
    TRY(graph_append(graph, NODE_RESCALE, NULL, input, like, graph_channels(graph, input), &node,
                     out));
    if (factor < 0 || (factor == 0 && like == -1))
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d (%s): factor %d with size like %d gives no size", *out, node->name,
                    factor, like);
    node->rescale_factor = factor;
    return ADELE_OK;
}

static adele_status infer_extent(const struct plan *plan, const struct node *node,
                                 struct adele_shape in, int64_t *h, int64_t *w) {
    int64_t factor = node->rescale_factor > 0 ? node->rescale_factor : 1;
    *h = in.h * factor;
    *w = in.w * factor;
    TRY(node_check_extent(node, in, *h, *w));
    if (node->inputs[1] != -1) {
        *h = plan->steps[node->inputs[1]].shape.h;
        *w = plan->steps[node->inputs[1]].shape.w;
    }
    return ADELE_OK;
}

// F.pad of the published program splits the difference with a floor division, also a negative one.
static int half_floor(int difference) {
    return difference >= 0 ? difference / 2 : -((1 - difference) / 2);
}

static adele_status create(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    struct adele_shape to = plan->steps[i_node].shape;
    int factor = node->rescale_factor;
    struct adele_rescale_desc desc = {.n = in.n,
                                      .c = in.c,
                                      .h_in = in.h,
                                      .w_in = in.w,
                                      .h_out = factor > 0 ? in.h * factor : to.h,
                                      .w_out = factor > 0 ? in.w * factor : to.w,
                                      .h_dst = to.h,
                                      .w_dst = to.w,
                                      .dst = plan_slice(plan, i_node)};
    desc.top = half_floor(desc.h_dst - desc.h_out);
    desc.left = half_floor(desc.w_dst - desc.w_out);
    return device->iface->rescale_create(device, &desc, &plan->steps[i_node].op);
}

NODE_BIND_ONE(rescale)
NODE_PASSES_WORKSPACE(rescale)

const struct node_traits node_traits_rescale = {
    .infer_extent = infer_extent, NODE_FUNCTIONS, .can_write_slice = true};
