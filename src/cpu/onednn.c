// SPDX-License-Identifier: MIT
// oneDNN 3 hides memory descriptors behind handles, and creates a primitive descriptor in one call
// where oneDNN 2 first fills an operation descriptor.
#include "cpu/onednn.h"

#include <stdint.h>

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t onednn_memory_desc_create(onednn_memory_desc *out, int n_dims, const dnnl_dims_t dims,
                                        dnnl_data_type_t type, dnnl_format_tag_t order) {
    dnnl_memory_desc_t desc = NULL;
    dnnl_status_t code = dnnl_memory_desc_create_with_tag(&desc, n_dims, dims, type, order);
    *out = desc;
    return code;
}

void onednn_memory_desc_destroy(onednn_memory_desc desc) {
    dnnl_memory_desc_destroy((dnnl_memory_desc_t)(uintptr_t)desc);
}

dnnl_status_t onednn_convolution_create(dnnl_primitive_desc_t *out,
                                        const struct onednn_convolution *convolution,
                                        dnnl_engine_t engine,
                                        const_dnnl_primitive_attr_t attributes,
                                        const_dnnl_primitive_desc_t hint) {
    const struct onednn_convolution *of = convolution;
    if (of->pass == dnnl_backward_data)
        return dnnl_convolution_backward_data_primitive_desc_create(
            out, engine, of->algorithm, of->src, of->weights, of->dst, of->strides, of->dilates,
            of->pads, of->pads, hint, attributes);
    if (of->pass == dnnl_backward_weights)
        return dnnl_convolution_backward_weights_primitive_desc_create(
            out, engine, of->algorithm, of->src, of->weights, of->bias, of->dst, of->strides,
            of->dilates, of->pads, of->pads, hint, attributes);
    return dnnl_convolution_forward_primitive_desc_create(
        out, engine, of->pass, of->algorithm, of->src, of->weights, of->bias, of->dst, of->strides,
        of->dilates, of->pads, of->pads, attributes);
}

dnnl_status_t onednn_append_sum(dnnl_post_ops_t post_ops) {
    return dnnl_post_ops_append_sum(post_ops, 1.0f, 0, dnnl_data_type_undef);
}

#else

#include "base/memory.h"

dnnl_status_t onednn_memory_desc_create(onednn_memory_desc *out, int n_dims, const dnnl_dims_t dims,
                                        dnnl_data_type_t type, dnnl_format_tag_t order) {
    dnnl_memory_desc_t *desc = memory_calloc(1, sizeof *desc);
    *out = desc;
    if (desc == NULL)
        return dnnl_out_of_memory;
    return dnnl_memory_desc_init_by_tag(desc, n_dims, dims, type, order);
}

void onednn_memory_desc_destroy(onednn_memory_desc desc) {
    memory_free((void *)(uintptr_t)desc);
}

static dnnl_status_t describe(dnnl_convolution_desc_t *out, const struct onednn_convolution *of) {
    if (of->pass == dnnl_backward_data)
        return dnnl_dilated_convolution_backward_data_desc_init(out, of->algorithm, of->src,
                                                                of->weights, of->dst, of->strides,
                                                                of->dilates, of->pads, of->pads);
    if (of->pass == dnnl_backward_weights)
        return dnnl_dilated_convolution_backward_weights_desc_init(
            out, of->algorithm, of->src, of->weights, of->bias, of->dst, of->strides, of->dilates,
            of->pads, of->pads);
    return dnnl_dilated_convolution_forward_desc_init(out, of->pass, of->algorithm, of->src,
                                                      of->weights, of->bias, of->dst, of->strides,
                                                      of->dilates, of->pads, of->pads);
}

dnnl_status_t onednn_convolution_create(dnnl_primitive_desc_t *out,
                                        const struct onednn_convolution *convolution,
                                        dnnl_engine_t engine,
                                        const_dnnl_primitive_attr_t attributes,
                                        const_dnnl_primitive_desc_t hint) {
    dnnl_convolution_desc_t operation;
    dnnl_status_t code = describe(&operation, convolution);
    if (code != dnnl_success)
        return code;
    return dnnl_primitive_desc_create(out, &operation, attributes, engine, hint);
}

dnnl_status_t onednn_append_sum(dnnl_post_ops_t post_ops) {
    return dnnl_post_ops_append_sum(post_ops, 1.0f);
}

#endif

dnnl_status_t onednn_ask_deterministic(dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR > 3 || (DNNL_VERSION_MAJOR == 3 && DNNL_VERSION_MINOR >= 4)
    return dnnl_primitive_attr_set_deterministic(attributes, 1);
#else
    (void)attributes;
    return dnnl_success;
#endif
}
