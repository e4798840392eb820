// SPDX-License-Identifier: MIT
// A network as a list of nodes, free of extents: built once, then planned for every input shape.
// Nodes are numbered in the order they are added, which is the order they run in.
#ifndef ADELE_NN_GRAPH_H
#define ADELE_NN_GRAPH_H

#include "device/device.h"

// X(KIND, name): one row a kind; what the planner does with it is in node_<name>.c.
#define NODE_KINDS(X)                                                                              \
    X(INPUT, input)                                                                                \
    X(CONV2D, conv2d)                                                                              \
    X(BATCH_NORM, batch_norm)                                                                      \
    X(MAX_POOL, max_pool)                                                                          \
    X(RESCALE, rescale)                                                                            \
    X(CONCAT, concat)                                                                              \
    X(ADD, add)                                                                                    \
    X(GLOBAL_POOL, global_pool)                                                                    \
    X(ASPP, aspp)                                                                                  \
    X(DROPOUT, dropout)

enum node_kind {
#define NODE_KIND_ENUM(KIND, name) NODE_##KIND,
    NODE_KINDS(NODE_KIND_ENUM)
#undef NODE_KIND_ENUM
};

enum parameter_init {
    INIT_KAIMING_UNIFORM, // PyTorch's default: U(+-sqrt(6 / ((1 + a^2) fan_in))), a = sqrt 5
    INIT_BIAS_UNIFORM,    // U(+-1 / sqrt(fan_in))
    INIT_KAIMING_NORMAL_FAN_OUT,
    INIT_ONES,
    INIT_ZEROS
};

// A parameter or a buffer, by its PyTorch name. Offsets are in floats, into the weight arena
// (trainable) or the buffer arena (running statistics).
struct parameter {
    char name[160];
    int n_dimensions;
    int64_t shape[4];
    int64_t count, offset;
    bool is_buffer;
    enum parameter_init init;
    int fan_in, fan_out;
    bool is_new;    // of a head: not in the file that a backbone's weights are loaded from
    bool is_frozen; // never learns
    float lr_scale; // of the base rate, see graph_set_rates; 0 when frozen
    bool has_decay;
};

// Which parameters learn how fast (METHOD section 5). Biases are those of convolutions and the
// shifts of batch norm; none of them decays.
enum rate_groups {
    RATES_UNIFORM, // all at the base rate
    RATES_VOC      // base rate times 1, biases times 2, new layers 10, their biases 20
};

struct node {
    enum node_kind kind;
    char name[128]; // PyTorch module path, "up4.conv.double_conv.0"
    int inputs[2];  // node numbers; -1 = none. batch_norm: inputs[1] = residual; rescale: inputs[1]
                    // = size like
    int c;          // channels out
    int kernel, stride, pad, dilation; // conv2d, max_pool
    bool has_bias, has_relu;
    int rescale_factor; // rescale: h_out = h_in * factor, padded to the size of inputs[1] as the
                        // U-Net does (F.pad with diff / 2 first); 0 = exactly the size of inputs[1]
    double dropout_rate;
    bool is_per_channel; // dropout: whole channels of an image
    float eps, momentum;
    bool is_frozen;                           // batch_norm: running statistics in training too
    int i_weight, i_bias, i_mean, i_variance; // parameter numbers, -1 = none
    // aspp: its branches, each with parameters of its own
    enum adele_aspp_form form;
    int n_rates, rates[ADELE_MAX_RATES];
    int i_weights[ADELE_MAX_RATES], i_biases[ADELE_MAX_RATES];
};

struct graph {
    struct node *nodes;
    int n_nodes;
    struct parameter *parameters;
    int n_parameters;
    int64_t n_weights,
        n_buffers;     // floats in the two arenas (every parameter starts at a multiple of 16)
    int input, output; // node numbers
};

const char *node_kind_name(enum node_kind kind); // "conv2d"

// Builders return the node's number through *out.
void graph_init(struct graph *graph);
void graph_deinit(struct graph *graph);
ADELE_MUST_CHECK adele_status graph_input(struct graph *graph, int c, int *out);
ADELE_MUST_CHECK adele_status graph_conv2d(struct graph *graph, const char *name, int input,
                                           int c_out, int kernel, int stride, int pad, int dilation,
                                           bool has_bias, int *out);
ADELE_MUST_CHECK adele_status graph_batch_norm(struct graph *graph, const char *name, int input,
                                               int residual, bool has_relu, int *out);
ADELE_MUST_CHECK adele_status graph_max_pool(struct graph *graph, int input, int kernel, int stride,
                                             int pad, int *out);
ADELE_MUST_CHECK adele_status graph_rescale(struct graph *graph, int input, int like, int factor,
                                            int *out);
ADELE_MUST_CHECK adele_status graph_concat(struct graph *graph, int a, int b, int *out);
ADELE_MUST_CHECK adele_status graph_add(struct graph *graph, int a, int b, int *out);
// (N, C, 1, 1); a rescale to the size of another node spreads it out again.
ADELE_MUST_CHECK adele_status graph_global_pool(struct graph *graph, int input, int *out);
// `branches`: the module path of each rate's convolution, under which its parameters go. c_out: of
// one branch.
ADELE_MUST_CHECK adele_status graph_aspp(struct graph *graph, const char *name, int input,
                                         enum adele_aspp_form form, int c_out, int n_rates,
                                         const int *rates, const char *const *branches,
                                         bool has_bias, int *out);

// In training only; what is dropped depends on the plan's samples (plan_set_samples).
ADELE_MUST_CHECK adele_status graph_dropout(struct graph *graph, int input, double rate,
                                            bool per_channel, int *out);

// Sets every lr_scale.
void graph_set_rates(struct graph *graph, enum rate_groups groups);

// How many of inputs[] carry data (a rescale only takes the size of its second one).
int node_n_data_inputs(const struct node *node);
// The numbers of the parameters that a node trains (weights, then biases); returns how many.
#define NODE_MAX_TRAINED (2 * ADELE_MAX_RATES)
int node_trained(const struct node *node, int i_parameters[NODE_MAX_TRAINED]);

// unet.c: METHOD section 5. `width` 64 is the paper's. Names as golden/unet_w8.safetensors has
// them.
ADELE_MUST_CHECK adele_status unet_build(struct graph *graph, int n_channels, int n_categories,
                                         int width);

// Backbones, output stride 8; *out: the node of the last ReLU. `width` 64 is the published one.
// is_frozen: the first convolution and the batch norms do not learn, and batch norms use their
// running statistics in training too.
// resnet38.c: ResNet38d of METHOD section 5, 64 width channels; its batch norm never learns.
ADELE_MUST_CHECK adele_status resnet38_build(struct graph *graph, int n_channels, int width,
                                             bool is_frozen, int *out);
// resnet.c: torchvision's ResNets with dilations 2 and 4 in place of the last two strides; 8 width
// (18) or 32 width channels.
enum resnet_kind { RESNET_18, RESNET_50, RESNET_101 };
ADELE_MUST_CHECK adele_status resnet_build(struct graph *graph, enum resnet_kind kind,
                                           int n_channels, int width, bool is_frozen, int *out);

// deeplab.c: DeepLab's heads.
enum deeplab_head {
    DEEPLAB_V1, // LargeFOV: one 3 x 3 convolution of rate 12
    DEEPLAB_V2, // rates 6, 12, 18, 24 straight to the categories, summed
    DEEPLAB_V3  // 1 x 1, rates 6, 12, 18 and image pooling, concatenated
};
// A head on the last batch norm of a backbone; its own batch norms get the same momentum. `rate`
// replaces the published 12, and the other rates of the pyramids scale with it; 0 is 12.
ADELE_MUST_CHECK adele_status deeplab_head_build(struct graph *graph, enum deeplab_head head,
                                                 int features, int n_categories, int width,
                                                 int rate);
#endif
