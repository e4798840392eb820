// SPDX-License-Identifier: MIT
// Streams and events. Kernels run when they are launched, whatever their stream; copies from
// page-locked memory are as late as a GPU may have them: what they write to is spoilt at once, and
// the data come when something waits for the stream. Who forgets to wait finds NaNs.
#include "simt_room.h"

#include <mutex>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct CUstream_st {
    unsigned flags;
};
struct CUevent_st {
    struct timespec time;
    cudaStream_t stream; // of the last record
    long n_begun;        // copies then
};

struct copy {
    void *to;
    const void *from;
    size_t bytes;
    cudaStream_t stream;
    long number;
};

static std::mutex lock;
static long n_begun; // copies of all streams

static std::vector<struct copy> &pending() {
    static std::vector<struct copy> all; // in the order of their beginning
    return all;
}

void simt_copy_begin(void *to, const void *from, size_t bytes, cudaStream_t stream) {
    std::lock_guard<std::mutex> guard(lock);
    memset(to, 0xff, bytes);
    pending().push_back({to, from, bytes, stream, n_begun++});
}

// Of one stream, or of all; those with a number below the limit.
static void finish(cudaStream_t stream, long limit) {
    std::lock_guard<std::mutex> guard(lock);
    std::vector<struct copy> later;
    for (const struct copy &copy : pending()) {
        if ((stream == NULL || copy.stream == stream) && copy.number < limit)
            memcpy(copy.to, copy.from, copy.bytes);
        else
            later.push_back(copy);
    }
    pending().swap(later);
}

void simt_copies_finish(cudaStream_t stream) {
    finish(stream, n_begun);
}

// ---- streams ------------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags) {
    *out = (cudaStream_t)malloc(sizeof **out);
    if (!*out)
        return simt_error(cudaErrorMemoryAllocation, "no memory for a stream");
    (*out)->flags = flags;
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *out) {
    return cudaStreamCreateWithFlags(out, cudaStreamDefault);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    simt_copies_finish(stream);
    free(stream);
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    simt_copies_finish(stream);
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    simt_copies_finish(stream);
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t event, unsigned) {
    return cudaEventSynchronize(event);
}

// ---- events -------------------------------------------------------------------------------------

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned) {
    *out = (cudaEvent_t)calloc(1, sizeof **out);
    return *out ? cudaSuccess : simt_error(cudaErrorMemoryAllocation, "no memory for an event");
}
cudaError_t cudaEventCreate(cudaEvent_t *out) {
    return cudaEventCreateWithFlags(out, cudaEventDefault);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    clock_gettime(CLOCK_MONOTONIC, &event->time);
    event->stream = stream;
    event->n_begun = n_begun;
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    if (event->stream != NULL)
        finish(event->stream, event->n_begun);
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    return cudaEventSynchronize(event);
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to) {
    *ms = (float)((double)(to->time.tv_sec - from->time.tv_sec) * 1e3 +
                  (double)(to->time.tv_nsec - from->time.tv_nsec) * 1e-6);
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    free(event);
    return cudaSuccess;
}
