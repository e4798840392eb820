// SPDX-License-Identifier: MIT
// What the libraries' convolutions share. They run a pass on the tensors as they lie, channels
// padded to a multiple of 8; around it our own kernels bring the weights into the libraries' order
// ("filter": (P_out, taps, P_in), what conv2d_pack writes) and add the gradient back to the plain
// one.
#ifndef ADELE_CUDA_CONV2D_CONV2D_LIBRARY_CUH
#define ADELE_CUDA_CONV2D_CONV2D_LIBRARY_CUH

#include "conv2d/conv2d_parts.cuh"
#include "runtime/libraries.cuh"

namespace adele_cuda {

// Whether weights of this shape can be brought to the libraries at all.
bool conv2d_libraries_fit(const struct conv2d *self);

// Fill *out when the library can run the pass; false when not, with nothing to release. cuDNN has
// several candidates in its own order: the first usable one at position `from` or later is taken,
// and *position is its place.
bool conv2d_cublas_plan(const struct conv2d *self, enum conv2d_pass pass,
                        struct conv2d_library *out);
bool conv2d_cudnn_plan(const struct conv2d *self, enum conv2d_pass pass, int from,
                       struct conv2d_library *out, int *position);

// ---- conv2d_library_kernels.cu ------------------------------------------------------------------
size_t conv2d_filter_elements(const struct conv2d *self);
// *filter: the weights in the element type of the storage; the caller's packed ones, else packed
// into the beginning of the workspace.
adele_status conv2d_filter_pack(const struct conv2d *self, const struct adele_conv2d_args *args,
                                const void **filter);
// d_weight += the gradient of the filter, in float or (is_float false) in the storage's type.
adele_status conv2d_filter_add(const struct conv2d *self, const void *d_filter, bool is_float,
                               float *d_weight);
adele_status conv2d_bias_add(const struct conv2d *self, const float *bias, void *dst); // dst +=
// d_src += from, a tensor like it.
adele_status conv2d_d_src_add(const struct conv2d *self, const void *from, void *d_src);

// Places in a workspace keep this alignment.
static inline size_t library_aligned(size_t bytes) {
    return (bytes + 255) / 256 * 256;
}

} // namespace adele_cuda
#endif
