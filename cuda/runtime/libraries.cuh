// SPDX-License-Identifier: MIT
// cuDNN and cuBLAS, loaded when the device opens; the program runs without them. Their headers give
// the types, at compile time, where they are installed; the functions come from the loaded library,
// so that nothing is linked. The emulator has stand-ins of both, headers too
// (tests/simt/simt_libraries.h).
//
// ADELE_CUDNN and ADELE_CUBLAS in the environment name the file to load, for a library that the
// loader does not find, such as the one that comes with PyTorch:
// site-packages/nvidia/cudnn/lib/libcudnn.so.9.
#ifndef ADELE_CUDA_RUNTIME_LIBRARIES_CUH
#define ADELE_CUDA_RUNTIME_LIBRARIES_CUH

#include "device/engine_cache.h"
#include "runtime/common.cuh"

#if __has_include(<cublas_v2.h>)
#define ADELE_CUBLAS 1
#include <cublas_v2.h>
#endif
#if __has_include(<cudnn.h>)
#define ADELE_CUDNN 1
#include <cudnn.h>
#endif

namespace adele_cuda {

#ifdef ADELE_CUBLAS
#define CUBLAS_FUNCTIONS(X)                                                                        \
    X(cublasCreate_v2)                                                                             \
    X(cublasDestroy_v2)                                                                            \
    X(cublasGetVersion_v2)                                                                         \
    X(cublasSetStream_v2)                                                                          \
    X(cublasSetWorkspace_v2)
// The header overloads cublasGemmEx for C++, so its type is written out.
typedef cublasStatus_t (*cublas_gemm)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int,
                                      int, int, const void *, const void *, cudaDataType, int,
                                      const void *, cudaDataType, int, const void *, void *,
                                      cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t);
#endif

#ifdef ADELE_CUDNN
#define CUDNN_FUNCTIONS(X)                                                                         \
    X(cudnnCreate)                                                                                 \
    X(cudnnDestroy)                                                                                \
    X(cudnnGetVersion)                                                                             \
    X(cudnnGetErrorString)                                                                         \
    X(cudnnSetStream)                                                                              \
    X(cudnnBackendCreateDescriptor)                                                                \
    X(cudnnBackendDestroyDescriptor)                                                               \
    X(cudnnBackendSetAttribute)                                                                    \
    X(cudnnBackendGetAttribute)                                                                    \
    X(cudnnBackendFinalize)                                                                        \
    X(cudnnBackendExecute)
#endif

#define LIBRARY_FUNCTION(name) decltype(&::name) name;

struct libraries {
#ifdef ADELE_CUBLAS
    struct {
        void *module;
        cublasHandle_t handle; // NULL: not there
        void *workspace;       // device memory; cuBLAS's own would be taken during a step
        CUBLAS_FUNCTIONS(LIBRARY_FUNCTION)
        cublas_gemm cublasGemmEx;
    } cublas;
#endif
#ifdef ADELE_CUDNN
    struct {
        void *module;
        cudnnHandle_t handle; // NULL: not there
        CUDNN_FUNCTIONS(LIBRARY_FUNCTION)
    } cudnn;
#endif
    long cublas_version, cudnn_version; // 0: not there
    char machine[256];                  // GPU, driver, versions: the first part of a cache's key
    struct engine_cache *cache;
};
#undef LIBRARY_FUNCTION

// Loads what is installed. *out = NULL when there is neither; fails when the engine was named and
// its library is not there. The context's device.missing: what was not found.
adele_status libraries_open(struct cuda_context *context, struct libraries **out);
void libraries_close(struct libraries *libraries); // NULL is legal
// ", cuDNN 9.1.0, cuBLAS 12.4.5": those that are there. `libraries` NULL: "".
void libraries_print(const struct libraries *libraries, char *out, size_t bytes);

// Versions of what is installed, 0: not there. Loads and unloads the libraries, and starts neither.
void libraries_versions(long *cudnn, long *cublas);

} // namespace adele_cuda
#endif
