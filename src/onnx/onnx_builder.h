// SPDX-License-Identifier: MIT
// A model in the format of ONNX, built node by node and then written as one file.
//
// The builder keeps the first failure: what is added afterwards is ignored, and onnx_builder_pack
// returns it, so that building needs no check after each call. Names that are passed in are
// borrowed until onnx_builder_destroy; those of onnx_name live as long.
#ifndef ADELE_ONNX_ONNX_BUILDER_H
#define ADELE_ONNX_ONNX_BUILDER_H

#include "adele/status.h"
#include "base/memory.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct onnx_builder;

ADELE_MUST_CHECK adele_status onnx_builder_create(struct onnx_builder **out);
void onnx_builder_destroy(struct onnx_builder *builder); // NULL is legal
OWNER(onnx_builder_destroy, struct onnx_builder)

// printf; "" after a failure.
const char *onnx_name(struct onnx_builder *builder, const char *format, ...) ADELE_PRINTF(2, 3);

// Zeroed storage that lives as long as the builder; NULL after a failure.
void *onnx_allocate(struct onnx_builder *builder, size_t count, size_t size);

// Adds a node with one output; node and output are both named `output`, which must be unique.
// Returns `output`. An input "" is an optional one that is left out.
const char *onnx_add_node(struct onnx_builder *builder, const char *op, const char *output,
                          int n_inputs, const char *const *inputs);
#define ONNX_NODE(builder, op, output, ...)                                                        \
    onnx_add_node((builder), (op), (output),                                                       \
                  (int)(sizeof(const char *[]){__VA_ARGS__} / sizeof(char *)),                     \
                  (const char *const[]){__VA_ARGS__})

// Attributes of the node that was added last, at most 4. A value of 0 is not in the file: readers
// take it from the attribute's type.
void onnx_set_int(struct onnx_builder *builder, const char *name, int64_t value);
void onnx_set_float(struct onnx_builder *builder, const char *name, float value);
void onnx_set_text(struct onnx_builder *builder, const char *name, const char *value);
void onnx_set_ints(struct onnx_builder *builder, const char *name, int n, const int64_t *values);
#define ONNX_SET_INTS(builder, name, ...)                                                          \
    onnx_set_ints((builder), (name), (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)),      \
                  (const int64_t[]){__VA_ARGS__})

// Constants; both return `name`. The floats are borrowed, the integers (of one dimension) copied.
const char *onnx_add_floats(struct onnx_builder *builder, const char *name, int n_dimensions,
                            const int64_t *shape, const float *values);
const char *onnx_add_integers(struct onnx_builder *builder, const char *name, int n,
                              const int64_t *values);

// The model's input or output: float (batch, n_channels, height, width), with extents that each
// call may choose but for the channels.
void onnx_add_end(struct onnx_builder *builder, const char *name, int n_channels, bool is_output);
void onnx_add_metadata(struct onnx_builder *builder, const char *key, const char *value);

// The bytes of the file; caller frees *out with memory_free. ADELE_UNSUPPORTED when they would be
// more than the 2 GB that the format allows.
ADELE_MUST_CHECK adele_status onnx_builder_pack(const struct onnx_builder *builder, uint8_t **out,
                                                size_t *out_bytes);
#endif
