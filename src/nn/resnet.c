// SPDX-License-Identifier: MIT
// The ResNets of torchvision under its names, after "backbone.", without the classifier. Strides of
// layer3 and layer4 are replaced by dilations 2 and 4, as torchvision does it: a layer's first
// block still has the dilation of the layer before. Output stride 8.
#include "base/fail.h"
#include "nn/graph.h"

#include <stdio.h>

#define MAX_WIDTH 1024 // the last layer has up to 32 times as many channels
#define N_LAYERS  4

struct resnet {
    bool is_bottleneck; // 1 x 1, 3 x 3, 1 x 1 to four times the channels; else 3 x 3 twice
    int n_blocks[N_LAYERS];
};

static const struct resnet resnets[] = {[RESNET_18] = {false, {2, 2, 2, 2}},
                                        [RESNET_50] = {true, {3, 4, 6, 3}},
                                        [RESNET_101] = {true, {3, 4, 23, 3}}};

struct block {
    char path[64];
    int c, c_out;
    int stride, dilation; // of the first 3 x 3 of two, or of the only one
    int second_dilation;
};

static adele_status add_conv2d(struct graph *graph, const char *path, const char *leaf, int input,
                               int c_out, int kernel, int stride, int dilation, int *out) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", path, leaf);
    TRY(graph_conv2d(graph, name, input, c_out, kernel, stride, kernel == 3 ? dilation : 0,
                     dilation, false, out));
    graph->parameters[graph->nodes[*out].i_weight].init = INIT_KAIMING_NORMAL_FAN_OUT;
    return ADELE_OK;
}

static adele_status add_norm(struct graph *graph, const char *path, const char *leaf, int input,
                             int residual, bool has_relu, int *out) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", path, leaf);
    return graph_batch_norm(graph, name, input, residual, has_relu, out);
}

static adele_status add_skip(struct graph *graph, const struct block *block, int input, int *out) {
    *out = input;
    if (graph->nodes[input].c == block->c_out && block->stride == 1)
        return ADELE_OK;
    TRY(add_conv2d(graph, block->path, "downsample.0", input, block->c_out, 1, block->stride, 1,
                   out));
    return add_norm(graph, block->path, "downsample.1", *out, -1, false, out);
}

// The batch norm that adds the skip is the last user of it, so that in backward it is the first to
// write the skip's gradient.
static adele_status add_basic(struct graph *graph, const struct block *block, int input, int *out) {
    int skip, node;
    const char *path = block->path;
    TRY(add_conv2d(graph, path, "conv1", input, block->c, 3, block->stride, block->dilation,
                   &node));
    TRY(add_norm(graph, path, "bn1", node, -1, true, &node));
    TRY(add_conv2d(graph, path, "conv2", node, block->c_out, 3, 1, block->second_dilation, &node));
    TRY(add_skip(graph, block, input, &skip));
    return add_norm(graph, path, "bn2", node, skip, true, out);
}

static adele_status add_bottleneck(struct graph *graph, const struct block *block, int input,
                                   int *out) {
    int skip, node;
    const char *path = block->path;
    TRY(add_conv2d(graph, path, "conv1", input, block->c, 1, 1, 1, &node));
    TRY(add_norm(graph, path, "bn1", node, -1, true, &node));
    TRY(add_conv2d(graph, path, "conv2", node, block->c, 3, block->stride, block->dilation, &node));
    TRY(add_norm(graph, path, "bn2", node, -1, true, &node));
    TRY(add_conv2d(graph, path, "conv3", node, block->c_out, 1, 1, 1, &node));
    TRY(add_skip(graph, block, input, &skip));
    return add_norm(graph, path, "bn3", node, skip, true, out);
}

static adele_status add_layers(struct graph *graph, const struct resnet *resnet, int width,
                               int node, int *out) {
    static const int strides[N_LAYERS] = {1, 2, 1, 1}, dilations[N_LAYERS] = {1, 1, 2, 4};
    for (int layer = 0; layer < N_LAYERS; layer++) {
        struct block block = {.c = width << layer, .second_dilation = dilations[layer]};
        block.c_out = resnet->is_bottleneck ? 4 * block.c : block.c;
        for (int i = 0; i < resnet->n_blocks[layer]; i++) {
            snprintf(block.path, sizeof block.path, "backbone.layer%d.%d", layer + 1, i);
            block.stride = i == 0 ? strides[layer] : 1;
            block.dilation = i == 0 && layer > 0 ? dilations[layer - 1] : dilations[layer];
            TRY(resnet->is_bottleneck ? add_bottleneck(graph, &block, node, &node)
                                      : add_basic(graph, &block, node, &node));
        }
    }
    *out = node;
    return ADELE_OK;
}

static void freeze(struct graph *graph, int i_stem) {
    graph->parameters[graph->nodes[i_stem].i_weight].is_frozen = true;
    for (int i = 0; i < graph->n_nodes; i++) {
        struct node *node = &graph->nodes[i];
        if (node->kind != NODE_BATCH_NORM)
            continue;
        node->is_frozen = true;
        graph->parameters[node->i_weight].is_frozen = true;
        graph->parameters[node->i_bias].is_frozen = true;
    }
}

adele_status resnet_build(struct graph *graph, enum resnet_kind kind, int n_channels, int width,
                          bool is_frozen, int *out) {
    if (width < 1 || width > MAX_WIDTH)
        return FAIL(ADELE_CONFIG, "64 is the published width.", "model.width is %d, want 1 to %d",
                    width, MAX_WIDTH);
    int node, stem;
    TRY(graph_input(graph, n_channels, &node));
    TRY(graph_conv2d(graph, "backbone.conv1", node, width, 7, 2, 3, 1, false, &stem));
    graph->parameters[graph->nodes[stem].i_weight].init = INIT_KAIMING_NORMAL_FAN_OUT;
    TRY(graph_batch_norm(graph, "backbone.bn1", stem, -1, true, &node));
    TRY(graph_max_pool(graph, node, 3, 2, 1, &node));
    TRY(add_layers(graph, &resnets[kind], width, node, out));
    if (is_frozen)
        freeze(graph, stem);
    graph_set_rates(graph, RATES_UNIFORM);
    return ADELE_OK;
}
