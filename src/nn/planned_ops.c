// SPDX-License-Identifier: MIT
// The plan is made on a device without memory, whose ops only keep their descriptors. So shapes,
// and which gradients are wanted, are those of a real run.
#include "nn/planned_ops.h"

#include "base/fail.h"
#include "base/memory.h"
#include "nn/plan.h"

struct op_of_desc {
    struct adele_op op;
    union {
#define PLANNED_DESC(name, has_backward) struct adele_##name##_desc name;
        ADELE_OPS(PLANNED_DESC)
#undef PLANNED_DESC
    } desc;
};

struct planned_ops {
    struct network network; // never has memory; its graph is the caller's
    struct plan *plan;
    struct planned_op *list;
    int n;
};

// ---- the device that only plans -----------------------------------------------------------------

#define PLANNED_CREATE(name, has_backward)                                                         \
    static adele_status planned_##name##_create(const struct adele_device *device,                 \
                                                const struct adele_##name##_desc *desc,            \
                                                struct adele_op **out) {                           \
        struct op_of_desc *op;                                                                     \
        TRY(ALLOCATE(&op, 1));                                                                     \
        op->op.kind = ADELE_OP_##name;                                                             \
        op->op.device = device;                                                                    \
        op->desc.name = *desc;                                                                     \
        *out = &op->op;                                                                            \
        return ADELE_OK;                                                                           \
    }
ADELE_OPS(PLANNED_CREATE)
#undef PLANNED_CREATE

static void planned_op_destroy(struct adele_op *op) {
    memory_free(op);
}

static void planned_release(const struct adele_device *device, void *block) {
    (void)device;
    (void)block; // always NULL
}

static size_t planned_tensor_bytes(const struct adele_device *device, struct adele_shape shape) {
    (void)device;
    return (size_t)shape.n * (size_t)shape.h * (size_t)shape.w * (size_t)((shape.c + 7) / 8 * 8) *
           2;
}

static int planned_slice_channels(const struct adele_device *device) {
    (void)device;
    return 8;
}

static const struct adele_device_iface planning_iface = {.name = "planning",
                                                         .release = planned_release,
                                                         .tensor_bytes = planned_tensor_bytes,
                                                         .slice_channels = planned_slice_channels,
                                                         .op_destroy = planned_op_destroy,
#define PLANNED_ENTRY(name, has_backward) .name##_create = planned_##name##_create,
                                                         ADELE_OPS(PLANNED_ENTRY)
#undef PLANNED_ENTRY
};
static const struct adele_device planning_device = {.iface = &planning_iface};

// ---- the ops ------------------------------------------------------------------------------------

adele_status planned_ops_create(const struct graph *graph, struct adele_shape input,
                                enum adele_precision precision, struct planned_ops **out) {
    *out = NULL;
    OWNED_BY(planned_ops_destroy) struct planned_ops *ops = NULL;
    TRY(ALLOCATE(&ops, 1));
    ops->network.device = &planning_device;
    ops->network.graph = *graph;
    ops->network.precision = precision;
    TRY(plan_create(&ops->network, input, true, &ops->plan));
    TRY(ALLOCATE(&ops->list, graph->n_nodes));
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct plan_step *step = &ops->plan->steps[i];
        const struct op_of_desc *op = (const struct op_of_desc *)step->op;
        const struct node *node = &graph->nodes[i];
        if (op != NULL)
            ops->list[ops->n++] = (struct planned_op){
                op->op.kind, node, &op->desc, ops->plan->steps[node->inputs[0]].shape, step->shape};
    }
    *out = ops;
    ops = NULL;
    return ADELE_OK;
}

void planned_ops_destroy(struct planned_ops *ops) {
    if (ops == NULL)
        return;
    plan_destroy(ops->plan);
    memory_free(ops->list);
    memory_free(ops);
}

const struct planned_op *planned_ops_list(const struct planned_ops *ops, int *n) {
    *n = ops->n;
    return ops->list;
}

struct plan_memory planned_ops_memory(const struct planned_ops *ops) {
    return plan_memory(ops->plan);
}
