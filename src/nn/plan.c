// SPDX-License-Identifier: MIT
// Runs a plan: one op call a node, forward in the order of the graph, backward in reverse. Nothing
// is allocated here.
#include "base/fail.h"
#include "base/trace.h"
#include "nn/node_traits.h"

struct plan_memory plan_memory(const struct plan *plan) {
    return plan->memory;
}

struct adele_shape plan_input_shape(const struct plan *plan) {
    return plan->steps[plan->network->graph.input].shape;
}

struct adele_shape plan_output_shape(const struct plan *plan) {
    return plan->steps[plan->network->graph.output].shape;
}

// The block of a node once its memory is there, NULL before that.
static void *bound_address(const struct plan *plan, int i_node, enum block_role role) {
    return plan->is_bound ? plan_block_address(plan, plan->steps[i_node].blocks[role]) : NULL;
}

void *plan_input(struct plan *plan) {
    return bound_address(plan, plan->network->graph.input, BLOCK_VALUE);
}

void *plan_output(struct plan *plan) {
    return bound_address(plan, plan->network->graph.output, BLOCK_VALUE);
}

void *plan_d_output(struct plan *plan) {
    return bound_address(plan, plan->network->graph.output, BLOCK_GRADIENT);
}

void plan_set_samples(struct plan *plan, uint32_t epoch, const int32_t *sample_ids) {
    plan->epoch = epoch;
    plan->sample_ids = sample_ids;
}

static adele_status bound_check(const struct plan *plan) {
    if (!plan->is_bound)
        return FAIL(ADELE_INVALID_ARGUMENT, "Call network_allocate after the last network_plan.",
                    "the plan has no memory yet");
    return ADELE_OK;
}

adele_status plan_check_statistics(const struct plan *plan) {
    struct adele_shape in = plan_input_shape(plan);
    if (plan->has_single_values)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use a larger batch or larger images.",
                    "a batch of %d image(s) of %d x %d pixels leaves one value a channel at the "
                    "deepest batch norm, which has no variance",
                    in.n, in.h, in.w);
    return ADELE_OK;
}

bool plan_needs_two_images(const struct plan *plan) {
    return plan->has_single_pixels;
}

adele_status plan_node_forward(struct plan *plan, int i_node, bool use_batch_statistics) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    adele_status status = ADELE_OK;
    trace_push("%s forward", node->name);
    if (step->op != NULL)
        status =
            node_traits(node->kind)->forward(plan, step, use_batch_statistics && !node->is_frozen);
    trace_pop();
    return status == ADELE_OK ? status : fail_context(status, "forward of %s", node->name);
}

// The outputs that the node's backward reads first: its own, its input.
adele_status plan_node_recompute(struct plan *plan, int i_node) {
    const struct graph *graph = &plan->network->graph;
    const int outputs[] = {i_node, graph->nodes[i_node].inputs[0]};
    for (int j = 0; j < 2; j++)
        if (outputs[j] != -1 && plan->steps[outputs[j]].recompute_for == i_node)
            TRY(node_traits(graph->nodes[outputs[j]].kind)
                    ->recompute(plan, &plan->steps[outputs[j]]));
    return ADELE_OK;
}

adele_status plan_node_backward(struct plan *plan, int i_node) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    struct plan_step *step = &plan->steps[i_node];
    adele_status status = ADELE_OK;
    if (!step->has_backward)
        return ADELE_OK;
    trace_push("%s backward", node->name);
    status = plan_node_recompute(plan, i_node);
    if (status == ADELE_OK && step->op != NULL)
        status = node_traits(node->kind)->backward(plan, step);
    trace_pop();
    return status == ADELE_OK ? status : fail_context(status, "backward of %s", node->name);
}

adele_status plan_begin_forward(struct plan *plan, bool use_batch_statistics) {
    TRY(bound_check(plan));
    if (use_batch_statistics)
        TRY(plan_check_statistics(plan));
    plan->has_forward = false;
    return network_pack(plan->network);
}

adele_status plan_forward(struct plan *plan, bool use_batch_statistics) {
    TRY(plan_begin_forward(plan, use_batch_statistics));
    for (int i = 0; i < plan->network->graph.n_nodes; i++)
        TRY(plan_node_forward(plan, i, use_batch_statistics));
    plan->has_forward = true;
    return ADELE_OK;
}

adele_status plan_begin_backward(const struct plan *plan) {
    TRY(bound_check(plan));
    if (!plan->is_training || !plan->has_forward)
        return FAIL(ADELE_INVALID_ARGUMENT, "Run plan_forward of a training plan first.",
                    plan->is_training ? "backward without a forward before it"
                                      : "backward of a plan that was made for inference");
    return network_pack(plan->network);
}

adele_status plan_backward(struct plan *plan) {
    return plan_backward_observed(plan, NULL, NULL);
}

adele_status plan_backward_observed(struct plan *plan,
                                    adele_status (*after_node)(void *context, int i_node),
                                    void *context) {
    TRY(plan_begin_backward(plan));
    for (int i = plan->network->graph.n_nodes - 1; i >= 0; i--) {
        TRY(plan_node_backward(plan, i));
        if (after_node != NULL)
            TRY(after_node(context, i));
    }
    return ADELE_OK;
}

double plan_flops(const struct plan *plan, bool with_backward) {
    double flops = 0;
    for (int i = 0; i < plan->network->graph.n_nodes; i++) {
        const struct plan_step *step = &plan->steps[i];
        if (step->op == NULL)
            continue;
        flops += step->op->flops_forward;
        if (with_backward && step->has_backward)
            flops += step->op->flops_backward;
    }
    return flops;
}
