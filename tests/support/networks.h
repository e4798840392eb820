// SPDX-License-Identifier: MIT
// Networks as tests want them: of a graph of their own, and DeepLab as it was published.
#ifndef ADELE_TESTS_NETWORKS_H
#define ADELE_TESTS_NETWORKS_H

#include "nn/network.h"

// As network_create for a graph of the caller's own, whose nodes move into the network. The caller
// calls graph_deinit, also after a failure.
ADELE_MUST_CHECK adele_status network_create_from_graph(const struct adele_device *device,
                                                        struct graph *graph, uint64_t seed,
                                                        enum adele_precision precision,
                                                        struct network **out);
// DeepLab on ResNet38d with colour images, at the published rates.
ADELE_MUST_CHECK adele_status deeplab_build(struct graph *graph, enum deeplab_head head,
                                            int n_categories, int width, bool is_frozen);
#endif
