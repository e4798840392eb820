// SPDX-License-Identifier: MIT
// Device memory: every allocation is one of the host's heap, so that AddressSanitizer sees its end.
// The rest of the runtime interface.
#include "simt_room.h"

#include <map>
#include <mutex>
#include <stdio.h>
#include <stdlib.h>

static std::mutex lock;
static long i_failing = -1;
static long n_allocated; // since simt_fail_at

static std::map<uintptr_t, struct simt_allocation> &allocations() {
    static std::map<uintptr_t, struct simt_allocation> all; // by address
    return all;
}

struct simt_allocation *simt_allocation_find(const void *address) {
    std::map<uintptr_t, struct simt_allocation> &all = allocations();
    auto above = all.upper_bound((uintptr_t)address);
    return above == all.begin() ? NULL : &std::prev(above)->second;
}

// ---- allocations --------------------------------------------------------------------------------

void simt_fail_at(long i) {
    i_failing = i;
    n_allocated = 0;
}

long simt_count(void) {
    return n_allocated;
}

static cudaError_t allocate(void **out, size_t bytes, bool is_host) {
    std::lock_guard<std::mutex> guard(lock);
    *out = NULL;
    if (bytes == 0)
        return cudaSuccess;
    n_allocated++;
    if (i_failing >= 0 && i_failing-- == 0)
        return simt_error(cudaErrorMemoryAllocation, "out of memory (asked for %zu bytes)", bytes);
#ifdef ADELE_SIMT_CHECKED
    size_t gap = 256; // a step over the end must not land in the next allocation
#else
    size_t gap = 0;
#endif
    void *data = NULL;
    if (posix_memalign(&data, 256, bytes + gap) != 0)
        return simt_error(cudaErrorMemoryAllocation, "out of memory (asked for %zu bytes)", bytes);
    memset(data, is_host ? 0 : 0xff, bytes);
    allocations()[(uintptr_t)data] = {(unsigned char *)data, bytes, NULL, is_host};
    *out = data;
    return cudaSuccess;
}

static cudaError_t release(void *block, const char *function) {
    std::lock_guard<std::mutex> guard(lock);
    if (!block)
        return cudaSuccess;
    auto found = allocations().find((uintptr_t)block);
    if (found == allocations().end())
        return simt_error(cudaErrorInvalidValue, "%s: %p is no allocation", function, block);
    simt_check_freed(&found->second);
    allocations().erase(found);
    free(block);
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **out, size_t bytes) {
    return allocate(out, bytes, false);
}
cudaError_t cudaFree(void *block) {
    simt_copies_finish(NULL); // as on a GPU, where it waits for everything
    return release(block, "cudaFree");
}
cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned) {
    return allocate(out, bytes, true);
}
cudaError_t cudaMallocHost(void **out, size_t bytes) {
    return allocate(out, bytes, true);
}
cudaError_t cudaFreeHost(void *block) {
    simt_copies_finish(NULL);
    return release(block, "cudaFreeHost");
}
cudaError_t cudaHostGetDevicePointer(void **out, void *block, unsigned) {
    *out = block;
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *out, const void *address) {
    std::lock_guard<std::mutex> guard(lock);
    const struct simt_allocation *found = simt_allocation_find(address);
    void *pointer = (void *)(uintptr_t)address;
    if (!found || (size_t)((const unsigned char *)address - found->data) >= found->bytes)
        *out = {cudaMemoryTypeUnregistered, -1, NULL, pointer};
    else if (found->is_host)
        *out = {cudaMemoryTypeHost, 0, pointer, pointer};
    else
        *out = {cudaMemoryTypeDevice, 0, pointer, NULL};
    return cudaSuccess;
}

// ---- copies -------------------------------------------------------------------------------------

static cudaError_t check_range(const void *address, size_t bytes, const char *function,
                               const char *end) {
    std::lock_guard<std::mutex> guard(lock);
    const struct simt_allocation *found = simt_allocation_find(address);
    size_t offset = found ? (size_t)((const unsigned char *)address - found->data) : 0;
    if (found && offset <= found->bytes && bytes <= found->bytes - offset)
        return cudaSuccess;
    return simt_error(cudaErrorInvalidValue, "%s: the %s of %zu bytes at %p is not device memory",
                      function, end, bytes, address);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    cudaError_t code = cudaSuccess;
    if (bytes == 0)
        return code;
    if (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice)
        code = check_range(to, bytes, "cudaMemcpy", "target");
    if (code == cudaSuccess && (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice))
        code = check_range(from, bytes, "cudaMemcpy", "source");
    if (code == cudaSuccess)
        memmove(to, from, bytes);
    return code;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    struct cudaPointerAttributes attributes;
    cudaPointerGetAttributes(&attributes, from);
    if (bytes == 0 || stream == NULL || kind != cudaMemcpyHostToDevice ||
        attributes.type != cudaMemoryTypeHost)
        return cudaMemcpy(to, from, bytes, kind);
    cudaError_t code = check_range(to, bytes, "cudaMemcpyAsync", "target");
    if (code == cudaSuccess)
        code = check_range(from, bytes, "cudaMemcpyAsync", "source");
    if (code == cudaSuccess)
        simt_copy_begin(to, from, bytes, stream);
    return code;
}

cudaError_t cudaMemset(void *to, int value, size_t bytes) {
    if (bytes == 0)
        return cudaSuccess;
    cudaError_t code = check_range(to, bytes, "cudaMemset", "target");
    if (code == cudaSuccess)
        memset(to, value, bytes);
    return code;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t) {
    return cudaMemset(to, value, bytes);
}

// ---- the device ---------------------------------------------------------------------------------

static const size_t total_memory = (size_t)1 << 36; // of the emulated device

cudaError_t cudaGetDeviceCount(int *count) {
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int ordinal) {
    return ordinal == 0 ? cudaSuccess
                        : simt_error(cudaErrorInvalidDevice, "no device %d: there is 1", ordinal);
}

cudaError_t cudaGetDevice(int *ordinal) {
    *ordinal = 0;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *out, int ordinal) {
    *out = {};
    snprintf(out->name, sizeof out->name, "emulated");
    out->totalGlobalMem = total_memory;
    out->sharedMemPerBlock = 48 * 1024;
    out->sharedMemPerBlockOptin = 163 * 1024;
    out->sharedMemPerMultiprocessor = 164 * 1024;
    out->regsPerBlock = 65536;
    out->warpSize = 32;
    out->maxThreadsPerBlock = SIMT_MAX_THREADS;
    out->maxThreadsPerMultiProcessor = 2048;
    out->major = 8, out->minor = 0;
    out->multiProcessorCount = 4;
    out->l2CacheSize = 40 << 20;
    return cudaSetDevice(ordinal);
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

cudaError_t cudaDriverGetVersion(int *version) {
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
    simt_copies_finish(NULL);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    std::lock_guard<std::mutex> guard(lock);
    size_t used = 0;
    for (const auto &one : allocations())
        used += one.second.is_host ? 0 : one.second.bytes;
    *total_bytes = total_memory;
    *free_bytes = used < total_memory ? total_memory - used : 0;
    return cudaSuccess;
}
