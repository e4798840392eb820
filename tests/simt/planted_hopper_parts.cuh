// SPDX-License-Identifier: MIT
// What the planted kernels for Hopper share: tensor maps.
#ifndef ADELE_SIMT_PLANTED_HOPPER_PARTS_CUH
#define ADELE_SIMT_PLANTED_HOPPER_PARTS_CUH

#include "planted_parts.cuh"
#include "simt_hopper.h"

namespace adele_cuda {

// The arguments of cuTensorMapEncodeTiled, of 2-byte elements.
struct map_request {
    void *tensor;
    cuuint32_t n_dims;
    cuuint64_t extents[6], strides[6]; // strides[i]: of dimension i + 1, in bytes
    cuuint32_t box[6], steps[6];
    CUtensorMapSwizzle swizzle;
};

// A dense tensor of 4 dimensions, no swizzle.
static inline struct map_request map_request_of(void *tensor, const int *extents, const int *box) {
    struct map_request request = {};
    request.tensor = tensor;
    request.n_dims = 4;
    cuuint64_t stride = 2;
    for (int i = 0; i < 4; i++) {
        request.extents[i] = (cuuint64_t)extents[i];
        stride *= request.extents[i];
        request.strides[i] = stride;
        request.box[i] = (cuuint32_t)box[i];
        request.steps[i] = 1;
    }
    return request;
}

static inline CUtensorMapSwizzle swizzle_of(int bytes) {
    return bytes == 0    ? CU_TENSOR_MAP_SWIZZLE_NONE
           : bytes == 32 ? CU_TENSOR_MAP_SWIZZLE_32B
           : bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                         : CU_TENSOR_MAP_SWIZZLE_128B;
}

static inline bool make_map(const struct map_request *request, CUtensorMap *out) {
    void *function = NULL;
    enum cudaDriverEntryPointQueryResult result;
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                         cudaEnableDefault, &result) != cudaSuccess ||
        result != cudaDriverEntryPointSuccess)
        return false;
    return ((PFN_cuTensorMapEncodeTiled_v12000)function)(
               out, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, request->n_dims, request->tensor,
               request->extents, request->strides, request->box, request->steps,
               CU_TENSOR_MAP_INTERLEAVE_NONE, request->swizzle, CU_TENSOR_MAP_L2_PROMOTION_NONE,
               CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

} // namespace adele_cuda
#endif
