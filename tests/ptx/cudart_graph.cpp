// SPDX-License-Identifier: MIT
// Capturing streams into graphs, and graphs. A graph is its work in the order of the capture.
#include "cudart_room.h"

#include <memory>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct CUgraphExec_st {
    std::vector<struct CUgraph_st::node> nodes;
};

using namespace ptx_cudart;

extern "C" cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream == nullptr || stream->capture != nullptr)
        return fail(cudaErrorStreamCaptureUnsupported, "this stream cannot be captured");
    stream->capture = new CUgraph_st;
    stream->is_origin = true;
    stream->is_spoilt = false;
    return sticky_error();
}

extern "C" cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out) {
    *out = nullptr;
    if (stream->capture == nullptr || !stream->is_origin)
        return fail(cudaErrorStreamCaptureUnmatched, "this stream's capture did not begin here");
    struct CUgraph_st *graph = stream->capture;
    bool is_spoilt = false;
    for (struct CUstream_st *s : all_streams()) {
        if (s->capture != graph)
            continue;
        is_spoilt = is_spoilt || s->is_spoilt;
        s->capture = nullptr;
        s->is_spoilt = s->is_origin = false;
    }
    if (is_spoilt) {
        delete graph;
        return fail(cudaErrorStreamCaptureInvalidated, "an earlier error spoilt the capture");
    }
    *out = graph;
    return sticky_error();
}

extern "C" cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph,
                                            unsigned long long) {
    *out = new CUgraphExec_st{graph->nodes};
    return sticky_error();
}

// Arguments may change, kernels and their order may not.
extern "C" cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                           cudaGraphExecUpdateResultInfo *info) {
    memset(info, 0, sizeof *info);
    bool is_same = exec->nodes.size() == graph->nodes.size();
    for (size_t k = 0; is_same && k < graph->nodes.size(); k++)
        is_same = exec->nodes[k].what == graph->nodes[k].what;
    if (!is_same) {
        info->result = cudaGraphExecUpdateErrorTopologyChanged;
        return fail(cudaErrorGraphExecUpdateFailure, "the graphs differ in more than arguments");
    }
    exec->nodes = graph->nodes;
    return sticky_error();
}

// PTX_GRAPH_NODES=N: a program that ends without having launched a graph of N nodes fails, so that
// a test of graphs proves that there was one.
static size_t most_nodes = 0;

static void demand_nodes(void) {
    size_t wanted = strtoull(getenv("PTX_GRAPH_NODES"), NULL, 0);
    if (most_nodes >= wanted)
        return;
    fprintf(stderr, "ptx: the largest graph had %zu nodes, PTX_GRAPH_NODES=%zu\n", most_nodes,
            wanted);
    _exit(2);
}

__attribute__((constructor)) static void demand_nodes_at_end(void) {
    if (getenv("PTX_GRAPH_NODES") != NULL)
        atexit(demand_nodes);
}

extern "C" cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    auto nodes = std::make_shared<std::vector<struct CUgraph_st::node>>(exec->nodes);
    most_nodes = nodes->size() > most_nodes ? nodes->size() : most_nodes;
    return enqueue(stream, "graph", [nodes] {
        for (const struct CUgraph_st::node &one : *nodes)
            if (cudaError_t code = one.job())
                return code;
        return cudaSuccess;
    });
}

extern "C" cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return sticky_error();
}

extern "C" cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    delete exec;
    return sticky_error();
}
