// SPDX-License-Identifier: MIT
// NCCL, loaded when the first exchange between GPUs is opened; a process on its own never loads it.
// As with cuDNN (libraries.cuh), its header gives the types where it is installed, the functions
// come from the loaded library, and the emulator has a stand-in (tests/simt/simt_libraries.h).
//
// ADELE_NCCL in the environment names the file to load, such as the one that comes with PyTorch:
// site-packages/nvidia/nccl/lib/libnccl.so.2. With the name of no file (none, say), ranks exchange
// through the host.
#ifndef ADELE_CUDA_RUNTIME_NCCL_CUH
#define ADELE_CUDA_RUNTIME_NCCL_CUH

#include "runtime/common.cuh"

#if __has_include(<nccl.h>)
#include <nccl.h>
#if NCCL_VERSION_CODE >= 21400 // the first with communicators that do not block
#define ADELE_NCCL 1
#endif
#endif

#ifdef ADELE_NCCL
namespace adele_cuda {

#define NCCL_FUNCTIONS(X)                                                                          \
    X(ncclGetVersion)                                                                              \
    X(ncclGetUniqueId)                                                                             \
    X(ncclGetErrorString)                                                                          \
    X(ncclGetLastError)                                                                            \
    X(ncclCommInitRankConfig)                                                                      \
    X(ncclCommGetAsyncError)                                                                       \
    X(ncclCommFinalize)                                                                            \
    X(ncclCommDestroy)                                                                             \
    X(ncclCommAbort)                                                                               \
    X(ncclGroupStart)                                                                              \
    X(ncclGroupEnd)                                                                                \
    X(ncclSend)                                                                                    \
    X(ncclRecv)

struct nccl {
#define NCCL_FUNCTION(name) decltype(&::name) name;
    NCCL_FUNCTIONS(NCCL_FUNCTION)
#undef NCCL_FUNCTION
};

// ADELE_UNSUPPORTED when it is not there; the context's device.missing has that, too. Sets
// device.exchange. NCCL is never unloaded, because its threads outlast a communicator that was
// aborted.
adele_status nccl_load(struct cuda_context *context, struct nccl *out);

} // namespace adele_cuda
#endif
#endif
