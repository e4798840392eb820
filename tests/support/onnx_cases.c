// SPDX-License-Identifier: MIT
#include "support/onnx_cases.h"

#include "base/memory.h"
#include "support/train_step.h"

const struct onnx_case onnx_cases[ONNX_N_CASES] = {
    {"unet", {.name = "unet", .n_channels = 2, .n_categories = 4, .width = 3}, NORMALIZE_IMAGE},
    {"unet_rgb",
     {.name = "unet", .n_channels = 3, .n_categories = 2, .width = 2},
     NORMALIZE_IMAGENET},
    {"deeplabv1",
     {.name = "deeplabv1", .n_channels = 3, .n_categories = 5, .width = 4},
     NORMALIZE_IMAGENET},
    {"deeplabv2",
     {.name = "deeplabv2", .backbone = "resnet18", .n_channels = 1, .n_categories = 3, .width = 8},
     NORMALIZE_IMAGE},
    {"deeplabv3",
     {.name = "deeplabv3",
      .backbone = "resnet50",
      .n_channels = 3,
      .n_categories = 4,
      .width = 8,
      .rate = 3},
     NORMALIZE_IMAGE},
    {"deeplabv3_resnet101",
     {.name = "deeplabv3", .backbone = "resnet101", .n_channels = 3, .n_categories = 2, .width = 4},
     NORMALIZE_IMAGENET},
};

static void pack(const struct graph *graph, enum image_normalize normalize, const float *values,
                 struct onnx_packed *out) {
    struct onnx_builder *builder = NULL;
    const struct onnx_network network = {.graph = graph,
                                         .weights = values,
                                         .buffers = values + graph->n_weights,
                                         .normalize = normalize};
    check_ok(onnx_builder_create(&builder));
    onnx_add_network(builder, &network);
    check_ok(onnx_builder_pack(builder, &out->bytes, &out->n_bytes));
    onnx_builder_destroy(builder);
}

void onnx_packed_init(struct onnx_packed *packed, struct network *network,
                      enum image_normalize normalize) {
    check_ok(network_download(network, &packed->values));
    pack(network_graph(network), normalize, packed->values, packed);
}

void onnx_packed_deinit(struct onnx_packed *packed) {
    memory_free(packed->values);
    memory_free(packed->bytes);
}
