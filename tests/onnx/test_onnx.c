// SPDX-License-Identifier: MIT
// Networks as ONNX files, read back with protobuf-c: every node, its order, its attributes, every
// weight. `test_onnx --write FOLDER` writes files with inputs and this library's logits beside
// them, which tests/tools/test_onnx_runtime.py compares with another program's.
#include "support/devices.h"
#include "support/onnx_cases.h"
#include "support/train_step.h"

#include "onnx.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/memory.h"

static Onnx__ModelProto *unpack(const struct onnx_packed *packed) {
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, packed->n_bytes, packed->bytes);
    assert_non_null(model);
    return model;
}

static int count_op(const Onnx__GraphProto *graph, const char *op) {
    int n = 0;
    for (size_t i = 0; i < graph->n_node; i++)
        n += strcmp(graph->node[i]->op_type, op) == 0;
    return n;
}

static int count_kind(const struct graph *graph, enum node_kind kind) {
    int n = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        n += graph->nodes[i].kind == kind;
    return n;
}

static const Onnx__NodeProto *find_node(const Onnx__GraphProto *graph, const char *name) {
    for (size_t i = 0; i < graph->n_node; i++)
        if (strcmp(graph->node[i]->name, name) == 0)
            return graph->node[i];
    fail_msg("there is no node %s", name);
    return NULL;
}

static const Onnx__AttributeProto *find_attribute(const Onnx__NodeProto *node, const char *name) {
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, name) == 0)
            return node->attribute[i];
    fail_msg("%s has no attribute %s", node->name, name);
    return NULL;
}

static void assert_ints(const Onnx__NodeProto *node, const char *name, size_t n, int64_t value) {
    const Onnx__AttributeProto *attribute = find_attribute(node, name);
    assert_int_equal(attribute->type, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    assert_int_equal(attribute->n_ints, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(attribute->ints[i], value);
}

// ---- what every file must be --------------------------------------------------------------------

static bool is_known(const Onnx__GraphProto *graph, size_t n_nodes, const char *name) {
    if (name[0] == '\0' || strcmp(name, "image") == 0)
        return true;
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(graph->initializer[i]->name, name) == 0)
            return true;
    for (size_t i = 0; i < n_nodes; i++)
        if (strcmp(graph->node[i]->output[0], name) == 0)
            return true;
    return false;
}

// Each node reads what came before it, and no two values have one name.
static void assert_ordered(const Onnx__GraphProto *graph) {
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        assert_int_equal(node->n_output, 1);
        if (is_known(graph, i, node->output[0]))
            fail_msg("%s twice", node->output[0]);
        for (size_t j = 0; j < node->n_input; j++)
            if (!is_known(graph, i, node->input[j]))
                fail_msg("%s reads %s, which nothing computes before", node->name, node->input[j]);
    }
}

static void assert_end(const Onnx__ValueInfoProto *info, const char *name, int n_channels) {
    const Onnx__TypeProto__Tensor *tensor = info->type->tensor_type;
    assert_string_equal(info->name, name);
    assert_int_equal(tensor->elem_type, 1); // float
    assert_int_equal(tensor->shape->n_dim, 4);
    assert_string_equal(tensor->shape->dim[0]->dim_param, "batch");
    assert_int_equal(tensor->shape->dim[1]->dim_value, n_channels);
    assert_string_equal(tensor->shape->dim[2]->dim_param, "height");
    assert_string_equal(tensor->shape->dim[3]->dim_param, "width");
}

// Every parameter under its name, with its shape and values.
static void assert_parameters(const Onnx__GraphProto *onnx, const struct graph *graph,
                              const float *values) {
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        const Onnx__TensorProto *tensor = NULL;
        for (size_t j = 0; j < onnx->n_initializer; j++)
            if (strcmp(onnx->initializer[j]->name, parameter->name) == 0)
                tensor = onnx->initializer[j];
        if (tensor == NULL)
            fail_msg("there is no %s", parameter->name);
        assert_int_equal(tensor->data_type, 1);
        assert_int_equal(tensor->n_dims, parameter->n_dimensions);
        assert_memory_equal(tensor->dims, parameter->shape, tensor->n_dims * sizeof(int64_t));
        assert_int_equal(tensor->raw_data.len, (size_t)parameter->count * sizeof(float));
        const float *from =
            values + parameter->offset + (parameter->is_buffer ? graph->n_weights : 0);
        assert_memory_equal(tensor->raw_data.data, from, tensor->raw_data.len);
    }
}

static void assert_counts(const Onnx__GraphProto *onnx, const struct graph *graph) {
    int n_relus = 0, n_adds = 0, n_convolutions = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        n_relus += node->kind == NODE_BATCH_NORM && node->has_relu;
        n_adds += node->kind == NODE_BATCH_NORM && node->inputs[1] != -1;
        n_convolutions += node->kind == NODE_ASPP ? node->n_rates : node->kind == NODE_CONV2D;
    }
    assert_int_equal(count_op(onnx, "Conv"), n_convolutions);
    assert_int_equal(count_op(onnx, "BatchNormalization"), count_kind(graph, NODE_BATCH_NORM));
    assert_int_equal(count_op(onnx, "Relu"), n_relus);
    assert_int_equal(count_op(onnx, "Add"), n_adds + count_kind(graph, NODE_ADD));
    assert_int_equal(count_op(onnx, "MaxPool"), count_kind(graph, NODE_MAX_POOL));
    assert_int_equal(count_op(onnx, "GlobalAveragePool"), count_kind(graph, NODE_GLOBAL_POOL));
    assert_int_equal(count_op(onnx, "Dropout"), 0);
}

static void every_network_is_complete(void **state) {
    for (size_t i = 0; i < ONNX_N_CASES; i++) {
        struct network *network = NULL;
        struct onnx_packed packed;
        check_ok(network_create(*state, &onnx_cases[i].config, &network));
        onnx_packed_init(&packed, network, onnx_cases[i].normalize);
        Onnx__ModelProto *model = unpack(&packed);
        assert_int_equal(model->ir_version, 8);
        assert_string_equal(model->producer_name, "adele");
        assert_int_equal(model->n_opset_import, 1);
        assert_int_equal(model->opset_import[0]->version, 17);
        assert_int_equal(model->graph->n_input, 1);
        assert_int_equal(model->graph->n_output, 1);
        assert_end(model->graph->input[0], "image", onnx_cases[i].config.n_channels);
        assert_end(model->graph->output[0], "logits", onnx_cases[i].config.n_categories);
        assert_ordered(model->graph);
        (void)find_node(model->graph, "logits");
        assert_parameters(model->graph, network_graph(network), packed.values);
        assert_counts(model->graph, network_graph(network));
        onnx__model_proto__free_unpacked(model, NULL);
        onnx_packed_deinit(&packed);
        network_destroy(network);
    }
}

// ---- single nodes -------------------------------------------------------------------------------

static void a_unet_node_by_node(void **state) {
    struct network *network = NULL;
    struct onnx_packed packed;
    check_ok(network_create(*state, &onnx_cases[0].config, &network));
    onnx_packed_init(&packed, network, NORMALIZE_IMAGE);
    Onnx__ModelProto *model = unpack(&packed);
    const Onnx__GraphProto *graph = model->graph;
    assert_int_equal(count_op(graph, "Conv"), 19);
    assert_int_equal(count_op(graph, "BatchNormalization"), 18);
    assert_int_equal(count_op(graph, "MaxPool"), 4);
    assert_int_equal(count_op(graph, "Resize"), 4);
    assert_int_equal(count_op(graph, "Pad"), 4); // to the skip's size, where that is odd

    const Onnx__NodeProto *conv = find_node(graph, "inc.double_conv.0");
    assert_int_equal(conv->n_input, 3);
    assert_string_equal(conv->input[0], "normalize");
    assert_string_equal(conv->input[1], "inc.double_conv.0.weight");
    assert_string_equal(conv->input[2], "inc.double_conv.0.bias");
    assert_ints(conv, "kernel_shape", 2, 3);
    assert_ints(conv, "strides", 2, 1);
    assert_ints(conv, "pads", 4, 1);
    assert_ints(conv, "dilations", 2, 1);
    const Onnx__NodeProto *norm = find_node(graph, "inc.double_conv.1");
    assert_int_equal(norm->n_input, 5);
    assert_string_equal(norm->input[3], "inc.double_conv.1.running_mean");
    assert_string_equal(norm->input[4], "inc.double_conv.1.running_var");
    assert_true(find_attribute(norm, "epsilon")->f == 1e-5f);
    const Onnx__NodeProto *logits = find_node(graph, "logits");
    assert_string_equal(logits->op_type, "Identity"); // U-Net's logits have the input's size
    assert_string_equal(logits->input[0], "outc.conv");
    onnx__model_proto__free_unpacked(model, NULL);
    onnx_packed_deinit(&packed);
    network_destroy(network);
}

static void a_deeplab_node_by_node(void **state) {
    struct network *network = NULL;
    struct onnx_packed packed;
    check_ok(network_create(*state, &onnx_cases[2].config, &network));
    onnx_packed_init(&packed, network, NORMALIZE_IMAGENET);
    Onnx__ModelProto *model = unpack(&packed);
    const Onnx__NodeProto *atrous = find_node(model->graph, "conv_fov");
    assert_ints(atrous, "dilations", 2, 12);
    assert_ints(atrous, "pads", 4, 12);
    assert_int_equal(atrous->n_input, 2); // no bias
    const Onnx__NodeProto *classes = find_node(model->graph, "cls_conv");
    assert_string_equal(classes->input[0], "bn_fov2.relu"); // without the dropout
    const Onnx__NodeProto *logits = find_node(model->graph, "logits");
    assert_string_equal(logits->op_type, "Resize"); // from an eighth
    assert_string_equal(logits->input[0], "cls_conv");
    const Onnx__AttributeProto *mode = find_attribute(logits, "coordinate_transformation_mode");
    assert_int_equal(mode->s.len, strlen("align_corners"));
    assert_memory_equal(mode->s.data, "align_corners", mode->s.len);
    onnx__model_proto__free_unpacked(model, NULL);
    onnx_packed_deinit(&packed);
    network_destroy(network);
}

// ---- limits -------------------------------------------------------------------------------------

// The weights are addresses that nothing may read: it is refused before any is copied.
static void more_than_the_format_allows_is_refused(void **state) {
    (void)state;
    const struct network_config config = {
        .name = "unet", .n_channels = 1, .n_categories = 2, .width = 512};
    struct graph graph;
    struct onnx_builder *builder = NULL;
    uint8_t *bytes = NULL;
    size_t n_bytes = 0;
    graph_init(&graph);
    check_ok(network_build_graph(&config, &graph));
    size_t reserved = (size_t)(graph.n_weights + graph.n_buffers) * sizeof(float);
    assert_true(reserved > INT32_MAX);
    void *values =
        mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(values != MAP_FAILED);
    const struct onnx_network network = {
        .graph = &graph, .weights = values, .buffers = (float *)values + graph.n_weights};
    check_ok(onnx_builder_create(&builder));
    onnx_add_network(builder, &network);
    assert_int_equal(onnx_builder_pack(builder, &bytes, &n_bytes), ADELE_UNSUPPORTED);
    assert_non_null(strstr(adele_error_message(), "ONNX allows 2147483647"));
    assert_non_null(strstr(adele_error_hint(), "model.width"));
    assert_null(bytes);
    onnx_builder_destroy(builder);
    assert_int_equal(munmap(values, reserved), 0);
    graph_deinit(&graph);
}

static void a_builder_without_memory_reports_it(void **state) {
    struct network *network = NULL;
    float *values = NULL;
    check_ok(network_create(*state, &onnx_cases[0].config, &network));
    check_ok(network_download(network, &values));
    const struct graph *graph = network_graph(network);
    const struct onnx_network content = {
        .graph = graph, .weights = values, .buffers = values + graph->n_weights};
    adele_status status = ADELE_NO_MEMORY;
    long i_failing = 0;
    for (; i_failing < 10000 && status != ADELE_OK; i_failing++) {
        struct onnx_builder *builder = NULL;
        uint8_t *bytes = NULL;
        size_t n_bytes = 0;
        memory_fail_at(i_failing);
        status = onnx_builder_create(&builder);
        if (status == ADELE_OK) {
            onnx_add_network(builder, &content);
            status = onnx_builder_pack(builder, &bytes, &n_bytes);
        }
        memory_fail_at(-1);
        if (status != ADELE_OK)
            assert_int_equal(status, ADELE_NO_MEMORY);
        onnx_builder_destroy(builder);
        memory_free(bytes);
    }
    assert_int_equal(status, ADELE_OK);
    assert_true(i_failing > 100);
    memory_free(values);
    network_destroy(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_is_complete),
        cmocka_unit_test(a_unet_node_by_node),
        cmocka_unit_test(a_deeplab_node_by_node),
        cmocka_unit_test(more_than_the_format_allows_is_refused),
        cmocka_unit_test(a_builder_without_memory_reports_it),
    };
    return cmocka_run_group_tests(tests, devices_setup_cpu, devices_teardown);
}
