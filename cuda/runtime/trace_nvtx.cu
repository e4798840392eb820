// SPDX-License-Identifier: MIT
// Ranges for the profilers. NVTX is a header of the CUDA toolkit: it costs nothing, and needs no
// library, unless a profiler is attached.
#include "runtime/trace_nvtx.cuh"

#ifndef ADELE_SIMT
#include "base/trace.h"

#include <nvtx3/nvToolsExt.h>
#include <stdlib.h>

namespace adele_cuda {

static void push_range(const char *name) {
    nvtxRangePushA(name);
}

static void pop_range() {
    nvtxRangePop();
}

void trace_nvtx_install() {
    if (getenv("ADELE_NVTX") != NULL)
        trace_to(push_range, pop_range);
}

} // namespace adele_cuda
#else

namespace adele_cuda {

void trace_nvtx_install() { // no profiler attaches to the emulator
}

} // namespace adele_cuda
#endif
