// SPDX-License-Identifier: MIT
// Loading cuBLAS and cuDNN. A library that is not installed, lacks a function or does not start on
// this GPU is not used: our own kernels do everything that the libraries do.
#include "runtime/libraries.cuh"

#include "runtime/load_library.cuh"

#include <stdio.h>

namespace adele_cuda {

// ---- cuBLAS -------------------------------------------------------------------------------------

#ifdef ADELE_CUBLAS
static const size_t cublas_workspace_bytes = (size_t)32 << 20; // what NVIDIA advises for Hopper

static void cublas_close(struct libraries *libraries) {
    if (libraries->cublas.handle != NULL)
        (void)libraries->cublas.cublasDestroy_v2(libraries->cublas.handle);
    libraries->cublas.handle = NULL;
    if (libraries->cublas.workspace != NULL)
        (void)cudaFree(libraries->cublas.workspace);
    libraries->cublas.workspace = NULL;
    if (libraries->cublas.module != NULL)
        (void)dlclose(libraries->cublas.module);
    libraries->cublas.module = NULL;
    libraries->cublas_version = 0;
}

// The functions used here are the same in both; the header's own comes first.
static void cublas_order(const char *order[2]) {
    static const char *const names[] = {"libcublas.so.13", "libcublas.so.12"};
    int first = CUBLAS_VER_MAJOR == 12 ? 1 : 0;
    order[0] = names[first];
    order[1] = names[1 - first];
}

static bool cublas_start(struct cuda_context *context, struct libraries *libraries) {
    const char *order[2];
    cublas_order(order);
    libraries->cublas.module = library_load(context, "ADELE_CUBLAS", order, 2);
    if (libraries->cublas.module == NULL)
        return false;
#define FIND(name) library_find(libraries->cublas.module, #name, &libraries->cublas.name) &&
    if (!(CUBLAS_FUNCTIONS(FIND) FIND(cublasGemmEx) true))
        return false;
#undef FIND
    if (libraries->cublas.cublasCreate_v2(&libraries->cublas.handle) != CUBLAS_STATUS_SUCCESS) {
        libraries->cublas.handle = NULL;
        return false;
    }
    cublasHandle_t handle = libraries->cublas.handle;
    int version = 0;
    if (libraries->cublas.cublasGetVersion_v2(handle, &version) != CUBLAS_STATUS_SUCCESS ||
        libraries->cublas.cublasSetStream_v2(handle, context->stream) != CUBLAS_STATUS_SUCCESS ||
        cudaMalloc(&libraries->cublas.workspace, cublas_workspace_bytes) != cudaSuccess ||
        libraries->cublas.cublasSetWorkspace_v2(handle, libraries->cublas.workspace,
                                                cublas_workspace_bytes) != CUBLAS_STATUS_SUCCESS)
        return false;
    libraries->cublas_version = version;
    return true;
}
#endif

// ---- cuDNN --------------------------------------------------------------------------------------

#ifdef ADELE_CUDNN
static void cudnn_close(struct libraries *libraries) {
    if (libraries->cudnn.handle != NULL)
        (void)libraries->cudnn.cudnnDestroy(libraries->cudnn.handle);
    libraries->cudnn.handle = NULL;
    if (libraries->cudnn.module != NULL)
        (void)dlclose(libraries->cudnn.module);
    libraries->cudnn.module = NULL;
    libraries->cudnn_version = 0;
}

static const char *const cudnn_names[] = {"libcudnn.so.9"};

static bool cudnn_start(struct cuda_context *context, struct libraries *libraries) {
    libraries->cudnn.module = library_load(context, "ADELE_CUDNN", cudnn_names, 1);
    if (libraries->cudnn.module == NULL)
        return false;
#define FIND(name) library_find(libraries->cudnn.module, #name, &libraries->cudnn.name) &&
    if (!(CUDNN_FUNCTIONS(FIND) true))
        return false;
#undef FIND
    if (libraries->cudnn.cudnnCreate(&libraries->cudnn.handle) != CUDNN_STATUS_SUCCESS) {
        libraries->cudnn.handle = NULL;
        return false;
    }
    if (libraries->cudnn.cudnnSetStream(libraries->cudnn.handle, context->stream) !=
        CUDNN_STATUS_SUCCESS)
        return false;
    libraries->cudnn_version = (long)libraries->cudnn.cudnnGetVersion();
    return true;
}
#endif

// ---- both ---------------------------------------------------------------------------------------

static adele_status name_machine(const struct cuda_context *context, struct libraries *libraries) {
    struct cudaDeviceProp properties;
    int driver = 0, runtime = 0;
    CUDA_TRY(cudaGetDeviceProperties(&properties, context->ordinal));
    CUDA_TRY(cudaDriverGetVersion(&driver));
    CUDA_TRY(cudaRuntimeGetVersion(&runtime));
    snprintf(libraries->machine, sizeof libraries->machine,
             "%.100s, driver %d, runtime %d, cudnn %ld, cublas %ld, adele " ADELE_VERSION,
             properties.name, driver, runtime, libraries->cudnn_version, libraries->cublas_version);
    return ADELE_OK;
}

// Without a note the library was found but did not start on this GPU, or the build is without it.
static const char *missing_of(const struct cuda_context *context) {
    return context->device.missing[0] != '\0' ? context->device.missing
                                              : "this build is without it, or it does not start";
}

// An engine that was named must be there.
static adele_status check_wanted(const struct cuda_context *context,
                                 const struct libraries *libraries) {
    if (context->engine == CUDA_ENGINE_CUDNN && libraries->cudnn_version == 0)
        return FAIL(
            ADELE_UNSUPPORTED,
            "Install cuDNN 9, or name its file libcudnn.so.9 in the environment's ADELE_CUDNN, "
            "or use the device cuda/direct.",
            "the engine cudnn: there is no cuDNN: %s", missing_of(context));
    if (context->engine == CUDA_ENGINE_CUBLAS && libraries->cublas_version == 0)
        return FAIL(
            ADELE_UNSUPPORTED,
            "Install cuBLAS 12 or 13, or name its file libcublas.so.13 in the environment's "
            "ADELE_CUBLAS, or use the device cuda/direct.",
            "the engine cublas: there is no cuBLAS: %s", missing_of(context));
    return ADELE_OK;
}

adele_status libraries_open(struct cuda_context *context, struct libraries **out) {
    *out = NULL;
    struct libraries *libraries = NULL;
    TRY(ALLOCATE(&libraries, 1));
    static const char *const without_header = "its header was missing when adele was built";
#ifdef ADELE_CUBLAS
    if (context->engine != CUDA_ENGINE_CUDNN && !cublas_start(context, libraries))
        cublas_close(libraries);
#else
    library_note_missing(context, "%s (%s)", "cuBLAS", without_header);
#endif
#ifdef ADELE_CUDNN
    if (context->engine != CUDA_ENGINE_CUBLAS && !cudnn_start(context, libraries))
        cudnn_close(libraries);
#else
    library_note_missing(context, "%s (%s)", "cuDNN", without_header);
#endif
    (void)without_header;
    (void)cudaGetLastError(); // clears the error of a library that did not start, so that the next
                              // launch does not report it
    adele_status status = check_wanted(context, libraries);
    bool is_empty = libraries->cudnn_version == 0 && libraries->cublas_version == 0;
    if (status == ADELE_OK && !is_empty)
        status = name_machine(context, libraries);
    if (status != ADELE_OK || is_empty) {
        libraries_close(libraries);
        return status;
    }
    if (context->engine == CUDA_ENGINE_AUTO) {
        char *path = engine_cache_path();
        libraries->cache = engine_cache_open(path);
        memory_free(path);
    }
    *out = libraries;
    return ADELE_OK;
}

// Both libraries number their versions 10000 major + 100 minor + patch.
static int print_version(const char *name, long version, char *out, size_t bytes) {
    if (version == 0)
        return 0;
    int n = snprintf(out, bytes, ", %s %ld.%ld.%ld", name, version / 10000, version / 100 % 100,
                     version % 100);
    return n < 0 || (size_t)n >= bytes ? 0 : n;
}

void libraries_print(const struct libraries *libraries, char *out, size_t bytes) {
    out[0] = '\0';
    if (libraries == NULL)
        return;
    int used = print_version("cuDNN", libraries->cudnn_version, out, bytes);
    print_version("cuBLAS", libraries->cublas_version, out + used, bytes - (size_t)used);
}

void libraries_versions(long *cudnn, long *cublas) {
    *cudnn = *cublas = 0;
#ifdef ADELE_CUDNN
    void *cudnn_module = library_open("ADELE_CUDNN", cudnn_names, 1);
    decltype(&::cudnnGetVersion) get_version = NULL;
    if (cudnn_module != NULL && library_find(cudnn_module, "cudnnGetVersion", &get_version))
        *cudnn = (long)get_version();
    if (cudnn_module != NULL)
        (void)dlclose(cudnn_module);
#endif
#ifdef ADELE_CUBLAS
    const char *order[2];
    cublas_order(order);
    void *cublas_module = library_open("ADELE_CUBLAS", order, 2);
    decltype(&::cublasGetProperty) get_property = NULL;
    int major = 0, minor = 0, patch = 0;
    if (cublas_module != NULL && library_find(cublas_module, "cublasGetProperty", &get_property) &&
        get_property(MAJOR_VERSION, &major) == CUBLAS_STATUS_SUCCESS &&
        get_property(MINOR_VERSION, &minor) == CUBLAS_STATUS_SUCCESS &&
        get_property(PATCH_LEVEL, &patch) == CUBLAS_STATUS_SUCCESS)
        *cublas = 10000L * major + 100L * minor + patch;
    if (cublas_module != NULL)
        (void)dlclose(cublas_module);
#endif
}

void libraries_close(struct libraries *libraries) {
    if (libraries == NULL)
        return;
    engine_cache_close(libraries->cache);
#ifdef ADELE_CUDNN
    cudnn_close(libraries);
#endif
#ifdef ADELE_CUBLAS
    cublas_close(libraries);
#endif
    memory_free(libraries);
}

} // namespace adele_cuda
