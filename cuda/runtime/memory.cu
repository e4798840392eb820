// SPDX-License-Identifier: MIT
// The device's memory: blocks on the GPU and in page-locked memory of the host, and copies.
#include "runtime/device_parts.cuh"

namespace adele_cuda {

adele_status device_alloc(const struct adele_device *device, size_t bytes, void **out) {
    *out = NULL;
    TRY(make_current(device));
    void *block = NULL;
    cudaError_t code = cudaMalloc(&block, bytes > 0 ? bytes : 1);
    if (code == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError(); // clears the error, which is reported here, so that the next
                                  // launch does not report it
        return FAIL(ADELE_NO_MEMORY,
                    "Make the batch, the images or the model smaller, or free the GPU.",
                    "the GPU cannot allocate %zu bytes", bytes);
    }
    CUDA_TRY(code);
    *out = block;
    return ADELE_OK;
}

// Page-locked, so that copies from it run beside kernels.
adele_status device_alloc_pinned(const struct adele_device *device, size_t bytes, void **out) {
    *out = NULL;
    TRY(make_current(device));
    void *block = NULL;
    cudaError_t code = cudaHostAlloc(&block, bytes > 0 ? bytes : 1, cudaHostAllocDefault);
    if (code == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError(); // as in device_alloc
        return FAIL(ADELE_NO_MEMORY,
                    "Free memory of the host, or raise the limit of locked memory.",
                    "the host cannot lock %zu bytes of memory for the GPU", bytes);
    }
    CUDA_TRY(code);
    *out = block;
    return ADELE_OK;
}

void device_release(const struct adele_device *device, void *block) {
    struct cudaPointerAttributes attributes;
    if (block == NULL)
        return;
    (void)make_current(device);
    if (cudaPointerGetAttributes(&attributes, block) == cudaSuccess &&
        attributes.type == cudaMemoryTypeHost)
        (void)cudaFreeHost(block);
    else
        (void)cudaFree(block);
}

// Kernels, ours and the libraries', are loaded when they first run, which is after a run has
// planned its memory. This much is reserved for their code.
static const size_t reserved_bytes = (size_t)256 << 20;

size_t device_free_bytes(const struct adele_device *device) {
    size_t free_bytes = 0, total_bytes = 0;
    (void)make_current(device);
    if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess)
        return SIZE_MAX;
    return free_bytes > reserved_bytes ? free_bytes - reserved_bytes : 0;
}

static adele_status copy_and_wait(const struct adele_device *device, void *to, const void *from,
                                  size_t bytes, enum cudaMemcpyKind kind) {
    cudaStream_t stream = context_of(device)->stream;
    if (bytes == 0)
        return ADELE_OK;
    TRY(make_current(device));
    TRY(exchange_wait_before_copy(context_of(device), stream));
    CUDA_TRY(cudaMemcpyAsync(to, from, bytes, kind, stream));
    return exchange_wait(context_of(device), stream);
}

adele_status device_upload(const struct adele_device *device, void *to, const void *from,
                           size_t bytes) {
    return copy_and_wait(device, to, from, bytes, cudaMemcpyHostToDevice);
}

adele_status device_download(const struct adele_device *device, void *to, const void *from,
                             size_t bytes) {
    return copy_and_wait(device, to, from, bytes, cudaMemcpyDeviceToHost);
}

adele_status device_upload_begin(const struct adele_device *device, void *to, const void *pinned,
                                 size_t bytes) {
    TRY(make_current(device));
    if (bytes > 0)
        CUDA_TRY(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice,
                                 context_of(device)->copy_stream));
    return ADELE_OK;
}

// A wait refers to the event's last recording before it, so the two events serve every fence.
adele_status device_upload_fence(const struct adele_device *device) {
    const struct cuda_context *context = context_of(device);
    TRY(make_current(device));
    CUDA_TRY(cudaEventRecord(context->copied, context->copy_stream));
    CUDA_TRY(cudaEventRecord(context->op_done, context->stream));
    CUDA_TRY(cudaStreamWaitEvent(context->stream, context->copied, 0));
    CUDA_TRY(cudaStreamWaitEvent(context->copy_stream, context->op_done, 0));
    return ADELE_OK;
}

adele_status device_fill(const struct adele_device *device, void *block, int byte, size_t bytes) {
    TRY(make_current(device));
    if (bytes > 0)
        CUDA_TRY(cudaMemsetAsync(block, byte, bytes, context_of(device)->stream));
    return ADELE_OK;
}

adele_status device_copy(const struct adele_device *device, void *to, const void *from,
                         size_t bytes) {
    TRY(make_current(device));
    if (bytes > 0)
        CUDA_TRY(
            cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, context_of(device)->stream));
    return ADELE_OK;
}

adele_status device_synchronize(const struct adele_device *device) {
    TRY(make_current(device));
    TRY(exchange_wait(context_of(device), context_of(device)->copy_stream));
    return exchange_wait(context_of(device), context_of(device)->stream);
}

} // namespace adele_cuda
