// SPDX-License-Identifier: MIT
// Memory of the device and page-locked memory of the host: both are the host's, and begin as 0xff.
#include "cudart_room.h"

#include <map>
#include <memory>
#include <stdlib.h>
#include <string.h>

namespace ptx_cudart {

#define ALIGNMENT 256

static const size_t capacity = (size_t)8 << 30;
static size_t n_used = 0;

struct allocation {
    size_t bytes;
    bool is_pinned;
};
static std::map<uintptr_t, struct allocation> &allocations() {
    static auto *all = new std::map<uintptr_t, struct allocation>;
    return *all;
}

// Whose bytes these are; NULL when not all of them are in one block.
static const struct allocation *find(const void *address, size_t bytes) {
    uintptr_t from = (uintptr_t)address;
    auto found = allocations().upper_bound(from);
    if (found == allocations().begin())
        return NULL;
    --found;
    uintptr_t end = found->first + found->second.bytes;
    return from < end && bytes <= end - from ? &found->second : NULL;
}
static bool is_on_device(const void *address, size_t bytes) {
    const struct allocation *found = find(address, bytes);
    return found != NULL && !found->is_pinned;
}

// A GPU's kernels reach page-locked memory too.
static cudaError_t allocate(void **out, size_t bytes, bool is_pinned) {
    *out = NULL;
    if (cudaError_t code = forbid_in_capture(is_pinned ? "cudaHostAlloc" : "cudaMalloc"))
        return code;
    size_t padded = (bytes + 2 * ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *block = bytes <= capacity - n_used ? aligned_alloc(ALIGNMENT, padded) : NULL;
    if (block == NULL)
        return fail(cudaErrorMemoryAllocation, "out of memory");
    memset(block, 0xff, padded);
    allocations()[(uintptr_t)block] = {bytes, is_pinned};
    n_used += bytes;
    ptx_memory_add(block, bytes);
    *out = block;
    return sticky_error();
}

static cudaError_t release(void *block, bool is_pinned) {
    if (block == NULL)
        return sticky_error();
    if (cudaError_t code = forbid_in_capture(is_pinned ? "cudaFreeHost" : "cudaFree"))
        return code;
    run_all_streams(); // as a GPU does, before memory goes
    auto found = allocations().find((uintptr_t)block);
    if (found == allocations().end() || found->second.is_pinned != is_pinned)
        return fail(cudaErrorInvalidValue, "not a block that could be freed");
    n_used -= found->second.bytes;
    ptx_memory_remove(block);
    free(block);
    allocations().erase(found);
    return sticky_error();
}

static cudaError_t move_later(cudaStream_t stream, void *to, const void *from, size_t bytes) {
    return enqueue(stream, "copy", [to, from, bytes] {
        memmove(to, from, bytes);
        return cudaSuccess;
    });
}

// Pageable memory is copied before the call returns, or the call waits for the copy.
static cudaError_t copy_pageable(cudaStream_t stream, void *to, const void *from, size_t bytes,
                                 bool is_upload) {
    if (is_capturing(stream))
        return forbid_in_capture("a copy with pageable memory");
    cudaError_t code;
    if (is_upload) {
        const char *begin = (const char *)from;
        auto staged = std::make_shared<std::vector<char>>(begin, begin + bytes);
        code = enqueue(stream, "copy", [to, staged] {
            memcpy(to, staged->data(), staged->size());
            return cudaSuccess;
        });
    } else {
        code = move_later(stream, to, from, bytes);
        run_stream(stream);
    }
    return code != cudaSuccess ? code : sticky_error();
}

} // namespace ptx_cudart

using namespace ptx_cudart;

extern "C" cudaError_t cudaMalloc(void **out, size_t bytes) {
    return allocate(out, bytes, false);
}

extern "C" cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned) {
    return allocate(out, bytes, true);
}

extern "C" cudaError_t cudaMallocHost(void **out, size_t bytes) {
    return allocate(out, bytes, true);
}

extern "C" cudaError_t cudaFree(void *block) {
    return release(block, false);
}

extern "C" cudaError_t cudaFreeHost(void *block) {
    return release(block, true);
}

extern "C" cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    *total = capacity;
    *free_bytes = capacity - n_used;
    return sticky_error();
}

extern "C" cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *out, const void *address) {
    const struct allocation *found = find(address, 1);
    memset(out, 0, sizeof *out);
    out->type = found == NULL      ? cudaMemoryTypeUnregistered
                : found->is_pinned ? cudaMemoryTypeHost
                                   : cudaMemoryTypeDevice;
    return sticky_error();
}

extern "C" cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes,
                                       cudaMemcpyKind kind, cudaStream_t stream) {
    bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if ((to_device && !is_on_device(to, bytes)) || (from_device && !is_on_device(from, bytes)))
        return fail(cudaErrorInvalidValue,
                    "a copy of " + std::to_string(bytes) + " bytes is not inside a block");
    bool is_pageable = !(to_device && from_device) && find(to_device ? from : to, 1) == NULL;
    if (is_pageable)
        return copy_pageable(stream, to, from, bytes, to_device);
    cudaError_t code = move_later(stream, to, from, bytes);
    return code != cudaSuccess ? code : sticky_error();
}

extern "C" cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    cudaError_t code = cudaMemcpyAsync(to, from, bytes, kind, NULL);
    run_stream(NULL);
    return code != cudaSuccess ? code : sticky_error();
}

extern "C" cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
    if (find(to, bytes) == NULL)
        return fail(cudaErrorInvalidValue,
                    "a fill of " + std::to_string(bytes) + " bytes is not inside a block");
    return enqueue(stream, "fill", [to, value, bytes] {
        memset(to, value, bytes);
        return cudaSuccess;
    });
}

extern "C" cudaError_t cudaMemset(void *to, int value, size_t bytes) {
    cudaError_t code = cudaMemsetAsync(to, value, bytes, NULL);
    run_stream(NULL);
    return code != cudaSuccess ? code : sticky_error();
}
