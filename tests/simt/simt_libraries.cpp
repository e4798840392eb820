// SPDX-License-Identifier: MIT
// Which stand-ins are installed, and the loader that finds them.
#include "simt_libraries.h"
#include "simt_settings.h"

#include <cublas_v2.h>
#include <cudnn.h>
#include <nccl.h>

#include <string.h>

static struct simt_libraries installed;
static long n_runs;
static int n_nccl_calls;                             // of the function that fails
static int cublas_module, cudnn_module, nccl_module; // their addresses stand for what was loaded

void simt_libraries_install(const struct simt_libraries *libraries) {
    installed = libraries != NULL ? *libraries : simt_libraries{};
    n_runs = 0;
    n_nccl_calls = 0;
}

long simt_libraries_count(void) {
    return n_runs;
}

bool simt_libraries_run() {
    n_runs++;
    return !installed.fails;
}

bool simt_libraries_has_float_filter() {
    return installed.has_float_filter;
}

bool simt_libraries_nccl_fails(const char *function) {
    if (installed.nccl_fails == NULL || strcmp(installed.nccl_fails, function) != 0)
        return false;
    return n_nccl_calls++ == installed.nccl_fails_after;
}

void *simt_dlopen(const char *name, int) {
    const char *cudnn = installed.cudnn_path != NULL ? installed.cudnn_path : "libcudnn.so.9";
    struct simt_settings settings = simt_settings_read();
    if ((installed.has_cublas || settings.has_cublas) && strcmp(name, "libcublas.so.13") == 0)
        return &cublas_module;
    if ((installed.has_nccl || settings.has_nccl) && strcmp(name, "libnccl.so.2") == 0)
        return &nccl_module;
    bool has_cudnn = installed.has_cudnn || settings.has_cudnn;
    return has_cudnn && strcmp(name, cudnn) == 0 ? &cudnn_module : NULL;
}

int simt_dlclose(void *) {
    return 0;
}

const char *simt_dlerror() {
    return "the emulator has no such file";
}

#define SYMBOL(name)                                                                               \
    { #name, (void *)name }
static const struct {
    const char *name;
    void *function;
} symbols[] = {
    SYMBOL(cublasCreate_v2),
    SYMBOL(cublasDestroy_v2),
    SYMBOL(cublasGetProperty),
    SYMBOL(cublasGetVersion_v2),
    SYMBOL(cublasSetStream_v2),
    SYMBOL(cublasSetWorkspace_v2),
    SYMBOL(cublasGemmEx),
    SYMBOL(cudnnCreate),
    SYMBOL(cudnnDestroy),
    SYMBOL(cudnnGetVersion),
    SYMBOL(cudnnGetErrorString),
    SYMBOL(cudnnSetStream),
    SYMBOL(cudnnBackendCreateDescriptor),
    SYMBOL(cudnnBackendDestroyDescriptor),
    SYMBOL(cudnnBackendSetAttribute),
    SYMBOL(cudnnBackendGetAttribute),
    SYMBOL(cudnnBackendFinalize),
    SYMBOL(cudnnBackendExecute),
    SYMBOL(ncclGetVersion),
    SYMBOL(ncclGetUniqueId),
    SYMBOL(ncclGetErrorString),
    SYMBOL(ncclGetLastError),
    SYMBOL(ncclCommInitRankConfig),
    SYMBOL(ncclCommGetAsyncError),
    SYMBOL(ncclCommFinalize),
    SYMBOL(ncclCommDestroy),
    SYMBOL(ncclCommAbort),
    SYMBOL(ncclGroupStart),
    SYMBOL(ncclGroupEnd),
    SYMBOL(ncclSend),
    SYMBOL(ncclRecv),
};
#undef SYMBOL

void *simt_dlsym(void *module, const char *name) {
    const char *prefix = module == &cublas_module  ? "cublas"
                         : module == &cudnn_module ? "cudnn"
                                                   : "nccl";
    if (module == &nccl_module && simt_libraries_nccl_fails("dlsym"))
        return NULL;
    for (const auto &symbol : symbols)
        if (strcmp(symbol.name, name) == 0 && strncmp(name, prefix, strlen(prefix)) == 0)
            return symbol.function;
    return NULL;
}
