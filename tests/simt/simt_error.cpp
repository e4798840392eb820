// SPDX-License-Identifier: MIT
// Messages of failures.
#include "simt_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static cudaError_t last_error;
static cudaError_t message_error; // the code that `message` belongs to
static char message[2048];

static void record(cudaError_t code, const char *prefix, const char *format, va_list arguments) {
    int length = snprintf(message, sizeof message, "%s", prefix);
    vsnprintf(message + length, sizeof message - (size_t)length, format, arguments);
    last_error = message_error = code;
}

cudaError_t simt_error(cudaError_t code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record(code, "", format, arguments);
    va_end(arguments);
    return code;
}

void simt_stop(const char *format, ...) {
    char prefix[256];
    uint3 block = simt_run.blocks[0].index;
    snprintf(prefix, sizeof prefix, "kernel %s, block (%u, %u, %u)%s: ", simt_run.grid->name,
             block.x, block.y, block.z, simt_run.n_blocks > 1 ? " and its cluster" : "");
    va_list arguments;
    va_start(arguments, format);
    record(cudaErrorLaunchFailure, prefix, format, arguments);
    va_end(arguments);
    simt_abandon_later();
}

void simt_fail(const char *format, ...) {
    if (simt_run.current < 0) {
        fprintf(stderr, "simt: a function of kernels was called outside of one\n");
        abort();
    }
    char prefix[256];
    uint3 block = simt_here.block, thread = simt_run.threads[simt_run.current].index;
    snprintf(prefix, sizeof prefix,
             "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): ", simt_run.grid->name, block.x,
             block.y, block.z, thread.x, thread.y, thread.z);
    va_list arguments;
    va_start(arguments, format);
    record(cudaErrorLaunchFailure, prefix, format, arguments);
    va_end(arguments);
    simt_abandon();
}

// ---- a block in which no thread can go on -------------------------------------------------------

const char *simt_file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *simt_barrier_name(enum simt_barrier_kind kind) {
    static const char *const names[] = {"__syncthreads", "__syncthreads_or", "__syncthreads_and",
                                        "__syncthreads_count"};
    return names[kind];
}

const char *simt_warp_name(enum simt_warp_kind kind) {
    static const char *const names[] = {
        "__syncwarp",    "__shfl_sync", "__shfl_xor_sync", "__shfl_up_sync", "__shfl_down_sync",
        "__ballot_sync", "__any_sync",  "__all_sync",      "ldmatrix_x4",    "ldmatrix_x4_trans",
        "stmatrix_x4",   "mma_bf16",    "mma_tf32"};
    return names[kind];
}

// Threads that wait in the same place are reported together.
static void describe_place(const struct simt_thread *thread, char *out, size_t bytes) {
    if (thread->state == SIMT_DONE)
        snprintf(out, bytes, "ended");
    else if (thread->state == SIMT_AT_BARRIER)
        snprintf(out, bytes, "at %s:%d in %s", simt_file_name(thread->file), thread->line,
                 simt_barrier_name(thread->barrier));
    else if (thread->state == SIMT_AT_WARP)
        snprintf(out, bytes, "at %s:%d in %s (mask 0x%08x)", simt_file_name(thread->call->file),
                 thread->call->line, simt_warp_name(thread->call->kind), thread->call->mask);
    else if (thread->state == SIMT_AT_OBJECT) {
        int length =
            snprintf(out, bytes, "at %s:%d in ", simt_file_name(thread->file), thread->line);
        thread->describe(thread, out + length, bytes - (size_t)length);
    } else
        snprintf(out, bytes, "running");
}

// Waiting threads first, ended ones last.
static void list_places(int first, int n, const char *what, char *out, size_t bytes) {
    char place[400], other[400];
    size_t length = 0;
    bool is_told[SIMT_MAX_THREADS] = {false};
    out[0] = '\0';
    for (int i = 0; i < 2 * n && length + 2 * sizeof place < bytes; i++) {
        int i_first = i % n;
        bool has_ended = simt_run.threads[first + i_first].state == SIMT_DONE;
        if (is_told[i_first] || (has_ended && i < n))
            continue;
        describe_place(&simt_run.threads[first + i_first], place, sizeof place);
        int count = 0;
        for (int j = i_first; j < n; j++) {
            describe_place(&simt_run.threads[first + j], other, sizeof other);
            if (strcmp(place, other) == 0) {
                is_told[j] = true;
                count++;
            }
        }
        char of_all[32] = "";
        if (length == 0)
            snprintf(of_all, sizeof of_all, " of %d %s", n, what);
        length += (size_t)snprintf(out + length, bytes - length, "%s%d%s %s (first: %d)",
                                   length == 0 ? "" : ", ", count, of_all, place, i_first);
    }
}

// The first thread in that state, -1: none.
static int first_at(enum simt_thread_state state) {
    for (int i = 0; i < simt_run.n_all; i++)
        if (simt_run.threads[i].state == state)
            return i;
    return -1;
}

static void error_divergent_warp(int thread) {
    char places[1024];
    int rank = thread / simt_run.n_threads, first = rank * simt_run.n_threads;
    int warp = (thread - first) / 32, n_lanes = simt_run.n_threads - 32 * warp;
    uint3 block = simt_run.blocks[rank].index;
    list_places(first + 32 * warp, n_lanes < 32 ? n_lanes : 32, "lanes", places, sizeof places);
    simt_error(cudaErrorLaunchFailure,
               "divergent warp function in kernel %s, block (%u, %u, %u), warp %d: %s",
               simt_run.grid->name, block.x, block.y, block.z, warp, places);
}

void simt_error_stuck() {
    char places[1800] = "", name[60];
    size_t length = 0;
    bool is_deadlock = first_at(SIMT_AT_OBJECT) >= 0;
    if (first_at(SIMT_AT_WARP) >= 0 && !is_deadlock) {
        error_divergent_warp(first_at(SIMT_AT_WARP));
        return;
    }
    for (int rank = 0; rank < simt_run.n_blocks && length + 1000 < sizeof places; rank++) {
        uint3 block = simt_run.blocks[rank].index;
        snprintf(name, sizeof name, "%sblock (%u, %u, %u): ", rank > 0 ? "; " : "", block.x,
                 block.y, block.z);
        length += (size_t)snprintf(places + length, sizeof places - length, "%s", name);
        list_places(rank * simt_run.n_threads, simt_run.n_threads, "threads", places + length,
                    sizeof places - length);
        length = strlen(places);
    }
    simt_error(cudaErrorLaunchFailure, "%s in kernel %s, %s",
               is_deadlock ? "deadlock" : "divergent barrier", simt_run.grid->name, places);
}

// ---- the runtime's view -------------------------------------------------------------------------

cudaError_t cudaGetLastError() {
    cudaError_t code = last_error;
    last_error = cudaSuccess;
    return code;
}

cudaError_t cudaPeekAtLastError() {
    return last_error;
}

const char *cudaGetErrorName(cudaError_t code) {
    switch (code) {
    case cudaSuccess:
        return "cudaSuccess";
    case cudaErrorInvalidValue:
        return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
        return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
        return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice:
        return "cudaErrorInvalidDevice";
    case cudaErrorNotReady:
        return "cudaErrorNotReady";
    case cudaErrorLaunchFailure:
        return "cudaErrorLaunchFailure";
    case cudaErrorNotSupported:
        return "cudaErrorNotSupported";
    case cudaErrorStreamCaptureUnsupported:
        return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
        return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorInvalidClusterSize:
        return "cudaErrorInvalidClusterSize";
    case cudaErrorGraphExecUpdateFailure:
        return "cudaErrorGraphExecUpdateFailure";
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t code) {
    if (code == cudaSuccess)
        return "no error";
    return code == message_error ? message : cudaGetErrorName(code);
}
