// SPDX-License-Identifier: MIT
// Launches: nvcc turns kernel<<<...>>>(...) into a push of the configuration and a call of a stub,
// which pops it and hands over the addresses of the arguments.
#include "cudart_room.h"

#include <memory>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace ptx_cudart {

static const size_t shared_per_block = (size_t)48 << 10;

int sm(void) {
    static const char *text = getenv("PTX_SM");
    if (text != NULL && strcmp(text, "80") != 0 && strcmp(text, "90") != 0) {
        fprintf(stderr, "ptx: PTX_SM=%s: known are 80 90\n", text);
        exit(2);
    }
    return text != NULL ? atoi(text) : 80;
}

// PTX_SHARED_KB=N for another GPU's.

static size_t shared_most(void) {
    const char *text = getenv("PTX_SHARED_KB");
    return (text != NULL ? (size_t)atoi(text) : sm() >= 90 ? 227 : 163) << 10;
}

struct configuration {
    dim3 grid, block;
    size_t shared;
    cudaStream_t stream;
};
static std::vector<struct configuration> &configurations() {
    static auto *all = new std::vector<struct configuration>;
    return *all;
}

static bool is_in_range(dim3 grid, dim3 block) {
    return grid.x > 0 && grid.y > 0 && grid.z > 0 && block.x > 0 && block.y > 0 && block.z > 0 &&
           grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535 && block.x <= 1024 &&
           block.y <= 1024 && block.z <= 64 && (uint64_t)block.x * block.y * block.z <= 1024;
}

// The attribute is a limit as well when it is below the 48 KB that need none.
static cudaError_t check(const struct function *f, dim3 grid, dim3 block, size_t shared) {
    size_t most = f->dynamic_shared_most < 0 ? shared_per_block : (size_t)f->dynamic_shared_most;
    if (!is_in_range(grid, block))
        return fail(cudaErrorInvalidConfiguration,
                    "launch of " + f->name + ": grid or block out of range");
    if (shared > most)
        return fail(cudaErrorInvalidValue, "launch of " + f->name + ": " + std::to_string(shared) +
                                               " bytes of dynamic shared memory, allowed are " +
                                               std::to_string(most));
    return cudaSuccess;
}

} // namespace ptx_cudart

using namespace ptx_cudart;

extern "C" unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared,
                                                cudaStream_t stream) {
    configurations().push_back({grid, block, shared, stream});
    return 0;
}

extern "C" cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared,
                                                  void *stream) {
    const struct configuration &last = configurations().back();
    *grid = last.grid;
    *block = last.block;
    *shared = last.shared;
    memcpy(stream, &last.stream, sizeof last.stream);
    configurations().pop_back();
    return cudaSuccess;
}

extern "C" cudaError_t __cudaGetKernel(cudaKernel_t *out, const void *stub) {
    *out = (cudaKernel_t)function_of(stub);
    return *out != nullptr ? cudaSuccess
                           : fail(cudaErrorInvalidDeviceFunction, "a kernel nobody registered");
}

static cudaError_t launch_kernel(cudaKernel_t kernel, dim3 grid, dim3 block, dim3 cluster,
                                 void **args, size_t shared, cudaStream_t stream) {
    struct function *f = (struct function *)kernel;
    if (cudaError_t code = sticky_error())
        return code;
    if (!resolve(f))
        return cudaPeekAtLastError();
    if (cudaError_t code = check(f, grid, block, shared))
        return code;
    // Arguments are copied at the launch, whenever the kernel runs.
    auto params =
        std::make_shared<std::vector<uint64_t>>(ptx_kernel_params_bytes(f->kernel) / 8 + 1);
    for (int k = 0; k < ptx_kernel_n_params(f->kernel); k++)
        memcpy((char *)params->data() + ptx_kernel_param_offset(f->kernel, k), args[k],
               ptx_kernel_param_bytes(f->kernel, k));
    struct ptx_launch launch = {{grid.x, grid.y, grid.z},
                                {block.x, block.y, block.z},
                                shared,
                                f->dynamic_shared_most > (int)shared_per_block ? shared_most()
                                                                               : shared_per_block,
                                params->data(),
                                {cluster.x, cluster.y, cluster.z}};
    return enqueue(stream, f->name, [f, launch, params] {
        const char *error = ptx_run(f->kernel, &launch);
        return error == NULL ? cudaSuccess : fail(cudaErrorLaunchFailure, error);
    });
}

extern "C" cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args,
                                          size_t shared, cudaStream_t stream) {
    return launch_kernel(kernel, grid, block, dim3(0, 0, 0), args, shared, stream);
}

// Of the attributes, a cluster's size counts; those that say when a kernel may begin, or how the
// GPU is shared, change nothing here.
extern "C" cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *stub,
                                           void **args) {
    cudaKernel_t kernel;
    dim3 cluster(0, 0, 0);
    if (cudaError_t code = __cudaGetKernel(&kernel, stub))
        return code;
    for (unsigned k = 0; k < config->numAttrs; k++) {
        const cudaLaunchAttribute &one = config->attrs[k];
        if (one.id == cudaLaunchAttributeClusterDimension)
            cluster = dim3(one.val.clusterDim.x, one.val.clusterDim.y, one.val.clusterDim.z);
        else if (one.id != cudaLaunchAttributeProgrammaticStreamSerialization)
            return fail(cudaErrorInvalidValue, "an attribute of a launch that is not known here");
    }
    return launch_kernel(kernel, config->gridDim, config->blockDim, cluster, args,
                         config->dynamicSmemBytes, config->stream);
}

extern "C" cudaError_t cudaLaunchKernel(const void *stub, dim3 grid, dim3 block, void **args,
                                        size_t shared, cudaStream_t stream) {
    cudaKernel_t kernel;
    if (cudaError_t code = __cudaGetKernel(&kernel, stub))
        return code;
    return __cudaLaunchKernel(kernel, grid, block, args, shared, stream);
}

extern "C" cudaError_t cudaFuncSetAttribute(const void *stub, cudaFuncAttribute attribute,
                                            int value) {
    struct function *f = function_of(stub);
    if (f == nullptr)
        return fail(cudaErrorInvalidDeviceFunction, "a kernel nobody registered");
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
        return fail(cudaErrorInvalidValue, "an attribute that is not known here");
    if (value < 0 || (size_t)value > shared_most())
        return fail(cudaErrorInvalidValue, f->name + ": no block has " + std::to_string(value) +
                                               " bytes of shared memory");
    f->dynamic_shared_most = value;
    return sticky_error();
}

// What the PTX was made for. Registers are ptxas's to count, and are not known.
extern "C" cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *out, const void *stub) {
    struct function *f = function_of(stub);
    memset(out, 0, sizeof *out);
    if (f == nullptr)
        return fail(cudaErrorInvalidDeviceFunction, "a kernel nobody registered");
    if (!resolve(f))
        return cudaPeekAtLastError();
    out->ptxVersion = out->binaryVersion = ptx_kernel_sm(f->kernel);
    out->maxThreadsPerBlock = (int)ptx_kernel_max_threads(f->kernel);
    return sticky_error();
}

// ---- the device ---------------------------------------------------------------------------------

extern "C" cudaError_t cudaGetDeviceCount(int *count) {
    *count = 1;
    return cudaSuccess;
}

extern "C" cudaError_t cudaSetDevice(int ordinal) {
    return ordinal == 0 ? sticky_error() : fail(cudaErrorInvalidDevice, "there is one device");
}

extern "C" cudaError_t cudaGetDevice(int *ordinal) {
    *ordinal = 0;
    return sticky_error();
}

extern "C" cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int) {
    const char *multiprocessors = getenv("PTX_MULTIPROCESSORS");
    size_t free_bytes;
    memset(out, 0, sizeof *out);
    strcpy(out->name, "interpreted PTX");
    (void)cudaMemGetInfo(&free_bytes, &out->totalGlobalMem);
    out->sharedMemPerBlock = shared_per_block;
    out->sharedMemPerBlockOptin = shared_most();
    out->sharedMemPerMultiprocessor = shared_most() + 1024;
    out->regsPerBlock = out->regsPerMultiprocessor = 65536;
    out->warpSize = 32;
    out->maxThreadsPerBlock = 1024;
    out->maxThreadsPerMultiProcessor = 2048;
    out->major = sm() / 10;
    out->minor = sm() % 10;
    out->multiProcessorCount = multiprocessors != NULL ? atoi(multiprocessors) : 4;
    return sticky_error();
}

extern "C" cudaError_t cudaDriverGetVersion(int *version) {
    *version = CUDART_VERSION;
    return sticky_error();
}

extern "C" cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return sticky_error();
}
