// SPDX-License-Identifier: MIT
// Max pooling nodes.
#include "base/fail.h"
#include "nn/graph_build.h"
#include "nn/node_traits.h"

adele_status graph_max_pool(struct graph *graph, int input, int kernel, int stride, int pad,
                            int *out) {
    struct node *node;
    TRY(graph_append(graph, NODE_MAX_POOL, NULL, input, -1, graph_channels(graph, input), &node,
                     out));
    node->kernel = kernel;
    node->stride = stride;
    node->pad = pad;
    node->dilation = 1;
    TRY(graph_check_window(graph, node));
    if (2 * (int64_t)pad > kernel)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d (%s): pad %d is more than half the kernel %d", *out, node->name, pad,
                    kernel);
    return ADELE_OK;
}

static adele_status create(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    struct adele_max_pool_desc desc = {.n = in.n,
                                       .c = in.c,
                                       .h_in = in.h,
                                       .w_in = in.w,
                                       .kernel = node->kernel,
                                       .stride = node->stride,
                                       .pad = node->pad,
                                       .src = plan_slice(plan, node->inputs[0])};
    return device->iface->max_pool_create(device, &desc, &plan->steps[i_node].op);
}

NODE_BIND_ONE(max_pool)
NODE_PASSES_WORKSPACE(max_pool)

const struct node_traits node_traits_max_pool = {.infer_extent = node_infer_window,
                                                 NODE_FUNCTIONS,
                                                 .backward_reads_input = true,
                                                 .backward_reads_output = true,
                                                 .can_read_slice = true};
