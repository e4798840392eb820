// SPDX-License-Identifier: MIT
// The CUDA device: opening a GPU, its memory, the translation between plain NCHW and NHWC with
// padded channels, and the interface table.
#include "runtime/common.cuh"

#include "runtime/libraries.cuh"
#include "runtime/step_graph.cuh"
#include "runtime/trace_nvtx.cuh"

#include <stdio.h>
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

void *op_create(const struct adele_device *device, enum adele_op_kind kind, size_t bytes) {
    struct cuda_op *op = (struct cuda_op *)memory_calloc(1, bytes);
    if (op != NULL) {
        op->op.kind = kind;
        op->op.device = device;
        uint64_t tuned = families_of_op(kind) & families_of_kind(FAMILY_TUNED);
        bool is_plain = context_of(device)->engine == CUDA_ENGINE_PLAIN ||
                        (tuned != 0 && (tuned & ~device->disabled_families) == 0);
        op->op.engine = is_plain ? "plain" : "direct";
    }
    return op;
}

// Each thread of the host has a GPU of its own that calls go to, number 0 at first, and whoever
// opens a second GPU or uses CUDA beside us changes it: so every entry of the device's interface
// sees to it. Asking costs a few nanoseconds.
static adele_status make_current(const struct adele_device *device) {
    int current = -1, ordinal = context_of(device)->ordinal;
    if (cudaGetDevice(&current) == cudaSuccess && current == ordinal)
        return ADELE_OK;
    CUDA_TRY(cudaSetDevice(ordinal));
    return ADELE_OK;
}

static void op_destroy(struct adele_op *op) {
    if (op == NULL)
        return;
    struct cuda_op *self = (struct cuda_op *)op;
    (void)make_current(op->device);
    if (self->release != NULL)
        self->release(self);
    memory_free(self);
}

adele_status table_create(const struct adele_device *device, const void *host, size_t bytes,
                          void **out) {
    *out = NULL;
    TRY(device->iface->alloc(device, bytes, out));
    adele_status status = device->iface->upload(device, *out, host, bytes);
    if (status != ADELE_OK) {
        device->iface->release(device, *out);
        *out = NULL;
    }
    return status;
}

// ---- memory -------------------------------------------------------------------------------------

static adele_status device_alloc(const struct adele_device *device, size_t bytes, void **out) {
    *out = NULL;
    TRY(make_current(device));
    void *block = NULL;
    cudaError_t code = cudaMalloc(&block, bytes > 0 ? bytes : 1);
    if (code == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError(); // the error is answered here and must not meet the next launch
        return FAIL(ADELE_NO_MEMORY,
                    "Make the batch, the images or the model smaller, or free the GPU.",
                    "the GPU cannot allocate %zu bytes", bytes);
    }
    CUDA_TRY(code);
    *out = block;
    return ADELE_OK;
}

// Page-locked, so that copies from it run beside kernels.
static adele_status device_alloc_pinned(const struct adele_device *device, size_t bytes,
                                        void **out) {
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

static void device_release(const struct adele_device *device, void *block) {
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

// Kernels, ours and the libraries', are loaded when they first run, after a run has planned its
// memory: so much is kept for their code.
static const size_t reserved_bytes = (size_t)256 << 20;

static size_t device_free_bytes(const struct adele_device *device) {
    size_t free_bytes = 0, total_bytes = 0;
    (void)make_current(device);
    if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess)
        return SIZE_MAX;
    return free_bytes > reserved_bytes ? free_bytes - reserved_bytes : 0;
}

static adele_status device_upload(const struct adele_device *device, void *to, const void *from,
                                  size_t bytes) {
    cudaStream_t stream = context_of(device)->stream;
    if (bytes == 0)
        return ADELE_OK;
    TRY(make_current(device));
    CUDA_TRY(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream));
    CUDA_TRY(cudaStreamSynchronize(stream)); // the caller may free `from`
    return ADELE_OK;
}

static adele_status device_download(const struct adele_device *device, void *to, const void *from,
                                    size_t bytes) {
    cudaStream_t stream = context_of(device)->stream;
    if (bytes == 0)
        return ADELE_OK;
    TRY(make_current(device));
    CUDA_TRY(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream));
    CUDA_TRY(cudaStreamSynchronize(stream));
    return ADELE_OK;
}

static adele_status device_upload_begin(const struct adele_device *device, void *to,
                                        const void *pinned, size_t bytes) {
    TRY(make_current(device));
    if (bytes > 0)
        CUDA_TRY(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice,
                                 context_of(device)->copy_stream));
    return ADELE_OK;
}

// A wait holds for what its event was recorded behind, so the two events serve every fence.
static adele_status device_upload_fence(const struct adele_device *device) {
    const struct cuda_context *context = context_of(device);
    TRY(make_current(device));
    CUDA_TRY(cudaEventRecord(context->copied, context->copy_stream));
    CUDA_TRY(cudaEventRecord(context->op_done, context->stream));
    CUDA_TRY(cudaStreamWaitEvent(context->stream, context->copied, 0));
    CUDA_TRY(cudaStreamWaitEvent(context->copy_stream, context->op_done, 0));
    return ADELE_OK;
}

static adele_status device_fill(const struct adele_device *device, void *block, int byte,
                                size_t bytes) {
    TRY(make_current(device));
    if (bytes > 0)
        CUDA_TRY(cudaMemsetAsync(block, byte, bytes, context_of(device)->stream));
    return ADELE_OK;
}

static adele_status device_copy(const struct adele_device *device, void *to, const void *from,
                                size_t bytes) {
    TRY(make_current(device));
    if (bytes > 0)
        CUDA_TRY(
            cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, context_of(device)->stream));
    return ADELE_OK;
}

static adele_status device_synchronize(const struct adele_device *device) {
    TRY(make_current(device));
    CUDA_TRY(cudaStreamSynchronize(context_of(device)->copy_stream));
    CUDA_TRY(cudaStreamSynchronize(context_of(device)->stream));
    return ADELE_OK;
}

// ---- plain NCHW <-> NHWC with padded channels ---------------------------------------------------

static size_t element_bytes(const struct adele_device *device) {
    return context_of(device)->storage == ADELE_PRECISION_BF16 ? sizeof(bf16) : sizeof(float);
}

static int slice_channels(const struct adele_device *device) {
    (void)device;
    return SLICE_CHANNELS;
}

static size_t tensor_bytes(const struct adele_device *device, struct adele_shape shape) {
    return (size_t)tensor_elements(shape) * element_bytes(device);
}

// A thread owns one element (n, y, x, c) of the tensor.
template <typename T>
static __global__ void from_nchw(const float *__restrict__ nchw, T *__restrict__ tensor,
                                 int channels, int64_t n_pixels, int64_t n_elements) {
    int p = padded_channels(channels);
    int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n_elements; i += stride) {
        int c = (int)(i % p);
        int64_t pixel = i / p % n_pixels, n = i / p / n_pixels;
        float value = c < channels ? nchw[(n * channels + c) * n_pixels + pixel] : 0.0f;
        tensor[i] = from_float<T>(value);
    }
}

// A thread owns one element (n, c, y, x) of the plain array.
template <typename T>
static __global__ void to_nchw(const T *__restrict__ tensor, float *__restrict__ nchw, int channels,
                               int64_t n_pixels, int64_t n_elements) {
    int p = padded_channels(channels);
    int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n_elements; i += stride) {
        int64_t pixel = i % n_pixels, plane = i / n_pixels;
        int c = (int)(plane % channels);
        nchw[i] = to_float(tensor[(plane / channels * n_pixels + pixel) * p + c]);
    }
}

#define TRANSLATE_BLOCK 256

static int translate_grid(int64_t n_elements) {
    int64_t n_blocks = (n_elements + TRANSLATE_BLOCK - 1) / TRANSLATE_BLOCK;
    return (int)(n_blocks < 65535 ? n_blocks : 65535);
}

template <typename T>
static adele_status launch_from_nchw(const struct cuda_context *context, const float *nchw,
                                     void *tensor, struct adele_shape shape) {
    int64_t n_elements = tensor_elements(shape);
    return LAUNCH(context, from_nchw<T>, translate_grid(n_elements), TRANSLATE_BLOCK, 0, nchw,
                  (T *)tensor, shape.c, (int64_t)shape.h * shape.w, n_elements);
}

template <typename T>
static adele_status launch_to_nchw(const struct cuda_context *context, const void *tensor,
                                   float *nchw, struct adele_shape shape) {
    int64_t n_pixels = (int64_t)shape.h * shape.w, n_elements = n_pixels * shape.n * shape.c;
    return LAUNCH(context, to_nchw<T>, translate_grid(n_elements), TRANSLATE_BLOCK, 0,
                  (const T *)tensor, nchw, shape.c, n_pixels, n_elements);
}

static size_t plain_bytes(struct adele_shape shape) {
    return (size_t)shape.n * (size_t)shape.c * (size_t)shape.h * (size_t)shape.w * sizeof(float);
}

static adele_status tensor_upload(const struct adele_device *device, void *tensor,
                                  struct adele_shape shape, const float *nchw) {
    struct cuda_context *context = context_of(device);
    void *staging = NULL;
    TRY(table_create(device, nchw, plain_bytes(shape), &staging));
    adele_status status =
        WITH_STORAGE(context, launch_from_nchw, context, (const float *)staging, tensor, shape);
    if (status == ADELE_OK)
        status = device_synchronize(device);
    device_release(device, staging);
    return status;
}

static adele_status tensor_download(const struct adele_device *device, float *nchw,
                                    const void *tensor, struct adele_shape shape) {
    struct cuda_context *context = context_of(device);
    void *staging = NULL;
    TRY(device_alloc(device, plain_bytes(shape), &staging));
    adele_status status =
        WITH_STORAGE(context, launch_to_nchw, context, tensor, (float *)staging, shape);
    if (status == ADELE_OK)
        status = device_download(device, nchw, staging, plain_bytes(shape));
    device_release(device, staging);
    return status;
}

// ---- the device ---------------------------------------------------------------------------------

static adele_status step_begin(const struct adele_device *device, int step_kind) {
    struct cuda_context *context = context_of(device);
    TRY(make_current(device));
    bool has_graphs =
        context->graphs != NULL && !family_is_disabled(device, ADELE_FAMILY_step_graph);
    return has_graphs ? step_graphs_begin(context, step_kind) : ADELE_OK;
}

static adele_status step_end(const struct adele_device *device, bool is_whole) {
    struct cuda_context *context = context_of(device);
    TRY(make_current(device));
    return context->graphs == NULL ? ADELE_OK : step_graphs_end(context, is_whole);
}

static void device_destroy(struct adele_device *device) {
    if (device == NULL)
        return;
    struct cuda_context *context = context_of(device);
    (void)cudaSetDevice(context->ordinal);
    if (context->stream != NULL)
        (void)cudaStreamSynchronize(context->stream);
    step_graphs_destroy(context->graphs);
    libraries_close(context->libraries);
    if (context->stream != NULL)
        (void)cudaStreamDestroy(context->stream);
    if (context->copy_stream != NULL)
        (void)cudaStreamDestroy(context->copy_stream);
    if (context->copied != NULL)
        (void)cudaEventDestroy(context->copied);
    if (context->op_done != NULL)
        (void)cudaEventDestroy(context->op_done);
    memory_free(context);
}

// The entries of the ops, on this device's GPU. An op whose kernels the self-test found faulty, all
// of them, is refused here; a convolution, whose shape decides what it needs, looks for itself.
#define CHECKED_CREATE(name, has_backward)                                                         \
    static adele_status checked_##name##_create(const struct adele_device *device,                 \
                                                const struct adele_##name##_desc *desc,            \
                                                struct adele_op **out) {                           \
        *out = NULL;                                                                               \
        TRY(make_current(device));                                                                 \
        TRY(families_check_op(device, ADELE_OP_##name,                                             \
                              context_of(device)->engine == CUDA_ENGINE_PLAIN));                   \
        return cuda_##name##_create(device, desc, out);                                            \
    }
ADELE_OPS(CHECKED_CREATE)
#undef CHECKED_CREATE

template <typename A, adele_status (*run)(struct adele_op *, const A *)>
static adele_status run_op(struct adele_op *op, const A *args) {
    TRY(make_current(op->device));
    return run(op, args);
}

#define IFACE_CREATE(name)           checked_##name##_create
#define IFACE_RUN(name, pass)        run_op<struct adele_##name##_args, cuda_##name##_##pass>
#define IFACE_OP_0(name)             IFACE_CREATE(name), IFACE_RUN(name, forward), NULL,
#define IFACE_OP_1(name)             IFACE_CREATE(name), IFACE_RUN(name, forward), IFACE_RUN(name, backward),
#define IFACE_OP(name, has_backward) IFACE_OP_##has_backward(name)

#ifdef ADELE_SIMT
#define DEVICE_NAME "simt"
#else
#define DEVICE_NAME "cuda"
#endif

// In the order of the struct: C++17 has no designated initializers.
static const struct adele_device_iface cuda_iface = {
    DEVICE_NAME,         device_alloc,   device_alloc_pinned, device_release,
    device_free_bytes,   device_upload,  device_download,     device_upload_begin,
    device_upload_fence, device_fill,    device_copy,         device_synchronize,
    tensor_bytes,        slice_channels, tensor_upload,       tensor_download,
    step_begin,          step_end,       device_destroy,      op_destroy,
    ADELE_OPS(IFACE_OP)};

static adele_status read_properties(struct cuda_context *context) {
    struct cudaDeviceProp properties;
    CUDA_TRY(cudaGetDeviceProperties(&properties, context->ordinal));
    context->compute_capability = 10 * properties.major + properties.minor;
    context->n_multiprocessors = properties.multiProcessorCount;
    context->shared_bytes_max = (int)properties.sharedMemPerBlockOptin;
    if (context->compute_capability < 80)
        return FAIL(ADELE_DEVICE, "Use --device cpu.",
                    "%s %d: %s has compute capability %d.%d, this program needs 8.0", DEVICE_NAME,
                    context->ordinal, properties.name, properties.major, properties.minor);
    static const char *const engines[] = {"auto", "direct", "plain", "cudnn", "cublas"};
    snprintf(context->device.engine, sizeof context->device.engine, "%s", engines[context->engine]);
    context->device.repeats =
        context->engine == CUDA_ENGINE_AUTO
            ? "the same bytes for the same build, engine, instruction set and libraries, and the "
              "same choices of the engine auto (adele/engines.txt in the user's cache folder)"
            : "the same bytes for the same build, engine, instruction set and libraries";
    snprintf(context->device.description, sizeof context->device.description,
             DEVICE_NAME ":%d: %.60s, %.1f GiB, %s tensors, engine %s", context->ordinal,
             properties.name, (double)properties.totalGlobalMem / (1024.0 * 1024.0 * 1024.0),
             context->storage == ADELE_PRECISION_BF16 ? "bf16" : "fp32", engines[context->engine]);
    return ADELE_OK;
}

#ifdef ADELE_SIMT
// The emulator computes with the host compiler's code, and there is one emulator.
static adele_status describe_results(struct cuda_context *context) {
    snprintf(context->device.instruction_set, sizeof context->device.instruction_set, "simt");
    return ADELE_OK;
}
#else
static adele_status describe_results(struct cuda_context *context) {
    struct adele_device *device = &context->device;
    int driver = 0, runtime = 0;
    CUDA_TRY(cudaDriverGetVersion(&driver));
    CUDA_TRY(cudaRuntimeGetVersion(&runtime));
    snprintf(device->instruction_set, sizeof device->instruction_set, "sm_%d",
             context->compute_capability);
    int used =
        snprintf(device->libraries, sizeof device->libraries, "CUDA runtime %d.%d, driver %d.%d",
                 runtime / 1000, runtime % 1000 / 10, driver / 1000, driver % 1000 / 10);
    libraries_print(context->libraries, device->libraries + used,
                    sizeof device->libraries - (size_t)used);
    return ADELE_OK;
}
#endif

static adele_status context_init(struct cuda_context *context) {
    CUDA_TRY(cudaSetDevice(context->ordinal));
    TRY(read_properties(context));
    CUDA_TRY(cudaStreamCreateWithFlags(&context->stream, cudaStreamNonBlocking));
    CUDA_TRY(cudaStreamCreateWithFlags(&context->copy_stream, cudaStreamNonBlocking));
    CUDA_TRY(cudaEventCreateWithFlags(&context->copied, cudaEventDisableTiming));
    CUDA_TRY(cudaEventCreateWithFlags(&context->op_done, cudaEventDisableTiming));
    if (context->engine != CUDA_ENGINE_DIRECT && context->engine != CUDA_ENGINE_PLAIN)
        TRY(libraries_open(context, &context->libraries));
    TRY(describe_results(context));
    trace_nvtx_install();
    return step_graphs_create(&context->graphs);
}

static adele_status device_create(const struct cuda_options *options, struct adele_device **out) {
    *out = NULL;
    struct cuda_context *context = (struct cuda_context *)memory_calloc(1, sizeof *context);
    if (context == NULL)
        return FAIL_NO_MEMORY(sizeof *context);
    context->device.iface = &cuda_iface;
    context->device.context = context;
    context->ordinal = options->ordinal;
    context->engine = options->engine;
    context->storage =
        options->precision == ADELE_PRECISION_BF16 ? ADELE_PRECISION_BF16 : ADELE_PRECISION_FP32;
    adele_status status = context_init(context);
    if (status != ADELE_OK) {
        device_destroy(&context->device);
        return status;
    }
    *out = &context->device;
    return ADELE_OK;
}

} // namespace adele_cuda

// ---- the door -----------------------------------------------------------------------------------

int cuda_device_count(void) {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        (void)cudaGetLastError(); // no driver, no GPU: not an error here
        return 0;
    }
    return count;
}

adele_status cuda_device_create(const struct cuda_options *options, struct adele_device **out) {
    int count = cuda_device_count();
    *out = NULL;
    if (options->ordinal < 0 || options->ordinal >= count)
        return FAIL(ADELE_DEVICE, "Use --device cpu, or install the NVIDIA driver (nvidia-smi).",
                    "there is no GPU number %d: %d found", options->ordinal, count);
    return adele_cuda::device_create(options, out);
}

void cuda_device_set_cudnn_way(struct adele_device *device, int way) {
    adele_cuda::context_of(device)->cudnn_way = way;
}

void cuda_device_identity(int ordinal, char *out, size_t bytes) {
    struct cudaDeviceProp properties;
    int driver = 0, runtime = 0;
    long cudnn = 0, cublas = 0;
    out[0] = '\0';
    if (ordinal < 0 || ordinal >= cuda_device_count())
        return;
    if (cudaGetDeviceProperties(&properties, ordinal) != cudaSuccess ||
        cudaDriverGetVersion(&driver) != cudaSuccess ||
        cudaRuntimeGetVersion(&runtime) != cudaSuccess) {
        (void)cudaGetLastError(); // opening the device will say what is wrong
        return;
    }
    adele_cuda::libraries_versions(&cudnn, &cublas);
    snprintf(out, bytes, "%.100s, sm_%d%d, driver %d, runtime %d, cudnn %ld, cublas %ld",
             properties.name, properties.major, properties.minor, driver, runtime, cudnn, cublas);
}

bool cuda_engine_parse(const char *name, enum cuda_engine *out) {
    static const char *const names[] = {"auto", "direct", "plain", "cudnn", "cublas"};
    for (int i = 0; i < 5; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum cuda_engine)i;
            return true;
        }
    return false;
}
