// SPDX-License-Identifier: MIT
// What stands in for CUDA's runtime library: a fat binary by hand, launches, streams, captures, and
// what a GPU would refuse.
#include "ptx.h"

#include <cuda_runtime_api.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// What nvcc's code calls.
void **__cudaRegisterFatBinary(void *wrapper);
void __cudaRegisterFunction(void **binary, const char *stub, char *device, const char *name, int n,
                            void *a, void *b, void *c, void *d, int *e);

// buffer[i] += amount, for the threads of one block.
static const char text[] =
    ".version 8.0\n.target sm_80\n.address_size 64\n"
    ".extern .shared .align 16 .b8 dynamic[];\n"
    ".visible .entry add(.param .u64 buffer, .param .u32 amount) {\n"
    ".reg .b32 %r<9>; .reg .b64 %rd<9>; ld.param.u64 %rd1, [buffer]; ld.param.u32 %r1, [amount];"
    "mov.u32 %r2, %tid.x; mul.wide.u32 %rd2, %r2, 4; add.s64 %rd1, %rd1, %rd2;"
    "ld.global.u32 %r3, [%rd1]; add.s32 %r3, %r3, %r1; mov.u32 %r4, dynamic;"
    "st.global.u32 [%rd1], %r3; ret; }\n";

static const char stub; // its address stands for the kernel

static void register_kernel(void) {
    static struct {
        uint32_t magic;
        uint16_t version, header_bytes;
        uint64_t bytes;
        struct {
            uint16_t kind, version;
            uint32_t header_bytes;
            uint64_t bytes;
            uint32_t packed_bytes, name_offset;
            uint16_t minor, major;
            uint32_t sm, unknown[2];
            uint64_t flags, unknown_too, unpacked_bytes;
        } entry;
        char text[sizeof text];
    } image = {.magic = 0xba55ed50u, .version = 1, .header_bytes = 16};
    static struct {
        int magic, version;
        const void *data;
        void *more;
    } wrapper = {0x466243b1, 1, &image, NULL};
    image.entry.kind = 1;
    image.entry.sm = 80;
    image.entry.header_bytes = sizeof image.entry;
    image.entry.bytes = sizeof text;
    image.bytes = sizeof image.entry + sizeof text;
    memcpy(image.text, text, sizeof text);
    void **binary = __cudaRegisterFatBinary(&wrapper);
    __cudaRegisterFunction(binary, &stub, NULL, "add", -1, NULL, NULL, NULL, NULL, NULL);
}

static cudaError_t launch(void *buffer, unsigned amount, unsigned n_threads, size_t shared,
                          cudaStream_t stream) {
    void *args[] = {&buffer, &amount};
    struct dim3 grid = {1, 1, 1}, block = {n_threads, 1, 1};
    return cudaLaunchKernel(&stub, grid, block, args, shared, stream);
}

static int setup(void **state) {
    cudaStream_t stream = NULL;
    if (cudaStreamCreate(&stream) != cudaSuccess)
        return -1;
    *state = stream;
    return 0;
}

static void launches(void **state) {
    uint32_t *buffer, host[4] = {1, 2, 3, 4};
    assert_int_equal(cudaMalloc((void **)&buffer, sizeof host), cudaSuccess);
    assert_int_equal(buffer[0], 0xffffffffu); // rubbish
    assert_int_equal(cudaMemcpyAsync(buffer, host, sizeof host, cudaMemcpyHostToDevice, *state),
                     cudaSuccess);
    assert_int_equal(launch(buffer, 10, 4, 0, *state), cudaSuccess);
    assert_int_equal(cudaMemcpyAsync(host, buffer, sizeof host, cudaMemcpyDeviceToHost, *state),
                     cudaSuccess);
    assert_int_equal(cudaStreamSynchronize(*state), cudaSuccess);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(host[i], i + 11);
    assert_int_equal(cudaFree(buffer), cudaSuccess);
}

static void refuses_launches(void **state) {
    uint32_t *buffer;
    assert_int_equal(cudaMalloc((void **)&buffer, 64), cudaSuccess);
    assert_int_equal(launch(buffer, 1, 0, 0, *state), cudaErrorInvalidConfiguration);
    assert_int_equal(launch(buffer, 1, 1025, 0, *state), cudaErrorInvalidConfiguration);
    // Dynamic shared memory beyond 48 KB must be allowed before; below too, once there is a limit.
    assert_int_equal(launch(buffer, 1, 1, 48 << 10, *state), cudaSuccess);
    assert_int_equal(launch(buffer, 1, 1, (48 << 10) + 1, *state), cudaErrorInvalidValue);
    const enum cudaFuncAttribute attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
    assert_int_equal(cudaFuncSetAttribute(&stub, attribute, 64 << 10), cudaSuccess);
    assert_int_equal(launch(buffer, 1, 1, 64 << 10, *state), cudaSuccess);
    assert_int_equal(cudaFuncSetAttribute(&stub, attribute, 1 << 10), cudaSuccess);
    assert_int_equal(launch(buffer, 1, 1, 2 << 10, *state), cudaErrorInvalidValue);
    assert_int_equal(cudaFuncSetAttribute(&stub, attribute, 164 << 10), cudaErrorInvalidValue);
    assert_int_equal(cudaFuncSetAttribute(&stub, attribute, 48 << 10), cudaSuccess);
    assert_int_equal(cudaFree(buffer), cudaSuccess);
}

static void refuses_copies(void **state) {
    uint32_t *buffer, host[16];
    assert_int_equal(cudaMalloc((void **)&buffer, sizeof host), cudaSuccess);
    assert_int_equal(cudaMemcpyAsync(buffer + 1, host, sizeof host, cudaMemcpyHostToDevice, *state),
                     cudaErrorInvalidValue);
    assert_int_equal(cudaMemcpyAsync(host, host, sizeof host, cudaMemcpyDeviceToHost, *state),
                     cudaErrorInvalidValue);
    assert_int_equal(cudaMemsetAsync(buffer, 0, sizeof host + 1, *state), cudaErrorInvalidValue);
    assert_int_equal(cudaFreeHost(buffer), cudaErrorInvalidValue);
    assert_int_equal(cudaFree(buffer), cudaSuccess);
    assert_int_equal(cudaFree(buffer), cudaErrorInvalidValue);
}

static void captures(void **state) {
    uint32_t *buffer;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    assert_int_equal(cudaMallocHost((void **)&buffer, 64), cudaSuccess);
    buffer[0] = 0;
    assert_int_equal(cudaStreamBeginCapture(*state, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(launch(buffer, 1, 1, 0, *state), cudaSuccess);
    assert_int_equal(launch(buffer, 2, 1, 0, *state), cudaSuccess);
    assert_int_equal(cudaStreamEndCapture(*state, &graph), cudaSuccess);
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    assert_int_equal(buffer[0], 0); // nothing has run
    for (int i = 0; i < 2; i++)
        assert_int_equal(cudaGraphLaunch(exec, *state), cudaSuccess);
    assert_int_equal(cudaStreamSynchronize(*state), cudaSuccess);
    assert_int_equal(buffer[0], 6);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    // Another argument is the same graph, another kernel is not.
    assert_int_equal(cudaStreamBeginCapture(*state, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(launch(buffer, 5, 1, 0, *state), cudaSuccess);
    assert_int_equal(cudaStreamEndCapture(*state, &graph), cudaSuccess);
    cudaGraphExecUpdateResultInfo info;
    assert_int_equal(cudaGraphExecUpdate(exec, graph, &info), cudaErrorGraphExecUpdateFailure);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    assert_int_equal(cudaGraphExecDestroy(exec), cudaSuccess);
    assert_int_equal(cudaFreeHost(buffer), cudaSuccess);
}

static cudaError_t allocate(void *stream) {
    void *block;
    (void)stream;
    return cudaMalloc(&block, 64);
}
static cudaError_t synchronize(void *stream) {
    return cudaStreamSynchronize(stream);
}
static cudaError_t copy_pageable(void *stream) {
    static uint32_t *buffer, host[4];
    if (buffer == NULL)
        return cudaMalloc((void **)&buffer, sizeof host); // before the capture
    return cudaMemcpyAsync(buffer, host, sizeof host, cudaMemcpyHostToDevice, stream);
}

static void refuses_in_captures(void **state) {
    cudaError_t (*const calls[])(void *) = {allocate, synchronize, copy_pageable};
    assert_int_equal(copy_pageable(*state), cudaSuccess);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        cudaGraph_t graph;
        assert_int_equal(cudaStreamBeginCapture(*state, cudaStreamCaptureModeThreadLocal),
                         cudaSuccess);
        assert_int_equal(calls[i](*state), cudaErrorStreamCaptureUnsupported);
        assert_int_equal(cudaStreamEndCapture(*state, &graph), cudaErrorStreamCaptureInvalidated);
    }
}

// The last test: the device is lost afterwards.
static void a_kernel_that_fails_stays(void **state) {
    assert_int_equal(launch(NULL, 1, 1, 0, *state), cudaErrorLaunchFailure);
    assert_int_equal(cudaStreamSynchronize(*state), cudaErrorLaunchFailure);
    assert_non_null(strstr(cudaGetErrorString(cudaErrorLaunchFailure), "no global memory"));
    assert_int_equal(cudaGetLastError(), cudaErrorLaunchFailure);
    assert_int_equal(cudaGetLastError(), cudaErrorLaunchFailure);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(launches),
        cmocka_unit_test(refuses_launches),
        cmocka_unit_test(refuses_copies),
        cmocka_unit_test(captures),
        cmocka_unit_test(refuses_in_captures),
        cmocka_unit_test(a_kernel_that_fails_stays),
    };
    register_kernel();
    return cmocka_run_group_tests(tests, setup, NULL);
}
