// SPDX-License-Identifier: MIT
// From a graph and an input shape to a plan: shapes, then ops; plan_lifetimes.c says which block
// lives when.
#include "base/fail.h"
#include "base/memory.h"
#include "nn/plan.h"

#include <limits.h>
#include <string.h>

static const char *const size_hint = "Use larger images, or leave out the small scales.";

// ---- shapes -------------------------------------------------------------------------------------

static adele_status extent_check(const struct node *node, struct adele_shape in, int64_t h,
                                 int64_t w) {
    if (h < 1 || w < 1 || h > INT_MAX / 4 || w > INT_MAX / 4)
        return FAIL(ADELE_INVALID_ARGUMENT, size_hint,
                    "%s: an input of %d x %d pixels would give %lld x %lld", node->name, in.h, in.w,
                    (long long)h, (long long)w);
    return ADELE_OK;
}

// Extent of a sliding window's output, 0 when the window does not fit.
static int64_t window_extent(int in, const struct node *node) {
    int64_t span = in + 2 * (int64_t)node->pad - (int64_t)node->dilation * (node->kernel - 1) - 1;
    return span < 0 ? 0 : span / node->stride + 1;
}

static adele_status same_size_check(const struct node *node, struct adele_shape a,
                                    struct adele_shape b) {
    if (a.h != b.h || a.w != b.w)
        return FAIL(ADELE_INVALID_ARGUMENT,
                    "This is a mistake in the code that builds the network.",
                    "%s: inputs of %d x %d and %d x %d pixels do not fit together", node->name, a.h,
                    a.w, b.h, b.w);
    return ADELE_OK;
}

static adele_status infer_shape(struct plan *plan, int i_node, struct adele_shape input) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    if (node->kind == NODE_INPUT) {
        step->shape = input;
        return extent_check(node, input, input.h, input.w);
    }
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    int64_t h = in.h, w = in.w;
    if (node->kind == NODE_CONV2D || node->kind == NODE_MAX_POOL) {
        h = window_extent(in.h, node);
        w = window_extent(in.w, node);
    } else if (node->kind == NODE_RESCALE) {
        TRY(extent_check(node, in,
                         (int64_t)in.h * (node->rescale_factor > 0 ? node->rescale_factor : 1),
                         (int64_t)in.w * (node->rescale_factor > 0 ? node->rescale_factor : 1)));
        h = (int64_t)in.h * node->rescale_factor;
        w = (int64_t)in.w * node->rescale_factor;
        if (node->inputs[1] != -1) {
            h = plan->steps[node->inputs[1]].shape.h;
            w = plan->steps[node->inputs[1]].shape.w;
        }
    } else if (node->kind == NODE_GLOBAL_POOL) {
        h = w = 1;
    } else if (node->inputs[1] != -1) {
        TRY(same_size_check(node, in, plan->steps[node->inputs[1]].shape));
    }
    TRY(extent_check(node, in, h, w));
    step->shape = (struct adele_shape){in.n, node->c, (int)h, (int)w};
    if (node->kind == NODE_BATCH_NORM && !node->is_frozen && (int64_t)h * w == 1) {
        plan->has_single_pixels = true;
        plan->has_single_values = plan->has_single_values || in.n == 1;
    }
    return ADELE_OK;
}

// A node whose output goes nowhere would be computed for nothing and have no gradient.
static adele_status dead_nodes_check(const struct graph *graph) {
    for (int i = 0; i < graph->n_nodes; i++) {
        bool is_used = i == graph->output;
        for (int k = i + 1; k < graph->n_nodes && !is_used; k++)
            for (int j = 0; j < node_n_data_inputs(&graph->nodes[k]); j++)
                is_used = is_used || graph->nodes[k].inputs[j] == i;
        if (!is_used)
            return FAIL(ADELE_INVALID_ARGUMENT,
                        "This is a mistake in the code that builds the network.",
                        "node %d (%s) is used by no other node and is not the output", i,
                        graph->nodes[i].name);
    }
    return ADELE_OK;
}

// ---- ops ----------------------------------------------------------------------------------------

static adele_status create_conv2d(struct plan *plan, int i_node) {
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

// F.pad of the published program splits the difference with a floor division, also a negative one.
static int half_floor(int difference) {
    return difference >= 0 ? difference / 2 : -((1 - difference) / 2);
}

static adele_status create_rescale(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    struct adele_shape to = plan->steps[i_node].shape;
    int factor = node->rescale_factor;
    struct adele_rescale_desc desc = {.n = in.n,
                                      .c = in.c,
                                      .h_in = in.h,
                                      .w_in = in.w,
                                      .h_out = factor > 0 ? in.h * factor : to.h,
                                      .w_out = factor > 0 ? in.w * factor : to.w,
                                      .h_dst = to.h,
                                      .w_dst = to.w,
                                      .dst = plan_slice(plan, i_node)};
    desc.top = half_floor(desc.h_dst - desc.h_out);
    desc.left = half_floor(desc.w_dst - desc.w_out);
    return device->iface->rescale_create(device, &desc, &plan->steps[i_node].op);
}

static adele_status create_aspp(struct plan *plan, int i_node) {
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

static adele_status create_dropout(struct plan *plan, int i_node) {
    const struct network *network = plan->network;
    const struct node *node = &network->graph.nodes[i_node];
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    struct adele_dropout_desc desc = {
        .n = in.n,
        .c = in.c,
        .h = in.h,
        .w = in.w,
        .rate = node->dropout_rate,
        .per_channel = node->is_per_channel,
        .seed = network->seed,
        // The scales of a step see the same samples: each plan draws for itself.
        .stream = (uint32_t)plan->i_plan * (uint32_t)network->graph.n_nodes + (uint32_t)i_node};
    return network->device->iface->dropout_create(network->device, &desc, &plan->steps[i_node].op);
}

static adele_status create_op(struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct adele_op **op = &plan->steps[i_node].op;
    if (node->kind == NODE_INPUT || plan->steps[i_node].is_joined)
        return ADELE_OK;
    struct adele_shape in = plan->steps[node->inputs[0]].shape;
    switch (node->kind) {
    case NODE_CONV2D:
        return create_conv2d(plan, i_node);
    case NODE_BATCH_NORM: {
        struct adele_batch_norm_desc desc = {.n = in.n,
                                             .c = in.c,
                                             .h = in.h,
                                             .w = in.w,
                                             .eps = node->eps,
                                             .momentum = node->momentum,
                                             .has_relu = node->has_relu,
                                             .has_residual = node->inputs[1] != -1,
                                             .dst = plan_slice(plan, i_node)};
        return device->iface->batch_norm_create(device, &desc, op);
    }
    case NODE_MAX_POOL: {
        struct adele_max_pool_desc desc = {.n = in.n,
                                           .c = in.c,
                                           .h_in = in.h,
                                           .w_in = in.w,
                                           .kernel = node->kernel,
                                           .stride = node->stride,
                                           .pad = node->pad,
                                           .src = plan_slice(plan, node->inputs[0])};
        return device->iface->max_pool_create(device, &desc, op);
    }
    case NODE_RESCALE:
        return create_rescale(plan, i_node);
    case NODE_CONCAT: {
        struct adele_concat_desc desc = {.n = in.n,
                                         .c0 = in.c,
                                         .c1 = plan->steps[node->inputs[1]].shape.c,
                                         .h = in.h,
                                         .w = in.w};
        return device->iface->concat_create(device, &desc, op);
    }
    case NODE_ADD: {
        struct adele_add_desc desc = {in.n, in.c, in.h, in.w};
        return device->iface->add_create(device, &desc, op);
    }
    case NODE_GLOBAL_POOL: {
        struct adele_global_pool_desc desc = {in.n, in.c, in.h, in.w};
        return device->iface->global_pool_create(device, &desc, op);
    }
    case NODE_ASPP:
        return create_aspp(plan, i_node);
    case NODE_DROPOUT:
        return create_dropout(plan, i_node);
    default:
        return FAIL(ADELE_INVALID_ARGUMENT, "", "node %d (%s) has the unknown kind %d", i_node,
                    node->name, (int)node->kind);
    }
}

// ---- the whole ----------------------------------------------------------------------------------

static adele_status plan_fill(struct plan *plan, struct adele_shape input) {
    const struct graph *graph = &plan->network->graph;
    TRY(dead_nodes_check(graph));
    for (int i = 0; i < graph->n_nodes; i++) {
        for (int role = 0; role < BLOCK_ROLE_COUNT; role++)
            plan->steps[i].blocks[role] = -1;
        TRY(infer_shape(plan, i, input));
    }
    if (plan->is_training)
        plan_find_gradients(plan);
    if (plan->is_training && !plan->steps[graph->output].has_backward)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "the network has no parameter to train");
    plan_find_slices(plan);
    for (int i = 0; i < graph->n_nodes; i++) {
        TRY(create_op(plan, i));
        plan_add_forward_blocks(plan, i);
    }
    if (plan->is_training)
        TRY(plan_add_backward_blocks(plan));
    return plan_blocks_place(plan->blocks, plan->n_blocks, &plan->memory);
}

adele_status plan_create(struct network *network, struct adele_shape input, bool is_training,
                         struct plan **out) {
    size_t n_nodes = (size_t)network->graph.n_nodes;
    if (n_nodes == 0 || network->graph.nodes[0].kind != NODE_INPUT)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "the network does not begin with an input");
    adele_status status;
    struct plan *plan = memory_calloc(1, sizeof *plan);
    if (plan == NULL)
        return FAIL_NO_MEMORY(sizeof *plan);
    plan->network = network;
    plan->is_training = is_training;
    plan->i_plan = network->n_plans;
    plan->steps = memory_calloc(n_nodes, sizeof *plan->steps);
    plan->blocks = memory_calloc(n_nodes * BLOCK_ROLE_COUNT, sizeof *plan->blocks);
    if (plan->steps == NULL || plan->blocks == NULL) {
        status = FAIL_NO_MEMORY(n_nodes * (sizeof *plan->steps + sizeof *plan->blocks));
        goto fail;
    }
    TRY_GOTO(plan_fill(plan, input), fail);
    *out = plan;
    return ADELE_OK;
fail:
    plan_destroy(plan);
    return status;
}

void plan_destroy(struct plan *plan) {
    if (plan == NULL)
        return;
    const struct adele_device *device = plan->network->device;
    for (int i = 0; plan->steps != NULL && i < plan->network->graph.n_nodes; i++) {
        device->iface->op_destroy(plan->steps[i].op);
        device->iface->op_destroy(plan->steps[i].join);
    }
    device->iface->release(device, plan->activations);
    memory_free(plan->steps);
    memory_free(plan->blocks);
    memory_free(plan);
}
