// SPDX-License-Identifier: MIT
// Where a number that is not finite comes from: a plan run node by node, with a look at each tensor
// as soon as it is there, for the memory of many is used again later. Nothing of this is fast.
#include "nn/plan.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>

static bool has_bad(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return true;
    return false;
}

// Of a tensor of that shape, or of a slice of it: the first image that is not finite; -1: none.
static adele_status first_bad_image(const struct plan *plan, const void *tensor,
                                    struct adele_shape shape, int first_channel, int n_channels,
                                    int *out) {
    const struct adele_device *device = plan->network->device;
    size_t plane = (size_t)shape.h * (size_t)shape.w, image = (size_t)shape.c * plane;
    size_t looked_at = (size_t)n_channels * plane;
    float *values = memory_calloc((size_t)shape.n * image, sizeof *values);
    if (values == NULL)
        return FAIL_NO_MEMORY((size_t)shape.n * image * sizeof *values);
    adele_status status = device->iface->tensor_download(device, values, tensor, shape);
    *out = -1;
    for (int n = 0; status == ADELE_OK && n < shape.n && *out < 0; n++) {
        const float *from = values + (size_t)n * image + (size_t)first_channel * plane;
        *out = has_bad(from, looked_at) ? n : -1;
    }
    memory_free(values);
    return status;
}

// Of a node's block, which may be a slice of a concat's.
static adele_status block_is_bad(const struct plan *plan, int i_node, enum block_role role,
                                 bool *out) {
    const struct plan_step *step = &plan->steps[i_node];
    const void *tensor = plan_block_address(plan, step->blocks[role]);
    struct adele_slice slice = plan_slice(plan, i_node);
    struct adele_shape shape = step->shape;
    int i_bad = -1;
    *out = false;
    if (tensor == NULL)
        return ADELE_OK;
    if (slice.of > 0)
        shape.c = slice.of;
    TRY(first_bad_image(plan, tensor, shape, slice.first, step->shape.c, &i_bad));
    *out = i_bad >= 0;
    return ADELE_OK;
}

// Of a parameter, in one of the arenas that share offsets.
static adele_status parameter_is_bad(const struct plan *plan, const float *arena, int i_parameter,
                                     bool *out) {
    const struct adele_device *device = plan->network->device;
    const struct parameter *parameter = &plan->network->graph.parameters[i_parameter];
    size_t count = (size_t)parameter->count;
    float *values = memory_calloc(count, sizeof *values);
    if (values == NULL)
        return FAIL_NO_MEMORY(count * sizeof *values);
    adele_status status =
        device->iface->download(device, values, arena + parameter->offset, count * sizeof *values);
    *out = status == ADELE_OK && has_bad(values, count);
    memory_free(values);
    return status;
}

// The first of a node's parameters that is not finite, in the arena of weights or of gradients; -1:
// none. What does not learn has no gradient that counts.
static adele_status bad_parameter(const struct plan *plan, const struct node *node,
                                  const float *arena, int *out) {
    int trained[NODE_MAX_TRAINED], n_trained = node_trained(node, trained);
    *out = -1;
    for (int i = 0; i < n_trained && *out < 0; i++) {
        bool is_bad = false;
        TRY(parameter_is_bad(plan, arena, trained[i], &is_bad));
        *out = is_bad ? trained[i] : -1;
    }
    return ADELE_OK;
}

// Batch norm with running statistics in training.
static adele_status bad_statistics(const struct plan *plan, const struct node *node, int *out) {
    const int statistics[] = {node->i_mean, node->i_variance};
    *out = -1;
    for (int i = 0; i < 2 && *out < 0 && node->kind == NODE_BATCH_NORM && node->is_frozen; i++) {
        bool is_bad = false;
        TRY(parameter_is_bad(plan, plan->network->buffers, statistics[i], &is_bad));
        *out = is_bad ? statistics[i] : -1;
    }
    return ADELE_OK;
}

static adele_status printed(char *text, char **out) {
    *out = text;
    return text != NULL ? ADELE_OK : FAIL_NO_MEMORY(256);
}

static adele_status describe_output(const struct plan *plan, const struct node *node,
                                    char **out_what) {
    int i_bad = -1;
    TRY(bad_parameter(plan, node, plan->network->weights, &i_bad));
    if (i_bad < 0)
        TRY(bad_statistics(plan, node, &i_bad));
    if (i_bad < 0)
        return printed(memory_printf("the output of '%s' is not finite", node->name), out_what);
    return printed(memory_printf("the output of '%s' is not finite, for '%s' is not", node->name,
                                 plan->network->graph.parameters[i_bad].name),
                   out_what);
}

adele_status plan_look_input(const struct plan *plan, int *out_row) {
    struct adele_shape shape = plan_input_shape(plan);
    const int i_block = plan->steps[plan->network->graph.input].blocks[BLOCK_VALUE];
    return first_bad_image(plan, plan_block_address(plan, i_block), shape, 0, shape.c, out_row);
}

adele_status plan_look_forward(struct plan *plan, char **out_what) {
    const struct graph *graph = &plan->network->graph;
    *out_what = NULL;
    TRY(network_pack(plan->network));
    plan->has_forward = false;
    for (int i = 0; i < graph->n_nodes; i++) {
        bool is_bad = false;
        TRY(plan_node_forward(plan, i, true));
        TRY(block_is_bad(plan, i, BLOCK_VALUE, &is_bad));
        if (is_bad)
            return describe_output(plan, &graph->nodes[i], out_what);
    }
    plan->has_forward = true;
    return ADELE_OK;
}

// After node i's backward: the gradients of its parameters, then those it gave to its inputs.
static adele_status look_at_gradients(const struct plan *plan, int i_node, char **out_what) {
    const struct graph *graph = &plan->network->graph;
    const struct node *node = &graph->nodes[i_node];
    int i_bad = -1;
    TRY(bad_parameter(plan, node, plan->network->gradients, &i_bad));
    if (i_bad >= 0)
        return printed(
            memory_printf("the gradient of '%s' is not finite", graph->parameters[i_bad].name),
            out_what);
    for (int j = 0; j < 2; j++) {
        bool is_bad = false;
        if (!plan->steps[i_node].wants_gradient[j])
            continue;
        TRY(block_is_bad(plan, node->inputs[j], BLOCK_GRADIENT, &is_bad));
        if (is_bad)
            return printed(memory_printf("the gradient that '%s' hands back to '%s' is not finite",
                                         node->name, graph->nodes[node->inputs[j]].name),
                           out_what);
    }
    return ADELE_OK;
}

adele_status plan_look_backward(struct plan *plan, char **out_what) {
    const struct graph *graph = &plan->network->graph;
    bool is_bad = false;
    *out_what = NULL;
    TRY(block_is_bad(plan, graph->output, BLOCK_GRADIENT, &is_bad));
    if (is_bad)
        return printed(memory_printf("the gradient of the loss by the output of '%s' is not finite",
                                     graph->nodes[graph->output].name),
                       out_what);
    for (int i = graph->n_nodes - 1; i >= 0 && *out_what == NULL; i--) {
        TRY(plan_node_backward(plan, i));
        if (plan->steps[i].has_backward)
            TRY(look_at_gradients(plan, i, out_what));
    }
    return ADELE_OK;
}
