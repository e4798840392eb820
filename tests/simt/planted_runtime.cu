// SPDX-License-Identifier: MIT
// What a program may do wrong with streams, graphs and memory.
#include "planted_parts.cuh"

#include <stdio.h>

namespace adele_cuda {

static __global__ void copy_one(float *to, const float *from) {
    *to = *from;
}

static __global__ void add_one(float *to, float value) {
    *to += value;
}

static __global__ void chain(float *out) {
    out[blockIdx.x] = blockIdx.x == 0 ? 1.0f : out[blockIdx.x - 1];
}

// Two streams, an event, and a number in page-locked and in device memory.
struct runtime {
    cudaStream_t stream, other;
    cudaEvent_t event;
    float *pinned, *device, *result;

    runtime() {
        cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
        cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
        cudaHostAlloc(&pinned, sizeof *pinned, cudaHostAllocMapped);
        cudaHostAlloc(&result, sizeof *result, cudaHostAllocDefault);
        cudaMalloc(&device, sizeof *device);
    }
    ~runtime() {
        cudaStreamDestroy(stream);
        cudaStreamDestroy(other);
        cudaEventDestroy(event);
        cudaFreeHost(pinned);
        cudaFreeHost(result);
        cudaFree(device);
    }
};

static cudaError_t call_in_capture(struct runtime *runtime, enum planted_in_capture call) {
    void *block = NULL;
    float number = 1.0f;
    switch (call) {
    case PLANTED_CAPTURE_MALLOC:
        return cudaMalloc(&block, 8);
    case PLANTED_CAPTURE_HOST_ALLOC:
        return cudaHostAlloc(&block, 8, cudaHostAllocDefault);
    case PLANTED_CAPTURE_FREE:
        return cudaFree(runtime->device);
    case PLANTED_CAPTURE_FREE_HOST:
        return cudaFreeHost(runtime->pinned);
    case PLANTED_CAPTURE_SYNCHRONIZE:
        return cudaStreamSynchronize(runtime->stream);
    case PLANTED_CAPTURE_SYNCHRONIZE_DEVICE:
        return cudaDeviceSynchronize();
    case PLANTED_CAPTURE_COPY:
        return cudaMemcpy(runtime->device, &number, sizeof number, cudaMemcpyHostToDevice);
    case PLANTED_CAPTURE_PAGEABLE:
        return cudaMemcpyAsync(runtime->device, &number, sizeof number, cudaMemcpyHostToDevice,
                               runtime->stream);
    case PLANTED_CAPTURE_DEFAULT_STREAM:
        RUN(add_one, 1, 1, 0, runtime->device, 1.0f);
        return cudaPeekAtLastError();
    default: // PLANTED_CAPTURE_EVENT
        return cudaStreamWaitEvent(runtime->stream, runtime->event, 0);
    }
}

static const char *break_capture(enum planted_in_capture call) {
    static char text[256];
    struct runtime runtime;
    cudaGraph_t graph = NULL;
    cudaEventRecord(runtime.event, runtime.other);
    if (cudaStreamBeginCapture(runtime.stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess)
        return NULL;
    cudaError_t code = call_in_capture(&runtime, call);
    snprintf(text, sizeof text, "%s", cudaGetErrorString(code));
    cudaError_t end = cudaStreamEndCapture(runtime.stream, &graph);
    cudaGetLastError();
    return code != cudaSuccess && end == cudaErrorStreamCaptureInvalidated && !graph ? text : NULL;
}

static bool capture_sum(struct runtime *runtime, float value, cudaGraph_t *out) {
    if (cudaStreamBeginCapture(runtime->stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess)
        return false;
    RUN_ON(runtime->stream, add_one, 1, 1, 0, runtime->device, value);
    cudaMemcpyAsync(runtime->result, runtime->device, sizeof(float), cudaMemcpyDeviceToHost,
                    runtime->stream);
    return cudaStreamEndCapture(runtime->stream, out) == cudaSuccess;
}

static float run_graph() {
    struct runtime runtime;
    cudaGraph_t first = NULL, second = NULL;
    cudaGraphExec_t exec = NULL;
    cudaGraphExecUpdateResultInfo info;
    cudaMemset(runtime.device, 0, sizeof(float));
    *runtime.result = 0.0f;
    if (!capture_sum(&runtime, 1.0f, &first) || !capture_sum(&runtime, 10.0f, &second) ||
        cudaGraphInstantiate(&exec, first, 0) != cudaSuccess)
        return -1.0f;
    cudaStreamSynchronize(runtime.stream);
    bool is_right = *runtime.result == 0.0f; // the captures did nothing
    for (int i = 0; i < 3; i++)
        is_right &= cudaGraphLaunch(exec, runtime.stream) == cudaSuccess;
    is_right &= cudaGraphExecUpdate(exec, second, &info) == cudaSuccess;
    is_right &= cudaGraphLaunch(exec, runtime.stream) == cudaSuccess;
    is_right &= cudaStreamSynchronize(runtime.stream) == cudaSuccess;
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(first);
    cudaGraphDestroy(second);
    return is_right ? *runtime.result : -1.0f;
}

static float run_late(enum planted_late fault) {
    struct runtime runtime;
    bool has_two = fault == PLANTED_LATE_STREAMS || fault == PLANTED_LATE_EVENT;
    cudaStream_t last = has_two ? runtime.other : runtime.stream;
    *runtime.pinned = 1.0f;
    RUN_ON(runtime.stream, copy_one, 1, 1, 0, runtime.device, runtime.pinned);
    if (fault == PLANTED_LATE_EVENT) {
        cudaEventRecord(runtime.event, runtime.stream);
        cudaStreamWaitEvent(runtime.other, runtime.event, 0);
    }
    cudaMemcpyAsync(runtime.result, runtime.device, sizeof(float), cudaMemcpyDeviceToHost, last);
    if (fault == PLANTED_LATE_OVERWRITTEN)
        *runtime.pinned = 2.0f;
    if (fault == PLANTED_LATE_FREED) {
        cudaFreeHost(runtime.pinned);
        runtime.pinned = NULL;
    }
    float early = *runtime.result;
    cudaStreamSynchronize(last);
    return fault == PLANTED_LATE_READ ? early : *runtime.result;
}

} // namespace adele_cuda

using namespace adele_cuda;

const char *planted_in_capture(enum planted_in_capture call) {
    return break_capture(call);
}

float planted_graph(void) {
    return run_graph();
}

float planted_late(enum planted_late fault) {
    return run_late(fault);
}

const char *planted_chain(float out[64]) {
    device_array<float> to(NULL, 64);
    RUN(chain, 64, 1, 0, to.data);
    return to.download(out);
}

const char *planted_fresh(float out[2]) {
    struct runtime runtime;
    device_array<float> to(NULL, 2);
    RUN(copy_one, 1, 1, 0, to.data, runtime.device);
    RUN(copy_one, 1, 1, 0, to.data + 1, runtime.pinned);
    return to.download(out);
}
