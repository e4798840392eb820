// SPDX-License-Identifier: MIT
#include "support/devices.h"
#include "base/fail.h"
#include "base/random.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "runtime/cuda_device.h"
#include "support/outputs.h"
#ifdef ADELE_HAVE_SIMT
#include "simt/simt_libraries.h"
#endif

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUARD_BYTES 256 // keeps the data behind it aligned
#define GUARD       0xa5

static const char *device_kind(void) {
    const char *kind = getenv("ADELE_TEST_DEVICES");
    return kind != NULL ? kind : "cpu";
}

bool devices_are_cpu(void) {
    return strcmp(device_kind(), "cpu") == 0;
}

static adele_status open_with(const struct cuda_options *options, struct adele_device **out) {
    *out = NULL;
#ifdef ADELE_HAVE_SIMT
    if (strcmp(device_kind(), "simt") == 0)
        return simt_device_create(options, out);
#endif
#ifdef ADELE_HAVE_CUDA
    if (strcmp(device_kind(), "cuda") == 0)
        return cuda_device_create(options, out);
#endif
    (void)options;
    return FAIL(ADELE_INVALID_ARGUMENT, "ADELE_TEST_DEVICES is cpu, simt or cuda.",
                "no device \"%s\" in this test", device_kind());
}

// CTest recognizes a skipped test by these words.
static bool lacks_gpu(void) {
#ifdef ADELE_HAVE_CUDA
    if (strcmp(device_kind(), "cuda") == 0 && cuda_device_count() == 0) {
        print_message("no GPU here\n");
        return true;
    }
#endif
    return false;
}

static void run_on(struct adele_device *device, const char *text,
                   void (*body)(struct adele_device *device)) {
    print_message("on %s, %s\n", device_kind(), text);
    body(device);
    adele_device_close(device);
}

static void each_gpu(void (*body)(struct adele_device *device), bool is_fp32_only) {
    static const struct {
        struct cuda_options options;
        const char *text;
    } kinds[] = {
        {{0, ADELE_PRECISION_FP32, CUDA_ENGINE_DIRECT}, "float tensors, tuned kernels"},
        {{0, ADELE_PRECISION_FP32, CUDA_ENGINE_PLAIN}, "float tensors, plain kernels"},
        {{0, ADELE_PRECISION_BF16, CUDA_ENGINE_DIRECT}, "bf16 tensors, tuned kernels"},
        {{0, ADELE_PRECISION_BF16, CUDA_ENGINE_PLAIN}, "bf16 tensors, plain kernels"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct adele_device *device = NULL;
        if (is_fp32_only && kinds[i].options.precision != ADELE_PRECISION_FP32)
            continue;
        if (lacks_gpu())
            skip();
        if (open_with(&kinds[i].options, &device) != ADELE_OK)
            fail_msg("%s", adele_error_message());
        run_on(device, kinds[i].text, body);
    }
}

// Installs the emulator's stand-ins of the libraries. Without a folder for caches, the measurements
// of auto are not stored.
static void prepare_libraries(bool is_there) {
    setenv("HOME", "", 1);
    unsetenv("XDG_CACHE_HOME");
#ifdef ADELE_HAVE_SIMT
    static const struct simt_libraries all = {.has_cublas = true, .has_cudnn = true};
    if (strcmp(device_kind(), "simt") == 0)
        simt_libraries_install(is_there ? &all : NULL);
#endif
    (void)is_there;
}

static void each_library(void (*body)(struct adele_device *device)) {
    static const struct {
        enum cuda_engine engine;
        const char *text;
    } engines[] = {
        {CUDA_ENGINE_AUTO, "auto"}, {CUDA_ENGINE_CUDNN, "cudnn"}, {CUDA_ENGINE_CUBLAS, "cublas"}};
    if (lacks_gpu())
        skip();
    prepare_libraries(true);
    for (size_t i = 0; i < 2 * sizeof engines / sizeof engines[0]; i++) {
        bool is_bf16 = i % 2 == 1, is_auto = engines[i / 2].engine == CUDA_ENGINE_AUTO;
        // auto takes one of the others, and to measure which takes the emulator minutes; what it
        // chooses is in test_conv2d_library.
        if (is_auto && strcmp(device_kind(), "simt") == 0)
            continue;
        struct cuda_options options = {0, is_bf16 ? ADELE_PRECISION_BF16 : ADELE_PRECISION_FP32,
                                       engines[i / 2].engine};
        struct adele_device *device = NULL;
        char text[64];
        (void)snprintf(text, sizeof text, "%s tensors, engine %s", is_bf16 ? "bf16" : "float",
                       engines[i / 2].text);
        adele_status status = open_with(&options, &device);
        if (status == ADELE_UNSUPPORTED)
            print_message("SKIPPED: %s: %s\n", text, adele_error_message());
        else if (status != ADELE_OK)
            fail_msg("%s", adele_error_message());
        else
            run_on(device, text, body);
    }
    prepare_libraries(false);
}

static void on_cpu_block(int block, bool is_bf16, void (*body)(struct adele_device *device)) {
    struct adele_device *device = NULL;
    char text[64];
    (void)snprintf(text, sizeof text, "%s tensors, block of %d", is_bf16 ? "bf16" : "float", block);
    assert_int_equal(cpu_device_create_with_block(block, is_bf16, &device), ADELE_OK);
    run_on(device, text, body);
}

void devices_each(void (*body)(struct adele_device *device)) {
    if (devices_are_cpu()) {
        for (int i = 0; i < 4; i++)
            on_cpu_block(i % 2 == 0 ? 8 : 16, i / 2 == 1, body);
    } else {
        each_gpu(body, false);
    }
}

void devices_each_engine(void (*body)(struct adele_device *device)) {
    devices_each(body);
    if (!devices_are_cpu())
        each_library(body);
}

bool device_leaves_op(const struct adele_device *device, const struct adele_op *op) {
    bool is_library = strcmp(device->engine, "cudnn") == 0 || strcmp(device->engine, "cublas") == 0;
    return is_library && strstr(op->engine, device->engine) == NULL;
}

double device_library_rounding(const struct adele_device *device, const struct adele_op *op,
                               enum adele_precision precision, double n_terms) {
    if (strstr(op->engine, "cudnn") == NULL && strstr(op->engine, "cublas") == NULL)
        return 0.0;
    if (device_is_bf16(device))
        return 0x1p-8 * sqrt(n_terms / 27.0);
    return precision == ADELE_PRECISION_BF16 ? 0x1p-7 * sqrt(n_terms / 54.0) : 0.0;
}

void devices_each_fp32(bool is_quick, void (*body)(struct adele_device *device)) {
    if (!devices_are_cpu()) {
        each_gpu(body, true);
        return;
    }
    struct adele_device *device = devices_open_first();
    assert_non_null(device);
    bool has_avx512 = cpu_isa() >= CPU_ISA_AVX512;
    run_on(device, "as users get it", body);
    if (has_avx512 || !is_quick)
        on_cpu_block(16, false, body);
    if (has_avx512 && !is_quick)
        on_cpu_block(8, false, body);
}

struct adele_device *devices_open_first(void) {
    static const struct cuda_options options = {0, ADELE_PRECISION_FP32, CUDA_ENGINE_DIRECT};
    struct adele_device *device = NULL;
    if (lacks_gpu())
        return NULL;
    adele_status status = devices_are_cpu() ? cpu_device_create(ADELE_PRECISION_FP32, &device)
                                            : open_with(&options, &device);
    if (status != ADELE_OK)
        print_error("%s\n", adele_error_message());
    return device;
}

int devices_setup_cpu(void **state) {
    struct adele_device *device = NULL;
    if (adele_device_open("cpu", ADELE_PRECISION_FP32, &device) != ADELE_OK)
        return -1;
    *state = device;
    return 0;
}

int devices_teardown(void **state) {
    adele_device_close(*state);
    return 0;
}

// A tensor of one pixel and 16 channels, which fill whole blocks, tells how wide an element is.
bool device_is_bf16(const struct adele_device *device) {
    struct adele_shape shape = {1, 16, 1, 1};
    return device->iface->tensor_bytes(device, shape) == 32;
}

double device_tolerance(const struct adele_device *device, double tolerance) {
    const double half_step = 1.0 / 256.0; // of 8 bits of mantissa, and room for the float error
    return device_is_bf16(device) && tolerance < half_step ? half_step : tolerance;
}

bool arena_is_bf16(const struct arena *arena) {
    return device_is_bf16(arena->device);
}

size_t shape_count(struct adele_shape shape) {
    return (size_t)shape.n * (size_t)shape.c * (size_t)shape.h * (size_t)shape.w;
}

void arena_open(struct arena *arena, struct adele_device *device) {
    memset(arena, 0, sizeof *arena);
    arena->device = device;
}

static struct arena_buffer *next_buffer(struct arena *arena) {
    assert_true(arena->n_buffers < ARENA_MAX_BUFFERS);
    return &arena->buffers[arena->n_buffers++];
}

static void check_guard(const struct adele_device *device, const unsigned char *guard,
                        const char *where, int i_buffer) {
    unsigned char bytes[GUARD_BYTES];
    assert_int_equal(device->iface->download(device, bytes, guard, GUARD_BYTES), ADELE_OK);
    for (size_t i = 0; i < GUARD_BYTES; i++)
        if (bytes[i] != GUARD)
            fail_msg("buffer %d: guard byte %zu %s the data was overwritten", i_buffer, i, where);
}

void arena_close(struct arena *arena) {
    const struct adele_device *device = arena->device;
    for (int i = 0; i < arena->n_buffers; i++) {
        struct arena_buffer *buffer = &arena->buffers[i];
        if (buffer->block != NULL) {
            check_guard(device, buffer->block, "before", i);
            check_guard(device, buffer->block + GUARD_BYTES + buffer->bytes, "behind", i);
            device->iface->release(device, buffer->block);
        }
        free(buffer->host);
    }
    arena->n_buffers = 0;
}

float *arena_floats(struct arena *arena, size_t count) {
    struct arena_buffer *buffer = next_buffer(arena);
    buffer->host = calloc(count + 1, sizeof(float));
    assert_non_null(buffer->host);
    return buffer->host;
}

// To the nearest with 8 bits of mantissa, ties to even.
static void round_to_bf16(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
        memcpy(&values[i], &bits, sizeof bits);
    }
}

float *arena_random(struct arena *arena, uint64_t seed, size_t count, double low, double high) {
    float *out = arena_floats(arena, count);
    struct random_stream stream;
    random_stream_init(&stream, seed, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)random_range(&stream, low, high);
    if (arena_is_bf16(arena))
        round_to_bf16(out, count);
    return out;
}

static void *guarded(struct arena *arena, size_t bytes) {
    const struct adele_device *device = arena->device;
    struct arena_buffer *buffer = next_buffer(arena);
    void *block = NULL;
    assert_int_equal(device->iface->alloc(device, bytes + (size_t)2 * GUARD_BYTES, &block),
                     ADELE_OK);
    buffer->block = block;
    buffer->bytes = bytes;
    unsigned char *data = buffer->block + GUARD_BYTES;
    assert_int_equal(device->iface->fill(device, block, GUARD, bytes + (size_t)2 * GUARD_BYTES),
                     ADELE_OK);
    assert_int_equal(device->iface->fill(device, data, 0xff, bytes), ADELE_OK);
    return data;
}

void *arena_upload(struct arena *arena, const void *from, size_t bytes) {
    void *data = guarded(arena, bytes);
    if (from != NULL)
        assert_int_equal(arena->device->iface->upload(arena->device, data, from, bytes), ADELE_OK);
    return data;
}

void *arena_tensor(struct arena *arena, struct adele_shape shape, const float *nchw) {
    const struct adele_device *device = arena->device;
    void *data = guarded(arena, device->iface->tensor_bytes(device, shape));
    if (nchw != NULL)
        assert_int_equal(device->iface->tensor_upload(device, data, shape, nchw), ADELE_OK);
    return data;
}

void *arena_workspace(struct arena *arena, const struct adele_op *op) {
    return arena_upload(arena, NULL, op->workspace_bytes);
}

float *arena_download(struct arena *arena, const void *from, size_t count) {
    const struct adele_device *device = arena->device;
    float *out = arena_floats(arena, count);
    assert_int_equal(device->iface->synchronize(device), ADELE_OK);
    assert_int_equal(device->iface->download(device, out, from, count * sizeof(float)), ADELE_OK);
    outputs_add(out, count * sizeof(float));
    return out;
}

// A fresh upload of what was downloaded has zeros in its fill-up elements, so the two must be equal
// as bytes (a negative zero there counts as zero: elements are compared as 16-bit words without
// sign).
static void check_fill_up(struct arena *arena, const void *tensor, struct adele_shape shape,
                          const float *nchw) {
    const struct adele_device *device = arena->device;
    size_t bytes = device->iface->tensor_bytes(device, shape);
    void *fresh = arena_tensor(arena, shape, nchw);
    const uint16_t *got = (const uint16_t *)(void *)arena_download(arena, tensor, bytes / 4);
    const uint16_t *want = (const uint16_t *)(void *)arena_download(arena, fresh, bytes / 4);
    for (size_t i = 0; i < bytes / sizeof(uint16_t); i++)
        if ((got[i] & 0x7fff) != (want[i] & 0x7fff))
            fail_msg("tensor (%d, %d, %d, %d): a fill-up element near byte %zu is not zero",
                     shape.n, shape.c, shape.h, shape.w, i * sizeof(uint16_t));
}

float *arena_tensor_download(struct arena *arena, const void *tensor, struct adele_shape shape) {
    const struct adele_device *device = arena->device;
    float *out = arena_floats(arena, shape_count(shape));
    assert_int_equal(device->iface->synchronize(device), ADELE_OK);
    assert_int_equal(device->iface->tensor_download(device, out, tensor, shape), ADELE_OK);
    outputs_add(out, shape_count(shape) * sizeof(float));
    check_fill_up(arena, tensor, shape, out);
    return out;
}
