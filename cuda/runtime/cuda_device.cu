// SPDX-License-Identifier: MIT
// The CUDA device: opening and closing a GPU, and the interface table.
#include "device/op_check.h"
#include "runtime/device_parts.cuh"
#include "runtime/libraries.cuh"
#include "runtime/nccl.cuh"
#include "runtime/step_graph.cuh"
#include "runtime/trace_nvtx.cuh"

#include <stdio.h>
#include <stdlib.h>

namespace adele_cuda {

static void op_destroy(struct adele_op *op) {
    if (op == NULL)
        return;
    struct cuda_op *self = (struct cuda_op *)op;
    (void)make_current(op->device);
    if (self->release != NULL)
        self->release(self);
    for (int i = 0; i < self->n_tables; i++)
        (void)cudaFree(self->tables[i]);
    memory_free(self->tables);
    memory_free(self);
}

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
    adele_status status = context->graphs == NULL ? ADELE_OK : step_graphs_end(context, is_whole);
    exchange_abort_failed(context);
    return status;
}

static void device_destroy(struct adele_device *device) {
    if (device == NULL)
        return;
    struct cuda_context *context = context_of(device);
    (void)cudaSetDevice(context->ordinal);
    (void)device_exchange_leave(device, true); // nothing where the caller has left already
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

// An op's create function has failed: what it made so far goes.
static adele_status drop_op(struct adele_op **out, adele_status status) {
    op_destroy(*out);
    *out = NULL;
    return status;
}

// The entries of the ops, on this device's GPU. An op of which the self-test found all kernels
// faulty is refused here. A convolution's shape decides which kernels it needs, so it checks
// that itself. The create functions get a checked descriptor.
#define CHECKED_CREATE(name, has_backward)                                                         \
    static adele_status checked_##name##_create(const struct adele_device *device,                 \
                                                const struct adele_##name##_desc *desc,            \
                                                struct adele_op **out) {                           \
        *out = NULL;                                                                               \
        TRY(make_current(device));                                                                 \
        TRY(families_check_op(device, ADELE_OP_##name,                                             \
                              context_of(device)->engine == CUDA_ENGINE_PLAIN));                   \
        TRY(op_check_##name(desc));                                                                \
        adele_status status = cuda_##name##_create(device, desc, out);                             \
        return status == ADELE_OK ? ADELE_OK : drop_op(out, status);                               \
    }
ADELE_OPS(CHECKED_CREATE)
#undef CHECKED_CREATE

static adele_status checked_conv2d_scales_create(const struct adele_device *device, int n,
                                                 struct adele_op *const *ops,
                                                 struct adele_op **out) {
    *out = NULL;
    TRY(make_current(device));
    adele_status status = cuda_conv2d_scales_create(device, n, ops, out);
    return status == ADELE_OK ? ADELE_OK : drop_op(out, status);
}

template <typename A, adele_status (*run)(struct adele_op *, const A *)>
static adele_status run_op(struct adele_op *op, const A *args) {
    TRY(make_current(op->device));
    return run(op, args);
}

#ifdef ADELE_SIMT
#define DEVICE_NAME "simt"
#else
#define DEVICE_NAME "cuda"
#endif

// C++17 has no designated initializers, so the fields are set one by one, at compile time.
static constexpr struct adele_device_iface make_iface() {
    struct adele_device_iface iface = {};
    iface.name = DEVICE_NAME;
    iface.alloc = device_alloc;
    iface.alloc_pinned = device_alloc_pinned;
    iface.release = device_release;
    iface.free_bytes = device_free_bytes;
    iface.upload = device_upload;
    iface.download = device_download;
    iface.upload_begin = device_upload_begin;
    iface.upload_fence = device_upload_fence;
    iface.fill = device_fill;
    iface.copy = device_copy;
    iface.synchronize = device_synchronize;
    iface.tensor_bytes = tensor_bytes;
    iface.slice_channels = slice_channels;
    iface.tensor_upload = tensor_upload;
    iface.tensor_download = tensor_download;
    iface.step_begin = step_begin;
    iface.step_end = step_end;
#ifdef ADELE_NCCL
    iface.exchange_open = device_exchange_open;
    iface.exchange_join = device_exchange_join;
    iface.exchange_leave = device_exchange_leave;
    iface.exchange_sum = device_exchange_sum;
#endif
    iface.conv2d_scales_create = checked_conv2d_scales_create;
    iface.conv2d_scales_forward = cuda_conv2d_scales_forward;
    iface.conv2d_scales_backward = cuda_conv2d_scales_backward;
    iface.destroy = device_destroy;
    iface.op_destroy = op_destroy;
#define SET_OP_0(op)                                                                               \
    iface.op##_create = checked_##op##_create;                                                     \
    iface.op##_forward = run_op<struct adele_##op##_args, cuda_##op##_forward>;
#define SET_OP_1(op)                                                                               \
    SET_OP_0(op)                                                                                   \
    iface.op##_backward = run_op<struct adele_##op##_args, cuda_##op##_backward>;
#define SET_OP(op, has_backward) SET_OP_##has_backward(op)
    ADELE_OPS(SET_OP)
#undef SET_OP
    return iface;
}
static constexpr struct adele_device_iface cuda_iface = make_iface();

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
    struct cuda_context *context = NULL;
    TRY(ALLOCATE(&context, 1));
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

// ---- cuda_device.h ------------------------------------------------------------------------------

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
    if (options->ordinal < 0 || options->ordinal >= count)
        return FAIL(ADELE_DEVICE, "Use --device cpu, or install the NVIDIA driver (nvidia-smi).",
                    "there is no GPU number %d: %d found", options->ordinal, count);
    return adele_cuda::device_create(options, out);
}

void cuda_device_set_cudnn_candidate(struct adele_device *device, int candidate) {
    adele_cuda::context_of(device)->cudnn_candidate = candidate;
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
