// SPDX-License-Identifier: MIT
#include "support/networks.h"

#include "base/fail.h"
#include "nn/plan.h"

adele_status network_create_from_graph(const struct adele_device *device, struct graph *graph,
                                       uint64_t seed, enum adele_precision precision,
                                       struct network **out) {
    struct network *network = NULL;
    TRY(network_take_graph(device, graph, seed, precision, &network));
    return network_complete(network, out);
}

adele_status deeplab_build(struct graph *graph, enum deeplab_head head, int n_categories, int width,
                           bool is_frozen) {
    int features;
    TRY(resnet38_build(graph, 3, width, is_frozen, &features));
    return deeplab_head_build(graph, head, features, n_categories, width, 0);
}
