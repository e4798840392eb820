// SPDX-License-Identifier: MIT
// DeepLab's heads (METHOD section 5). Logits have an eighth of the input's extents; the loss brings
// them to the labels' size. Head widths are 8 w (LargeFOV) and 4 w (ASPP), 512 and 256 at the
// published width of 64. Weights of new layers are initialized as Kaiming normal, fan-out. Names of
// LargeFOV are those of the authors' program.
#include "base/fail.h"
#include "nn/graph.h"

#define DROPOUT_RATE   0.5 // of LargeFOV, before the last convolution
#define PUBLISHED_RATE 12  // of LargeFOV, for crops of some 450 pixels

// The parameters from number `first` on are the head's.
static void mark_new(struct graph *graph, int first) {
    for (int i = first; i < graph->n_parameters; i++) {
        struct parameter *parameter = &graph->parameters[i];
        parameter->is_new = true;
        if (parameter->init == INIT_KAIMING_UNIFORM)
            parameter->init = INIT_KAIMING_NORMAL_FAN_OUT;
    }
}

// The same momentum as in the backbone: low where its weights are pretrained, higher where it is
// trained from scratch.
static void set_momenta(struct graph *graph, int features) {
    for (int i = features + 1; i < graph->n_nodes; i++)
        graph->nodes[i].momentum = graph->nodes[features].momentum;
}

static adele_status add_norm(struct graph *graph, const char *name, int input, int *out) {
    return graph_batch_norm(graph, name, input, -1, true, out);
}

static adele_status head_v1(struct graph *graph, int input, int n_categories, int width, int rate) {
    int node;
    TRY(graph_conv2d(graph, "conv_fov", input, 8 * width, 3, 1, rate, rate, false, &node));
    TRY(add_norm(graph, "bn_fov", node, &node));
    TRY(graph_conv2d(graph, "conv_fov2", node, 8 * width, 1, 1, 0, 1, false, &node));
    TRY(add_norm(graph, "bn_fov2", node, &node));
    TRY(graph_dropout(graph, node, DROPOUT_RATE, false, &node));
    return graph_conv2d(graph, "cls_conv", node, n_categories, 1, 1, 0, 1, true, &node);
}

// The pyramids' rates are published as halves of 12, and go with `rate`; none becomes 0.
static int half_rates(int rate, int n_halves) {
    int result = rate * n_halves / 2;
    return result > 0 ? result : 1;
}

static adele_status head_v2(struct graph *graph, int input, int n_categories, int rate) {
    const int rates[] = {half_rates(rate, 1), rate, half_rates(rate, 3), 2 * rate};
    static const char *const branches[] = {"aspp.c0", "aspp.c1", "aspp.c2", "aspp.c3"};
    int node;
    return graph_aspp(graph, "aspp", input, ADELE_ASPP_SUM, n_categories, 4, rates, branches, true,
                      &node);
}

// The four convolutions share one batch norm over their concatenated channels, which computes what
// one for each would.
static adele_status head_v3(struct graph *graph, int input, int n_categories, int width, int rate) {
    const int rates[] = {0, half_rates(rate, 1), rate, half_rates(rate, 3)};
    static const char *const branches[] = {"aspp.branch1", "aspp.branch2", "aspp.branch3",
                                           "aspp.branch4"};
    int c = 4 * width, pyramid, pooled, node;
    TRY(graph_aspp(graph, "aspp", input, ADELE_ASPP_CONCAT, c, 4, rates, branches, false,
                   &pyramid));
    TRY(add_norm(graph, "aspp.bn", pyramid, &pyramid));
    TRY(graph_global_pool(graph, input, &pooled));
    TRY(graph_conv2d(graph, "aspp.branch5_conv", pooled, c, 1, 1, 0, 1, false, &pooled));
    TRY(add_norm(graph, "aspp.branch5_bn", pooled, &pooled));
    TRY(graph_rescale(graph, pooled, pyramid, 0, &pooled));
    TRY(graph_concat(graph, pyramid, pooled, &node));
    TRY(graph_conv2d(graph, "aspp.conv_cat.0", node, c, 1, 1, 0, 1, false, &node));
    TRY(add_norm(graph, "aspp.conv_cat.1", node, &node));
    return graph_conv2d(graph, "cls_conv", node, n_categories, 1, 1, 0, 1, true, &node);
}

adele_status deeplab_head_build(struct graph *graph, enum deeplab_head head, int features,
                                int n_categories, int width, int rate) {
    int n_backbone = graph->n_parameters;
    rate = rate > 0 ? rate : PUBLISHED_RATE;
    switch (head) {
    case DEEPLAB_V1:
        TRY(head_v1(graph, features, n_categories, width, rate));
        break;
    case DEEPLAB_V2:
        TRY(head_v2(graph, features, n_categories, rate));
        break;
    case DEEPLAB_V3:
        TRY(head_v3(graph, features, n_categories, width, rate));
        break;
    default:
        return FAIL(ADELE_INVALID_ARGUMENT, "", "there is no head number %d", (int)head);
    }
    mark_new(graph, n_backbone);
    set_momenta(graph, features);
    graph_set_rates(graph, RATES_UNIFORM);
    return ADELE_OK;
}
