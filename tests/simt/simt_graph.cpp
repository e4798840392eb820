// SPDX-License-Identifier: MIT
// Capture and graphs: the work of a captured stream is kept instead of done. What CUDA forbids in
// the meantime makes the call fail and the capture invalid, as with
// cudaStreamCaptureModeThreadLocal.
#include "simt_internal.h"

struct CUgraph_st {
    std::vector<struct simt_work> nodes;
};
struct CUgraphExec_st {
    std::vector<struct simt_work> nodes;
};

// Of the calling thread.
struct capture {
    cudaStream_t stream; // NULL: none is captured
    bool is_invalid;
    std::vector<struct simt_work> nodes;
};
static thread_local struct capture capture;

cudaError_t simt_capture_check(const char *call, cudaStream_t stream) {
    if (!capture.stream || (stream && stream != capture.stream))
        return cudaSuccess;
    capture.is_invalid = true;
    return simt_error(cudaErrorStreamCaptureUnsupported,
                      "%s is not permitted while a stream is captured", call);
}

bool simt_capture_takes(cudaStream_t stream, struct simt_work *work, cudaError_t *code) {
    if (!capture.stream || (stream && stream != capture.stream))
        return false;
    if (!stream)
        *code = simt_capture_check("work of the default stream", NULL);
    else if (work->kind >= SIMT_WORK_RECORD)
        *code = simt_capture_check("an event in the captured stream", stream);
    else if (capture.is_invalid)
        *code = simt_error(cudaErrorStreamCaptureInvalidated,
                           "the capture of this stream has failed before");
    else
        capture.nodes.push_back(std::move(*work));
    return true;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode) {
    if (!stream || capture.stream)
        return simt_error(cudaErrorStreamCaptureUnsupported,
                          stream ? "this thread captures a stream already"
                                 : "the default stream cannot be captured");
    capture.stream = stream;
    capture.is_invalid = false;
    capture.nodes.clear();
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out) {
    *out = NULL;
    if (!stream || stream != capture.stream)
        return simt_error(cudaErrorInvalidValue, "this thread does not capture the stream");
    capture.stream = NULL;
    if (capture.is_invalid)
        return simt_error(
            cudaErrorStreamCaptureInvalidated,
            "a call that is not permitted while a stream is captured made the capture "
            "invalid");
    *out = new CUgraph_st{std::move(capture.nodes)};
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long) {
    *out = new CUgraphExec_st{graph->nodes};
    return cudaSuccess;
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                struct cudaGraphExecUpdateResultInfo *info) {
    bool is_same = exec->nodes.size() == graph->nodes.size();
    for (size_t i = 0; is_same && i < exec->nodes.size(); i++)
        is_same = exec->nodes[i].kind == graph->nodes[i].kind;
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

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    std::lock_guard<std::recursive_mutex> guard(simt_work_lock);
    n_launches++;
    for (const struct simt_work &node : exec->nodes) {
        cudaError_t code = simt_work_add(stream, node);
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
