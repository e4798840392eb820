// SPDX-License-Identifier: MIT
// What common.cuh declares: errors of the runtime, the header of an op, tables in device memory.
#include "runtime/common.cuh"

#include <stdlib.h>

namespace adele_cuda {

adele_status cuda_check(cudaError_t code, const char *what, const char *file, int line) {
    if (code == cudaSuccess)
        return ADELE_OK;
    if (code == cudaErrorMemoryAllocation)
        return fail_record(ADELE_NO_MEMORY, file, line,
                           "Make the batch, the images or the model smaller, or free the GPU.",
                           "the GPU has too little memory: %s", what),
               ADELE_NO_MEMORY;
    return fail_record(ADELE_DEVICE, file, line,
                       "Run again with ADELE_CUDA_SYNCHRONOUS=1 to see which kernel failed.",
                       "%s: %s", what, cudaGetErrorString(code)),
           ADELE_DEVICE;
}

adele_status launch_check(const struct cuda_context *context, const char *kernel, const char *file,
                          int line) {
    static const bool is_synchronous = getenv("ADELE_CUDA_SYNCHRONOUS") != NULL;
    cudaError_t code = cudaGetLastError();
    if (code == cudaSuccess && is_synchronous)
        code = cudaStreamSynchronize(context->stream);
    return cuda_check(code, kernel, file, line);
}

// CUDA keeps a current GPU for each host thread, number 0 at first. Opening a second GPU, or other
// code of the program that uses CUDA, changes it, so every entry of the device's interface sets it.
// The check costs a few nanoseconds.
adele_status make_current(const struct adele_device *device) {
    int current = -1, ordinal = context_of(device)->ordinal;
    if (cudaGetDevice(&current) == cudaSuccess && current == ordinal)
        return ADELE_OK;
    CUDA_TRY(cudaSetDevice(ordinal));
    return ADELE_OK;
}

void op_init(const struct adele_device *device, enum adele_op_kind kind, struct adele_op *op) {
    uint64_t tuned = families_of_op(kind) & families_of_kind(FAMILY_TUNED);
    bool is_plain = context_of(device)->engine == CUDA_ENGINE_PLAIN ||
                    (tuned != 0 && (tuned & ~device->disabled_families) == 0);
    op->kind = kind;
    op->device = device;
    op->engine = is_plain ? "plain" : "direct";
}

adele_status table_copy(struct cuda_op *op, const void *host, size_t bytes, void **out) {
    const struct adele_device *device = op->op.device;
    TRY(GROW(&op->tables, op->n_tables));
    TRY(device->iface->alloc(device, bytes, out));
    op->tables[op->n_tables++] = *out;
    return device->iface->upload(device, *out, host, bytes);
}

} // namespace adele_cuda
