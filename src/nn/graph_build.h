// SPDX-License-Identifier: MIT
// What the builders in node_<kind>.c share: appending a node and its parameters. A failure of a
// builder is a mistake in the code of a network; the graph is then only good for graph_deinit.
#ifndef ADELE_NN_GRAPH_BUILD_H
#define ADELE_NN_GRAPH_BUILD_H

#include "nn/graph.h"

#define GRAPH_MAX_CHANNELS 65536
#define GRAPH_MISUSE_HINT  "This is a mistake in the code that builds the network."

// Channels of a node; 0 when there is no node of that number, which graph_append reports.
int graph_channels(const struct graph *graph, int i_node);
// Checks that the inputs (-1: none) came before and that there are 1 to GRAPH_MAX_CHANNELS
// channels; appends the node, whose number goes to *out. `name` NULL: "<kind>.<number>". *node is
// borrowed until the next call.
ADELE_MUST_CHECK adele_status graph_append(struct graph *graph, enum node_kind kind,
                                           const char *name, int input, int second_input, int c,
                                           struct node **node, int *out);
ADELE_MUST_CHECK adele_status graph_check_window(const struct graph *graph,
                                                 const struct node *node);
// Adds the parameter MODULE.LEAF, or the buffer, and gives it its place in the arena; *out gets its
// number.
ADELE_MUST_CHECK adele_status graph_add_parameter(struct graph *graph, const char *module,
                                                  const char *leaf, bool is_buffer,
                                                  enum parameter_init init, int n_dimensions,
                                                  const int64_t shape[4], int *out);
// Weight and, on request, bias of a convolution under the module path `module`.
ADELE_MUST_CHECK adele_status graph_add_convolution(struct graph *graph, const char *module,
                                                    int c_out, int c_in, int kernel, bool has_bias,
                                                    int *i_weight, int *i_bias);

#endif
