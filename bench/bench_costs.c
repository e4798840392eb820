// SPDX-License-Identifier: MIT
// The dry run: FLOPs and bytes of every op of a training step, and their sums, counted from the
// networks' graphs. Nothing is run and no tensor is allocated.
#include "bench.h"

#include "support/costs.h"

#include <math.h>

#define N_SCALES 3

static const struct {
    const char *name;
    double factor;
} scales[N_SCALES] = {{"0.7", 0.7}, {"1.0", 1.0}, {"1.5", 1.5}};

static double megabytes(double elements, int passes) {
    return 1e-6 * 2.0 * elements * passes;
}

static double conv_elements(const struct op_cost *op) {
    if (op->kind != ADELE_OP_conv2d && op->kind != ADELE_OP_aspp)
        return 0.0;
    return (double)op->out.n * op->out.c * op->out.h * op->out.w;
}

static void print_op(FILE *to, const struct op_cost *op) {
    static const char *const kinds[] = {
#define KIND_TEXT(name, has_backward) #name,
        ADELE_OPS(KIND_TEXT)
#undef KIND_TEXT
    };
    char shape[64];
    double elements = conv_elements(op);
    snprintf(shape, sizeof shape, "%dx%dx%dx%d", op->out.n, op->out.c, op->out.h, op->out.w);
    fprintf(to, "%-32s %-11s %-18s %10.3f %10.3f %10.3f %9.3f %10.1f %10.1f %10.1f\n", op->name,
            kinds[op->kind], shape, 1e-9 * op->flops_forward, 1e-9 * op->flops_d_src,
            1e-9 * op->flops_d_weight, 1e-6 * elements, megabytes(elements, COSTS_PASSES_STRICT),
            megabytes(elements, COSTS_PASSES_REALISTIC),
            megabytes(op->elements_forward + op->elements_backward, 1));
}

static adele_status print_scale(FILE *to, const char *network, const struct graph *graph, int batch,
                                int size, int k, struct cost_totals *sum) {
    int extent = (int)floor(size * scales[k].factor);
    struct adele_shape input = {batch, graph->nodes[graph->input].c, extent, extent};
    struct costs *costs = NULL;
    adele_status status = costs_create(graph, input, ADELE_PRECISION_BF16, &costs);
    if (status != ADELE_OK)
        return status;
    fprintf(to, "\n%s at scale %s: input %d x %d x %d x %d\n", network, scales[k].name, input.n,
            input.c, input.h, input.w);
    fprintf(to, "%-32s %-11s %-18s %10s %10s %10s %9s %10s %10s %10s\n", "layer", "op", "shape out",
            "GFLOP fwd", "d_src", "d_weight", "E, 10^6", "MB, 5 pass", "7 passes", "MB alone");
    for (int i = 0; i < costs_n_ops(costs); i++)
        print_op(to, costs_op(costs, i));
    struct cost_totals totals = costs_totals(costs);
    fprintf(
        to,
        "%s at scale %s: %.3f TFLOP forward, %.3f TFLOP a step, E = %.1f M; its own memory %.1f "
        "MB, shared %.1f MB\n",
        network, scales[k].name, 1e-12 * totals.flops_forward, 1e-12 * totals.flops_step,
        1e-6 * totals.conv_elements, 1e-6 * (double)totals.memory.activation_bytes,
        1e-6 * (double)totals.memory.shared_bytes);
    sum->flops_forward += totals.flops_forward;
    sum->flops_step += totals.flops_step;
    sum->conv_elements += totals.conv_elements;
    sum->elements_forward += totals.elements_forward;
    sum->elements_backward += totals.elements_backward;
    sum->n_parameters = totals.n_parameters;
    costs_destroy(costs);
    return ADELE_OK;
}

static adele_status print_network(FILE *to, const char *network, const struct graph *graph,
                                  int batch, int size) {
    struct cost_totals sum = {0};
    for (int k = 0; k < N_SCALES; k++) {
        adele_status status = print_scale(to, network, graph, batch, size, k, &sum);
        if (status != ADELE_OK)
            return status;
    }
    double alone = 2.0 * (sum.elements_forward + sum.elements_backward);
    fprintf(to,
            "\n%s, a step of three scales: %.3f TFLOP (forward %.3f), E = %.1f M, 5 passes %.2f "
            "GB, 7 passes %.2f GB, every op alone %.2f GB; %.2f M parameters, %.2f GB a step for "
            "them\n",
            network, 1e-12 * sum.flops_step, 1e-12 * sum.flops_forward, 1e-6 * sum.conv_elements,
            1e-3 * megabytes(sum.conv_elements, COSTS_PASSES_STRICT),
            1e-3 * megabytes(sum.conv_elements, COSTS_PASSES_REALISTIC), 1e-9 * alone,
            1e-6 * (double)sum.n_parameters,
            1e-9 * COSTS_OPTIMIZER_BYTES * (double)sum.n_parameters);
    return ADELE_OK;
}

adele_status bench_costs(FILE *to) {
    fprintf(to, "A training step, counted: a multiplication and its addition are two FLOPs; E = "
                "elements that convolutions write; 5 and 7 passes are the bytes of fused ops with "
                "tensors of 2 bytes (E times 10 and 14), \"alone\" of every op by itself.\n");
    static const char *const titles[] = {"voc deeplab v1", "voc deeplab v2", "voc deeplab v3"};
    static const char *const names[] = {"deeplabv1", "deeplabv2", "deeplabv3"};
    struct graph graph;
    graph_init(&graph);
    adele_status status = unet_build(&graph, 1, 5, 64);
    if (status == ADELE_OK)
        status = print_network(to, "segthor unet 64", &graph, 5, 256);
    graph_deinit(&graph);
    for (int i = 0; i < 3 && status == ADELE_OK; i++) {
        const struct network_config deeplab = {
            .name = names[i], .n_channels = 3, .n_categories = 21, .width = 64};
        graph_init(&graph);
        status = network_build_graph(&deeplab, &graph);
        if (status == ADELE_OK)
            status = print_network(to, titles[i], &graph, 10, 448);
        graph_deinit(&graph);
    }
    return status;
}
