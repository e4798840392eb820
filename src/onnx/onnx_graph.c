// SPDX-License-Identifier: MIT
// One function a kind of node (NODE_KINDS), which adds what the op of that kind computes. All
// resizing is bilinear with align-corners, as everywhere in this library.
#include "onnx/onnx_graph.h"

#include "data/standardize.h"

// The output of a node: its tensor, and how many pixels of the input one of its pixels stands for.
struct value {
    const char *name;
    int stride;
};

struct converter {
    struct onnx_builder *builder;
    const struct onnx_network *network;
    struct value *values; // one a node
};

static const char *input_name(const struct converter *converter, const struct node *node, int j) {
    return converter->values[node->inputs[j]].name;
}

static const char *constant_floats(struct converter *converter, const char *name, int n,
                                   const float *values) {
    return onnx_add_floats(converter->builder, name, 4, (const int64_t[]){1, n, 1, 1}, values);
}

// A parameter or buffer of the network, under its own name.
static const char *add_parameter(struct converter *converter, int i_parameter) {
    const struct onnx_network *network = converter->network;
    const struct parameter *parameter = &network->graph->parameters[i_parameter];
    const float *arena = parameter->is_buffer ? network->buffers : network->weights;
    return onnx_add_floats(converter->builder, parameter->name, parameter->n_dimensions,
                           parameter->shape, arena + parameter->offset);
}

// ---- normalization ------------------------------------------------------------------------------

static const char *over_plane(struct onnx_builder *builder, const char *op, const char *output,
                              const char *input) {
    ONNX_NODE(builder, op, output, input);
    ONNX_SET_INTS(builder, "axes", 2, 3);
    return output;
}

// Each plane to mean 0 and deviation 1. The least value is subtracted first: a plane that is
// constant then is exactly 0, and so is its deviation, which is replaced by 1.
static const char *normalize_by_plane(struct converter *converter) {
    static const float numbers[] = {0.0f, 1.0f};
    struct onnx_builder *builder = converter->builder;
    const char *zero = constant_floats(converter, "normalize.zero", 1, &numbers[0]);
    const char *one = constant_floats(converter, "normalize.one", 1, &numbers[1]);
    const char *lowest = over_plane(builder, "ReduceMin", "normalize.lowest", ONNX_INPUT);
    const char *lifted = ONNX_NODE(builder, "Sub", "normalize.lifted", ONNX_INPUT, lowest);
    const char *mean = over_plane(builder, "ReduceMean", "normalize.mean", lifted);
    const char *centred = ONNX_NODE(builder, "Sub", "normalize.centred", lifted, mean);
    const char *squares = ONNX_NODE(builder, "Mul", "normalize.squares", centred, centred);
    const char *variance = over_plane(builder, "ReduceMean", "normalize.variance", squares);
    const char *deviation = ONNX_NODE(builder, "Sqrt", "normalize.deviation", variance);
    const char *is_flat = ONNX_NODE(builder, "Equal", "normalize.is_flat", deviation, zero);
    const char *divisor = ONNX_NODE(builder, "Where", "normalize.divisor", is_flat, one, deviation);
    return ONNX_NODE(builder, "Div", "normalize", centred, divisor);
}

// As the sample op does it, with the same floats.
static const char *normalize_as_imagenet(struct converter *converter) {
    struct onnx_builder *builder = converter->builder;
    float *numbers = onnx_allocate(builder, 2 * (size_t)IMAGENET_CHANNELS, sizeof *numbers);
    for (int c = 0; numbers != NULL && c < IMAGENET_CHANNELS; c++) {
        double mean, inv_std;
        standardize_imagenet(c, &mean, &inv_std);
        numbers[c] = (float)mean;
        numbers[IMAGENET_CHANNELS + c] = (float)inv_std;
    }
    if (numbers == NULL)
        return "";
    const char *mean = constant_floats(converter, "normalize.mean", IMAGENET_CHANNELS, numbers);
    const char *inv_std = constant_floats(converter, "normalize.inv_std", IMAGENET_CHANNELS,
                                          numbers + IMAGENET_CHANNELS);
    const char *centred = ONNX_NODE(builder, "Sub", "normalize.centred", ONNX_INPUT, mean);
    return ONNX_NODE(builder, "Mul", "normalize", centred, inv_std);
}

static const char *convert_input(struct converter *converter, const struct node *node) {
    onnx_add_end(converter->builder, ONNX_INPUT, node->c, false);
    return converter->network->normalize == NORMALIZE_IMAGENET ? normalize_as_imagenet(converter)
                                                               : normalize_by_plane(converter);
}

// ---- resizing -----------------------------------------------------------------------------------

static const char *extents_of(struct converter *converter, const char *output, const char *tensor) {
    ONNX_NODE(converter->builder, "Shape", output, tensor);
    onnx_set_int(converter->builder, "start", 2);
    return output;
}

static void set_bilinear(struct onnx_builder *builder) {
    onnx_set_text(builder, "mode", "linear");
    onnx_set_text(builder, "coordinate_transformation_mode", "align_corners");
}

// To the extents of another tensor.
static const char *resize_like(struct converter *converter, const char *output, const char *input,
                               const char *like) {
    struct onnx_builder *builder = converter->builder;
    const char *first = onnx_name(builder, "%s.batch_and_channels", output);
    ONNX_NODE(builder, "Shape", first, input);
    onnx_set_int(builder, "end", 2);
    const char *last = extents_of(converter, onnx_name(builder, "%s.extents", output), like);
    const char *sizes =
        ONNX_NODE(builder, "Concat", onnx_name(builder, "%s.sizes", output), first, last);
    onnx_set_int(builder, "axis", 0);
    // An absent input has the name "": the region of interest, and the scales.
    ONNX_NODE(builder, "Resize", output, input, "", "", sizes);
    set_bilinear(builder);
    return output;
}

static const char *resize_by(struct converter *converter, const char *output, const char *input,
                             int factor) {
    struct onnx_builder *builder = converter->builder;
    float *scales = onnx_allocate(builder, 4, sizeof *scales);
    for (int i = 0; scales != NULL && i < 4; i++)
        scales[i] = i < 2 ? 1.0f : (float)factor;
    const char *name = onnx_name(builder, "%s.scales", output);
    onnx_add_floats(builder, name, 1, (const int64_t[]){4}, scales);
    ONNX_NODE(builder, "Resize", output, input, "", name);
    set_bilinear(builder);
    return output;
}

// Zeros around it, or less of it, until it has the extents of another tensor. The difference is
// halved with rounding down for the upper and left side, also where it is negative.
static const char *pad_like(struct converter *converter, const char *output, const char *input,
                            const char *like) {
    struct onnx_builder *builder = converter->builder;
    const char *has = extents_of(converter, onnx_name(builder, "%s.has", output), input);
    const char *wants = extents_of(converter, onnx_name(builder, "%s.wants", output), like);
    const char *two =
        onnx_add_integers(builder, onnx_name(builder, "%s.two", output), 1, (const int64_t[]){2});
    const char *none = onnx_add_integers(builder, onnx_name(builder, "%s.none", output), 2,
                                         (const int64_t[]){0, 0});
    const char *difference =
        ONNX_NODE(builder, "Sub", onnx_name(builder, "%s.difference", output), wants, has);
    const char *odd = ONNX_NODE(builder, "Mod", onnx_name(builder, "%s.odd", output), difference,
                                two); // 0 or 1, also of negative numbers
    const char *even =
        ONNX_NODE(builder, "Sub", onnx_name(builder, "%s.even", output), difference, odd);
    const char *before =
        ONNX_NODE(builder, "Div", onnx_name(builder, "%s.before", output), even, two);
    const char *after =
        ONNX_NODE(builder, "Sub", onnx_name(builder, "%s.after", output), difference, before);
    const char *pads = ONNX_NODE(builder, "Concat", onnx_name(builder, "%s.pads", output), none,
                                 before, none, after);
    onnx_set_int(builder, "axis", 0);
    return ONNX_NODE(builder, "Pad", output, input, pads);
}

static const char *convert_rescale(struct converter *converter, const struct node *node) {
    const char *input = input_name(converter, node, 0);
    bool has_like = node->inputs[1] != -1;
    if (node->rescale_factor == 0)
        return resize_like(converter, node->name, input, input_name(converter, node, 1));
    if (!has_like)
        return resize_by(converter, node->name, input, node->rescale_factor);
    const char *larger = onnx_name(converter->builder, "%s.larger", node->name);
    resize_by(converter, larger, input, node->rescale_factor);
    return pad_like(converter, node->name, larger, input_name(converter, node, 1));
}

// ---- the other kinds ----------------------------------------------------------------------------

// i_bias -1: none.
static const char *add_convolution(struct converter *converter, const char *output,
                                   const char *input, int i_weight, int i_bias,
                                   const struct node *window) {
    struct onnx_builder *builder = converter->builder;
    const char *weight = add_parameter(converter, i_weight);
    if (i_bias == -1)
        ONNX_NODE(builder, "Conv", output, input, weight);
    else
        ONNX_NODE(builder, "Conv", output, input, weight, add_parameter(converter, i_bias));
    int64_t kernel = window->kernel, stride = window->stride, dilation = window->dilation;
    ONNX_SET_INTS(builder, "kernel_shape", kernel, kernel);
    ONNX_SET_INTS(builder, "strides", stride, stride);
    ONNX_SET_INTS(builder, "dilations", dilation, dilation);
    ONNX_SET_INTS(builder, "pads", window->pad, window->pad, window->pad, window->pad);
    return output;
}

static const char *convert_conv2d(struct converter *converter, const struct node *node) {
    return add_convolution(converter, node->name, input_name(converter, node, 0), node->i_weight,
                           node->i_bias, node);
}

static const char *convert_batch_norm(struct converter *converter, const struct node *node) {
    struct onnx_builder *builder = converter->builder;
    const char *name = node->name;
    ONNX_NODE(builder, "BatchNormalization", name, input_name(converter, node, 0),
              add_parameter(converter, node->i_weight), add_parameter(converter, node->i_bias),
              add_parameter(converter, node->i_mean), add_parameter(converter, node->i_variance));
    onnx_set_float(builder, "epsilon", node->eps);
    if (node->inputs[1] != -1)
        name = ONNX_NODE(builder, "Add", onnx_name(builder, "%s.sum", node->name), name,
                         input_name(converter, node, 1));
    return node->has_relu
               ? ONNX_NODE(builder, "Relu", onnx_name(builder, "%s.relu", node->name), name)
               : name;
}

static const char *convert_max_pool(struct converter *converter, const struct node *node) {
    struct onnx_builder *builder = converter->builder;
    int64_t kernel = node->kernel, stride = node->stride, pad = node->pad;
    ONNX_NODE(builder, "MaxPool", node->name, input_name(converter, node, 0));
    ONNX_SET_INTS(builder, "kernel_shape", kernel, kernel);
    ONNX_SET_INTS(builder, "strides", stride, stride);
    ONNX_SET_INTS(builder, "pads", pad, pad, pad, pad);
    return node->name;
}

static const char *convert_concat(struct converter *converter, const struct node *node) {
    ONNX_NODE(converter->builder, "Concat", node->name, input_name(converter, node, 0),
              input_name(converter, node, 1));
    onnx_set_int(converter->builder, "axis", 1);
    return node->name;
}

static const char *convert_add(struct converter *converter, const struct node *node) {
    return ONNX_NODE(converter->builder, "Add", node->name, input_name(converter, node, 0),
                     input_name(converter, node, 1));
}

static const char *convert_global_pool(struct converter *converter, const struct node *node) {
    return ONNX_NODE(converter->builder, "GlobalAveragePool", node->name,
                     input_name(converter, node, 0));
}

static const char *convert_aspp(struct converter *converter, const struct node *node) {
    struct onnx_builder *builder = converter->builder;
    const char *branches[ADELE_MAX_RATES];
    for (int i = 0; i < node->n_rates; i++) {
        int rate = node->rates[i]; // 0: a 1 x 1 convolution
        struct node window = {
            .kernel = rate > 0 ? 3 : 1, .stride = 1, .pad = rate, .dilation = rate > 0 ? rate : 1};
        branches[i] = onnx_name(builder, "%s.branch%d", node->name, i);
        add_convolution(converter, branches[i], input_name(converter, node, 0), node->i_weights[i],
                        node->i_biases[i], &window);
    }
    if (node->form == ADELE_ASPP_SUM)
        return onnx_add_node(builder, "Sum", node->name, node->n_rates, branches);
    onnx_add_node(builder, "Concat", node->name, node->n_rates, branches);
    onnx_set_int(builder, "axis", 1);
    return node->name;
}

// In inference it does nothing.
static const char *convert_dropout(struct converter *converter, const struct node *node) {
    return input_name(converter, node, 0);
}

// ---- the whole ----------------------------------------------------------------------------------

// Each adds one node and returns the name of its output.
static const char *(*const conversions[])(struct converter *, const struct node *) = {
#define ROW(KIND, name) [NODE_##KIND] = convert_##name,
    NODE_KINDS(ROW)
#undef ROW
};

// At least as much as it is: a rescale by a factor alone does not make it smaller.
static int stride_of(const struct converter *converter, const struct node *node) {
    if (node->kind == NODE_INPUT)
        return 1;
    if (node->kind == NODE_RESCALE && node->inputs[1] != -1)
        return converter->values[node->inputs[1]].stride;
    int stride = node->stride > 1 ? node->stride : 1;
    return converter->values[node->inputs[0]].stride * stride;
}

void onnx_add_network(struct onnx_builder *builder, const struct onnx_network *network) {
    const struct graph *graph = network->graph;
    struct converter converter = {.builder = builder, .network = network};
    converter.values = onnx_allocate(builder, (size_t)graph->n_nodes, sizeof *converter.values);
    if (converter.values == NULL)
        return;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        converter.values[i].stride = stride_of(&converter, node);
        converter.values[i].name = conversions[node->kind](&converter, node);
    }
    const struct value *last = &converter.values[graph->output];
    if (last->stride > 1)
        resize_like(&converter, ONNX_OUTPUT, last->name, ONNX_INPUT);
    else
        ONNX_NODE(builder, "Identity", ONNX_OUTPUT, last->name);
    onnx_add_end(builder, ONNX_OUTPUT, graph->nodes[graph->output].c, true);
}
