// SPDX-License-Identifier: MIT
#ifndef ADELE_CUDA_RUNTIME_TRACE_NVTX_CUH
#define ADELE_CUDA_RUNTIME_TRACE_NVTX_CUH

namespace adele_cuda {

// When the environment variable ADELE_NVTX is set: the ranges of base/trace.h become NVTX ranges,
// which Nsight Systems and Nsight Compute show. Called when a device opens; a second call changes
// nothing.
void trace_nvtx_install();

} // namespace adele_cuda
#endif
