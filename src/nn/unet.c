// SPDX-License-Identifier: MIT
// The U-Net of METHOD section 5: two 3x3 convolutions a level, each with batch norm and ReLU;
// widths w, 2w, 4w, 8w, 8w; 2x2 max pooling down, bilinear doubling up; skips joined as [skip, up].
#include "base/fail.h"
#include "nn/graph.h"

#include <stdio.h>

#define N_LEVELS  4    // poolings on the way down
#define MAX_WIDTH 4096 // of the first level; the widest concatenation has 16 times as many channels

// conv, norm, relu twice, under the PyTorch names PATH.double_conv.{0,1,3,4}; 2 and 5 are the
// ReLUs.
static adele_status double_conv(struct graph *graph, const char *path, int input, int c_mid,
                                int c_out, int *out) {
    char name[96];
    int node = input;
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s.double_conv.%d", path, 3 * i);
        TRY(graph_conv2d(graph, name, node, i == 0 ? c_mid : c_out, 3, 1, 1, 1, true, &node));
        snprintf(name, sizeof name, "%s.double_conv.%d", path, 3 * i + 1);
        TRY(graph_batch_norm(graph, name, node, -1, true, &node));
    }
    *out = node;
    return ADELE_OK;
}

adele_status unet_build(struct graph *graph, int n_channels, int n_categories, int width) {
    if (width < 1 || width > MAX_WIDTH)
        return FAIL(ADELE_CONFIG, "64 is the paper's width; 16 is enough for small images.",
                    "model.width is %d, want 1 to %d", width, MAX_WIDTH);
    char path[64];
    int node;
    int skips[N_LEVELS];
    TRY(graph_input(graph, n_channels, &node));
    TRY(double_conv(graph, "inc", node, width, width, &node));
    for (int i = 0; i < N_LEVELS; i++) {
        skips[i] = node;
        // The deepest level has 8w: bilinear upsampling, unlike a convolution, cannot halve
        // channels.
        int c = i + 1 < N_LEVELS ? width << (i + 1) : width << i;
        snprintf(path, sizeof path, "down%d.maxpool_conv.1", i + 1);
        TRY(graph_max_pool(graph, node, 2, 2, 0, &node));
        TRY(double_conv(graph, path, node, c, c, &node));
    }
    for (int i = 0; i < N_LEVELS; i++) {
        int skip = skips[N_LEVELS - 1 - i];
        snprintf(path, sizeof path, "up%d.conv", i + 1);
        TRY(graph_rescale(graph, node, skip, 2, &node));
        TRY(graph_concat(graph, skip, node, &node));
        int c_in = graph->nodes[node].c;
        // Each level outputs as many channels as the next skip has; the last one the base width.
        int c_out = i + 1 < N_LEVELS ? c_in / 4 : width;
        TRY(double_conv(graph, path, node, c_in / 2, c_out, &node));
    }
    TRY(graph_conv2d(graph, "outc.conv", node, n_categories, 1, 1, 0, 1, true, &node));
    return ADELE_OK;
}
