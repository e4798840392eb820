// SPDX-License-Identifier: MIT
// The properties of the emulated device.
#include "simt_internal.h"

#include <stdio.h>

static const size_t total_memory = (size_t)1 << 36; // of the emulated device

static int n_devices = 1;
static thread_local int current_device; // of the calling thread of the host

void simt_set_devices(int n) {
    n_devices = n;
}

static cudaError_t check_ordinal(int ordinal) {
    return ordinal >= 0 && ordinal < n_devices
               ? cudaSuccess
               : simt_error(cudaErrorInvalidDevice, "no device %d: there are %d", ordinal,
                            n_devices);
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = n_devices;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int ordinal) {
    cudaError_t code = check_ordinal(ordinal);
    if (code == cudaSuccess)
        current_device = ordinal;
    return code;
}

cudaError_t cudaGetDevice(int *ordinal) {
    *ordinal = current_device;
    return cudaSuccess;
}

int simt_make_current(int ordinal) {
    int before = current_device;
    current_device = ordinal;
    return before;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *out, int ordinal) {
    *out = {};
    snprintf(out->name, sizeof out->name, "emulated");
    out->totalGlobalMem = total_memory;
    out->sharedMemPerBlock = 48 * 1024;
    out->sharedMemPerBlockOptin = simt_shared_per_block();
    out->sharedMemPerMultiprocessor = simt_shared_per_block() + 1024;
    out->regsPerBlock = 65536;
    out->warpSize = 32;
    out->maxThreadsPerBlock = SIMT_MAX_THREADS;
    out->maxThreadsPerMultiProcessor = 2048;
    out->major = simt_settings_read().is_hopper ? 9 : 8, out->minor = 0;
    out->multiProcessorCount = 4;
    out->l2CacheSize = 40 << 20;
    return check_ordinal(ordinal);
}

cudaError_t cudaDeviceGetAttribute(int *out, enum cudaDeviceAttr attribute, int ordinal) {
    struct cudaDeviceProp device;
    cudaError_t code = cudaGetDeviceProperties(&device, ordinal);
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
        *out = device.maxThreadsPerBlock;
        break;
    case cudaDevAttrMultiProcessorCount:
        *out = device.multiProcessorCount;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *out = device.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *out = device.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *out = (int)device.sharedMemPerBlockOptin;
        break;
    }
    return code;
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *out, const void *kernel) {
    struct cudaDeviceProp device;
    cudaError_t code = cudaGetDeviceProperties(&device, 0);
    bool is_set;
    *out = {};
    out->maxDynamicSharedSizeBytes = (int)simt_shared_allowed(kernel, &is_set);
    out->ptxVersion = out->binaryVersion = 10 * device.major + device.minor;
    return code;
}

cudaError_t cudaDriverGetVersion(int *version) {
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
    cudaError_t code = simt_capture_check("cudaDeviceSynchronize", NULL);
    return code == cudaSuccess ? simt_work_finish_all() : code;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    size_t used = simt_memory_used();
    *total_bytes = total_memory;
    *free_bytes = used < total_memory ? total_memory - used : 0;
    return cudaSuccess;
}
