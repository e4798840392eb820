// SPDX-License-Identifier: MIT
// Finds the source of non-finite numbers: runs a plan node by node and downloads each tensor as
// soon as it is computed, because later nodes reuse the memory of many. Slow; only used after a
// failure.
#include "base/fail.h"
#include "base/memory.h"
#include "nn/plan.h"

#include <math.h>

static bool has_nonfinite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return true;
    return false;
}

// The first image with a non-finite number in n_channels of a tensor, from first_channel on; -1:
// none.
static adele_status find_image(const struct plan *plan, const void *tensor,
                               struct adele_shape shape, int first_channel, int n_channels,
                               int *out) {
    const struct adele_device *device = plan->network->device;
    size_t plane = (size_t)shape.h * (size_t)shape.w, image = (size_t)shape.c * plane;
    OWNED float *values = NULL;
    *out = -1;
    TRY(ALLOCATE(&values, (size_t)shape.n * image));
    TRY(device->iface->tensor_download(device, values, tensor, shape));
    for (int n = 0; n < shape.n && *out < 0; n++)
        if (has_nonfinite(values + (size_t)n * image + (size_t)first_channel * plane,
                          (size_t)n_channels * plane))
            *out = n;
    return ADELE_OK;
}

// Whether a node's block, which may be a slice of a concat's, has a non-finite number.
static adele_status check_block(const struct plan *plan, int i_node, enum block_role role,
                                bool *out) {
    const struct plan_step *step = &plan->steps[i_node];
    const void *tensor = plan_block_address(plan, step->blocks[role]);
    struct adele_slice slice = plan_slice(plan, i_node);
    struct adele_shape shape = step->shape;
    int i_image = -1;
    *out = false;
    if (tensor == NULL)
        return ADELE_OK;
    if (slice.of > 0)
        shape.c = slice.of;
    TRY(find_image(plan, tensor, shape, slice.first, step->shape.c, &i_image));
    *out = i_image >= 0;
    return ADELE_OK;
}

// The first of n parameters with a non-finite number in that arena; -1: none.
static adele_status find_parameter(const struct plan *plan, float *arena, const int *i_parameters,
                                   int n, int *out) {
    const struct adele_device *device = plan->network->device;
    *out = -1;
    for (int i = 0; i < n && *out < 0; i++) {
        size_t count = (size_t)plan->network->graph.parameters[i_parameters[i]].count;
        OWNED float *values = NULL;
        TRY(ALLOCATE(&values, count));
        TRY(device->iface->download(device, values,
                                    network_parameter(plan->network, arena, i_parameters[i]),
                                    count * sizeof *values));
        if (has_nonfinite(values, count))
            *out = i_parameters[i];
    }
    return ADELE_OK;
}

static adele_status find_trained(const struct plan *plan, const struct node *node, float *arena,
                                 int *out) {
    int trained[NODE_MAX_TRAINED], n_trained = node_trained(node, trained);
    return find_parameter(plan, arena, trained, n_trained, out);
}

static adele_status describe_output(const struct plan *plan, const struct node *node,
                                    char **out_what) {
    const struct network *network = plan->network;
    const int statistics[] = {node->i_mean, node->i_variance};
    int i_bad = -1;
    TRY(find_trained(plan, node, network->weights, &i_bad));
    if (i_bad < 0 && node->is_frozen) // a batch norm that uses its running statistics in training
        TRY(find_parameter(plan, network->buffers, statistics, 2, &i_bad));
    *out_what = i_bad < 0 ? memory_printf("the output of '%s' is not finite", node->name)
                          : memory_printf("the output of '%s' is not finite because '%s' is not",
                                          node->name, network->graph.parameters[i_bad].name);
    return CHECK_MEMORY(*out_what);
}

adele_status plan_find_nonfinite_input(const struct plan *plan, int *out_row) {
    struct adele_shape shape = plan_input_shape(plan);
    const int i_block = plan->steps[plan->network->graph.input].blocks[BLOCK_VALUE];
    return find_image(plan, plan_block_address(plan, i_block), shape, 0, shape.c, out_row);
}

adele_status plan_find_nonfinite_forward(struct plan *plan, char **out_what) {
    const struct graph *graph = &plan->network->graph;
    *out_what = NULL;
    TRY(network_pack(plan->network));
    plan->has_forward = false;
    for (int i = 0; i < graph->n_nodes; i++) {
        bool is_bad = false;
        TRY(plan_node_forward(plan, i, true));
        TRY(check_block(plan, i, BLOCK_VALUE, &is_bad));
        if (is_bad)
            return describe_output(plan, &graph->nodes[i], out_what);
    }
    plan->has_forward = true;
    return ADELE_OK;
}

// After a node's backward: checks the gradients of its parameters, then those of its inputs.
static adele_status check_gradients(const struct plan *plan, int i_node, char **out_what) {
    const struct graph *graph = &plan->network->graph;
    const struct node *node = &graph->nodes[i_node];
    int i_bad = -1;
    TRY(find_trained(plan, node, plan->network->gradients, &i_bad));
    if (i_bad >= 0) {
        *out_what =
            memory_printf("the gradient of '%s' is not finite", graph->parameters[i_bad].name);
        return CHECK_MEMORY(*out_what);
    }
    for (int j = 0; j < 2; j++) {
        bool is_bad = false;
        if (!plan->steps[i_node].wants_gradient[j])
            continue;
        TRY(check_block(plan, node->inputs[j], BLOCK_GRADIENT, &is_bad));
        if (is_bad) {
            *out_what = memory_printf("the gradient that '%s' passes back to '%s' is not finite",
                                      node->name, graph->nodes[node->inputs[j]].name);
            return CHECK_MEMORY(*out_what);
        }
    }
    return ADELE_OK;
}

adele_status plan_find_nonfinite_backward(struct plan *plan, char **out_what) {
    const struct graph *graph = &plan->network->graph;
    bool is_bad = false;
    *out_what = NULL;
    TRY(check_block(plan, graph->output, BLOCK_GRADIENT, &is_bad));
    if (is_bad) {
        *out_what = memory_printf(
            "the gradient of the loss with respect to the output of '%s' is not finite",
            graph->nodes[graph->output].name);
        return CHECK_MEMORY(*out_what);
    }
    for (int i = graph->n_nodes - 1; i >= 0 && *out_what == NULL; i--) {
        TRY(plan_node_backward(plan, i));
        if (plan->steps[i].has_backward)
            TRY(check_gradients(plan, i, out_what));
    }
    return ADELE_OK;
}
