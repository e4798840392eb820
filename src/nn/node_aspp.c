// SPDX-License-Identifier: MIT
// Nodes of atrous spatial pyramid pooling. Each branch has parameters of its own.
#include "base/fail.h"
#include "nn/graph_build.h"
#include "nn/node_traits.h"

#include <string.h>

adele_status graph_aspp(struct graph *graph, const char *name, int input, enum adele_aspp_form form,
                        int c_out, int n_rates, const int *rates, const char *const *branches,
                        bool has_bias, int *out) {
    if (n_rates < 1 || n_rates > ADELE_MAX_RATES || c_out < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d (%s): %d rates of %d channels, want 1 to %d rates", graph->n_nodes,
                    name, n_rates, c_out, ADELE_MAX_RATES);
    struct node *node;
    int64_t c = form == ADELE_ASPP_SUM ? c_out : (int64_t)c_out * n_rates;
    TRY(graph_append(graph, NODE_ASPP, name, input, -1, c > GRAPH_MAX_CHANNELS ? -1 : (int)c, &node,
                     out));
    node->form = form;
    node->n_rates = n_rates;
    node->has_bias = has_bias;
    for (int i = 0; i < n_rates; i++) {
        if (rates[i] < 0 || rates[i] > ADELE_MAX_RATE)
            return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                        "node %d (%s): rate %d is %d, want 0 to %d", *out, name, i, rates[i],
                        ADELE_MAX_RATE);
        node->rates[i] = rates[i];
        TRY(graph_add_convolution(graph, branches[i], c_out, graph->nodes[input].c,
                                  rates[i] > 0 ? 3 : 1, has_bias, &node->i_weights[i],
                                  &node->i_biases[i]));
    }
    return ADELE_OK;
}

static adele_status create(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    struct adele_aspp_desc desc = {.form = node->form,
                                   .n = in.n,
                                   .c_in = in.c,
                                   .h = in.h,
                                   .w = in.w,
                                   .c_out = node->form == ADELE_ASPP_SUM ? node->c
                                                                         : node->c / node->n_rates,
                                   .n_rates = node->n_rates,
                                   .has_bias = node->has_bias,
                                   .needs_d_src = plan->steps[i_node].wants_gradient[0],
                                   .is_training = plan->is_training,
                                   .precision = plan->network->precision};
    memcpy(desc.rates, node->rates, sizeof desc.rates);
    return device->iface->aspp_create(device, &desc, &plan->steps[i_node].op);
}

static void bind(struct plan *plan, int i_node, const struct node_tensors *tensors) {
    struct network *network = plan->network;
    const struct node *node = &network->graph.nodes[i_node];
    struct adele_aspp_args *args = &plan->steps[i_node].args.aspp;
    *args = (struct adele_aspp_args){.src = tensors->src[0],
                                     .dst = tensors->dst,
                                     .d_dst = tensors->d_dst,
                                     .d_src = tensors->d_src[0],
                                     .accumulate_d_src = tensors->accumulates[0]};
    for (int r = 0; r < node->n_rates; r++) {
        args->weights[r] = network_parameter(network, network->weights, node->i_weights[r]);
        args->biases[r] = network_parameter(network, network->weights, node->i_biases[r]);
        args->d_weights[r] = network_parameter(network, network->gradients, node->i_weights[r]);
        args->d_biases[r] = network_parameter(network, network->gradients, node->i_biases[r]);
    }
}

NODE_PASSES_WORKSPACE(aspp)

const struct node_traits node_traits_aspp = {NODE_FUNCTIONS, .backward_reads_input = true};
