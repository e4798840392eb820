// SPDX-License-Identifier: MIT
// The graph of a network as nodes of ONNX.
#ifndef ADELE_ONNX_ONNX_GRAPH_H
#define ADELE_ONNX_ONNX_GRAPH_H

#include "data/dataset.h"
#include "nn/graph.h"
#include "onnx/onnx_builder.h"

#define ONNX_INPUT  "image"
#define ONNX_OUTPUT "logits"

// Borrowed, with all that it points to, until the builder is destroyed.
struct onnx_network {
    const struct graph *graph;
    const float *weights, *buffers; // host copies of the two arenas
    enum image_normalize normalize;
};

// Adds all of the network for inference: the input of raw intensities, their normalization, the
// nodes under their own names with batch norms that use the running statistics and without
// dropouts, and the logits at the input's size. Failures are the builder's.
void onnx_add_network(struct onnx_builder *builder, const struct onnx_network *network);
#endif
