// SPDX-License-Identifier: MIT
// ResNet38d (METHOD section 5): residual blocks with batch norm and ReLU before each convolution,
// widths w, 2w, 4w, 8w, 16w, 32w, 64w; three strides, then dilations 2 and 4 in their place. Names
// are those of the authors' program, under "backbone.". The bottlenecks drop whole channels before
// their second and third convolution.
#include "base/fail.h"
#include "nn/graph.h"

#include <stdio.h>

#define MAX_WIDTH 512 // the last block has 64 times as many channels
// As in the authors' program.
#define MOMENTUM 3e-4F

// A block of 3 x 3 convolutions (two, mid and out channels) or a bottleneck (1 x 1 to a quarter of
// out, 3 x 3 to its half, 1 x 1 to out).
struct block {
    const char *name;
    int c_mid, c_out; // in widths; c_mid = 0: bottleneck
    int stride;
    int first_dilation, dilation;
    double dropout; // of a bottleneck
};

// Order, strides and dilations as published: b5's first convolution still has dilation 1.
static const struct block blocks[] = {
    {"b2", 2, 2, 2, 1, 1, 0},    {"b2_1", 2, 2, 1, 1, 1, 0},  {"b2_2", 2, 2, 1, 1, 1, 0},
    {"b3", 4, 4, 2, 1, 1, 0},    {"b3_1", 4, 4, 1, 1, 1, 0},  {"b3_2", 4, 4, 1, 1, 1, 0},
    {"b4", 8, 8, 2, 1, 1, 0},    {"b4_1", 8, 8, 1, 1, 1, 0},  {"b4_2", 8, 8, 1, 1, 1, 0},
    {"b4_3", 8, 8, 1, 1, 1, 0},  {"b4_4", 8, 8, 1, 1, 1, 0},  {"b4_5", 8, 8, 1, 1, 1, 0},
    {"b5", 8, 16, 1, 1, 2, 0},   {"b5_1", 8, 16, 1, 2, 2, 0}, {"b5_2", 8, 16, 1, 2, 2, 0},
    {"b6", 0, 32, 1, 1, 4, 0.3}, {"b7", 0, 64, 1, 1, 4, 0.5},
};

static adele_status add_conv2d(struct graph *graph, const char *block, const char *leaf, int input,
                               int c_out, int kernel, int stride, int dilation, int *out) {
    char name[64];
    snprintf(name, sizeof name, "backbone.%s.%s", block, leaf);
    return graph_conv2d(graph, name, input, c_out, kernel, stride, kernel == 3 ? dilation : 0,
                        dilation, false, out);
}

// Batch norm and ReLU. The program's optimizer does not update scale and shift.
static adele_status add_norm(struct graph *graph, const char *block, const char *leaf, int input,
                             int *out) {
    char name[64];
    snprintf(name, sizeof name, "backbone.%s%s%s", block, *block != '\0' ? "." : "", leaf);
    TRY(graph_batch_norm(graph, name, input, -1, true, out));
    struct node *node = &graph->nodes[*out];
    node->momentum = MOMENTUM;
    graph->parameters[node->i_weight].is_frozen = true;
    graph->parameters[node->i_bias].is_frozen = true;
    return ADELE_OK;
}

static adele_status add_block(struct graph *graph, const struct block *block, int width, int input,
                              int *out) {
    int c_out = block->c_out * width, node, skip = input;
    TRY(add_norm(graph, block->name, "bn_branch2a", input, &node));
    if (graph->nodes[input].c != c_out || block->stride != 1)
        TRY(add_conv2d(graph, block->name, "conv_branch1", node, c_out, 1, block->stride, 1,
                       &skip));
    if (block->c_mid > 0) {
        TRY(add_conv2d(graph, block->name, "conv_branch2a", node, block->c_mid * width, 3,
                       block->stride, block->first_dilation, &node));
        TRY(add_norm(graph, block->name, "bn_branch2b1", node, &node));
        TRY(add_conv2d(graph, block->name, "conv_branch2b1", node, c_out, 3, 1, block->dilation,
                       &node));
    } else {
        TRY(add_conv2d(graph, block->name, "conv_branch2a", node, c_out / 4, 1, block->stride, 1,
                       &node));
        TRY(add_norm(graph, block->name, "bn_branch2b1", node, &node));
        TRY(graph_dropout(graph, node, block->dropout, true, &node));
        TRY(add_conv2d(graph, block->name, "conv_branch2b1", node, c_out / 2, 3, 1, block->dilation,
                       &node));
        TRY(add_norm(graph, block->name, "bn_branch2b2", node, &node));
        TRY(graph_dropout(graph, node, block->dropout, true, &node));
        TRY(add_conv2d(graph, block->name, "conv_branch2b2", node, c_out, 1, 1, 1, &node));
    }
    return graph_add(graph, skip, node, out);
}

adele_status resnet38_build(struct graph *graph, int n_channels, int width, bool is_frozen,
                            int *out) {
    if (width < 1 || width > MAX_WIDTH)
        return FAIL(ADELE_CONFIG, "64 is the published width.", "model.width is %d, want 1 to %d",
                    width, MAX_WIDTH);
    int node;
    TRY(graph_input(graph, n_channels, &node));
    TRY(graph_conv2d(graph, "backbone.conv1a", node, width, 3, 1, 1, 1, false, &node));
    graph->parameters[graph->nodes[node].i_weight].is_frozen = is_frozen;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        TRY(add_block(graph, &blocks[i], width, node, &node));
    TRY(add_norm(graph, "", "bn7", node, out));
    for (int i = 0; i < graph->n_nodes; i++)
        graph->nodes[i].is_frozen = is_frozen && graph->nodes[i].kind == NODE_BATCH_NORM;
    graph_set_rates(graph, RATES_UNIFORM);
    return ADELE_OK;
}
