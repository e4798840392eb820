// SPDX-License-Identifier: MIT
// Builders of the node list: each checks its inputs, adds the node and registers its parameters.
#include "nn/graph.h"

#include "base/fail.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

// Arenas are walked in vectors: every parameter starts at a multiple of this many floats.
#define PARAMETER_ALIGNMENT 16
// PyTorch's defaults, which the published models use.
#define BATCH_NORM_EPS      1e-5F
#define BATCH_NORM_MOMENTUM 0.1F
#define MAX_CHANNELS        65536

static const char *const misuse_hint = "This is a mistake in the code that builds the network.";

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

// Room for one more element behind n: the array doubles whenever n reaches a power of two.
static void *array_reserve(void *array, int n, size_t size) {
    if (n > 0 && (n & (n - 1)) != 0)
        return array;
    return memory_realloc(array, n > 0 ? 2 * (size_t)n : 1, size);
}

static adele_status node_check_input(const struct graph *graph, const char *name, int input) {
    if (input < 0 || input >= graph->n_nodes)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d (%s): input %d is not a node that came before", graph->n_nodes, name,
                    input);
    return ADELE_OK;
}

// Appends a node with every link unset; *out is borrowed until the next append.
static adele_status node_append(struct graph *graph, enum node_kind kind, const char *name, int c,
                                struct node **out) {
    if (c < 1 || c > MAX_CHANNELS)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint, "node %d (%s): %d channels, want 1 to %d",
                    graph->n_nodes, name, c, MAX_CHANNELS);
    struct node *nodes = array_reserve(graph->nodes, graph->n_nodes, sizeof *nodes);
    if (nodes == NULL)
        return FAIL_NO_MEMORY(sizeof *nodes);
    graph->nodes = nodes;
    struct node *node = &nodes[graph->n_nodes];
    memset(node, 0, sizeof *node);
    int length = snprintf(node->name, sizeof node->name, "%s", name);
    if (length < 1 || (size_t)length >= sizeof node->name)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d: a name of %d characters, want 1 to %zu", graph->n_nodes, length,
                    sizeof node->name - 1);
    node->kind = kind;
    node->c = c;
    node->inputs[0] = node->inputs[1] = -1;
    node->i_weight = node->i_bias = node->i_mean = node->i_variance = -1;
    for (int i = 0; i < ADELE_MAX_RATES; i++)
        node->i_weights[i] = node->i_biases[i] = -1;
    graph->output = graph->n_nodes;
    graph->n_nodes++;
    *out = node;
    return ADELE_OK;
}

// Registers MODULE.LEAF; the extents are in `shape`. *out gets the number.
static adele_status parameter_append(struct graph *graph, const char *module, const char *leaf,
                                     int n_dimensions, const int64_t shape[4],
                                     enum parameter_init init, int *out) {
    struct parameter *parameters =
        array_reserve(graph->parameters, graph->n_parameters, sizeof *parameters);
    if (parameters == NULL)
        return FAIL_NO_MEMORY(sizeof *parameters);
    graph->parameters = parameters;
    struct parameter *parameter = &parameters[graph->n_parameters];
    memset(parameter, 0, sizeof *parameter);
    int length = snprintf(parameter->name, sizeof parameter->name, "%s.%s", module, leaf);
    if (length < 0 || (size_t)length >= sizeof parameter->name)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint, "the name %s.%s is too long", module,
                    leaf);
    for (int i = 0; i < graph->n_parameters; i++)
        if (strcmp(parameters[i].name, parameter->name) == 0)
            return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint, "there are two parameters named %s",
                        parameter->name);
    parameter->n_dimensions = n_dimensions;
    parameter->count = 1;
    for (int i = 0; i < n_dimensions; i++) {
        parameter->shape[i] = shape[i];
        parameter->count *= shape[i];
    }
    parameter->init = init;
    parameter->lr_scale = 1.0F;
    *out = graph->n_parameters++;
    return ADELE_OK;
}

// Gives the parameter its place in the arena of its kind.
static struct parameter *parameter_place(struct graph *graph, int i_parameter, bool is_buffer) {
    struct parameter *parameter = &graph->parameters[i_parameter];
    int64_t *n_floats = is_buffer ? &graph->n_buffers : &graph->n_weights;
    parameter->is_buffer = is_buffer;
    parameter->offset = *n_floats;
    *n_floats +=
        (parameter->count + PARAMETER_ALIGNMENT - 1) / PARAMETER_ALIGNMENT * PARAMETER_ALIGNMENT;
    return parameter;
}

adele_status graph_input(struct graph *graph, int c, int *out) {
    if (graph->n_nodes != 0)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "the input is node %d, want it first and only once", graph->n_nodes);
    struct node *node;
    TRY(node_append(graph, NODE_INPUT, "input", c, &node));
    graph->input = 0;
    *out = 0;
    return ADELE_OK;
}

static adele_status window_check(const struct graph *graph, const char *name, int kernel,
                                 int stride, int pad, int dilation) {
    if (kernel < 1 || stride < 1 || pad < 0 || dilation < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d (%s): kernel %d, stride %d, pad %d, dilation %d is no window",
                    graph->n_nodes, name, kernel, stride, pad, dilation);
    return ADELE_OK;
}

static adele_status weights_check(const struct graph *graph, const char *name, int c_out, int c_in,
                                  int kernel) {
    if ((int64_t)(c_in > c_out ? c_in : c_out) * kernel * kernel > INT32_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d (%s): %d x %d weights of %d x %d are too many", graph->n_nodes, name,
                    c_out, c_in, kernel, kernel);
    return ADELE_OK;
}

// Weight and, on request, bias of a convolution under the module path `name`.
static adele_status convolution_parameters(struct graph *graph, const char *name, int c_out,
                                           int c_in, int kernel, bool has_bias, int *i_weight,
                                           int *i_bias) {
    int area = kernel * kernel;
    int64_t shape[4] = {c_out, c_in, kernel, kernel};
    TRY(parameter_append(graph, name, "weight", 4, shape, INIT_KAIMING_UNIFORM, i_weight));
    struct parameter *weight = parameter_place(graph, *i_weight, false);
    weight->fan_in = c_in * area;
    weight->fan_out = c_out * area;
    weight->has_decay = true;
    if (!has_bias)
        return ADELE_OK;
    TRY(parameter_append(graph, name, "bias", 1, shape, INIT_BIAS_UNIFORM, i_bias));
    struct parameter *bias = parameter_place(graph, *i_bias, false);
    bias->fan_in = c_in * area;
    bias->fan_out = c_out * area;
    return ADELE_OK;
}

adele_status graph_conv2d(struct graph *graph, const char *name, int input, int c_out, int kernel,
                          int stride, int pad, int dilation, bool has_bias, int *out) {
    TRY(node_check_input(graph, name, input));
    TRY(window_check(graph, name, kernel, stride, pad, dilation));
    int c_in = graph->nodes[input].c;
    TRY(weights_check(graph, name, c_out, c_in, kernel));
    struct node *node;
    TRY(node_append(graph, NODE_CONV2D, name, c_out, &node));
    node->inputs[0] = input;
    node->kernel = kernel;
    node->stride = stride;
    node->pad = pad;
    node->dilation = dilation;
    node->has_bias = has_bias;
    TRY(convolution_parameters(graph, name, c_out, c_in, kernel, has_bias, &node->i_weight,
                               &node->i_bias));
    *out = graph->n_nodes - 1;
    return ADELE_OK;
}

adele_status graph_batch_norm(struct graph *graph, const char *name, int input, int residual,
                              bool has_relu, int *out) {
    TRY(node_check_input(graph, name, input));
    int c = graph->nodes[input].c;
    if (residual != -1) {
        TRY(node_check_input(graph, name, residual));
        if (residual == input || graph->nodes[residual].c != c)
            return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                        "node %d (%s): residual %d of %d channels cannot join input %d of %d",
                        graph->n_nodes, name, residual, graph->nodes[residual].c, input, c);
    }
    struct node *node;
    TRY(node_append(graph, NODE_BATCH_NORM, name, c, &node));
    node->inputs[0] = input;
    node->inputs[1] = residual;
    node->has_relu = has_relu;
    node->eps = BATCH_NORM_EPS;
    node->momentum = BATCH_NORM_MOMENTUM;
    int64_t shape[4] = {c, 0, 0, 0};
    TRY(parameter_append(graph, name, "weight", 1, shape, INIT_ONES, &node->i_weight));
    parameter_place(graph, node->i_weight, false)->has_decay = true;
    TRY(parameter_append(graph, name, "bias", 1, shape, INIT_ZEROS, &node->i_bias));
    parameter_place(graph, node->i_bias, false);
    TRY(parameter_append(graph, name, "running_mean", 1, shape, INIT_ZEROS, &node->i_mean));
    parameter_place(graph, node->i_mean, true);
    TRY(parameter_append(graph, name, "running_var", 1, shape, INIT_ONES, &node->i_variance));
    parameter_place(graph, node->i_variance, true);
    *out = graph->n_nodes - 1;
    return ADELE_OK;
}

adele_status graph_max_pool(struct graph *graph, int input, int kernel, int stride, int pad,
                            int *out) {
    char name[32];
    snprintf(name, sizeof name, "max_pool.%d", graph->n_nodes);
    TRY(node_check_input(graph, name, input));
    TRY(window_check(graph, name, kernel, stride, pad, 1));
    if (2 * (int64_t)pad > kernel)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d (%s): pad %d is more than half the kernel %d", graph->n_nodes, name,
                    pad, kernel);
    struct node *node;
    TRY(node_append(graph, NODE_MAX_POOL, name, graph->nodes[input].c, &node));
    node->inputs[0] = input;
    node->kernel = kernel;
    node->stride = stride;
    node->pad = pad;
    node->dilation = 1;
    *out = graph->n_nodes - 1;
    return ADELE_OK;
}

adele_status graph_rescale(struct graph *graph, int input, int like, int factor, int *out) {
    char name[32];
    snprintf(name, sizeof name, "rescale.%d", graph->n_nodes);
    TRY(node_check_input(graph, name, input));
    if (like != -1)
        TRY(node_check_input(graph, name, like));
    if (factor < 0 || (factor == 0 && like == -1))
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d (%s): factor %d with size like %d gives no size", graph->n_nodes, name,
                    factor, like);
    struct node *node;
    TRY(node_append(graph, NODE_RESCALE, name, graph->nodes[input].c, &node));
    node->inputs[0] = input;
    node->inputs[1] = like;
    node->rescale_factor = factor;
    *out = graph->n_nodes - 1;
    return ADELE_OK;
}

adele_status graph_concat(struct graph *graph, int a, int b, int *out) {
    char name[32];
    snprintf(name, sizeof name, "concat.%d", graph->n_nodes);
    TRY(node_check_input(graph, name, a));
    TRY(node_check_input(graph, name, b));
    if (a == b)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d (%s): both inputs are node %d, want two nodes", graph->n_nodes, name,
                    a);
    struct node *node;
    TRY(node_append(graph, NODE_CONCAT, name, graph->nodes[a].c + graph->nodes[b].c, &node));
    node->inputs[0] = a;
    node->inputs[1] = b;
    *out = graph->n_nodes - 1;
    return ADELE_OK;
}

adele_status graph_add(struct graph *graph, int a, int b, int *out) {
    char name[32];
    snprintf(name, sizeof name, "add.%d", graph->n_nodes);
    TRY(node_check_input(graph, name, a));
    TRY(node_check_input(graph, name, b));
    if (a == b || graph->nodes[a].c != graph->nodes[b].c)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d (%s): nodes %d and %d of %d and %d channels, want two nodes of equal "
                    "channels",
                    graph->n_nodes, name, a, b, graph->nodes[a].c, graph->nodes[b].c);
    struct node *node;
    TRY(node_append(graph, NODE_ADD, name, graph->nodes[a].c, &node));
    node->inputs[0] = a;
    node->inputs[1] = b;
    *out = graph->n_nodes - 1;
    return ADELE_OK;
}

adele_status graph_global_pool(struct graph *graph, int input, int *out) {
    char name[32];
    snprintf(name, sizeof name, "global_pool.%d", graph->n_nodes);
    TRY(node_check_input(graph, name, input));
    struct node *node;
    TRY(node_append(graph, NODE_GLOBAL_POOL, name, graph->nodes[input].c, &node));
    node->inputs[0] = input;
    *out = graph->n_nodes - 1;
    return ADELE_OK;
}

adele_status graph_dropout(struct graph *graph, int input, double rate, bool per_channel,
                           int *out) {
    char name[32];
    snprintf(name, sizeof name, "dropout.%d", graph->n_nodes);
    TRY(node_check_input(graph, name, input));
    if (!(rate >= 0.0 && rate < 1.0))
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d (%s): rate %g, want 0 up to 1 exclusively", graph->n_nodes, name,
                    rate);
    struct node *node;
    TRY(node_append(graph, NODE_DROPOUT, name, graph->nodes[input].c, &node));
    node->inputs[0] = input;
    node->dropout_rate = rate;
    node->is_per_channel = per_channel;
    *out = graph->n_nodes - 1;
    return ADELE_OK;
}

adele_status graph_aspp(struct graph *graph, const char *name, int input, enum adele_aspp_form form,
                        int c_out, int n_rates, const int *rates, const char *const *branches,
                        bool has_bias, int *out) {
    TRY(node_check_input(graph, name, input));
    if (n_rates < 1 || n_rates > ADELE_MAX_RATES || c_out < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                    "node %d (%s): %d rates of %d channels, want 1 to %d rates", graph->n_nodes,
                    name, n_rates, c_out, ADELE_MAX_RATES);
    for (int i = 0; i < n_rates; i++)
        if (rates[i] < 0 || rates[i] > ADELE_MAX_RATE)
            return FAIL(ADELE_INVALID_ARGUMENT, misuse_hint,
                        "node %d (%s): rate %d is %d, want 0 to %d", graph->n_nodes, name, i,
                        rates[i], ADELE_MAX_RATE);
    int c_in = graph->nodes[input].c;
    TRY(weights_check(graph, name, c_out, c_in, 3));
    struct node *node;
    int64_t c = form == ADELE_ASPP_SUM ? c_out : (int64_t)c_out * n_rates;
    TRY(node_append(graph, NODE_ASPP, name, c > MAX_CHANNELS ? -1 : (int)c, &node));
    node->inputs[0] = input;
    node->form = form;
    node->n_rates = n_rates;
    node->has_bias = has_bias;
    for (int i = 0; i < n_rates; i++) {
        node->rates[i] = rates[i];
        TRY(convolution_parameters(graph, branches[i], c_out, c_in, rates[i] > 0 ? 3 : 1, has_bias,
                                   &node->i_weights[i], &node->i_biases[i]));
    }
    *out = graph->n_nodes - 1;
    return ADELE_OK;
}

int node_n_data_inputs(const struct node *node) {
    if (node->kind == NODE_INPUT)
        return 0;
    if (node->kind == NODE_RESCALE || node->inputs[1] == -1)
        return 1;
    return 2;
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
