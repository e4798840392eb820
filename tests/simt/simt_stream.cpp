// SPDX-License-Identifier: MIT
// Streams and events. Work waits in the queue of its stream, and is done when something asks for
// it: a wait of the host, or a wait in another stream for an event. SIMT_STREAMS says what more is
// done at once; lazy streams leave everything until then, in the order that is the latest for every
// other stream. Reading the result of work without a wait for it gives what was there before.
//
// Messages of other processes may not be there yet: work behind them waits in its queue, even of an
// eager stream.
#include "simt_internal.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <stdlib.h>
#include <thread>

struct CUstream_st {
    std::deque<struct simt_work> queue;
    std::vector<size_t> done; // of the messages that are first in the queue
};
struct CUevent_st {
    std::shared_ptr<struct simt_record> record; // NULL: never recorded
};

std::recursive_mutex simt_work_lock;
static long n_begun; // work of all streams
static bool waits_for_messages = true;

static struct CUstream_st default_stream;
static std::vector<struct CUstream_st *> streams = {&default_stream};

static struct CUstream_st *queue_of(cudaStream_t stream) {
    return stream ? stream : &default_stream;
}

// ---- doing it -----------------------------------------------------------------------------------

static cudaError_t finish(struct CUstream_st *stream, long last);

static void record_is_done(struct simt_record *record) {
    clock_gettime(CLOCK_MONOTONIC, &record->time);
    record->is_done = true;
}

static cudaError_t finish_record(const struct simt_record *record) {
    return record->is_done ? cudaSuccess : finish(queue_of(record->stream), record->number);
}

static cudaError_t do_work(struct simt_work *work) {
    switch (work->kind) {
    case SIMT_WORK_KERNEL:
        work->grid.arguments = work->arguments.data();
        return simt_run_grid(&work->grid);
    case SIMT_WORK_COPY:
        memmove(work->to, work->from ? work->from : work->bytes.data(), work->n_bytes);
        return cudaSuccess;
    case SIMT_WORK_FILL:
        memset(work->to, work->value, work->n_bytes);
        return cudaSuccess;
    case SIMT_WORK_MESSAGES:
        break; // see finish
    case SIMT_WORK_RECORD:
        record_is_done(work->record.get());
        return cudaSuccess;
    case SIMT_WORK_WAIT:
        return finish_record(work->record.get());
    }
    return cudaSuccess;
}

static cudaError_t do_messages(struct CUstream_st *stream, const struct simt_work *work) {
    const struct timespec pause = {0, 100000};
    cudaError_t code;
    while ((code = simt_messages_go_on(work->messages.get(), &stream->done)) == cudaErrorNotReady &&
           waits_for_messages)
        (void)nanosleep(&pause, NULL);
    if (code != cudaErrorNotReady)
        stream->done.clear();
    return code;
}

// As after a failure on a GPU, nothing that comes later in the stream is done.
static void drop(struct CUstream_st *stream) {
    for (struct simt_work &work : stream->queue)
        if (work.kind == SIMT_WORK_RECORD)
            record_is_done(work.record.get());
    stream->queue.clear();
}

// All work of the stream up to the number.
static cudaError_t finish(struct CUstream_st *stream, long last) {
    while (!stream->queue.empty() && stream->queue.front().number <= last) {
        struct simt_work work = std::move(stream->queue.front());
        stream->queue.pop_front();
        cudaError_t code =
            work.kind == SIMT_WORK_MESSAGES ? do_messages(stream, &work) : do_work(&work);
        if (code == cudaErrorNotReady) {
            stream->queue.push_front(std::move(work));
            return code;
        }
        if (code != cudaSuccess) {
            drop(stream);
            return code;
        }
    }
    return cudaSuccess;
}

cudaError_t simt_work_finish(cudaStream_t stream) {
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    return finish(queue_of(stream), n_begun);
}

cudaError_t simt_work_try(cudaStream_t stream) {
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    waits_for_messages = false;
    cudaError_t code = finish(queue_of(stream), n_begun);
    waits_for_messages = true;
    return code;
}

cudaError_t simt_work_finish_all() {
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    cudaError_t first = cudaSuccess;
    for (struct CUstream_st *stream : streams) {
        cudaError_t code = finish(stream, n_begun);
        first = first == cudaSuccess ? code : first;
    }
    return first;
}

// ---- beside the host ----------------------------------------------------------------------------

#ifndef ADELE_SIMT_CHECKED // whose checks take what runs at the same time for a part of the kernel
// A GPU goes on while its host does something else, and other processes may wait for what it sends:
// a thread does the work up to the last messages of each stream.
static void go_on_with_messages() {
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    waits_for_messages = false;
    for (struct CUstream_st *stream : streams) {
        long last = -1;
        for (const struct simt_work &work : stream->queue)
            if (work.kind == SIMT_WORK_MESSAGES)
                last = work.number;
        if (last >= 0)
            (void)finish(stream, last); // a failure is left for cudaGetLastError
    }
    waits_for_messages = true;
}

static struct helper {
    std::thread thread;
    std::atomic<bool> ends;
    void begin() {
        if (!thread.joinable())
            thread = std::thread([this] {
                const struct timespec pause = {0, 500000};
                while (!ends) {
                    go_on_with_messages();
                    (void)nanosleep(&pause, NULL);
                }
            });
    }
    ~helper() {
        ends = true;
        if (thread.joinable())
            thread.join();
    }
} helper;
#else
static struct {
    void begin() {
    }
} helper;
#endif

// ---- adding -------------------------------------------------------------------------------------

bool simt_work_is_under_way() {
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    for (const struct CUstream_st *stream : streams)
        for (const struct simt_work &work : stream->queue)
            if (work.kind < SIMT_WORK_RECORD)
                return true;
    return false;
}

static bool has_messages(const struct CUstream_st *stream) {
    for (const struct simt_work &work : stream->queue)
        if (work.kind == SIMT_WORK_MESSAGES)
            return true;
    return false;
}

// In its own queue, or in that of a stream for which it waits.
static bool waits_behind_messages(const struct CUstream_st *stream) {
    for (const struct simt_work &work : stream->queue)
        if (work.kind == SIMT_WORK_WAIT && !work.record->is_done &&
            has_messages(queue_of(work.record->stream)))
            return true;
    return has_messages(stream);
}

cudaError_t simt_work_add(cudaStream_t stream, struct simt_work work) {
    cudaError_t code = cudaSuccess;
    if (simt_capture_takes(stream, &work, &code))
        return code;
    if (work.kind == SIMT_WORK_MESSAGES)
        helper.begin();
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    bool is_lazy = simt_settings_read().is_lazy || waits_behind_messages(queue_of(stream));
    bool waits = is_lazy || work.is_late || work.kind >= SIMT_WORK_MESSAGES;
    if (work.is_late && !is_lazy) // all kernels so far are done: none reads what is spoilt here
        memset(work.to, 0xff, work.n_bytes);
    work.number = n_begun++;
    if (work.kind == SIMT_WORK_RECORD)
        work.record->number = work.number;
    queue_of(stream)->queue.push_back(std::move(work));
    return waits ? cudaSuccess : finish(queue_of(stream), n_begun);
}

// ---- streams ------------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags) {
    *out = NULL;
    if (flags != cudaStreamNonBlocking)
        return simt_error(cudaErrorInvalidValue, "the emulator has only cudaStreamNonBlocking");
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    *out = new CUstream_st;
    streams.push_back(*out);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    cudaError_t code = finish(stream, n_begun); // a GPU finishes it, too, though later
    streams.erase(std::find(streams.begin(), streams.end(), stream));
    delete stream;
    return code;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    simt_plant_synchronize();
    cudaError_t code = simt_capture_check("cudaStreamSynchronize", stream);
    return code == cudaSuccess ? simt_work_finish(stream) : code;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    cudaError_t code = simt_capture_check("cudaStreamQuery", stream);
    return code == cudaSuccess ? simt_work_try(stream) : code;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    if (!event->record)
        return cudaSuccess;
    struct simt_work work = {};
    work.kind = SIMT_WORK_WAIT;
    work.record = event->record;
    return simt_work_add(stream, std::move(work));
}

// ---- events -------------------------------------------------------------------------------------

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned) {
    *out = new CUevent_st;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *out) {
    return cudaEventCreateWithFlags(out, cudaEventDefault);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    struct simt_work work = {};
    work.kind = SIMT_WORK_RECORD;
    work.record = std::make_shared<struct simt_record>();
    work.record->stream = stream;
    event->record = work.record;
    return simt_work_add(stream, std::move(work));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    return event->record ? finish_record(event->record.get()) : cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    return cudaEventSynchronize(event);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to) {
    if (!from->record || !to->record)
        return simt_error(cudaErrorInvalidValue, "cudaEventElapsedTime: an event has no record");
    if (!from->record->is_done || !to->record->is_done)
        return simt_error(cudaErrorNotReady,
                          "cudaEventElapsedTime: the events were not waited for");
    struct timespec first = from->record->time, last = to->record->time;
    *ms = (float)((double)(last.tv_sec - first.tv_sec) * 1e3 +
                  (double)(last.tv_nsec - first.tv_nsec) * 1e-6);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
