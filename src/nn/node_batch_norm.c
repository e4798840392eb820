// SPDX-License-Identifier: MIT
// Batch norm nodes, with an optional residual input that is added before the optional ReLU.
#include "base/fail.h"
#include "nn/graph_build.h"
#include "nn/node_traits.h"

// PyTorch's defaults, which the published models use.
#define EPS      1e-5F
#define MOMENTUM 0.1F

adele_status graph_batch_norm(struct graph *graph, const char *name, int input, int residual,
                              bool has_relu, int *out) {
    struct node *node;
    int c = graph_channels(graph, input);
    TRY(graph_append(graph, NODE_BATCH_NORM, name, input, residual, c, &node, out));
    if (residual != -1 && (residual == input || graph->nodes[residual].c != c))
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d (%s): residual %d of %d channels cannot join input %d of %d", *out,
                    name, residual, graph->nodes[residual].c, input, c);
    node->has_relu = has_relu;
    node->eps = EPS;
    node->momentum = MOMENTUM;
    int64_t shape[4] = {c, 0, 0, 0};
    TRY(graph_add_parameter(graph, name, "weight", false, INIT_ONES, 1, shape, &node->i_weight));
    graph->parameters[node->i_weight].has_decay = true;
    TRY(graph_add_parameter(graph, name, "bias", false, INIT_ZEROS, 1, shape, &node->i_bias));
    TRY(graph_add_parameter(graph, name, "running_mean", true, INIT_ZEROS, 1, shape,
                            &node->i_mean));
    return graph_add_parameter(graph, name, "running_var", true, INIT_ONES, 1, shape,
                               &node->i_variance);
}

static adele_status create(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[i_node].shape;
    struct adele_batch_norm_desc desc = {.n = in.n,
                                         .c = in.c,
                                         .h = in.h,
                                         .w = in.w,
                                         .eps = node->eps,
                                         .momentum = node->momentum,
                                         .has_relu = node->has_relu,
                                         .has_residual = node->inputs[1] != -1,
                                         .dst = plan_slice(plan, i_node)};
    if (!node->is_frozen && in.h == 1 && in.w == 1) {
        plan->has_single_pixels = true;
        plan->has_single_values = plan->has_single_values || in.n == 1;
    }
    return device->iface->batch_norm_create(device, &desc, &plan->steps[i_node].op);
}

static void bind(struct plan *plan, int i_node, const struct node_tensors *tensors) {
    struct network *network = plan->network;
    const struct node *node = &network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    float *statistics = plan_block_address(plan, step->blocks[BLOCK_STATISTICS]);
    step->args.batch_norm = (struct adele_batch_norm_args){
        .src = tensors->src[0],
        .residual = tensors->src[1],
        .scale = network_parameter(network, network->weights, node->i_weight),
        .shift = network_parameter(network, network->weights, node->i_bias),
        .running_mean = network_parameter(network, network->buffers, node->i_mean),
        .running_variance = network_parameter(network, network->buffers, node->i_variance),
        .saved_mean = statistics,
        .saved_inv_std = statistics + node->c,
        .dst = tensors->dst,
        .d_dst = tensors->d_dst,
        // In place, whether or not the gradient is used; but not in a slice.
        .d_src = step->into == -1 ? tensors->d_dst : tensors->d_src[0],
        .d_residual = tensors->d_src[1],
        .d_scale = network_parameter(network, network->gradients, node->i_weight),
        .d_shift = network_parameter(network, network->gradients, node->i_bias)};
    step->join_args = (struct adele_add_args){
        .d_dst = tensors->d_dst, .d_src0 = tensors->d_src[0], .accumulate_d_src0 = true};
}

static adele_status forward(const struct plan *plan, struct plan_step *step, bool is_training) {
    step->args.batch_norm.workspace = step->workspace_forward;
    step->args.batch_norm.use_batch_statistics = is_training;
    return plan->network->device->iface->batch_norm_forward(step->op, &step->args.batch_norm);
}

static adele_status recompute(const struct plan *plan, struct plan_step *step) {
    struct adele_batch_norm_args args = step->args.batch_norm;
    args.from_saved = true;
    args.workspace = NULL;
    return plan->network->device->iface->batch_norm_forward(step->op, &args);
}

// With the use_batch_statistics of the forward.
static adele_status backward(const struct plan *plan, struct plan_step *step) {
    const struct adele_device_iface *iface = plan->network->device->iface;
    step->args.batch_norm.workspace = step->workspace_backward;
    TRY(iface->batch_norm_backward(step->op, &step->args.batch_norm));
    return step->join != NULL ? iface->add_backward(step->join, &step->join_args) : ADELE_OK;
}

const struct node_traits node_traits_batch_norm = {NODE_FUNCTIONS,
                                                   .recompute = recompute,
                                                   .backward_reads_input = true,
                                                   .backward_reads_output = true,
                                                   .can_write_slice = true,
                                                   .is_gradient_in_place = true,
                                                   .n_statistics = 2};
