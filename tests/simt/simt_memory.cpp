// SPDX-License-Identifier: MIT
// Device memory: every allocation is one of the host's heap, so that AddressSanitizer checks its
// end.
#include "simt_internal.h"

#include <map>
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

// The allocation that holds all of the bytes, or NULL.
static const struct simt_allocation *holder_of(const void *address, size_t bytes) {
    const struct simt_allocation *found = simt_allocation_find(address);
    size_t offset = found ? (size_t)((const unsigned char *)address - found->data) : 0;
    return found && offset < found->bytes && bytes <= found->bytes - offset ? found : NULL;
}

bool simt_is_global(const void *address, size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    return holder_of(address, bytes) != NULL;
}

bool simt_is_page_locked(const void *address, size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    const struct simt_allocation *found = holder_of(address, bytes);
    return found && found->is_host;
}

size_t simt_memory_used() {
    std::lock_guard<std::mutex> guard(lock);
    size_t used = 0;
    for (const auto &one : allocations())
        used += one.second.is_host ? 0 : one.second.bytes;
    return used;
}

// ---- allocations --------------------------------------------------------------------------------

void simt_fail_at(long i) {
    i_failing = i;
    n_allocated = 0;
}

long simt_count(void) {
    return n_allocated;
}

static cudaError_t allocate(void **out, size_t bytes, bool is_host, const char *function) {
    *out = NULL;
    cudaError_t code = simt_capture_check(function, NULL);
    if (bytes == 0 || code != cudaSuccess)
        return code;
    size_t free_bytes = 0, total_bytes = 0;
    cudaMemGetInfo(&free_bytes, &total_bytes);
    std::lock_guard<std::mutex> guard(lock);
    n_allocated++;
    // More than the emulated device has is refused here: the sanitizers end a program that asks the
    // host for it.
    if ((i_failing >= 0 && i_failing-- == 0) || (!is_host && bytes > free_bytes))
        return simt_error(cudaErrorMemoryAllocation, "out of memory (asked for %zu bytes)", bytes);
#ifdef ADELE_SIMT_CHECKED
    size_t gap = 256; // a step over the end must not land in the next allocation
#else
    size_t gap = 0;
#endif
    void *data = NULL;
    if (posix_memalign(&data, 256, bytes + gap) != 0)
        return simt_error(cudaErrorMemoryAllocation, "out of memory (asked for %zu bytes)", bytes);
    memset(data, 0xff, bytes);
    allocations()[(uintptr_t)data] = {(unsigned char *)data, bytes, NULL, is_host};
    *out = data;
    return cudaSuccess;
}

// Page-locked memory that was freed while work was queued holds 0xff until the work is done,
// whether or not it still reads there.
static void bury(void *block, size_t bytes, bool is_under_way) {
    static std::vector<void *> buried;
    if (!is_under_way) {
        for (void *one : buried)
            free(one);
        buried.clear();
        free(block);
        return;
    }
    memset(block, 0xff, bytes);
    buried.push_back(block);
}

static cudaError_t release(void *block, bool is_host, const char *function) {
    if (!block)
        return cudaSuccess;
    bool is_under_way = is_host && simt_work_is_under_way();
    std::lock_guard<std::mutex> guard(lock);
    auto found = allocations().find((uintptr_t)block);
    if (found == allocations().end() || found->second.is_host != is_host)
        return simt_error(cudaErrorInvalidValue, "%s: %p is no allocation%s", function, block,
                          found == allocations().end() ? "" : " of this kind");
    size_t bytes = found->second.bytes;
    simt_check_freed(&found->second);
    allocations().erase(found);
    bury(block, bytes, is_under_way);
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **out, size_t bytes) {
    return allocate(out, bytes, false, "cudaMalloc");
}
cudaError_t cudaFree(void *block) {
    cudaError_t code = simt_capture_check("cudaFree", NULL);
    if (code == cudaSuccess)
        code = simt_work_finish_all(); // as on a GPU
    cudaError_t released = release(block, false, "cudaFree");
    return code != cudaSuccess ? code : released;
}
cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned) {
    return allocate(out, bytes, true, "cudaHostAlloc");
}
cudaError_t cudaMallocHost(void **out, size_t bytes) {
    return allocate(out, bytes, true, "cudaMallocHost");
}
cudaError_t cudaFreeHost(void *block) {
    cudaError_t code = simt_capture_check("cudaFreeHost", NULL);
    return code == cudaSuccess ? release(block, true, "cudaFreeHost") : code;
}
cudaError_t cudaHostGetDevicePointer(void **out, void *block, unsigned) {
    *out = block;
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *out, const void *address) {
    std::lock_guard<std::mutex> guard(lock);
    const struct simt_allocation *found = holder_of(address, 1);
    void *pointer = (void *)(uintptr_t)address;
    if (!found)
        *out = {cudaMemoryTypeUnregistered, -1, NULL, pointer};
    else if (found->is_host)
        *out = {cudaMemoryTypeHost, 0, pointer, pointer};
    else
        *out = {cudaMemoryTypeDevice, 0, pointer, NULL};
    return cudaSuccess;
}
