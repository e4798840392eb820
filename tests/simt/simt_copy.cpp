// SPDX-License-Identifier: MIT
// Copies and fills, at once and in streams.
#include "simt_internal.h"

static cudaError_t check_range(const void *address, size_t bytes, const char *function,
                               const char *end) {
    if (simt_is_global(address, bytes))
        return cudaSuccess;
    return simt_error(cudaErrorInvalidValue, "%s: the %s of %zu bytes at %p is not device memory",
                      function, end, bytes, address);
}

static cudaError_t check_ends(const void *to, const void *from, size_t bytes,
                              enum cudaMemcpyKind kind, const char *function) {
    cudaError_t code = cudaSuccess;
    if (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice)
        code = check_range(to, bytes, function, "target");
    if (code == cudaSuccess && (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice))
        code = check_range(from, bytes, function, "source");
    return code;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    cudaError_t code = simt_capture_check("cudaMemcpy", NULL);
    if (bytes == 0 || code != cudaSuccess)
        return code;
    code = check_ends(to, from, bytes, kind, "cudaMemcpy");
    if (code == cudaSuccess)
        code = simt_work_finish(NULL);
    if (code == cudaSuccess)
        memmove(to, from, bytes);
    return code;
}

// Pageable memory goes through a buffer of the driver: what is copied from there is read before the
// call returns, and what is copied there has arrived.
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    cudaError_t code = check_ends(to, from, bytes, kind, "cudaMemcpyAsync");
    if (bytes == 0 || code != cudaSuccess)
        return bytes == 0 ? cudaSuccess : code;
    bool from_host = kind == cudaMemcpyHostToDevice, to_host = kind == cudaMemcpyDeviceToHost;
    bool is_pageable = (from_host && !simt_is_page_locked(from, bytes)) ||
                       (to_host && !simt_is_page_locked(to, bytes));
    if (is_pageable)
        code = simt_capture_check("a copy from or to pageable memory", stream);
    if (code != cudaSuccess)
        return code;
    struct simt_work work = {};
    work.kind = SIMT_WORK_COPY;
    work.to = to;
    work.n_bytes = bytes;
    work.is_late = from_host && !is_pageable;
    if (from_host && is_pageable)
        work.bytes.assign((const unsigned char *)from, (const unsigned char *)from + bytes);
    else
        work.from = from;
    code = simt_work_add(stream, std::move(work));
    return code == cudaSuccess && to_host && is_pageable ? simt_work_finish(stream) : code;
}

cudaError_t cudaMemset(void *to, int value, size_t bytes) {
    cudaError_t code = simt_capture_check("cudaMemset", NULL);
    if (bytes == 0 || code != cudaSuccess)
        return code;
    code = check_range(to, bytes, "cudaMemset", "target");
    if (code == cudaSuccess)
        code = simt_work_finish(NULL);
    if (code == cudaSuccess)
        memset(to, value, bytes);
    return code;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
    if (bytes == 0)
        return cudaSuccess;
    cudaError_t code = check_range(to, bytes, "cudaMemsetAsync", "target");
    if (code != cudaSuccess)
        return code;
    struct simt_work work = {};
    work.kind = SIMT_WORK_FILL;
    work.to = to;
    work.value = value;
    work.n_bytes = bytes;
    return simt_work_add(stream, std::move(work));
}
