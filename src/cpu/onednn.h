// SPDX-License-Identifier: MIT
// Wrappers of the calls that differ between oneDNN 2 and oneDNN 3; onednn.c and this header are the
// only files that depend on the version. All other functions of oneDNN are called directly. All
// functions return oneDNN's codes.
#ifndef ADELE_CPU_ONEDNN_H
#define ADELE_CPU_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>

// A memory descriptor (extents, type and order of an array) that is only read: a handle in oneDNN
// 3, a struct in oneDNN 2.
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t onednn_memory_desc;
#else
typedef const dnnl_memory_desc_t *onednn_memory_desc;
#endif

// Free with onednn_memory_desc_destroy, for which NULL is legal. Those that
// dnnl_primitive_desc_query_md returns are borrowed from the primitive descriptor.
dnnl_status_t onednn_memory_desc_create(onednn_memory_desc *out, int n_dims, const dnnl_dims_t dims,
                                        dnnl_data_type_t type, dnnl_format_tag_t order);
void onednn_memory_desc_destroy(onednn_memory_desc desc);

// One pass of a convolution. src and dst stand for their gradients too, weights and bias as well.
struct onednn_convolution {
    dnnl_prop_kind_t pass; // forward_training, forward_inference, backward_data, backward_weights
    dnnl_alg_kind_t algorithm;
    onednn_memory_desc src, weights, bias, dst; // bias may be NULL; backward_data has none
    dnnl_dims_t strides, dilates, pads;         // dilates: the gaps between taps
};

// `hint` is the forward primitive descriptor that a backward pass belongs to, else NULL. Free with
// dnnl_primitive_desc_destroy.
dnnl_status_t onednn_convolution_create(dnnl_primitive_desc_t *out,
                                        const struct onednn_convolution *convolution,
                                        dnnl_engine_t engine,
                                        const_dnnl_primitive_attr_t attributes,
                                        const_dnnl_primitive_desc_t hint);

// Asks for kernels whose sums keep one order from run to run. Only oneDNN 3.4 and newer can be
// asked; the older ones have no others on a CPU.
dnnl_status_t onednn_ask_deterministic(dnnl_primitive_attr_t attributes);

// The primitive adds its result to what is there.
dnnl_status_t onednn_append_sum(dnnl_post_ops_t post_ops);
#endif
