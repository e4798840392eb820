// SPDX-License-Identifier: MIT
// What the planted kernels share.
#ifndef ADELE_SIMT_PLANTED_PARTS_CUH
#define ADELE_SIMT_PLANTED_PARTS_CUH

#include "planted.h"
#include "runtime/common.cuh"
#include "runtime/tensor_core.cuh"

namespace adele_cuda {

#define RUN_ON(stream, kernel, grid, block, shared_bytes, ...)                                     \
    simt_launch(#kernel, (grid), (block), (shared_bytes), (stream), (kernel), __VA_ARGS__)
#define RUN(...) RUN_ON((cudaStream_t)NULL, __VA_ARGS__)

static inline const char *error_text() {
    cudaError_t code = cudaGetLastError();
    return code == cudaSuccess ? NULL : cudaGetErrorString(code);
}

// An array in device memory, for as long as it is in scope.
template <typename T> struct device_array {
    T *data;
    size_t count;

    device_array(const T *from, size_t n) : data(NULL), count(n) {
        if (cudaMalloc(&data, n * sizeof(T)) == cudaSuccess && from)
            cudaMemcpy(data, from, n * sizeof(T), cudaMemcpyHostToDevice);
    }
    ~device_array() {
        cudaFree(data);
    }
    const char *download(T *to) {
        const char *failure = error_text();
        if (!failure)
            cudaMemcpy(to, data, count * sizeof(T), cudaMemcpyDeviceToHost);
        return failure ? failure : error_text();
    }
};

// Neighbours exchange numbers through shared memory, with __syncwarp between or without.
void run_warp_exchange(bool waits);

} // namespace adele_cuda
#endif
