// SPDX-License-Identifier: MIT
#include "runtime/nccl.cuh"

#include "runtime/load_library.cuh"

#include <stdio.h>

#ifdef ADELE_NCCL
namespace adele_cuda {

static const char *const hint =
    "Install NCCL 2.14 or newer, or name its file libnccl.so.2 in the environment's ADELE_NCCL. "
    "Without it GPUs exchange through the host, more slowly.";

// NCCL numbers its versions 10000 major + 100 minor + patch since 2.9.
static void print_version(int version, char *out, size_t bytes) {
    snprintf(out, bytes, "NCCL %d.%d.%d", version / 10000, version / 100 % 100, version % 100);
}

adele_status nccl_load(struct cuda_context *context, struct nccl *out) {
    static const char *const names[] = {"libnccl.so.2"};
    struct adele_device *device = &context->device;
    size_t told = strlen(device->missing);
    void *module = library_load(context, "ADELE_NCCL", names, 1);
    if (module == NULL) {
        const char *missing = device->missing + told;
        return FAIL(ADELE_UNSUPPORTED, hint, "there is no NCCL: %s",
                    told > 0 && strlen(missing) > 2 ? missing + 2 : missing);
    }
    const char *absent = NULL;
#define FIND(name)                                                                                 \
    if (!library_find(module, #name, &out->name))                                                  \
        absent = #name;
    NCCL_FUNCTIONS(FIND)
#undef FIND
    if (absent != NULL) {
        library_note_missing(context, "%s (the NCCL found has no %s)", names[0], absent);
        return FAIL(ADELE_UNSUPPORTED, hint, "NCCL has no function %s", absent);
    }
    int version = 0;
    ncclResult_t result = out->ncclGetVersion(&version);
    if (result != ncclSuccess)
        return FAIL(ADELE_UNSUPPORTED, hint, "ncclGetVersion: %s", out->ncclGetErrorString(result));
    print_version(version, device->exchange, sizeof device->exchange);
    return ADELE_OK;
}

} // namespace adele_cuda
#endif
