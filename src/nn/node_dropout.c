// SPDX-License-Identifier: MIT
// Dropout nodes.
#include "base/fail.h"
#include "nn/graph_build.h"
#include "nn/node_traits.h"

adele_status graph_dropout(struct graph *graph, int input, double rate, bool per_channel,
                           int *out) {
    struct node *node;
    TRY(graph_append(graph, NODE_DROPOUT, NULL, input, -1, graph_channels(graph, input), &node,
                     out));
    if (!(rate >= 0.0 && rate < 1.0))
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d (%s): rate %g, want at least 0 and below 1", *out, node->name, rate);
    node->dropout_rate = rate;
    node->is_per_channel = per_channel;
    return ADELE_OK;
}

static adele_status create(struct plan *plan, int i_node) {
    const struct network *network = plan->network;
    const struct node *node = &network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[i_node].shape;
    struct adele_dropout_desc desc = {
        .n = in.n,
        .c = in.c,
        .h = in.h,
        .w = in.w,
        .rate = node->dropout_rate,
        .per_channel = node->is_per_channel,
        .seed = network->seed,
        // The scales of a step have the same samples: each plan draws from streams of its own.
        .stream = (uint32_t)plan->i_plan * (uint32_t)network->graph.n_nodes + (uint32_t)i_node};
    return network->device->iface->dropout_create(network->device, &desc, &plan->steps[i_node].op);
}

NODE_BIND_ONE(dropout)

static adele_status forward(const struct plan *plan, struct plan_step *step, bool is_training) {
    step->args.dropout.is_active = is_training;
    step->args.dropout.epoch = plan->epoch;
    step->args.dropout.sample_ids = plan->sample_ids;
    return plan->network->device->iface->dropout_forward(step->op, &step->args.dropout);
}

// Draws the mask of the forward again.
static adele_status backward(const struct plan *plan, struct plan_step *step) {
    return plan->network->device->iface->dropout_backward(step->op, &step->args.dropout);
}

const struct node_traits node_traits_dropout = {NODE_FUNCTIONS};
