// SPDX-License-Identifier: MIT
// The CPU device: host memory, conversion between plain NCHW and the blocked layout, and the
// interface table. Every call is complete when it returns, so synchronize has nothing to wait for.
#include "cpu/cpu.h"

#include "base/available_memory.h"
#include "base/fail.h"
#include "base/memory.h"
#include "cpu/context.h"
#include "cpu/isa.h"
#include "cpu/values.h"
#include "device/op_check.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

// ---- memory -------------------------------------------------------------------------------------

// Smaller blocks are too many to query the system for each, and too small to matter.
#define LARGE_BLOCK ((size_t)16 << 20)
#define PAGE_BYTES  ((size_t)4096)

// A 64th is reserved for what no block counts: page tables (a 512th of all memory in use), files
// and images that are read and written in between, and growth of other programs on the machine.
static size_t cpu_free_bytes(const struct adele_device *device) {
    (void)device;
    size_t bytes = available_memory();
    return bytes == SIZE_MAX ? bytes : bytes - bytes / 64;
}

// A step reads and writes hundreds of megabytes: with pages of 4 KiB, a tenth of it was spent on
// looking them up (U-Net, width 16, on a virtual machine). Where the system has no pages of 2 MiB
// left, or never gives them, nothing changes.
static void prefer_large_pages(char *block, size_t bytes) {
#ifdef MADV_HUGEPAGE
    size_t first = (PAGE_BYTES - (uintptr_t)block % PAGE_BYTES) % PAGE_BYTES;
    (void)madvise(block + first, (bytes - first) / PAGE_BYTES * PAGE_BYTES, MADV_HUGEPAGE);
#else
    (void)block;
    (void)bytes;
#endif
}

// The system overcommits memory, and kills a process when too much of it is used. So a large block
// is refused when it is more than what is free, and otherwise each of its pages is written to, so
// that the next allocation does not count the same memory as free.
static adele_status cpu_alloc(const struct adele_device *device, size_t bytes, void **out) {
    *out = NULL;
    size_t free_bytes = bytes >= LARGE_BLOCK ? cpu_free_bytes(device) : SIZE_MAX;
    if (bytes > free_bytes)
        return FAIL(ADELE_NO_MEMORY,
                    "Close other programs, or make the batch, the images or the model smaller.",
                    "cannot allocate %zu MB, %zu MB are free on %s", bytes / 1000000,
                    free_bytes / 1000000, device->description);
    *out = memory_aligned(bytes > 0 ? bytes : 1);
    TRY(CHECK_MEMORY(*out));
    if (bytes >= LARGE_BLOCK)
        prefer_large_pages(*out, bytes);
    volatile char *page = *out;
    for (size_t i = 0; bytes >= LARGE_BLOCK && i < bytes; i += PAGE_BYTES)
        page[i] = 0;
    return ADELE_OK;
}

static void cpu_release(const struct adele_device *device, void *block) {
    (void)device;
    memory_free(block);
}

static adele_status cpu_transfer(const struct adele_device *device, void *to, const void *from,
                                 size_t bytes) {
    (void)device;
    if (bytes > 0)
        memcpy(to, from, bytes);
    return ADELE_OK;
}

static adele_status cpu_fill(const struct adele_device *device, void *block, int byte,
                             size_t bytes) {
    (void)device;
    if (bytes > 0)
        memset(block, byte, bytes);
    return ADELE_OK;
}

static adele_status cpu_synchronize(const struct adele_device *device) {
    (void)device;
    return ADELE_OK;
}

// Nothing runs beside the host: the copy is complete when upload_begin returns.
static adele_status cpu_upload_fence(const struct adele_device *device) {
    (void)device;
    return ADELE_OK;
}

// A step is calls that are complete when they return: there is nothing to record.
static adele_status cpu_step_begin(const struct adele_device *device, int step_kind) {
    (void)device;
    (void)step_kind;
    return ADELE_OK;
}

static adele_status cpu_step_end(const struct adele_device *device, bool is_whole) {
    (void)device;
    (void)is_whole;
    return ADELE_OK;
}

static size_t cpu_tensor_bytes(const struct adele_device *device, struct adele_shape shape) {
    return cpu_tensor_values(shape, cpu_block(device)) * value_bytes(cpu_is_bf16(device));
}

// ---- plain NCHW <-> blocked ---------------------------------------------------------------------

static adele_status cpu_tensor_upload(const struct adele_device *device, void *tensor,
                                      struct adele_shape shape, const float *nchw) {
    int block = cpu_block(device);
    int n_blocks = (shape.c + block - 1) / block;
    size_t plane = (size_t)shape.h * (size_t)shape.w;
    bool is_bf16 = cpu_is_bf16(device);
#pragma omp parallel for collapse(2) schedule(static)
    for (int n = 0; n < shape.n; n++)
        for (int i_block = 0; i_block < n_blocks; i_block++)
            for (int lane = 0; lane < block; lane++) {
                int c = i_block * block + lane;
                size_t out =
                    cpu_tensor_index(shape, block, n, i_block * block, 0, 0) + (size_t)lane;
                const float *in = nchw + ((size_t)n * (size_t)shape.c + (size_t)c) * plane;
                for (size_t i = 0; i < plane; i++)
                    value_store(tensor, out + i * (size_t)block, c < shape.c ? in[i] : 0.0f,
                                is_bf16);
            }
    return ADELE_OK;
}

static adele_status cpu_tensor_download(const struct adele_device *device, float *nchw,
                                        const void *tensor, struct adele_shape shape) {
    int block = cpu_block(device);
    size_t plane = (size_t)shape.h * (size_t)shape.w;
    bool is_bf16 = cpu_is_bf16(device);
#pragma omp parallel for collapse(2) schedule(static)
    for (int n = 0; n < shape.n; n++)
        for (int c = 0; c < shape.c; c++) {
            size_t in = cpu_tensor_index(shape, block, n, c, 0, 0);
            float *out = nchw + ((size_t)n * (size_t)shape.c + (size_t)c) * plane;
            for (size_t i = 0; i < plane; i++)
                out[i] = value_at(tensor, in + i * (size_t)block, is_bf16);
        }
    return ADELE_OK;
}

// ---- the device ---------------------------------------------------------------------------------

static void cpu_destroy(struct adele_device *device) {
    if (device == NULL)
        return;
    struct cpu_context *context = device->context;
    if (context->stream != NULL)
        dnnl_stream_destroy(context->stream);
    if (context->engine != NULL)
        dnnl_engine_destroy(context->engine);
    memory_free(context);
}

#define CHECKED_CREATE(name, has_backward)                                                         \
    static adele_status checked_##name##_create(const struct adele_device *device,                 \
                                                const struct adele_##name##_desc *desc,            \
                                                struct adele_op **out) {                           \
        *out = NULL;                                                                               \
        TRY(op_check_##name(desc));                                                                \
        adele_status status = cpu_##name##_create(device, desc, out);                              \
        if (status != ADELE_OK) {                                                                  \
            cpu_op_destroy(*out);                                                                  \
            *out = NULL;                                                                           \
        }                                                                                          \
        return status;                                                                             \
    }
ADELE_OPS(CHECKED_CREATE)
#undef CHECKED_CREATE

#define IFACE_OP_0(name)                                                                           \
    .name##_create = checked_##name##_create, .name##_forward = cpu_##name##_forward,
#define IFACE_OP_1(name)             IFACE_OP_0(name).name##_backward = cpu_##name##_backward,
#define IFACE_OP(name, has_backward) IFACE_OP_##has_backward(name)

static const struct adele_device_iface cpu_iface = {.name = "cpu",
                                                    .alloc = cpu_alloc,
                                                    .alloc_pinned = cpu_alloc,
                                                    .release = cpu_release,
                                                    .free_bytes = cpu_free_bytes,
                                                    .upload = cpu_transfer,
                                                    .download = cpu_transfer,
                                                    .upload_begin = cpu_transfer,
                                                    .upload_fence = cpu_upload_fence,
                                                    .fill = cpu_fill,
                                                    .copy = cpu_transfer,
                                                    .synchronize = cpu_synchronize,
                                                    .tensor_bytes = cpu_tensor_bytes,
                                                    .slice_channels = cpu_block,
                                                    .tensor_upload = cpu_tensor_upload,
                                                    .tensor_download = cpu_tensor_download,
                                                    .step_begin = cpu_step_begin,
                                                    .step_end = cpu_step_end,
                                                    .destroy = cpu_destroy,
                                                    .op_destroy = cpu_op_destroy,
                                                    ADELE_OPS(IFACE_OP)};

// The processor's own name for itself, without the spaces that some put around it.
static void processor_name(char out[49]) {
    char text[49] = "";
#if defined(__x86_64__) || defined(__i386__)
    unsigned registers[12];
    bool is_known = true;
    for (unsigned i = 0; i < 3; i++)
        is_known =
            is_known && __get_cpuid(0x80000002u + i, &registers[4 * i], &registers[4 * i + 1],
                                    &registers[4 * i + 2], &registers[4 * i + 3]) != 0;
    if (is_known)
        memcpy(text, registers, 48);
#endif
    const char *start = text + strspn(text, " ");
    size_t length = strlen(start);
    while (length > 0 && start[length - 1] == ' ')
        length--;
    if (length == 0) {
        start = "unknown processor";
        length = strlen(start);
    }
    memcpy(out, start, length);
    out[length] = '\0';
}

static void describe(struct cpu_context *context) {
    struct adele_device *device = &context->device;
    char name[49];
    processor_name(name);
    const dnnl_version_t *version = dnnl_version();
    snprintf(device->libraries, sizeof device->libraries, "oneDNN %d.%d.%d", version->major,
             version->minor, version->patch);
    snprintf(device->engine, sizeof device->engine, "direct");
    snprintf(device->instruction_set, sizeof device->instruction_set, "%s",
             cpu_isa_name(cpu_isa()));
    snprintf(device->best_instruction_set, sizeof device->best_instruction_set, "%s",
             cpu_isa_name(cpu_isa_best()));
    device->repeats = "the same bytes for the same build, engine, instruction set and libraries; "
                      "with U-Net whatever the number of threads";
    snprintf(device->description, sizeof device->description, "cpu: %s, %s, %d thread%s, %s", name,
             device->instruction_set, context->n_threads, context->n_threads == 1 ? "" : "s",
             device->libraries);
}

adele_status cpu_device_create_with_block(int block, bool is_bf16, struct adele_device **out) {
    *out = NULL;
    if (block != 8 && block != 16)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use 8 or 16.", "channel block of %d", block);
    TRY(cpu_isa_open());
    struct cpu_context *context;
    TRY(ALLOCATE(&context, 1));
    context->device.iface = &cpu_iface;
    context->device.context = context;
    context->block = block;
    context->is_bf16 = is_bf16;
    context->n_threads = omp_get_max_threads();
    dnnl_status_t code = dnnl_engine_create(&context->engine, dnnl_cpu, 0);
    if (code == dnnl_success)
        code = dnnl_stream_create(&context->stream, context->engine, dnnl_stream_default_flags);
    if (code != dnnl_success) {
        cpu_destroy(&context->device);
        return FAIL(ADELE_DEVICE, "Check the installation of oneDNN (libdnnl).",
                    "cpu: oneDNN cannot open its CPU engine (code %d)", (int)code);
    }
    describe(context);
    *out = &context->device;
    return ADELE_OK;
}

adele_status cpu_device_create_direct(enum adele_precision precision, struct adele_device **out) {
    *out = NULL;
    TRY(cpu_isa_open());
    return cpu_device_create_with_block(cpu_isa() >= CPU_ISA_AVX512 ? 16 : 8,
                                        precision == ADELE_PRECISION_BF16, out);
}

adele_status cpu_device_create(enum adele_precision precision, struct adele_device **out) {
    TRY(cpu_device_create_direct(precision, out));
    ((struct cpu_context *)(*out)->context)->has_winograd = true;
    snprintf((*out)->engine, sizeof(*out)->engine, "auto");
    return ADELE_OK;
}
