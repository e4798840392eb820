// SPDX-License-Identifier: MIT
// Loading NVIDIA's libraries (cuBLAS, cuDNN, NCCL) while the program runs, so that it works without
// them.
#ifndef ADELE_CUDA_RUNTIME_LOAD_LIBRARY_CUH
#define ADELE_CUDA_RUNTIME_LOAD_LIBRARY_CUH

#include "runtime/common.cuh"

#ifdef ADELE_SIMT
#include "simt_libraries.h"
#else
#include <dlfcn.h>
#endif

namespace adele_cuda {

// The file that the environment's `variable` names; without it the first of the names that loads,
// by the loader's path and then from CUDA's usual folder. NULL when there is none. The caller
// releases it with dlclose.
void *library_open(const char *variable, const char *const *names, int n_names);
// The same; what is missing is noted in the context's device.missing.
void *library_load(struct cuda_context *context, const char *variable, const char *const *names,
                   int n_names);
// Appends to device.missing, the text that `adele info` prints. The format has two %s.
void library_note_missing(struct cuda_context *context, const char *format, const char *a,
                          const char *b);

// The libraries' headers declare the functions, so each pointer has the type of its function.
// False when the library has no such function.
template <typename F> static inline bool library_find(void *module, const char *name, F *out) {
    *out = (F)dlsym(module, name);
    return *out != NULL;
}

} // namespace adele_cuda
#endif
