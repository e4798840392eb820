// SPDX-License-Identifier: MIT
// Convolution nodes: weights in OIHW order under the module's name.
#include "base/fail.h"
#include "nn/graph_build.h"
#include "nn/node_traits.h"

adele_status graph_conv2d(struct graph *graph, const char *name, int input, int c_out, int kernel,
                          int stride, int pad, int dilation, bool has_bias, int *out) {
    struct node *node;
    TRY(graph_append(graph, NODE_CONV2D, name, input, -1, c_out, &node, out));
    node->kernel = kernel;
    node->stride = stride;
    node->pad = pad;
    node->dilation = dilation;
    node->has_bias = has_bias;
    TRY(graph_check_window(graph, node));
    return graph_add_convolution(graph, name, c_out, graph->nodes[input].c, kernel, has_bias,
                                 &node->i_weight, &node->i_bias);
}

static adele_status create(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    struct adele_conv2d_desc desc = {.n = in.n,
                                     .c_in = in.c,
                                     .h_in = in.h,
                                     .w_in = in.w,
                                     .c_out = node->c,
                                     .kernel = node->kernel,
                                     .stride = node->stride,
                                     .pad = node->pad,
                                     .dilation = node->dilation,
                                     .has_bias = node->has_bias,
                                     .needs_d_src = plan->steps[i_node].wants_gradient[0],
                                     .is_training = plan->is_training,
                                     .precision = plan->network->precision};
    return device->iface->conv2d_create(device, &desc, &plan->steps[i_node].op);
}

static void bind(struct plan *plan, int i_node, const struct node_tensors *tensors) {
    struct network *network = plan->network;
    const struct node *node = &network->graph.nodes[i_node];
    plan->steps[i_node].args.conv2d = (struct adele_conv2d_args){
        .src = tensors->src[0],
        .weight = network_parameter(network, network->weights, node->i_weight),
        .packed_weight = packing_address(network, i_node),
        .bias = network_parameter(network, network->weights, node->i_bias),
        .dst = tensors->dst,
        .d_dst = tensors->d_dst,
        .d_src = tensors->d_src[0],
        .accumulate_d_src = tensors->accumulates[0],
        .d_weight = network_parameter(network, network->gradients, node->i_weight),
        .d_bias = network_parameter(network, network->gradients, node->i_bias)};
}

NODE_PASSES_WORKSPACE(conv2d)

const struct node_traits node_traits_conv2d = {
    .infer_extent = node_infer_window, NODE_FUNCTIONS, .backward_reads_input = true};
