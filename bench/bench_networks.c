// SPDX-License-Identifier: MIT
// Cases of every op that the layers of the networks are made of, at the three scales of a training
// step: the descriptors are those that the planner itself makes (nn/planned_ops.h). A shape that
// several layers share is timed once, under the first one's name.
#include "bench.h"

#include "support/costs.h"

#include <math.h>
#include <string.h>

#define MAX_SHAPES 512

// A slice of a network is timed as a separate tensor.
static const struct adele_slice alone = {0, 0};

static int at_most(int value, int limit) {
    return value < limit ? value : limit;
}

// The problem of an op; its shape as text; and the same with fewer pixels, for tests/reference,
// but as many channels.
static void make_problems(const struct op_cost *op, struct bench_case *c, struct problem *full,
                          struct problem *small) {
    union op_desc d = {0};
    switch (op->kind) {
    case ADELE_OP_conv2d:
        d.conv2d = *(const struct adele_conv2d_desc *)op->desc;
        problem_conv2d(&d.conv2d, full);
        snprintf(c->shape, sizeof c->shape, "%dx%d>%d %dx%d k%d s%d d%d%s", d.conv2d.n,
                 d.conv2d.c_in, d.conv2d.c_out, d.conv2d.h_in, d.conv2d.w_in, d.conv2d.kernel,
                 d.conv2d.stride, d.conv2d.dilation, d.conv2d.needs_d_src ? "" : " image");
        c->check = check_conv2d;
        c->has_peers = true;
        break;
    case ADELE_OP_batch_norm:
        d.batch_norm = *(const struct adele_batch_norm_desc *)op->desc;
        d.batch_norm.dst = alone;
        problem_batch_norm(&d.batch_norm, full);
        snprintf(c->shape, sizeof c->shape, "%dx%d %dx%d%s%s", d.batch_norm.n, d.batch_norm.c,
                 d.batch_norm.h, d.batch_norm.w, d.batch_norm.has_relu ? " relu" : "",
                 d.batch_norm.has_residual ? " add" : "");
        d.batch_norm.n = at_most(d.batch_norm.n, 2);
        d.batch_norm.h = at_most(d.batch_norm.h, 19);
        d.batch_norm.w = at_most(d.batch_norm.w, 17);
        problem_batch_norm(&d.batch_norm, small);
        break;
    case ADELE_OP_max_pool:
        d.max_pool = *(const struct adele_max_pool_desc *)op->desc;
        d.max_pool.src = alone;
        problem_max_pool(&d.max_pool, full);
        snprintf(c->shape, sizeof c->shape, "%dx%d %dx%d k%d", d.max_pool.n, d.max_pool.c,
                 d.max_pool.h_in, d.max_pool.w_in, d.max_pool.kernel);
        d.max_pool.n = at_most(d.max_pool.n, 2);
        d.max_pool.h_in = at_most(d.max_pool.h_in, 19);
        d.max_pool.w_in = at_most(d.max_pool.w_in, 17);
        problem_max_pool(&d.max_pool, small);
        break;
    case ADELE_OP_rescale:
        d.rescale = *(const struct adele_rescale_desc *)op->desc;
        d.rescale.dst = alone;
        problem_rescale(&d.rescale, full);
        snprintf(c->shape, sizeof c->shape, "%dx%d %dx%d>%dx%d", d.rescale.n, d.rescale.c,
                 d.rescale.h_in, d.rescale.w_in, d.rescale.h_out, d.rescale.w_out);
        d.rescale = (struct adele_rescale_desc){.n = at_most(d.rescale.n, 2),
                                                .c = d.rescale.c,
                                                .h_in = 9,
                                                .w_in = 8,
                                                .h_out = 18,
                                                .w_out = 16,
                                                .h_dst = 19,
                                                .w_dst = 16};
        problem_rescale(&d.rescale, small);
        break;
    case ADELE_OP_concat:
        d.concat = *(const struct adele_concat_desc *)op->desc;
        problem_concat(&d.concat, full);
        snprintf(c->shape, sizeof c->shape, "%dx%d+%d %dx%d", d.concat.n, d.concat.c0, d.concat.c1,
                 d.concat.h, d.concat.w);
        d.concat.n = at_most(d.concat.n, 2);
        d.concat.h = at_most(d.concat.h, 13);
        d.concat.w = at_most(d.concat.w, 11);
        problem_concat(&d.concat, small);
        break;
    case ADELE_OP_add:
        d.add = *(const struct adele_add_desc *)op->desc;
        problem_add(&d.add, full);
        snprintf(c->shape, sizeof c->shape, "%dx%d %dx%d", d.add.n, d.add.c, d.add.h, d.add.w);
        d.add.n = at_most(d.add.n, 2);
        d.add.h = at_most(d.add.h, 13);
        d.add.w = at_most(d.add.w, 11);
        problem_add(&d.add, small);
        break;
    case ADELE_OP_global_pool:
        d.global_pool = *(const struct adele_global_pool_desc *)op->desc;
        problem_global_pool(&d.global_pool, full);
        snprintf(c->shape, sizeof c->shape, "%dx%d %dx%d", d.global_pool.n, d.global_pool.c,
                 d.global_pool.h, d.global_pool.w);
        d.global_pool.n = at_most(d.global_pool.n, 2);
        d.global_pool.h = at_most(d.global_pool.h, 13);
        d.global_pool.w = at_most(d.global_pool.w, 11);
        problem_global_pool(&d.global_pool, small);
        break;
    case ADELE_OP_dropout:
        d.dropout = *(const struct adele_dropout_desc *)op->desc;
        problem_dropout(&d.dropout, full);
        snprintf(c->shape, sizeof c->shape, "%dx%d %dx%d", d.dropout.n, d.dropout.c, d.dropout.h,
                 d.dropout.w);
        d.dropout.n = at_most(d.dropout.n, 2);
        d.dropout.h = at_most(d.dropout.h, 13);
        d.dropout.w = at_most(d.dropout.w, 11);
        problem_dropout(&d.dropout, small);
        break;
    default: // aspp has its own cases, bench_aspp.c
        break;
    }
}

// The kinds and shapes timed so far, as text.
struct seen {
    char shapes[MAX_SHAPES][96];
    int n;
};

static bool is_new(struct seen *seen, const char *kind, const char *shape) {
    char text[96];
    snprintf(text, sizeof text, "%s %s", kind, shape);
    for (int i = 0; i < seen->n; i++)
        if (strcmp(seen->shapes[i], text) == 0)
            return false;
    if (seen->n < MAX_SHAPES)
        memcpy(seen->shapes[seen->n++], text, sizeof text);
    return true;
}

static void run_op(struct bench *bench, const char *network, const char *scale,
                   const struct op_cost *op, struct seen *seen) {
    static const char *const kinds[] = {
#define KIND_TEXT(name, has_backward) #name,
        ADELE_OPS(KIND_TEXT)
#undef KIND_TEXT
    };
    char name[192];
    struct problem full = {.n_fields = 0}, small = {.n_fields = 0};
    struct bench_case c = {.name = name, .full = &full, .small = &small};
    make_problems(op, &c, &full, &small);
    if (full.n_fields == 0 || !is_new(seen, kinds[op->kind], c.shape))
        return;
    snprintf(name, sizeof name, "%s/%s/%s@%s", kinds[op->kind], network, op->name, scale);
    bench_run_case(bench, &c);
}

static void run_network(struct bench *bench, const char *network, struct graph *graph, int batch,
                        int size) {
    static const struct {
        const char *name;
        double scale;
    } scales[] = {{"1.0", 1.0}, {"0.7", 0.7}, {"1.5", 1.5}};
    static struct seen seen;
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        int extent = bench_extent(bench, floor(size * scales[k].scale));
        struct adele_shape input = {batch, graph->nodes[graph->input].c, extent, extent};
        struct costs *costs = NULL;
        adele_status status = costs_create(graph, input, bench->options.precision, &costs);
        if (status != ADELE_OK) {
            printf("%s@%s FAILED: %s\n", network, scales[k].name, adele_error_message());
            bench->n_failed++;
            continue;
        }
        for (int i = 0; i < costs_n_ops(costs); i++)
            run_op(bench, network, scales[k].name, costs_op(costs, i), &seen);
        costs_destroy(costs);
    }
}

void bench_networks(struct bench *bench) {
    struct graph graph;
    graph_init(&graph);
    if (unet_build(&graph, 1, 5, 64) == ADELE_OK)
        run_network(bench, "unet", &graph, 5, 256);
    graph_deinit(&graph);
    graph_init(&graph);
    const struct network_config deeplab = {
        .name = "deeplabv1", .n_channels = 3, .n_categories = 21, .width = 64};
    if (network_build_graph(&deeplab, &graph) == ADELE_OK)
        run_network(bench, "resnet38", &graph, 10, 448);
    graph_deinit(&graph);
}
