// SPDX-License-Identifier: MIT
// Capture and graphs: the work of a captured stream is kept instead of done, and so is that of
// streams which wait for an event that was recorded in it, until it waits for one of theirs. What
// CUDA forbids in the meantime makes the call fail and the capture invalid, as with
// cudaStreamCaptureModeThreadLocal.
#include "simt_internal.h"

#include <map>

// Work of a graph, in the order in which it was captured. Lane 0 is the stream that it is launched
// in; others run beside it.
struct node {
    struct simt_work work;
    size_t lane;
};
struct CUgraph_st {
    std::vector<struct node> nodes;
    size_t n_lanes;
};
struct CUgraphExec_st {
    std::vector<struct node> nodes;
    size_t n_lanes;
};

// Of the calling thread.
static thread_local struct {
    std::vector<cudaStream_t> lanes; // empty: nothing is captured
    bool is_invalid;
    std::vector<struct node> nodes;
} capture;

static size_t lane_of(cudaStream_t stream) {
    size_t lane = 0;
    while (lane < capture.lanes.size() && capture.lanes[lane] != stream)
        lane++;
    return lane;
}

static bool is_captured(cudaStream_t stream) {
    return lane_of(stream) < capture.lanes.size();
}

cudaError_t simt_capture_check(const char *call, cudaStream_t stream) {
    if (capture.lanes.empty() || (stream && !is_captured(stream)))
        return cudaSuccess;
    capture.is_invalid = true;
    return simt_error(cudaErrorStreamCaptureUnsupported,
                      "%s is not permitted while a stream is captured", call);
}

static bool is_record_of_capture(const struct simt_record *record) {
    for (const struct node &node : capture.nodes)
        if (node.work.kind == SIMT_WORK_RECORD && node.work.record.get() == record)
            return true;
    return false;
}

bool simt_capture_takes(cudaStream_t stream, struct simt_work *work, cudaError_t *code) {
    if (capture.lanes.empty())
        return false;
    bool waits = work->kind == SIMT_WORK_WAIT;
    bool waits_inside = waits && is_record_of_capture(work->record.get());
    if (stream && waits_inside && !is_captured(stream))
        capture.lanes.push_back(stream);
    if (stream && !is_captured(stream))
        return false;
    if (!stream)
        *code = simt_capture_check("work of the default stream", NULL);
    else if (waits && !waits_inside)
        *code = simt_capture_check("a wait for an event of before the capture", stream);
    else if (capture.is_invalid)
        *code = simt_error(cudaErrorStreamCaptureInvalidated,
                           "the capture of this stream has failed before");
    else
        capture.nodes.push_back({std::move(*work), lane_of(stream)});
    return true;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode) {
    if (!stream || !capture.lanes.empty())
        return simt_error(cudaErrorStreamCaptureUnsupported,
                          stream ? "this thread captures a stream already"
                                 : "the default stream cannot be captured");
    capture.lanes.assign(1, stream);
    capture.is_invalid = false;
    capture.nodes.clear();
    return cudaSuccess;
}

// Whether the captured stream has waited for all that the lane does.
static bool is_joined(size_t lane) {
    const struct simt_record *last = NULL;
    bool is_joined = true;
    for (const struct node &node : capture.nodes)
        if (node.lane == lane) {
            last = node.work.kind == SIMT_WORK_RECORD ? node.work.record.get() : NULL;
            is_joined = false;
        } else if (node.lane == 0 && node.work.kind == SIMT_WORK_WAIT &&
                   node.work.record.get() == last)
            is_joined = true;
    return is_joined;
}

static cudaError_t check_capture(size_t n_lanes) {
    if (capture.is_invalid)
        return simt_error(
            cudaErrorStreamCaptureInvalidated,
            "a call that is not permitted while a stream is captured made the capture "
            "invalid");
    for (size_t lane = 1; lane < n_lanes; lane++)
        if (!is_joined(lane))
            return simt_error(cudaErrorStreamCaptureInvalidated,
                              "the captured stream has not waited for another one of the capture");
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out) {
    *out = NULL;
    if (!stream || capture.lanes.empty() || stream != capture.lanes[0])
        return simt_error(cudaErrorInvalidValue, "this thread does not capture the stream");
    size_t n_lanes = capture.lanes.size();
    cudaError_t code = check_capture(n_lanes);
    if (code == cudaSuccess)
        *out = new CUgraph_st{std::move(capture.nodes), n_lanes};
    capture.lanes.clear();
    capture.nodes.clear(); // messages among them use their communicator
    return code;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long) {
    *out = new CUgraphExec_st{graph->nodes, graph->n_lanes};
    return cudaSuccess;
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                struct cudaGraphExecUpdateResultInfo *info) {
    bool is_same = exec->nodes.size() == graph->nodes.size() && exec->n_lanes == graph->n_lanes;
    for (size_t i = 0; is_same && i < exec->nodes.size(); i++)
        is_same = exec->nodes[i].work.kind == graph->nodes[i].work.kind &&
                  exec->nodes[i].lane == graph->nodes[i].lane;
    info->result = is_same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
    if (!is_same)
        return simt_error(cudaErrorGraphExecUpdateFailure, "the graph has other nodes");
    exec->nodes = graph->nodes;
    return cudaSuccess;
}

static long n_launches;

long simt_graph_launches(void) {
    return n_launches;
}

// All graphs share the streams of their lanes, which stay: a graph may be destroyed while it runs.
// The vector stays too, so that they are no leak at the end of the process.
static cudaStream_t stream_of_lane(size_t lane, cudaStream_t launched_in) {
    static std::vector<cudaStream_t> &streams = *new std::vector<cudaStream_t>;
    while (streams.size() < lane) {
        cudaStream_t stream = NULL;
        (void)cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        streams.push_back(stream);
    }
    return lane == 0 ? launched_in : streams[lane - 1];
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    std::map<const struct simt_record *, std::shared_ptr<struct simt_record>> records;
    n_launches++;
    for (const struct node &node : exec->nodes) {
        cudaStream_t to = stream_of_lane(node.lane, stream);
        struct simt_work work = node.work;
        if (work.kind == SIMT_WORK_RECORD) {
            records[work.record.get()] = std::make_shared<struct simt_record>();
            records[work.record.get()]->stream = to;
        }
        if (work.kind == SIMT_WORK_RECORD || work.kind == SIMT_WORK_WAIT)
            work.record = records.at(node.work.record.get());
        cudaError_t code = simt_work_add(to, std::move(work));
        if (code != cudaSuccess)
            return code;
    }
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    delete exec;
    return cudaSuccess;
}
