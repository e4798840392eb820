// SPDX-License-Identifier: MIT
// Plans of several scales, whose convolutions a device may run as one op each; and what such plans
// would take.
//
// Together, the plans go through the graph node by node: the convolution of a node in all plans is
// one call, other nodes are a call for each plan, in the order of the plans. So each parameter's
// gradient gets its scales in the same order as where the plans take turns; but a device's op for
// all scales may add up in another one (device.h), so that results differ by rounding.
#include "base/fail.h"
#include "base/memory.h"
#include "base/trace.h"
#include "nn/node_traits.h"

// ---- creation -----------------------------------------------------------------------------------

static bool is_among(const struct plan *plan, int n, struct plan *const *plans) {
    for (int i = 0; i < n; i++)
        if (plans[i] == plan)
            return true;
    return false;
}

static adele_status check_plans(const struct network *network, int n, struct plan *const *plans) {
    if (n < 1 || n > ADELE_MAX_SCALES)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "a group of %d plans, not of 1 to %d", n,
                    ADELE_MAX_SCALES);
    const struct adele_shape first = plan_input_shape(plans[0]);
    for (int i = 0; i < n; i++) {
        const struct plan *plan = plans[i];
        bool is_grouped = plan->group != NULL || is_among(plan, i, plans);
        if (plan->network != network || !plan->is_training || is_grouped ||
            plan_input_shape(plan).n != first.n)
            return FAIL(ADELE_INVALID_ARGUMENT, "",
                        "plan %d of a group is not a training plan of its network, is in a group "
                        "already, or has another number of images",
                        i);
    }
    return ADELE_OK;
}

static adele_status create_convolutions(struct plan_group *group) {
    const struct adele_device *device = group->network->device;
    const struct graph *graph = &group->network->graph;
    if (group->n < 2 || device->iface->conv2d_scales_create == NULL)
        return ADELE_OK;
    TRY(ALLOCATE(&group->convolutions, (size_t)graph->n_nodes));
    for (int i = 0; i < graph->n_nodes; i++) {
        struct adele_op *ops[ADELE_MAX_SCALES];
        if (graph->nodes[i].kind != NODE_CONV2D)
            continue;
        for (int k = 0; k < group->n; k++)
            ops[k] = group->plans[k]->steps[i].op;
        TRY(device->iface->conv2d_scales_create(device, group->n, ops, &group->convolutions[i]));
        group->n_convolutions += group->convolutions[i] != NULL;
    }
    return ADELE_OK;
}

static void place_plans(struct plan_group *group) {
    size_t most = 0, workspace = 0, end = 0;
    for (int i = 0; i < group->network->graph.n_nodes && group->convolutions != NULL; i++)
        if (group->convolutions[i] != NULL)
            workspace = larger(workspace, group->convolutions[i]->workspace_bytes);
    for (int k = 0; k < group->n; k++) {
        struct plan *plan = group->plans[k];
        plan->group = group;
        plan->is_bound = false; // its part of the shared region may lie elsewhere from now on
        plan->shared_first = group->n_convolutions > 0 ? end : 0;
        end += plan->memory.shared_bytes;
        most = larger(most, plan->memory.shared_bytes);
    }
    group->workspace_first = end;
    group->shared_bytes = group->n_convolutions > 0 ? end + workspace : most;
}

adele_status plan_group_create(struct network *network, int n, struct plan *const *plans,
                               struct plan_group **out) {
    OWNED_BY(plan_group_destroy) struct plan_group *group = NULL;
    TRY(check_plans(network, n, plans));
    TRY(ALLOCATE(&group, 1));
    group->network = network;
    group->n = n;
    for (int k = 0; k < n; k++)
        group->plans[k] = plans[k];
    TRY(create_convolutions(group));
    place_plans(group);
    *out = group;
    group = NULL;
    return ADELE_OK;
}

void plan_group_destroy(struct plan_group *group) {
    if (group == NULL)
        return;
    const struct adele_device *device = group->network->device;
    for (int i = 0; i < group->network->graph.n_nodes && group->convolutions != NULL; i++)
        device->iface->op_destroy(group->convolutions[i]);
    memory_free(group->convolutions);
    memory_free(group);
}

// ---- what it would take -------------------------------------------------------------------------

// Plans that are not the network's.
static adele_status measure(struct network *network, int n, int n_sizes,
                            const struct plan_extent *sizes, bool is_training, struct plan **plans,
                            struct plan_memory *out) {
    const int n_channels = network->graph.n_nodes > 0 ? network->graph.nodes[0].c : 0;
    OWNED_BY(plan_group_destroy) struct plan_group *group = NULL;
    for (int k = 0; k < n_sizes; k++) {
        struct adele_shape input = {n, n_channels, sizes[k].h, sizes[k].w};
        TRY(plan_create(network, input, is_training, &plans[k]));
        out->activation_bytes += plans[k]->memory.activation_bytes;
        out->shared_bytes = larger(out->shared_bytes, plans[k]->memory.shared_bytes);
    }
    if (!is_training)
        return ADELE_OK;
    TRY(plan_group_create(network, n_sizes, plans, &group));
    out->shared_bytes = group->shared_bytes;
    return ADELE_OK;
}

adele_status network_measure(struct network *network, int n, int n_sizes,
                             const struct plan_extent *sizes, bool is_training,
                             struct plan_memory *out) {
    OWNED struct plan **plans = NULL;
    *out = (struct plan_memory){0, 0};
    TRY(ALLOCATE(&plans, (size_t)n_sizes));
    adele_status status = measure(network, n, n_sizes, sizes, is_training, plans, out);
    for (int k = 0; k < n_sizes; k++)
        plan_destroy(plans[k]);
    return status;
}

// ---- a pass -------------------------------------------------------------------------------------

// The arguments of a node's convolution in all plans; returns the workspace of their one op.
static void *convolution_args(const struct plan_group *group, int i_node, bool is_forward,
                              const struct adele_conv2d_args **args) {
    for (int k = 0; k < group->n; k++) {
        struct plan_step *step = &group->plans[k]->steps[i_node];
        step->args.conv2d.workspace =
            is_forward ? step->workspace_forward : step->workspace_backward;
        args[k] = &step->args.conv2d;
    }
    return (char *)group->network->shared + group->workspace_first;
}

static struct adele_op *convolution_of(const struct plan_group *group, int i_node) {
    return group->n_convolutions > 0 ? group->convolutions[i_node] : NULL;
}

static adele_status node_forward(const struct plan_group *group, int i_node,
                                 bool use_batch_statistics) {
    const struct adele_conv2d_args *args[ADELE_MAX_SCALES];
    const char *name = group->network->graph.nodes[i_node].name;
    struct adele_op *op = convolution_of(group, i_node);
    if (op == NULL) {
        for (int k = 0; k < group->n; k++)
            TRY(plan_node_forward(group->plans[k], i_node, use_batch_statistics));
        return ADELE_OK;
    }
    void *workspace = convolution_args(group, i_node, true, args);
    trace_push("%s forward", name);
    adele_status status = op->device->iface->conv2d_scales_forward(op, args, workspace);
    trace_pop();
    return status == ADELE_OK ? status : fail_context(status, "forward of %s", name);
}

static adele_status convolution_backward(const struct plan_group *group, int i_node) {
    const struct adele_conv2d_args *args[ADELE_MAX_SCALES];
    struct adele_op *op = convolution_of(group, i_node);
    void *workspace = convolution_args(group, i_node, false, args);
    for (int k = 0; k < group->n; k++)
        TRY(plan_node_recompute(group->plans[k], i_node));
    return op->device->iface->conv2d_scales_backward(op, args, workspace);
}

static adele_status node_backward(const struct plan_group *group, int i_node) {
    const char *name = group->network->graph.nodes[i_node].name;
    if (convolution_of(group, i_node) == NULL) {
        for (int k = 0; k < group->n; k++)
            TRY(plan_node_backward(group->plans[k], i_node));
        return ADELE_OK;
    }
    if (!group->plans[0]->steps[i_node].has_backward)
        return ADELE_OK;
    trace_push("%s backward", name);
    adele_status status = convolution_backward(group, i_node);
    trace_pop();
    return status == ADELE_OK ? status : fail_context(status, "backward of %s", name);
}

adele_status plan_group_forward(struct plan_group *group, bool use_batch_statistics) {
    if (group->n_convolutions == 0) {
        for (int k = 0; k < group->n; k++)
            TRY(plan_forward(group->plans[k], use_batch_statistics));
        return ADELE_OK;
    }
    for (int k = 0; k < group->n; k++)
        TRY(plan_begin_forward(group->plans[k], use_batch_statistics));
    for (int i = 0; i < group->network->graph.n_nodes; i++)
        TRY(node_forward(group, i, use_batch_statistics));
    for (int k = 0; k < group->n; k++)
        group->plans[k]->has_forward = true;
    return ADELE_OK;
}

adele_status plan_group_backward(struct plan_group *group) {
    return plan_group_backward_observed(group, NULL, NULL);
}

adele_status plan_group_backward_observed(struct plan_group *group,
                                          adele_status (*after_node)(void *context, int i_node),
                                          void *context) {
    if (group->n_convolutions == 0) {
        for (int k = 0; k + 1 < group->n; k++)
            TRY(plan_backward(group->plans[k]));
        return plan_backward_observed(group->plans[group->n - 1], after_node, context);
    }
    for (int k = 0; k < group->n; k++)
        TRY(plan_begin_backward(group->plans[k]));
    for (int i = group->network->graph.n_nodes - 1; i >= 0; i--) {
        TRY(node_backward(group, i));
        if (after_node != NULL)
            TRY(after_node(context, i));
    }
    return ADELE_OK;
}
