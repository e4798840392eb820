// SPDX-License-Identifier: MIT
// Costs are counted from a plan that the planner makes on a device without memory, whose ops only
// keep their descriptors. So shapes, and which gradients are wanted, are those of a real run.
#include "nn/costs.h"

#include "base/fail.h"
#include "base/memory.h"
#include "nn/node_traits.h"

struct counted_op {
    struct adele_op op;
    union {
#define COUNTED_DESC(name, has_backward) struct adele_##name##_desc name;
        ADELE_OPS(COUNTED_DESC)
#undef COUNTED_DESC
    } desc;
};

struct costs {
    struct network network; // never has memory; its graph is the caller's
    struct plan *plan;
    struct op_cost *ops;
    int n_ops;
};

// ---- the device that only counts ----------------------------------------------------------------

#define COUNTED_CREATE(name, has_backward)                                                         \
    static adele_status counted_##name##_create(const struct adele_device *device,                 \
                                                const struct adele_##name##_desc *desc,            \
                                                struct adele_op **out) {                           \
        struct counted_op *op;                                                                     \
        TRY(ALLOCATE(&op, 1));                                                                     \
        op->op.kind = ADELE_OP_##name;                                                             \
        op->op.device = device;                                                                    \
        op->desc.name = *desc;                                                                     \
        *out = &op->op;                                                                            \
        return ADELE_OK;                                                                           \
    }
ADELE_OPS(COUNTED_CREATE)
#undef COUNTED_CREATE

static void counted_op_destroy(struct adele_op *op) {
    memory_free(op);
}

static void counted_release(const struct adele_device *device, void *block) {
    (void)device;
    (void)block; // always NULL
}

static size_t counted_tensor_bytes(const struct adele_device *device, struct adele_shape shape) {
    (void)device;
    return (size_t)shape.n * (size_t)shape.h * (size_t)shape.w * (size_t)((shape.c + 7) / 8 * 8) *
           2;
}

static int counted_slice_channels(const struct adele_device *device) {
    (void)device;
    return 8;
}

static const struct adele_device_iface counting_iface = {.name = "counting",
                                                         .release = counted_release,
                                                         .tensor_bytes = counted_tensor_bytes,
                                                         .slice_channels = counted_slice_channels,
                                                         .op_destroy = counted_op_destroy,
#define COUNTED_ENTRY(name, has_backward) .name##_create = counted_##name##_create,
                                                         ADELE_OPS(COUNTED_ENTRY)
#undef COUNTED_ENTRY
};
static const struct adele_device counting_device = {.iface = &counting_iface};

// ---- one op -------------------------------------------------------------------------------------

static double element_count(struct adele_shape shape) {
    return (double)shape.n * shape.c * shape.h * shape.w;
}

static void count_op(const struct plan *plan, int i_node, struct op_cost *cost) {
    const struct graph *graph = &plan->network->graph;
    const struct node *node = &graph->nodes[i_node];
    const struct plan_step *step = &plan->steps[i_node];
    const struct counted_op *op = (const struct counted_op *)step->op;
    double in = element_count(plan->steps[node->inputs[0]].shape), out = element_count(step->shape);
    *cost = (struct op_cost){
        .kind = op->op.kind, .name = node->name, .desc = &op->desc, .out = step->shape};
    int trained[NODE_MAX_TRAINED], n_trained = node_trained(node, trained);
    for (int i = 0; i < n_trained; i++)
        cost->n_parameters += graph->parameters[trained[i]].count;
    cost->elements_forward = cost->elements_backward = in + out;
    const struct node_traits *traits = node_traits(node->kind);
    if (traits->count != NULL)
        traits->count(cost, &op->desc, in, out);
}

// ---- the whole ----------------------------------------------------------------------------------

adele_status costs_create(const struct graph *graph, struct adele_shape input,
                          enum adele_precision precision, struct costs **out) {
    *out = NULL;
    adele_status status;
    struct costs *costs;
    TRY(ALLOCATE(&costs, 1));
    costs->network.device = &counting_device;
    costs->network.graph = *graph;
    costs->network.precision = precision;
    TRY_GOTO(plan_create(&costs->network, input, true, &costs->plan), fail);
    TRY_GOTO(ALLOCATE(&costs->ops, graph->n_nodes), fail);
    for (int i = 0; i < graph->n_nodes; i++)
        if (costs->plan->steps[i].op != NULL)
            count_op(costs->plan, i, &costs->ops[costs->n_ops++]);
    *out = costs;
    return ADELE_OK;
fail:
    costs_destroy(costs);
    return status;
}

void costs_destroy(struct costs *costs) {
    if (costs == NULL)
        return;
    plan_destroy(costs->plan);
    memory_free(costs->ops);
    memory_free(costs);
}

int costs_n_ops(const struct costs *costs) {
    return costs->n_ops;
}

const struct op_cost *costs_op(const struct costs *costs, int i_op) {
    return &costs->ops[i_op];
}

struct cost_totals costs_totals(const struct costs *costs) {
    struct cost_totals totals = {.memory = plan_memory(costs->plan)};
    for (int i = 0; i < costs->n_ops; i++) {
        const struct op_cost *cost = &costs->ops[i];
        totals.flops_forward += cost->flops_forward;
        totals.flops_step += cost->flops_forward + cost->flops_d_src + cost->flops_d_weight;
        if (cost->kind == ADELE_OP_conv2d || cost->kind == ADELE_OP_aspp)
            totals.conv_elements += element_count(cost->out);
        totals.elements_forward += cost->elements_forward;
        totals.elements_backward += cost->elements_backward;
        totals.n_parameters += cost->n_parameters;
    }
    return totals;
}
