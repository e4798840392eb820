// SPDX-License-Identifier: MIT
#include "support/costs.h"

#include "base/fail.h"
#include "base/memory.h"

struct costs {
    struct planned_ops *planned;
    struct op_cost *ops;
    int n_ops;
};

// ---- one op -------------------------------------------------------------------------------------
// From its descriptor and the elements of its input and output.

static void count_conv2d(struct op_cost *cost, const void *conv2d_desc, double in, double out) {
    const struct adele_conv2d_desc *desc = conv2d_desc;
    double taps = (double)desc->kernel * desc->kernel;
    double weights = taps * desc->c_in * desc->c_out;
    double flops = 2.0 * taps * desc->c_in * out;
    cost->flops_forward = flops;
    cost->flops_d_weight = flops;
    cost->flops_d_src = desc->needs_d_src ? flops : 0.0;
    cost->elements_forward = in + weights + out;
    cost->elements_backward = in + out + weights;
    if (desc->needs_d_src)
        cost->elements_backward += out + weights + in;
}

// All rates are one launch forward and one for the data gradient; the branches of SUM write no
// tensors of their own. Weight gradients read src and d_dst for each rate.
static void count_aspp(struct op_cost *cost, const void *aspp_desc, double in, double out) {
    const struct adele_aspp_desc *desc = aspp_desc;
    double taps = 0.0, n_pixels = (double)desc->n * desc->h * desc->w;
    for (int r = 0; r < desc->n_rates; r++)
        taps += desc->rates[r] > 0 ? 9.0 : 1.0;
    double weights = taps * desc->c_in * desc->c_out, flops = 2.0 * weights * n_pixels;
    cost->flops_forward = flops;
    cost->flops_d_weight = flops;
    cost->flops_d_src = desc->needs_d_src ? flops : 0.0;
    cost->elements_forward = in + weights + out;
    cost->elements_backward = desc->n_rates * (in + n_pixels * desc->c_out) + weights;
    if (desc->needs_d_src)
        cost->elements_backward += out + weights + in;
}

// Statistics are complete only after the first pass, so the input is read twice, forward and
// backward; the ReLU's mask follows from the input, unless a residual was added to it.
static void count_batch_norm(struct op_cost *cost, const void *batch_norm_desc, double in,
                             double out) {
    const struct adele_batch_norm_desc *desc = batch_norm_desc;
    (void)in;
    cost->elements_forward = (desc->has_residual ? 4.0 : 3.0) * out;
    cost->elements_backward = (desc->has_residual ? 8.0 : 5.0) * out;
}

// Backward searches for the maximum again.
static void count_max_pool(struct op_cost *cost, const void *desc, double in, double out) {
    (void)desc;
    cost->elements_forward = in + out;
    cost->elements_backward = 2.0 * (in + out);
}

static void count_concat(struct op_cost *cost, const void *desc, double in, double out) {
    (void)desc;
    (void)in;
    cost->elements_forward = cost->elements_backward = 2.0 * out;
}

static void count_add(struct op_cost *cost, const void *desc, double in, double out) {
    (void)desc;
    (void)in;
    cost->elements_forward = cost->elements_backward = 3.0 * out;
}

typedef void (*count_function)(struct op_cost *cost, const void *desc, double in, double out);
// Without one: no FLOPs; each pass reads one of input and output and writes the other.
static const count_function count_of[ADELE_OP_COUNT] = {
    [ADELE_OP_conv2d] = count_conv2d,         [ADELE_OP_aspp] = count_aspp,
    [ADELE_OP_batch_norm] = count_batch_norm, [ADELE_OP_max_pool] = count_max_pool,
    [ADELE_OP_concat] = count_concat,         [ADELE_OP_add] = count_add};

static double element_count(struct adele_shape shape) {
    return (double)shape.n * shape.c * shape.h * shape.w;
}

static struct op_cost cost_of(const struct graph *graph, const struct planned_op *op) {
    struct op_cost cost = {
        .kind = op->kind, .name = op->node->name, .desc = op->desc, .out = op->out};
    double in = element_count(op->in), out = element_count(op->out);
    int trained[NODE_MAX_TRAINED], n_trained = node_trained(op->node, trained);
    for (int i = 0; i < n_trained; i++)
        cost.n_parameters += graph->parameters[trained[i]].count;
    cost.elements_forward = cost.elements_backward = in + out;
    if (count_of[op->kind] != NULL)
        count_of[op->kind](&cost, op->desc, in, out);
    return cost;
}

// ---- the whole ----------------------------------------------------------------------------------

adele_status costs_create(const struct graph *graph, struct adele_shape input,
                          enum adele_precision precision, struct costs **out) {
    *out = NULL;
    adele_status status;
    struct costs *costs;
    TRY(ALLOCATE(&costs, 1));
    TRY_GOTO(planned_ops_create(graph, input, precision, &costs->planned), fail);
    const struct planned_op *planned = planned_ops_list(costs->planned, &costs->n_ops);
    TRY_GOTO(ALLOCATE(&costs->ops, costs->n_ops), fail);
    for (int i = 0; i < costs->n_ops; i++)
        costs->ops[i] = cost_of(graph, &planned[i]);
    *out = costs;
    return ADELE_OK;
fail:
    costs_destroy(costs);
    return status;
}

void costs_destroy(struct costs *costs) {
    if (costs == NULL)
        return;
    planned_ops_destroy(costs->planned);
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
    struct cost_totals totals = {.memory = planned_ops_memory(costs->planned)};
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
