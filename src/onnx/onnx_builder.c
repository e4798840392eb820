// SPDX-License-Identifier: MIT
// The messages of onnx.proto, filled for protobuf-c. All that the builder allocates for them is in
// one list, because a message does not say which of its texts and arrays are borrowed.
#include "onnx/onnx_builder.h"

#include "base/fail.h"
#include "base/memory.h"

#include "onnx.pb-c.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Opset 17 is what readers since 2022 know; later ones add nothing that these networks need.
enum { IR_VERSION = 8, OPSET = 17, MAX_ATTRIBUTES = 4 };

struct onnx_builder {
    adele_status status; // of the first failure
    void **blocks;
    int n_blocks;
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opsets[1];
};

adele_status onnx_builder_create(struct onnx_builder **out) {
    struct onnx_builder *builder;
    TRY(ALLOCATE(&builder, 1));
    onnx__model_proto__init(&builder->model);
    onnx__graph_proto__init(&builder->graph);
    onnx__operator_set_id_proto__init(&builder->opset);
    builder->opset.version = OPSET;
    builder->opsets[0] = &builder->opset;
    builder->graph.name = (char *)"adele";
    builder->model.ir_version = IR_VERSION;
    builder->model.producer_name = (char *)"adele";
    builder->model.producer_version = (char *)ADELE_VERSION;
    builder->model.graph = &builder->graph;
    builder->model.opset_import = builder->opsets;
    builder->model.n_opset_import = 1;
    *out = builder;
    return ADELE_OK;
}

void onnx_builder_destroy(struct onnx_builder *builder) {
    if (builder == NULL)
        return;
    for (int i = 0; i < builder->n_blocks; i++)
        memory_free(builder->blocks[i]);
    memory_free(builder->blocks);
    memory_free(builder->graph.node);
    memory_free(builder->graph.initializer);
    memory_free(builder->graph.input);
    memory_free(builder->graph.output);
    memory_free(builder->model.metadata_props);
    memory_free(builder);
}

// ---- memory -------------------------------------------------------------------------------------

static bool is_fine(struct onnx_builder *builder, adele_status status) {
    if (builder->status == ADELE_OK)
        builder->status = status;
    return builder->status == ADELE_OK;
}

// The builder owns `block` from here on, also after a failure. NULL: memory was out.
static void *own(struct onnx_builder *builder, void *block) {
    if (!is_fine(builder, CHECK_MEMORY(block)) ||
        !is_fine(builder, GROW(&builder->blocks, builder->n_blocks))) {
        memory_free(block);
        return NULL;
    }
    builder->blocks[builder->n_blocks++] = block;
    return block;
}

void *onnx_allocate(struct onnx_builder *builder, size_t count, size_t size) {
    return builder->status == ADELE_OK ? own(builder, memory_calloc(count, size)) : NULL;
}

static void *own_copy(struct onnx_builder *builder, size_t count, size_t size, const void *from) {
    void *copy = onnx_allocate(builder, count, size);
    if (copy != NULL)
        memcpy(copy, from, count * size);
    return copy;
}

const char *onnx_name(struct onnx_builder *builder, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *name = onnx_allocate(builder, (size_t)length + 1, 1);
    if (name == NULL)
        return "";
    va_start(arguments, format);
    (void)vsnprintf(name, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return name;
}

// append_TYPE: a new message at the end of the array; NULL after a failure.
#define DEFINE_APPEND(Type, type)                                                                  \
    static Type *append_##type(struct onnx_builder *builder, Type ***array, size_t *n) {           \
        Type *message = onnx_allocate(builder, 1, sizeof *message);                                \
        if (message == NULL || !is_fine(builder, GROW(array, *n)))                                 \
            return NULL;                                                                           \
        onnx__##type##__init(message);                                                             \
        (*array)[(*n)++] = message;                                                                \
        return message;                                                                            \
    }
DEFINE_APPEND(Onnx__NodeProto, node_proto)
DEFINE_APPEND(Onnx__TensorProto, tensor_proto)
DEFINE_APPEND(Onnx__ValueInfoProto, value_info_proto)
DEFINE_APPEND(Onnx__StringStringEntryProto, string_string_entry_proto)

// ---- nodes --------------------------------------------------------------------------------------

const char *onnx_add_node(struct onnx_builder *builder, const char *op, const char *output,
                          int n_inputs, const char *const *inputs) {
    char **ends = onnx_allocate(builder, (size_t)n_inputs + 1, sizeof *ends); // inputs, then output
    Onnx__AttributeProto **attributes = onnx_allocate(builder, MAX_ATTRIBUTES, sizeof *attributes);
    Onnx__NodeProto *node =
        append_node_proto(builder, &builder->graph.node, &builder->graph.n_node);
    if (builder->status != ADELE_OK)
        return output;
    for (int i = 0; i < n_inputs; i++)
        ends[i] = (char *)inputs[i];
    ends[n_inputs] = (char *)output;
    node->name = (char *)output;
    node->op_type = (char *)op;
    node->input = ends;
    node->n_input = (size_t)n_inputs;
    node->output = &ends[n_inputs];
    node->n_output = 1;
    node->attribute = attributes;
    return output;
}

static Onnx__AttributeProto *add_attribute(struct onnx_builder *builder, const char *name,
                                           Onnx__AttributeProto__AttributeType type) {
    Onnx__AttributeProto *attribute = onnx_allocate(builder, 1, sizeof *attribute);
    if (attribute == NULL)
        return NULL;
    Onnx__NodeProto *node = builder->graph.node[builder->graph.n_node - 1];
    if (node->n_attribute == MAX_ATTRIBUTES) {
        (void)is_fine(builder, FAIL(ADELE_INVALID_ARGUMENT, "", "node %s has %d attributes already",
                                    node->name, MAX_ATTRIBUTES));
        return NULL;
    }
    onnx__attribute_proto__init(attribute);
    attribute->name = (char *)name;
    attribute->type = type;
    node->attribute[node->n_attribute++] = attribute;
    return attribute;
}

void onnx_set_int(struct onnx_builder *builder, const char *name, int64_t value) {
    Onnx__AttributeProto *attribute =
        add_attribute(builder, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (attribute != NULL)
        attribute->i = value;
}

void onnx_set_float(struct onnx_builder *builder, const char *name, float value) {
    Onnx__AttributeProto *attribute =
        add_attribute(builder, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (attribute != NULL)
        attribute->f = value;
}

void onnx_set_text(struct onnx_builder *builder, const char *name, const char *value) {
    Onnx__AttributeProto *attribute =
        add_attribute(builder, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (attribute != NULL)
        attribute->s = (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
}

void onnx_set_ints(struct onnx_builder *builder, const char *name, int n, const int64_t *values) {
    int64_t *copy = own_copy(builder, (size_t)n, sizeof *copy, values);
    Onnx__AttributeProto *attribute =
        add_attribute(builder, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (attribute == NULL)
        return;
    attribute->ints = copy;
    attribute->n_ints = (size_t)n;
}

// ---- constants, input, output, metadata ---------------------------------------------------------

static Onnx__TensorProto *add_tensor(struct onnx_builder *builder, const char *name, int32_t type,
                                     int n_dimensions, const int64_t *shape) {
    int64_t *dims = own_copy(builder, (size_t)n_dimensions, sizeof *dims, shape);
    Onnx__TensorProto *tensor =
        append_tensor_proto(builder, &builder->graph.initializer, &builder->graph.n_initializer);
    if (tensor == NULL)
        return NULL;
    tensor->name = (char *)name;
    tensor->data_type = type;
    tensor->dims = dims;
    tensor->n_dims = (size_t)n_dimensions;
    return tensor;
}

const char *onnx_add_floats(struct onnx_builder *builder, const char *name, int n_dimensions,
                            const int64_t *shape, const float *values) {
    Onnx__TensorProto *tensor =
        add_tensor(builder, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, n_dimensions, shape);
    size_t count = 1;
    for (int i = 0; i < n_dimensions; i++)
        count *= (size_t)shape[i];
    if (tensor != NULL)
        tensor->raw_data = (ProtobufCBinaryData){count * sizeof *values, (uint8_t *)values};
    return name;
}

const char *onnx_add_integers(struct onnx_builder *builder, const char *name, int n,
                              const int64_t *values) {
    const int64_t shape[] = {n};
    void *copy = own_copy(builder, (size_t)n, sizeof *values, values);
    Onnx__TensorProto *tensor =
        add_tensor(builder, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, shape);
    if (tensor != NULL)
        tensor->raw_data = (ProtobufCBinaryData){(size_t)n * sizeof *values, copy};
    return name;
}

// All messages that describe one input or output.
struct end {
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dims[4], *dim_list[4];
};

void onnx_add_end(struct onnx_builder *builder, const char *name, int n_channels, bool is_output) {
    static const char *const extents[4] = {"batch", NULL, "height", "width"};
    Onnx__GraphProto *graph = &builder->graph;
    struct end *end = onnx_allocate(builder, 1, sizeof *end);
    Onnx__ValueInfoProto *info =
        is_output ? append_value_info_proto(builder, &graph->output, &graph->n_output)
                  : append_value_info_proto(builder, &graph->input, &graph->n_input);
    if (builder->status != ADELE_OK)
        return;
    onnx__type_proto__init(&end->type);
    onnx__type_proto__tensor__init(&end->tensor);
    onnx__tensor_shape_proto__init(&end->shape);
    for (int i = 0; i < 4; i++) {
        onnx__tensor_shape_proto__dimension__init(&end->dims[i]);
        if (extents[i] != NULL)
            end->dims[i].dim_param = (char *)extents[i];
        else
            end->dims[i].dim_value = n_channels;
        end->dim_list[i] = &end->dims[i];
    }
    end->shape.n_dim = 4;
    end->shape.dim = end->dim_list;
    end->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    end->tensor.shape = &end->shape;
    end->type.tensor_type = &end->tensor;
    info->name = (char *)name;
    info->type = &end->type;
}

void onnx_add_metadata(struct onnx_builder *builder, const char *key, const char *value) {
    Onnx__StringStringEntryProto *entry = append_string_string_entry_proto(
        builder, &builder->model.metadata_props, &builder->model.n_metadata_props);
    if (entry == NULL)
        return;
    entry->key = (char *)key;
    entry->value = (char *)value;
}

// ---- the file -----------------------------------------------------------------------------------

adele_status onnx_builder_pack(const struct onnx_builder *builder, uint8_t **out,
                               size_t *out_bytes) {
    if (builder->status != ADELE_OK)
        return builder->status;
    size_t bytes = protobuf_c_message_get_packed_size(&builder->model.base);
    if (bytes > INT32_MAX)
        return FAIL(ADELE_UNSUPPORTED, "Export a network of a smaller model.width.",
                    "the file would have %zu bytes, and ONNX allows %d", bytes, INT32_MAX);
    TRY(ALLOCATE(out, bytes));
    *out_bytes = protobuf_c_message_pack(&builder->model.base, *out);
    return ADELE_OK;
}
