// SPDX-License-Identifier: MIT
// The node list and its parameters. The builders of nodes are in node_<kind>.c.
#include "nn/graph_build.h"

#include "base/fail.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

// Arenas are processed in vectors: every parameter starts at a multiple of this many floats.
#define PARAMETER_ALIGNMENT 16

static const char *const kind_names[] = {
#define KIND_NAME(KIND, name) [NODE_##KIND] = #name,
    NODE_KINDS(KIND_NAME)
#undef KIND_NAME
};

const char *node_kind_name(enum node_kind kind) {
    return kind_names[kind];
}

void graph_init(struct graph *graph) {
    memset(graph, 0, sizeof *graph);
    graph->input = -1;
    graph->output = -1;
}

void graph_deinit(struct graph *graph) {
    memory_free(graph->nodes);
    memory_free(graph->parameters);
    graph_init(graph);
}

// ---- nodes --------------------------------------------------------------------------------------

int graph_channels(const struct graph *graph, int i_node) {
    return i_node >= 0 && i_node < graph->n_nodes ? graph->nodes[i_node].c : 0;
}

static adele_status set_name(const struct graph *graph, struct node *node, const char *name) {
    int length = name != NULL ? snprintf(node->name, sizeof node->name, "%s", name)
                              : snprintf(node->name, sizeof node->name, "%s.%d",
                                         kind_names[node->kind], graph->n_nodes);
    if (length < 1 || (size_t)length >= sizeof node->name)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d: a name of %d characters, want 1 to %zu", graph->n_nodes, length,
                    sizeof node->name - 1);
    return ADELE_OK;
}

adele_status graph_append(struct graph *graph, enum node_kind kind, const char *name, int input,
                          int second_input, int c, struct node **out_node, int *out) {
    TRY(GROW(&graph->nodes, graph->n_nodes));
    struct node *node = &graph->nodes[graph->n_nodes];
    memset(node, 0, sizeof *node);
    node->kind = kind;
    node->c = c;
    node->inputs[0] = input;
    node->inputs[1] = second_input;
    TRY(set_name(graph, node, name));
    for (int j = 0; j < 2; j++) {
        bool may_lack = kind == NODE_INPUT || j == 1;
        if (node->inputs[j] >= graph->n_nodes || node->inputs[j] < (may_lack ? -1 : 0))
            return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                        "node %d (%s): input %d is not a node that came before", graph->n_nodes,
                        node->name, node->inputs[j]);
    }
    if (c < 1 || c > GRAPH_MAX_CHANNELS)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d (%s): %d channels, want 1 to %d", graph->n_nodes, node->name, c,
                    GRAPH_MAX_CHANNELS);
    node->i_weight = node->i_bias = node->i_mean = node->i_variance = -1;
    for (int i = 0; i < ADELE_MAX_RATES; i++)
        node->i_weights[i] = node->i_biases[i] = -1;
    graph->output = graph->n_nodes;
    *out = graph->n_nodes++;
    *out_node = node;
    return ADELE_OK;
}

adele_status graph_input(struct graph *graph, int c, int *out) {
    if (graph->n_nodes != 0)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "the input is node %d, want it first and only once", graph->n_nodes);
    struct node *node;
    TRY(graph_append(graph, NODE_INPUT, "input", -1, -1, c, &node, out));
    graph->input = 0;
    return ADELE_OK;
}

adele_status graph_check_window(const struct graph *graph, const struct node *node) {
    if (node->kernel < 1 || node->stride < 1 || node->pad < 0 || node->dilation < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "node %d (%s): kernel %d, stride %d, pad %d, dilation %d is no window",
                    (int)(node - graph->nodes), node->name, node->kernel, node->stride, node->pad,
                    node->dilation);
    return ADELE_OK;
}

int node_n_data_inputs(const struct node *node) {
    if (node->kind == NODE_INPUT)
        return 0;
    return node->kind == NODE_RESCALE || node->inputs[1] == -1 ? 1 : 2;
}

// ---- parameters ---------------------------------------------------------------------------------

adele_status graph_add_parameter(struct graph *graph, const char *module, const char *leaf,
                                 bool is_buffer, enum parameter_init init, int n_dimensions,
                                 const int64_t shape[4], int *out) {
    TRY(GROW(&graph->parameters, graph->n_parameters));
    struct parameter *parameter = &graph->parameters[graph->n_parameters];
    memset(parameter, 0, sizeof *parameter);
    int length = snprintf(parameter->name, sizeof parameter->name, "%s.%s", module, leaf);
    if (length < 0 || (size_t)length >= sizeof parameter->name)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT, "the name %s.%s is too long", module,
                    leaf);
    for (int i = 0; i < graph->n_parameters; i++)
        if (strcmp(graph->parameters[i].name, parameter->name) == 0)
            return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                        "there are two parameters named %s", parameter->name);
    parameter->n_dimensions = n_dimensions;
    parameter->count = 1;
    for (int i = 0; i < n_dimensions; i++) {
        parameter->shape[i] = shape[i];
        parameter->count *= shape[i];
    }
    parameter->init = init;
    parameter->lr_scale = 1.0F;
    parameter->is_buffer = is_buffer;
    int64_t *n_floats = is_buffer ? &graph->n_buffers : &graph->n_weights;
    parameter->offset = *n_floats;
    *n_floats +=
        (parameter->count + PARAMETER_ALIGNMENT - 1) / PARAMETER_ALIGNMENT * PARAMETER_ALIGNMENT;
    *out = graph->n_parameters++;
    return ADELE_OK;
}

adele_status graph_add_convolution(struct graph *graph, const char *module, int c_out, int c_in,
                                   int kernel, bool has_bias, int *i_weight, int *i_bias) {
    int64_t fan_in = (int64_t)c_in * kernel * kernel, fan_out = (int64_t)c_out * kernel * kernel;
    if (fan_in > INT32_MAX || fan_out > INT32_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, GRAPH_MISUSE_HINT,
                    "%s: %d x %d weights of %d x %d are too many", module, c_out, c_in, kernel,
                    kernel);
    int64_t shape[4] = {c_out, c_in, kernel, kernel};
    int first = graph->n_parameters;
    TRY(graph_add_parameter(graph, module, "weight", false, INIT_KAIMING_UNIFORM, 4, shape,
                            i_weight));
    graph->parameters[*i_weight].has_decay = true;
    if (has_bias)
        TRY(graph_add_parameter(graph, module, "bias", false, INIT_BIAS_UNIFORM, 1, shape, i_bias));
    for (int i = first; i < graph->n_parameters; i++) {
        graph->parameters[i].fan_in = (int)fan_in;
        graph->parameters[i].fan_out = (int)fan_out;
    }
    return ADELE_OK;
}

int node_trained(const struct node *node, int i_parameters[NODE_MAX_TRAINED]) {
    int n = 0;
    if (node->i_weight != -1)
        i_parameters[n++] = node->i_weight;
    if (node->i_bias != -1)
        i_parameters[n++] = node->i_bias;
    for (int i = 0; i < node->n_rates; i++)
        if (node->i_weights[i] != -1)
            i_parameters[n++] = node->i_weights[i];
    for (int i = 0; i < node->n_rates; i++)
        if (node->i_biases[i] != -1)
            i_parameters[n++] = node->i_biases[i];
    return n;
}

// Parameter groups (METHOD section 5).
static bool is_bias(const struct parameter *parameter) {
    return parameter->init == INIT_BIAS_UNIFORM || parameter->init == INIT_ZEROS;
}

void graph_set_rates(struct graph *graph, enum rate_groups groups) {
    for (int i = 0; i < graph->n_parameters; i++) {
        struct parameter *parameter = &graph->parameters[i];
        parameter->lr_scale = parameter->is_frozen ? 0.0F : 1.0F;
        if (groups == RATES_VOC && parameter->is_new)
            parameter->lr_scale *= 10.0F;
        if (groups == RATES_VOC && is_bias(parameter))
            parameter->lr_scale *= 2.0F;
    }
}
