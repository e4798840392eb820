// SPDX-License-Identifier: MIT
// The one function of the driver that programs ask for, by its name: cuTensorMapEncodeTiled.
#include "cudart_room.h"
#include "tensor_map.h"

#include <cuda.h>
#include <string.h>

using namespace ptx_cudart;

static int bytes_of(CUtensorMapDataType type) {
    switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8:
        return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16:
        return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT32:
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32:
        return 4;
    case CU_TENSOR_MAP_DATA_TYPE_UINT64:
    case CU_TENSOR_MAP_DATA_TYPE_INT64:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT64:
        return 8;
    default: // those that round what they copy, or pack it
        return 0;
    }
}

extern "C" CUresult CUDAAPI cuTensorMapEncodeTiled(
    CUtensorMap *out, CUtensorMapDataType type, cuuint32_t rank, void *address,
    const cuuint64_t *dims, const cuuint64_t *strides, const cuuint32_t *box,
    const cuuint32_t *element_strides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion, CUtensorMapFloatOOBfill oob_fill) {
    const struct ptx::tensor_map_request request = {bytes_of(type),
                                                    rank,
                                                    (uintptr_t)address,
                                                    (const uint64_t *)dims,
                                                    (const uint64_t *)strides,
                                                    box,
                                                    element_strides,
                                                    (int)interleave,
                                                    (int)swizzle,
                                                    (int)oob_fill};
    std::string problem = ptx::tensor_map_encode(request, out);
    if (problem.empty())
        return CUDA_SUCCESS;
    complain((int)CUDA_ERROR_INVALID_VALUE, "cuTensorMapEncodeTiled: " + problem);
    return CUDA_ERROR_INVALID_VALUE;
}

extern "C" cudaError_t cudaGetDriverEntryPointByVersion(const char *symbol, void **out,
                                                        unsigned int, unsigned long long,
                                                        cudaDriverEntryPointQueryResult *result) {
    bool is_known = sm() >= 90 && strcmp(symbol, "cuTensorMapEncodeTiled") == 0;
    *out = is_known ? (void *)cuTensorMapEncodeTiled : NULL;
    if (result != NULL)
        *result = is_known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return sticky_error();
}

#if CUDART_VERSION < 14000
#undef cudaGetDriverEntryPoint
extern "C" cudaError_t cudaGetDriverEntryPoint(const char *symbol, void **out,
                                               unsigned long long flags,
                                               cudaDriverEntryPointQueryResult *result) {
    return cudaGetDriverEntryPointByVersion(symbol, out, CUDART_VERSION, flags, result);
}
#endif
