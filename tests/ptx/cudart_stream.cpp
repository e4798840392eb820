// SPDX-License-Identifier: MIT
// Streams and events.
#include "cudart_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CUevent_st {
    struct CUstream_st *stream = nullptr; // where it was recorded
    uint64_t position = 0;                // how much was queued there before
    struct CUgraph_st *capture = nullptr;
};

namespace ptx_cudart {

enum stream_mode { STREAMS_NOW, STREAMS_LAZY, STREAMS_MIXED };

static std::vector<struct CUstream_st *> streams;
static struct CUstream_st default_stream;
static uint64_t seed = 1; // of STREAMS_MIXED

const std::vector<struct CUstream_st *> &all_streams(void) {
    return streams;
}

struct CUstream_st *stream_of(cudaStream_t stream) {
    return stream == nullptr ? &default_stream : stream;
}

bool is_capturing(cudaStream_t stream) {
    return stream_of(stream)->capture != nullptr;
}

static enum stream_mode read_mode(void) {
    const char *text = getenv("PTX_STREAMS");
    if (text == NULL || strcmp(text, "now") == 0)
        return STREAMS_NOW;
    if (strcmp(text, "lazy") == 0)
        return STREAMS_LAZY;
    if (strncmp(text, "mixed:", 6) == 0) {
        seed = strtoull(text + 6, NULL, 0);
        return STREAMS_MIXED;
    }
    fprintf(stderr, "ptx: PTX_STREAMS=%s: known are now, lazy, mixed:SEED\n", text);
    exit(2);
}

static enum stream_mode mode(void) {
    static enum stream_mode value = read_mode();
    return value;
}

static size_t draw(size_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % n;
}

// ---- running ------------------------------------------------------------------------------------

// After an error of a kernel nothing runs any more, as on a GPU.
static void run_one(struct CUstream_st *s) {
    work job = std::move(s->queue.front());
    s->queue.pop_front();
    cudaError_t code = sticky_error() == cudaSuccess ? job() : cudaSuccess;
    s->n_done++;
    if (code != cudaSuccess)
        set_sticky_error(code);
}

void run_to(struct CUstream_st *s, uint64_t position) {
    while (s->n_done < position && !s->queue.empty())
        run_one(s);
}

void run_stream(cudaStream_t stream) {
    run_to(stream_of(stream), UINT64_MAX);
    ptx_wait();
}

void run_all_streams(void) {
    run_to(&default_stream, UINT64_MAX);
    for (size_t k = 0; k < streams.size(); k++)
        run_to(streams[k], UINT64_MAX);
    ptx_wait();
}

static void run_some(void) {
    for (size_t k = draw(4); k > 0 && !streams.empty(); k--) {
        struct CUstream_st *one = streams[draw(streams.size())];
        if (!one->queue.empty())
            run_one(one);
    }
}

cudaError_t enqueue(cudaStream_t stream, const std::string &what, work job) {
    struct CUstream_st *s = stream_of(stream);
    if (s->capture != nullptr) {
        s->capture->nodes.push_back({what, std::move(job)});
        return cudaSuccess;
    }
    s->queue.push_back(std::move(job));
    s->n_queued++;
    if (mode() == STREAMS_NOW)
        run_to(s, UINT64_MAX);
    else if (mode() == STREAMS_MIXED)
        run_some();
    return sticky_error();
}

cudaError_t forbid_in_capture(const char *what) {
    for (struct CUstream_st *s : streams) {
        if (s->capture == nullptr)
            continue;
        s->is_spoilt = true;
        return fail(cudaErrorStreamCaptureUnsupported,
                    std::string(what) + " while a stream is captured");
    }
    return cudaSuccess;
}

} // namespace ptx_cudart

using namespace ptx_cudart;

// ---- streams ------------------------------------------------------------------------------------

extern "C" cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned) {
    *out = new CUstream_st;
    streams.push_back(*out);
    return sticky_error();
}

extern "C" cudaError_t cudaStreamCreate(cudaStream_t *out) {
    return cudaStreamCreateWithFlags(out, 0);
}

extern "C" cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    run_to(stream, UINT64_MAX);
    for (size_t k = 0; k < streams.size(); k++)
        if (streams[k] == stream)
            streams.erase(streams.begin() + (long)k);
    delete stream;
    return sticky_error();
}

extern "C" cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (is_capturing(stream))
        return forbid_in_capture("cudaStreamSynchronize");
    run_stream(stream);
    return sticky_error();
}

extern "C" cudaError_t cudaStreamQuery(cudaStream_t stream) {
    return stream_of(stream)->queue.empty() ? sticky_error() : cudaErrorNotReady;
}

extern "C" cudaError_t cudaDeviceSynchronize(void) {
    if (cudaError_t code = forbid_in_capture("cudaDeviceSynchronize"))
        return code;
    run_all_streams();
    return sticky_error();
}

// ---- events -------------------------------------------------------------------------------------

extern "C" cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned) {
    *out = new CUevent_st;
    return sticky_error();
}

extern "C" cudaError_t cudaEventCreate(cudaEvent_t *out) {
    return cudaEventCreateWithFlags(out, 0);
}

extern "C" cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return sticky_error();
}

extern "C" cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    struct CUstream_st *s = stream_of(stream);
    event->stream = s;
    event->position = s->n_queued;
    event->capture = s->capture;
    return sticky_error();
}

// A stream that waits for an event of a capture joins it. Nodes of a graph run in the order of
// their capture, which keeps every order that events ask for.
extern "C" cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    struct CUstream_st *s = stream_of(stream);
    if (event->stream == nullptr)
        return sticky_error();
    if (s->capture != event->capture && s->capture != nullptr) {
        s->is_spoilt = true;
        return fail(cudaErrorStreamCaptureIsolation,
                    "a captured stream waits for an event from outside");
    }
    s->capture = event->capture;
    if (s->capture != nullptr)
        return sticky_error();
    struct CUstream_st *other = event->stream;
    uint64_t position = event->position;
    return enqueue(stream, "wait", [other, position] {
        run_to(other, position);
        return sticky_error();
    });
}

extern "C" cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    if (event->capture != nullptr)
        return forbid_in_capture("cudaEventSynchronize of a captured event");
    if (event->stream != nullptr)
        run_to(event->stream, event->position);
    ptx_wait();
    return sticky_error();
}

extern "C" cudaError_t cudaEventQuery(cudaEvent_t event) {
    bool is_done = event->stream == nullptr || event->stream->n_done >= event->position;
    return is_done ? sticky_error() : cudaErrorNotReady;
}

// Time means nothing here.
extern "C" cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t, cudaEvent_t) {
    *ms = 1.0f;
    return sticky_error();
}
