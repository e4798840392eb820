// SPDX-License-Identifier: MIT
// Stand-ins for cuBLAS and cuDNN, so that the engines auto, cublas and cudnn, our calls of the
// libraries and our kernels around them run on the emulator. They compute by plain loops. And one
// for NCCL, through which processes that each have an emulated GPU exchange vectors. They are not
// installed until a test says so, or SIMT_LIBRARIES in the environment (simt_settings.h): the
// emulator's machine has no libraries.
#ifndef ADELE_SIMT_LIBRARIES_H
#define ADELE_SIMT_LIBRARIES_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// What the next device that opens finds.
struct simt_libraries {
    bool has_cublas, has_cudnn;
    const char *cudnn_path; // where cuDNN lies; NULL: the loader finds it by its name
    bool has_float_filter;  // cuDNN writes the gradient of a filter of bf16 tensors in float
    bool fails;             // each product and each plan's execution
    bool has_nccl;
    const char *nccl_fails; // the function of NCCL that fails, NULL: none; "dlsym": one is missing
    int nccl_fails_after;   // calls of it that succeed
};
void simt_libraries_install(const struct simt_libraries *libraries); // NULL: none
// Products and executions since the last installation, failed ones too.
long simt_libraries_count(void);
// cuda_device_set_cudnn_candidate of the emulator's build.
struct adele_device;
void simt_device_set_cudnn_candidate(struct adele_device *device, int way);

#ifdef __cplusplus
}

// For the stand-ins: counts a run; false when it has to fail.
bool simt_libraries_run();
bool simt_libraries_has_float_filter();
bool simt_libraries_nccl_fails(const char *function); // counts the call
// simt_plant.cpp: whether a kernel that never ends was launched; what is queued behind it never
// begins.
bool simt_plant_never_ends();

// In the place of <dlfcn.h> for cuda/runtime/load_library.cuh.
#define RTLD_NOW   2
#define RTLD_LOCAL 0
void *simt_dlopen(const char *name, int flags);
void *simt_dlsym(void *module, const char *name);
int simt_dlclose(void *module);
const char *simt_dlerror();
#define dlopen  simt_dlopen
#define dlsym   simt_dlsym
#define dlclose simt_dlclose
#define dlerror simt_dlerror
#endif
#endif
