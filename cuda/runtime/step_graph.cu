// SPDX-License-Identifier: MIT
// Capturing a step, bringing the kind's graph up to date, launching it: see step_graph.cuh.
#include "runtime/step_graph.cuh"

#include <stdlib.h>
#include <string.h>

namespace adele_cuda {

// Full or last batch x first or not x last or not of an update; an update that is recorded without
// its passes has the kind of a step that is not the first. Others run launch by launch.
#define MAX_STEP_KINDS 8

struct step_graphs {
    bool is_capturing;
    int i_current;
    bool has_run[MAX_STEP_KINDS];
    cudaGraphExec_t graphs[MAX_STEP_KINDS];
};

adele_status step_graphs_create(struct step_graphs **out) {
    *out = NULL;
    const char *setting = getenv("ADELE_CUDA_GRAPHS");
    if (getenv("ADELE_CUDA_SYNCHRONOUS") != NULL || (setting != NULL && strcmp(setting, "0") == 0))
        return ADELE_OK;
    return ALLOCATE(out, 1);
}

void step_graphs_discard(struct step_graphs *graphs) {
    for (int i = 0; graphs != NULL && i < MAX_STEP_KINDS; i++) {
        if (graphs->graphs[i] != NULL)
            (void)cudaGraphExecDestroy(graphs->graphs[i]);
        graphs->graphs[i] = NULL;
        graphs->has_run[i] = false;
    }
}

void step_graphs_destroy(struct step_graphs *graphs) {
    step_graphs_discard(graphs);
    memory_free(graphs);
}

adele_status step_graphs_begin(struct cuda_context *context, int step_kind) {
    struct step_graphs *graphs = context->graphs;
    if (step_kind < 0 || step_kind >= MAX_STEP_KINDS)
        return ADELE_OK;
    if (!graphs->has_run[step_kind]) {
        graphs->has_run[step_kind] = true;
        return ADELE_OK;
    }
    CUDA_TRY(cudaStreamBeginCapture(context->stream, cudaStreamCaptureModeThreadLocal));
    graphs->is_capturing = true;
    graphs->i_current = step_kind;
    return ADELE_OK;
}

// The first capture makes the graph; later ones change the arguments of its nodes. A step whose
// launches differ from the first gets a new graph: so the first one behind a rollback, which packs
// the weights of the checkpoint.
static adele_status refresh(cudaGraphExec_t *graph, cudaGraph_t captured) {
    if (*graph != NULL) {
        cudaGraphExecUpdateResultInfo result;
        if (cudaGraphExecUpdate(*graph, captured, &result) == cudaSuccess)
            return ADELE_OK;
        (void)cudaGetLastError(); // clears the error: a new graph is made instead
        CUDA_TRY(cudaGraphExecDestroy(*graph));
        *graph = NULL;
    }
    CUDA_TRY(cudaGraphInstantiate(graph, captured, 0));
    return ADELE_OK;
}

// The op that failed may have ended the capture already. Then there is no graph, and ending the
// capture fails; that error is cleared, because the op's own has been recorded before.
static void drop_capture(struct cuda_context *context) {
    cudaGraph_t captured = NULL;
    if (cudaStreamEndCapture(context->stream, &captured) == cudaSuccess && captured != NULL)
        (void)cudaGraphDestroy(captured);
    (void)cudaGetLastError();
}

adele_status step_graphs_end(struct cuda_context *context, bool is_whole) {
    struct step_graphs *graphs = context->graphs;
    if (!graphs->is_capturing)
        return ADELE_OK;
    graphs->is_capturing = false;
    if (!is_whole) {
        drop_capture(context);
        return ADELE_OK;
    }
    cudaGraph_t captured = NULL;
    CUDA_TRY(cudaStreamEndCapture(context->stream, &captured));
    cudaGraphExec_t *graph = &graphs->graphs[graphs->i_current];
    adele_status status = refresh(graph, captured);
    (void)cudaGraphDestroy(captured);
    if (status != ADELE_OK)
        return status;
    CUDA_TRY(cudaGraphLaunch(*graph, context->stream));
    return ADELE_OK;
}

} // namespace adele_cuda
