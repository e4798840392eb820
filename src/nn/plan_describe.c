// SPDX-License-Identifier: MIT
// The tables of layers and of memory that a run logs at its start.
#include "nn/plan.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

static const double mebibyte = 1024.0 * 1024.0;

static const char *const role_names[BLOCK_ROLE_COUNT] = {
    [BLOCK_VALUE] = "value",
    [BLOCK_GRADIENT] = "gradient",
    [BLOCK_STATISTICS] = "statistics",
    [BLOCK_WORKSPACE_FORWARD] = "workspace, forward",
    [BLOCK_WORKSPACE_BACKWARD] = "workspace, backward"};

static int64_t trainable_count(const struct graph *graph, const struct node *node) {
    int64_t count = 0;
    int trained[NODE_MAX_TRAINED], n_trained = node_trained(node, trained);
    for (int i = 0; i < n_trained; i++)
        count += graph->parameters[trained[i]].count;
    return count;
}

static void shape_text(struct adele_shape shape, char *out, size_t out_bytes) {
    snprintf(out, out_bytes, "%d x %d x %d x %d", shape.n, shape.c, shape.h, shape.w);
}

static void describe_layers(const struct plan *plan) {
    const struct graph *graph = &plan->network->graph;
    log_line(LOG_DETAIL, "%4s  %-36s %-11s %-24s %12s %9s  %s", "node", "name", "kind", "shape out",
             "parameters", "GFLOP", "engine");
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        const struct plan_step *step = &plan->steps[i];
        const char *engine = step->op != NULL  ? step->op->engine
                             : step->is_joined ? "written by its inputs"
                                               : NULL;
        char shape[64];
        shape_text(step->shape, shape, sizeof shape);
        log_line(LOG_DETAIL, "%4d  %-36s %-11s %-24s %12" PRId64 " %9.3f  %s", i, node->name,
                 node_kind_name(node->kind), shape, trainable_count(graph, node),
                 step->op != NULL ? step->op->flops_forward * 1e-9 : 0.0,
                 engine != NULL ? engine : "");
    }
}

static void describe_blocks(const struct plan *plan) {
    log_line(LOG_DETAIL, "%-36s %-20s %-10s %14s %14s %16s", "block of", "role", "region", "bytes",
             "offset", "live");
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct plan_block *block = &plan->blocks[i];
        char live[64] = "always";
        if (block->is_shared && block->last_again > 0)
            snprintf(live, sizeof live, "%d-%d, %d-%d", block->first, block->last,
                     block->first_again, block->last_again);
        else if (block->is_shared)
            snprintf(live, sizeof live, "%d-%d", block->first, block->last);
        log_line(LOG_DETAIL, "%-36s %-20s %-10s %14zu %14zu %16s",
                 plan->network->graph.nodes[block->i_node].name, role_names[block->role],
                 block->is_shared ? "shared" : "own", block->bytes, block->offset, live);
    }
}

void plan_describe(const struct plan *plan) {
    const struct graph *graph = &plan->network->graph;
    int64_t n_parameters = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        n_parameters += trainable_count(graph, &graph->nodes[i]);
    char shape[64];
    shape_text(plan_input_shape(plan), shape, sizeof shape);
    describe_layers(plan);
    log_line(LOG_DETAIL, "%s plan for %s: %" PRId64 " parameters, %.3f GFLOP forward%s",
             plan->is_training ? "training" : "inference", shape, n_parameters,
             plan_flops(plan, false) * 1e-9, plan->is_training ? "" : ".");
    if (plan->is_training)
        log_line(LOG_DETAIL, "forward and backward: %.3f GFLOP", plan_flops(plan, true) * 1e-9);
    if (plan->group != NULL && plan->group->n_convolutions > 0)
        log_line(LOG_DETAIL,
                 "%d convolutions run at all %d scales at once, whose plans take %.1f MiB of the "
                 "shared region together",
                 plan->group->n_convolutions, plan->group->n,
                 (double)plan->group->shared_bytes / mebibyte);
    size_t unshared = 0;
    for (int i = 0; i < plan->n_blocks; i++)
        unshared += plan->blocks[i].is_shared ? plan->blocks[i].bytes : 0;
    log_line(LOG_DETAIL,
             "memory: %.1f MiB of its own, %.1f MiB of the shared region (%.1f MiB without reuse)",
             (double)plan->memory.activation_bytes / mebibyte,
             (double)plan->memory.shared_bytes / mebibyte, (double)unshared / mebibyte);
    describe_blocks(plan);
}
