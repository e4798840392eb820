// SPDX-License-Identifier: MIT
// What all files of the CUDA device share: the context, the layout of tensors, how a kernel is
// launched.
//
// Layout of a tensor (N, C, H, W): (N, H, W, P) elements, P = C rounded up to 8 (padded_channels),
// padding channels beyond C hold zeros: every pixel begins on 16 bytes, so all loads and stores
// of channels are vectors of 8. Every op keeps the padding channels at zero. Elements are float, or
// bf16 when the device was opened for bf16 (`storage` of the context); kernels that touch tensors
// are templates over that type T, and compute in float.
//
// All work is queued on the one stream of the context, except the copies of upload_begin, which
// have a stream of their own; nothing waits. There are no floating-point atomics: sums have an
// order that depends on shapes alone. The sources compile as CUDA and, for the emulator of
// tests/simt, as C++ with ADELE_SIMT defined and the emulator's own cuda_runtime.h.
#ifndef ADELE_CUDA_RUNTIME_COMMON_CUH
#define ADELE_CUDA_RUNTIME_COMMON_CUH

#include "base/fail.h"
#include "base/memory.h"
#include "device/device.h"
#include "device/families.h"
#include "runtime/cuda_device.h"
#include "runtime/numeric.cuh"

#include <cuda_runtime.h>
#include <stdint.h>

namespace adele_cuda {

struct cuda_context {
    struct adele_device device;
    int ordinal;
    enum adele_precision storage; // ADELE_PRECISION_FP32 or _BF16: of the elements of tensors
    enum cuda_engine engine;
    int cudnn_candidate; // of the engine cudnn: the first of cuDNN's candidates that may be taken
    cudaStream_t stream;
    cudaStream_t copy_stream;    // of upload_begin
    cudaEvent_t copied, op_done; // of upload_fence
    int n_multiprocessors;
    int compute_capability;      // 80, 90, ...
    int shared_bytes_max;        // of one block, after ALLOW_SHARED
    struct step_graphs *graphs;  // step_graph.cu
    struct libraries *libraries; // cuDNN and cuBLAS, when they are there
    struct exchange *exchange;   // exchange.cu; NULL: this process computes alone
};

static inline struct cuda_context *context_of(const struct adele_device *device) {
    return (struct cuda_context *)device->context;
}

// Makes the context's GPU the one that this thread's calls go to.
adele_status make_current(const struct adele_device *device);

// ---- tensors ------------------------------------------------------------------------------------

static __host__ __device__ inline int padded_channels(int c) {
    return (c + 7) / 8 * 8;
}

static __host__ __device__ inline int ceil_div(int a, int b) {
    return (a + b - 1) / b;
}

// The thread's number in a grid of one dimension.
static __device__ inline int64_t thread_index(void) {
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

// Blocks for n elements, of which a thread takes one.
static inline int blocks_for(int64_t n, int n_threads) {
    return (int)((n + n_threads - 1) / n_threads);
}

// The same where a thread may take several.
static inline int strided_grid(int64_t n, int n_threads) {
    int64_t n_blocks = (n + n_threads - 1) / n_threads;
    return n_blocks < 65535 ? (int)n_blocks : 65535;
}

// A slice of a wide tensor: its pixels are slice_pitch elements apart, and its first one lies
// slice.first elements behind the wide tensor's.
#define SLICE_CHANNELS 8 // a slice begins on a vector
static inline int slice_pitch(struct adele_slice slice, int c) {
    return padded_channels(slice.of != 0 ? slice.of : c);
}

static inline int64_t tensor_elements(struct adele_shape shape) {
    return (int64_t)shape.n * shape.h * shape.w * padded_channels(shape.c);
}

// An adele_status in which T is the element type of the context's tensors; an expression too.
#define WITH_STORAGE(context, T, ...)                                                              \
    ((context)->storage == ADELE_PRECISION_BF16 ? [&]() -> adele_status {                          \
        typedef bf16 T;                                                                            \
        return __VA_ARGS__;                                                                        \
    }() : [&]() -> adele_status {                                                                  \
        typedef float T;                                                                           \
        return __VA_ARGS__;                                                                        \
    }())

// ---- ops ----------------------------------------------------------------------------------------

// An op of this device begins with struct adele_op; op_destroy calls `release` (may be NULL) and
// frees its tables and itself.
struct cuda_op {
    struct adele_op op;
    void (*release)(struct cuda_op *op);
    void **tables; // in device memory
    int n_tables;
};
// Fills in the header of a zeroed op; its engine is "direct" or "plain".
void op_init(const struct adele_device *device, enum adele_op_kind kind, struct adele_op *op);
// *self and *out = a zeroed op with its header filled in. Op begins with struct cuda_op, named
// base. What follows in the op's create function may simply fail: then the device's entry (in
// cuda_device.cu) destroys the op and sets *out to NULL. So `release` must accept zeroed fields.
template <typename Op>
static inline adele_status op_create(const struct adele_device *device, enum adele_op_kind kind,
                                     Op **self, struct adele_op **out) {
    TRY(ALLOCATE(self, 1));
    op_init(device, kind, &(*self)->base.op);
    *out = &(*self)->base.op;
    return ADELE_OK;
}

// Takes `bytes` of a workspace behind *end, on a 256-byte boundary; returns where they begin.
static inline size_t workspace_place(size_t *end, size_t bytes) {
    size_t at = *end;
    *end = at + (bytes + 255) / 256 * 256;
    return at;
}

// An op that keeps its descriptor alone, and its create function.
template <typename Desc> struct desc_op {
    struct cuda_op base;
    Desc desc;
};
#define CREATE_DESC_OP(name)                                                                       \
    adele_status cuda_##name##_create(const struct adele_device *device,                           \
                                      const struct adele_##name##_desc *desc,                      \
                                      struct adele_op **out) {                                     \
        struct desc_op<struct adele_##name##_desc> *self = NULL;                                   \
        TRY(op_create(device, ADELE_OP_##name, &self, out));                                       \
        self->desc = *desc;                                                                        \
        return ADELE_OK;                                                                           \
    }
template <typename Desc> static inline const Desc *desc_of(const struct adele_op *op) {
    return &((const struct desc_op<Desc> *)op)->desc;
}

// Whether an op takes its plain kernel: for the engine plain, or when its tuned family is disabled.
static inline bool wants_plain(const struct adele_device *device, enum family tuned) {
    return context_of(device)->engine == CUDA_ENGINE_PLAIN || family_is_disabled(device, tuned);
}

// At an op's creation: *out = a copy of an array of the host in device memory, which lives as long
// as the op. table_create: of `n` rows.
adele_status table_copy(struct cuda_op *op, const void *host, size_t bytes, void **out);
template <typename Row, typename Out>
static inline adele_status table_create(struct cuda_op *op, const Row *host, size_t n, Out **out) {
    return table_copy(op, host, n * sizeof *host, (void **)out);
}

#define CUDA_OP_ENTRY(name, has_backward)                                                          \
    adele_status cuda_##name##_create(const struct adele_device *device,                           \
                                      const struct adele_##name##_desc *desc,                      \
                                      struct adele_op **out);                                      \
    adele_status cuda_##name##_forward(struct adele_op *op,                                        \
                                       const struct adele_##name##_args *args);                    \
    adele_status cuda_##name##_backward(struct adele_op *op,                                       \
                                        const struct adele_##name##_args *args);
ADELE_OPS(CUDA_OP_ENTRY) // the backward of an op without one is declared and never defined
#undef CUDA_OP_ENTRY

// ---- launching ----------------------------------------------------------------------------------

// Records the failure of a runtime call; cudaSuccess -> ADELE_OK.
adele_status cuda_check(cudaError_t code, const char *what, const char *file, int line);
#define CUDA_TRY(call) TRY(adele_cuda::cuda_check((call), #call, __FILE__, __LINE__))

// After a launch. With ADELE_CUDA_SYNCHRONOUS set in the environment it waits for the kernel, so
// that a failure is reported where it happened.
adele_status launch_check(const struct cuda_context *context, const char *kernel, const char *file,
                          int line);

// Launches `kernel` on the context's stream; an expression of type adele_status. A template's
// instance with commas goes into parentheses: LAUNCH(context, (kernel<float, 64>), grid, block, 0,
// a, b). grid and block: int or dim3; grid.y and grid.z are at most 65535.
#define LAUNCH(context, kernel, grid, block, shared_bytes, ...)                                    \
    adele_cuda::launch((context), #kernel, __FILE__, __LINE__, dim3(grid), dim3(block),            \
                       (size_t)(shared_bytes), (kernel), __VA_ARGS__)

template <typename... Parameters, typename... Arguments>
static inline adele_status
launch(const struct cuda_context *context, const char *name, const char *file, int line, dim3 grid,
       dim3 block, size_t shared_bytes, void (*kernel)(Parameters...), Arguments... arguments) {
#ifndef ADELE_SIMT
    kernel<<<grid, block, shared_bytes, context->stream>>>(arguments...);
#else
    simt_plant_launch(file, name);
    simt_launch(name, grid, block, shared_bytes, context->stream, kernel, arguments...);
#endif
    return launch_check(context, name, file, line);
}

// The same with `cluster` neighbouring blocks at a time on multiprocessors that reach each other's
// shared memory (compute capability 9.0); grid is a multiple of it.
#define LAUNCH_CLUSTERS(context, kernel, grid, block, cluster, shared_bytes, ...)                  \
    adele_cuda::launch_clusters((context), #kernel, __FILE__, __LINE__, dim3(grid), dim3(block),   \
                                (cluster), (size_t)(shared_bytes), (kernel), __VA_ARGS__)

template <typename... Parameters, typename... Arguments>
static inline adele_status launch_clusters(const struct cuda_context *context, const char *name,
                                           const char *file, int line, dim3 grid, dim3 block,
                                           int cluster, size_t shared_bytes,
                                           void (*kernel)(Parameters...), Arguments... arguments) {
#ifndef ADELE_SIMT
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = (unsigned)cluster;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid, config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes, config.stream = context->stream;
    config.attrs = &attribute, config.numAttrs = 1;
    TRY(cuda_check(cudaLaunchKernelEx(&config, kernel, arguments...), name, file, line));
#else
    simt_plant_launch(file, name);
    simt_launch_clusters(name, grid, block, dim3((unsigned)cluster), shared_bytes, context->stream,
                         kernel, arguments...);
#endif
    return launch_check(context, name, file, line);
}

// Lets `kernel` use up to `bytes` of dynamic shared memory (needed above 48 KB); adele_status. The
// limit is one for the whole program and the last call sets it, also to less: so each call for a
// kernel gives the same number.
#define ALLOW_SHARED(kernel, bytes)                                                                \
    adele_cuda::cuda_check(cudaFuncSetAttribute((const void *)(kernel),                            \
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,       \
                                                (int)(bytes)),                                     \
                           "shared memory of " #kernel, __FILE__, __LINE__)

// For a function of a kernel that runs rarely and is long: nvcc would put a copy into every kernel.
#ifndef ADELE_SIMT
#define OUT_OF_LINE __noinline__
#else
#define OUT_OF_LINE
#endif

// ---- shared memory ------------------------------------------------------------------------------
// In a kernel: SHARED(float, tile, [64][65]); SHARED(int, n_live, ); and DYNAMIC_SHARED(bytes); for
// the block given at launch (an unsigned char *, 128-byte aligned). Never `__shared__` itself: the
// emulator gives each array a place of its own, so that a step over its end is caught.
#ifndef ADELE_SIMT
#define SHARED(type, name, extents) __shared__ type name extents
#define DYNAMIC_SHARED(name)        extern __shared__ __align__(128) unsigned char name[]
#else
#define SHARED(type, name, extents)                                                                \
    typedef type name##_shared extents;                                                            \
    name##_shared &name =                                                                          \
        *(name##_shared *)simt_shared(sizeof(name##_shared), alignof(name##_shared), __COUNTER__)
#define DYNAMIC_SHARED(name) unsigned char *name = simt_dynamic_shared()
#endif

} // namespace adele_cuda
#endif
