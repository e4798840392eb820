// SPDX-License-Identifier: MIT
// A training step as one CUDA graph for each kind of step. The launches of a step are captured
// anew each time and put into the graph that was made of the first (cudaGraphExecUpdate), so that
// arguments that change from step to step (sample ids, learning rate) need no second path.
// ADELE_CUDA_GRAPHS=0 in the environment switches it off; so does ADELE_CUDA_SYNCHRONOUS.
#ifndef ADELE_CUDA_RUNTIME_STEP_GRAPH_CUH
#define ADELE_CUDA_RUNTIME_STEP_GRAPH_CUH

#include "runtime/common.cuh"

namespace adele_cuda {

struct step_graphs;

// *out = NULL where graphs are switched off; the step then runs launch by launch.
adele_status step_graphs_create(struct step_graphs **out);
void step_graphs_destroy(struct step_graphs *graphs); // NULL is legal
// Discards the graphs, as if no step had run yet. NULL is legal.
void step_graphs_discard(struct step_graphs *graphs);
// The first step of a kind runs launch by launch, since kernels that are loaded on first use may
// not be loaded during a capture.
adele_status step_graphs_begin(struct cuda_context *context, int step_kind);
// is_whole false: an op of the step failed. Ends the capture and launches nothing.
adele_status step_graphs_end(struct cuda_context *context, bool is_whole);

} // namespace adele_cuda
#endif
